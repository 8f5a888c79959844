"""The settings of a run: every field has its rule, every rule is held, a run stays itself."""

import ast
import inspect
import itertools
import json
import math
from dataclasses import asdict, fields

import pytest

from course_utils.training import TrainingConfig, steps_for_epochs
from course_utils.training.config import check_same_run

WRONG = {
    "num_steps": [0, 1.5, "10", True],
    "minutes": [0, "20", math.inf],
    "image_size": [0, "64", (32, 0), (32,), (32, 32, 3), (32, None)],
    "batch_size": [0, -1, 2.0],
    "gradient_accumulation_steps": [0, None],
    "gradient_checkpointing": [1, None],
    "num_processes": [0, 1.5],
    "learning_rate": [0.0, 1.0, math.nan, "1e-3", None],
    "adam_beta2": [-0.1, 1.0, None],
    "num_warmup_steps": [-1, 1_001, 0.1],
    "max_grad_norm": [0.0, math.inf, "1"],
    "ema_decay": [-0.1, 1.0, None],
    "loss": ["rmse", None, 1],
    "min_snr_gamma": [0, -5.0, "5"],
    "timestep_sampling": ["even", None, 1],
    "label_dropout": [-0.1, 1.0],
    "max_loss": [0, math.nan],
    "mixed_precision": ["half", None, "fp8"],
    "seed": [-1, 0.5, 2**63],  # as large as a generator of PyTorch's takes
    "output_dir": ["", " ", 3],
    "overwrite_output_dir": ["yes", 1],
    "save_image_steps": [-1, 2.5, None],
    "save_model_steps": [-1, None],
    "keep_checkpoints": [0, None],
    "eval_batch_size": [0],
    "eval_inference_steps": [0],
    "tracker": ["mlflow", ""],
    "judge_every": [0, -1, 2.5],
    "judge_batch_size": [2, None, "many"],
    "judge_by": ["", None, 3],
}


def test_each_field_is_annotated_and_can_be_set_alone():
    assert TrainingConfig(image_size=64).image_size == 64
    assert TrainingConfig(image_size=(48, 64)).image_size == (48, 64)
    assert asdict(TrainingConfig())["num_steps"] == 1_000
    assert inspect.get_annotations(TrainingConfig).keys() == WRONG.keys()


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_an_impossible_value_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"^{name} is .*it must be ") as error:
        TrainingConfig(**{name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"num_steps": 0}, "a whole number at least 1"),
        ({"image_size": 0}, "a whole number at least 1, two of those for height and width or None"),
        ({"minutes": 0}, "a number above 0 or None"),
        ({"num_warmup_steps": 9, "num_steps": 8}, "at least 0 and at most num_steps, which is 8"),
        ({"learning_rate": 1.0}, "a number above 0 and below 1"),
        ({"ema_decay": 1.0}, "a number at least 0 and below 1"),
        ({"loss": "rmse"}, "mse, l1 or huber"),
        ({"tracker": "mlflow"}, "tensorboard, wandb, trackio or None"),
        ({"overwrite_output_dir": 1}, "True or False"),
        ({"output_dir": ""}, "a name or None"),
    ],
)
def test_a_refusal_says_what_the_value_must_be(wrong, rule):
    with pytest.raises(ValueError, match=f"it must be .*{rule}\\.$"):
        TrainingConfig(**wrong)


def test_each_field_has_its_reason_below_it():
    tree = ast.parse(inspect.getsource(TrainingConfig)).body[0].body
    for field, below in itertools.pairwise(tree):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(below, ast.Expr), field.target.id
            assert len(below.value.value) > 40, field.target.id
            assert ":" not in below.value.value, "Sphinx would take what is before it for a type"


def test_what_needs_a_folder_is_refused_without_one():
    with pytest.raises(ValueError, match=r"tracker is 'tensorboard'.* where output_dir is None"):
        TrainingConfig(tracker="tensorboard")
    TrainingConfig(tracker="tensorboard", output_dir="somewhere")


def test_settings_cannot_be_changed_behind_a_runs_back():
    with pytest.raises(AttributeError):
        TrainingConfig().seed = 3


def test_epochs_are_counted_as_the_tutorial_does():
    assert steps_for_epochs(50, 1_000, 16) == 50 * 63  # its progress bar said 63
    assert steps_for_epochs(3, 10, 5) == 6
    for k, name in enumerate(("num_epochs", "num_images", "batch_size")):
        given = [2, 10, 4]
        given[k] = 0
        with pytest.raises(ValueError, match=f"^{name} is 0; use at least 1"):
            steps_for_epochs(*given)
        for wrong in (1.5, "1", True):
            given[k] = wrong
            with pytest.raises(TypeError, match=f"^{name} is {wrong!r}, which is not a whole"):
                steps_for_epochs(*given)


DECIDE = "num_steps image_size batch_size learning_rate num_warmup_steps max_grad_norm ema_decay "
DECIDE += "adam_beta2 loss min_snr_gamma timestep_sampling label_dropout mixed_precision seed"
ANOTHER = {"mixed_precision": "bf16", "loss": "l1", "tracker": "wandb", "output_dir": "b"}
ANOTHER |= {"judge_by": "sprites-16", "timestep_sampling": "logit_normal"}
KEPT = {"output_dir": "a", "tracker": "tensorboard"}


@pytest.mark.parametrize("name", [field.name for field in fields(TrainingConfig)])
def test_a_run_is_resumed_with_the_same_settings_but_for_those_that_decide_nothing(name):
    first = TrainingConfig(**KEPT)
    value = getattr(first, name)
    another = ANOTHER.get(name, 7 if value is None else not value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        another = value * 0.5 if isinstance(value, float) and value else value + 1
    if name == "label_dropout":
        another = 0.5
    second = TrainingConfig(**(KEPT | {name: another}))
    assert second != first
    if name not in DECIDE.split():
        check_same_run(asdict(first), second)
    else:
        with pytest.raises(ValueError, match=f"settings: {name} was "):
            check_same_run(asdict(first), second)


def test_a_setting_that_is_younger_than_a_checkpoint_had_its_default():
    before = asdict(TrainingConfig())
    del before["adam_beta2"]
    check_same_run(before, TrainingConfig())
    with pytest.raises(ValueError, match=r"adam_beta2 was 0\.999 and is 0\.99"):
        check_same_run(before, TrainingConfig(adam_beta2=0.99))


def test_a_size_is_the_same_as_json_has_kept_it():
    config = TrainingConfig(image_size=(48, 64))
    check_same_run(json.loads(json.dumps(asdict(config))), config)
