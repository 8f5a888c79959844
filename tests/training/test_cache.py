"""Kept runs: the same thing comes back, anything else is trained, damage is never believed."""

import json
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from course_utils import training
from course_utils.data import ImageTensors
from course_utils.files import cache_folder
from course_utils.sampling import DDPMScheduler, FlowMatchEulerScheduler
from course_utils.training import TrainingConfig, cache, fingerprint, trained
from course_utils.training.cache import recipe_of

CONFIG = TrainingConfig(num_steps=2, num_warmup_steps=1, batch_size=4)


def network(seed=0, **changes):
    torch.manual_seed(seed)
    settings = {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "layers_per_block": 1,
        "block_out_channels": (8,),
        "down_block_types": ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",),
        "norm_num_groups": 4,
        "num_class_embeds": 2,
    }
    return diffusers.UNet2DModel(**(settings | changes))


def pictures(**changes):
    images = torch.arange(8 * 64, dtype=torch.int64).remainder(251).to(torch.uint8)
    parts = {"images": images.view(8, 1, 8, 8), "labels": torch.arange(8) % 2, "names": ("a", "b")}
    return ImageTensors(**(parts | changes))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def ask(config=CONFIG, model=None, scheduler=None, data=None):
    model = network() if model is None else model
    scheduler = DDPMScheduler(50) if scheduler is None else scheduler
    return trained(config, model, scheduler, pictures() if data is None else data)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def assert_same(first, second):
    assert torch.equal(weights(first.model), weights(second.model))
    assert torch.equal(weights(first.ema_model), weights(second.ema_model))
    assert first.losses == second.losses
    assert (second.model.training, second.ema_model.training) == (True, False)


def test_the_second_time_the_same_run_is_loaded_and_nothing_is_trained(folder, capsys, monkeypatch):
    first = ask()
    assert "trained 2 updates" in capsys.readouterr().out
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))
    model = network()
    second = ask(model=model)
    assert "loaded run-" in capsys.readouterr().out
    assert_same(first, second)
    assert second.model is model  # trained in place, as by train()
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]


@pytest.mark.parametrize(
    "other",
    [
        {"config": TrainingConfig(num_steps=2, num_warmup_steps=1, batch_size=4, seed=1)},
        {"config": TrainingConfig(num_steps=2, num_warmup_steps=1, batch_size=5)},
        {"model": network(seed=1)},
        {"model": network(act_fn="gelu")},
        {"scheduler": DDPMScheduler(51)},
        {"scheduler": DDPMScheduler(50, prediction_type="v_prediction")},
        {"scheduler": diffusers.DDPMScheduler(50)},
        {"scheduler": FlowMatchEulerScheduler(50)},
        {"data": pictures(flip=True)},
        {"data": pictures(labels=torch.zeros(8, dtype=torch.int64))},
        {"data": pictures(images=pictures().images.flip(0))},
    ],
)
def test_any_other_setting_is_another_run(folder, other):
    ask()
    ask(**other)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("library", ["torch", "diffusers"])
def test_another_version_of_a_library_is_another_run(folder, monkeypatch, library):
    before = recipe_of(CONFIG, network(), DDPMScheduler(50), pictures())
    monkeypatch.setattr(fingerprint, "version", lambda name: "0" if name == library else "1")
    after = recipe_of(CONFIG, network(), DDPMScheduler(50), pictures())
    assert before["versions"] != after["versions"]
    assert before["weights"] == after["weights"]


def test_changed_training_code_is_another_run(monkeypatch):
    before = recipe_of(CONFIG, network(), DDPMScheduler(50), pictures())
    monkeypatch.setattr(cache.inspect, "getsource", lambda thing: "changed")
    assert recipe_of(CONFIG, network(), DDPMScheduler(50), pictures())["code"] != before["code"]


def rewrite(path, change):
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(tensors, metadata)
    save_file(tensors, path, metadata)


def one_weight(tensors, metadata):
    tensors["ema_model.conv_in.weight"][0, 0, 0, 0] += 1


def another_recipe(tensors, metadata):
    metadata["recipe"] = json.dumps({"config": "of somebody else"})


def no_recipe(tensors, metadata):
    metadata.clear()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b""), "Error"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "Error"),
        (lambda path: path.write_bytes(b"not a tensor in sight"), "Error"),
        (lambda path: rewrite(path, one_weight), "not those that were written"),
        (lambda path: rewrite(path, another_recipe), "other settings"),
        (lambda path: rewrite(path, no_recipe), "other settings"),
    ],
    ids=["empty", "cut short", "no file of ours", "one weight", "foreign", "bare"],
)
def test_a_damaged_or_foreign_file_is_reported_and_replaced(folder, capsys, damage, says):
    first = ask()
    (path,) = folder.iterdir()
    damage(path)
    capsys.readouterr()
    again = ask()
    told = capsys.readouterr().out
    assert "cannot be used" in told
    assert says == "Error" or says in told
    assert "trained 2 updates" in told
    assert_same(first, again)
    ask()
    assert "loaded run-" in capsys.readouterr().out


def test_a_file_of_another_run_under_this_name_is_not_believed(folder, capsys):
    ask(config=TrainingConfig(num_steps=3, num_warmup_steps=1, batch_size=4))
    (other,) = folder.iterdir()
    ask()
    (mine,) = (path for path in folder.iterdir() if path != other)
    mine.write_bytes(other.read_bytes())
    capsys.readouterr()
    assert len(ask().losses) == 2
    assert "other settings than its name says" in capsys.readouterr().out


def test_an_interrupted_write_leaves_nothing_behind(folder, monkeypatch, capsys):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.Path, "replace", full)
    run = ask()
    assert "not kept for the next time (No space left" in capsys.readouterr().out
    assert len(run.losses) == 2
    assert list(folder.iterdir()) == []


def test_pictures_that_do_not_fit_are_refused_before_anything_is_written(folder):
    with pytest.raises(ValueError, match="3 channels"):
        ask(data=pictures(images=torch.zeros(8, 3, 8, 8, dtype=torch.uint8)))
    assert not folder.exists()


def test_the_tests_leave_the_readers_own_cache_alone():
    assert cache_folder() != Path.home() / ".cache" / "course-utils"
