"""The trainer: the right objective, exact repetition, learning that happens, clear refusals."""

import math
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from course_utils.data import ImageTensors, hold_out, load_images, prepare
from course_utils.metrics import PictureReader
from course_utils.sampling import FlowMatchEulerScheduler, sample
from course_utils.training import (
    TrainingConfig,
    check_fit,
    diffusion_loss,
    rows_of_step,
    seeded,
    train,
)
from course_utils.training.checkpoints import checkpoints
from tests import trainer

COSINE = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}


def network(**changes):
    return trainer.network(**({"block_out_channels": (16, 32)} | changes))


@pytest.fixture(scope="module")
def digits():
    train_set, held_out = hold_out(load_images("digits"), 600)
    return prepare(train_set, 8, channels=1), prepare(held_out, 8, channels=1)


class Says(torch.nn.Module):
    """A network that gives one answer, whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, sample, timesteps, class_labels=None):
        return type("Output", (), {"sample": self.answer(sample, timesteps)})


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_loss_is_zero_for_the_right_answer_of_each_kind(prediction_type):
    scheduler = DDPMScheduler(prediction_type=prediction_type, clip_sample=False)
    x0 = torch.rand(6, 1, 4, 4) * 2 - 1
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(x0.shape, generator=generator)
    share = scheduler.alphas_cumprod

    def right(sample, timesteps):
        a = share[timesteps].view(-1, 1, 1, 1)
        torch.testing.assert_close(sample, a.sqrt() * x0 + (1 - a).sqrt() * noise)
        velocity = a.sqrt() * noise - (1 - a).sqrt() * x0
        return {"epsilon": noise, "sample": x0, "v_prediction": velocity}[prediction_type]

    generator = torch.Generator().manual_seed(3)
    loss = diffusion_loss(Says(right), scheduler, x0, None, generator)
    assert loss.item() < 1e-10
    generator = torch.Generator().manual_seed(3)
    silent = Says(lambda sample, timesteps: torch.zeros_like(sample))
    assert diffusion_loss(silent, scheduler, x0, None, generator) > 0.1


def test_all_noise_levels_are_trained_and_no_other():
    seen = []
    watcher = Says(lambda sample, timesteps: seen.append(timesteps) or torch.zeros_like(sample))
    scheduler = DDPMScheduler(num_train_timesteps=10)
    diffusion_loss(watcher, scheduler, torch.zeros(500, 1, 2, 2), None, seeded(0, 0))
    assert set(seen[0].tolist()) == set(range(10))


def test_flow_matching_learns_the_straight_velocity_from_its_first_noise_to_pure_noise():
    x0, seen = torch.rand(500, 1, 2, 2) * 2 - 1, []
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(x0.shape, generator=generator)

    def right(sample, timesteps):
        seen.append(timesteps)
        sigma = timesteps.view(-1, 1, 1, 1) / 10
        torch.testing.assert_close(sample, (1 - sigma) * x0 + sigma * noise)
        return noise - x0

    generator = torch.Generator().manual_seed(3)
    scheduler = FlowMatchEulerScheduler(10)
    assert diffusion_loss(Says(right), scheduler, x0, None, generator) < 1e-10
    assert set(seen[0].tolist()) == set(range(1, 11))


def test_unknown_prediction_type_is_named():
    scheduler = DDPMScheduler(prediction_type="noise")
    with pytest.raises(ValueError, match="'noise'"):
        diffusion_loss(Says(None), scheduler, torch.zeros(1, 1, 2, 2), None, seeded(0, 0))


def test_learning_happens(digits):
    """Loss and score against the untrained network, on eight-pixel digits."""
    to_learn, held_out = digits
    scheduler = DDPMScheduler(**COSINE)
    config = TrainingConfig(num_steps=300, learning_rate=3e-3, ema_decay=0.98)
    run = train(config, network(), scheduler, to_learn)
    assert sum(run.losses[-20:]) < 0.5 * sum(run.losses[:20])

    reader = PictureReader(held_out)
    ddim = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    wanted = [k % 10 for k in range(100)]
    score = {}
    for name, model in {"untrained": network(), "trained": run.ema_model}.items():
        images = sample(
            model, ddim, seeds=range(100), class_labels=wanted, num_inference_steps=15
        ).images
        score[name] = reader.read(images, wanted).accuracy
    assert score["untrained"] < 0.3
    assert score["trained"] > 0.7


def short_run(digits, **changes):
    config = TrainingConfig(**({"num_steps": 5, "num_warmup_steps": 1} | changes))
    return train(config, network(), DDPMScheduler(), digits[0])


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_run_repeats_exactly_whatever_the_global_generator_does(digits):
    first = short_run(digits)
    torch.manual_seed(123)
    second = short_run(digits)
    assert first.losses == second.losses
    assert torch.equal(weights(first.model), weights(second.model))
    assert torch.equal(weights(first.ema_model), weights(second.ema_model))
    assert short_run(digits, seed=1).losses != first.losses


def begun(until, resume=False, **changes):
    config = trainer.settings(**changes)
    data, levels = trainer.pictures(), DDPMScheduler()
    return train(config, trainer.network(), levels, data, False, resume=resume, until=until)


def test_the_beginning_of_a_longer_run_is_that_run_to_the_bit_and_can_be_gone_on_from(tmp_path):
    whole = trainer.short_run()
    place = str(tmp_path / "run")
    first = begun(4, output_dir=place)
    assert first.losses == whole.losses[:4]
    assert [p.stem for p in checkpoints(tmp_path / "run" / "checkpoints")] == ["checkpoint-000004"]
    trainer.assert_same(begun(4), first)  # with a folder and without
    trainer.assert_same(begun(None, resume=True, output_dir=place), whole)
    assert not torch.equal(trainer.weights(first.model), trainer.weights(begun(3).model))


@pytest.mark.parametrize(
    ("until", "error", "words"),
    [
        (7, ValueError, r"until is 7; the run has 6 updates \(num_steps\)"),
        (0, ValueError, r"until is 0; use at least 1"),
        (2.5, TypeError, "until is 2.5"),
    ],
)
def test_a_beginning_that_is_none_is_refused(until, error, words):
    with pytest.raises(error, match=words):
        begun(until)


def test_learning_rate_warms_up_and_ends_at_zero(digits, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    short_run(digits, num_steps=20, num_warmup_steps=4, learning_rate=0.01)
    expected = [0.01 * k / 4 for k in range(4)]
    expected += [0.005 * (1 + math.cos(math.pi * k / 16)) for k in range(16)]
    assert rates == pytest.approx(expected, abs=1e-12)


def test_averaged_weights_are_the_average(digits, monkeypatch):
    """Against the recursion written out, with the ramp (1 + k) / (10 + k) of short runs."""
    history = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        history.append(torch.cat([p.detach().flatten() for p in self.param_groups[0]["params"]]))
        return result

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    average = weights(network())
    run = short_run(digits, num_steps=8, learning_rate=0.01, ema_decay=0.3)
    for k, now in enumerate(history):
        decay = min(0.3, (1 + k) / (10 + k)) if k else 0.0
        average = decay * average + (1 - decay) * now
    torch.testing.assert_close(weights(run.ema_model), average, atol=1e-6, rtol=1e-5)
    assert not torch.equal(weights(run.ema_model), weights(run.model))
    assert not run.ema_model.training


def test_gradients_are_clipped(digits, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        gradients = [p.grad.flatten() for p in self.param_groups[0]["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    short_run(digits, max_grad_norm=0.01)
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_labels_are_given_to_networks_with_classes_only(digits):
    free = network(num_class_embeds=None)
    run = train(TrainingConfig(num_steps=2, num_warmup_steps=0), free, DDPMScheduler(), digits[0])
    assert len(run.losses) == 2


def test_rows_pass_through_all_pictures_before_repeating():
    rows = torch.cat([rows_of_step(10, 4, step, seed=0) for step in range(5)])
    assert sorted(rows[:10].tolist()) == list(range(10))
    assert sorted(rows[10:].tolist()) == list(range(10))
    assert rows[:10].tolist() != rows[10:].tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 25])
def test_rows_do_not_depend_on_where_batches_are_cut(batch_size):
    whole = rows_of_step(10, 100, 0, seed=5)
    cut = [rows_of_step(10, batch_size, step, seed=5) for step in range(100 // batch_size)]
    cut = torch.cat(cut)
    assert torch.equal(cut, whole[: len(cut)])


def test_seeded_generators_differ_by_seed_number_and_stream():
    draws = {
        torch.rand(1, generator=seeded(a, b, c)).item()
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1)
    }
    assert len(draws) == 8


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"num_warmup_steps": 101},
        {"max_grad_norm": 0.0},
        {"ema_decay": 1.0},
        {"mixed_precision": "half"},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is"):
        TrainingConfig(**({"num_steps": 100} | wrong))


def test_a_loss_that_is_no_number_stops_the_run(digits):
    broken = network()
    broken.conv_out.weight.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="at step 0") as error:
        train(TrainingConfig(num_steps=50), broken, DDPMScheduler(), digits[0])
    assert "learning_rate" in str(error.value)


def pictures(channels=1, size=8, label=0):
    images = torch.zeros(2, channels, size, size, dtype=torch.uint8)
    return ImageTensors(images, torch.tensor([0, label]), ("a",))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (pictures(channels=3), "3 channels"),
        (pictures(size=7), "7x7"),
        (pictures(label=10), "up to 10"),
        (pictures(label=-1), "down to -1, and classes count from 0"),
        (replace(pictures(), images=torch.zeros(2, 1, 8, 8)), r"are torch.float32 of shape \(2, 1"),
        (replace(pictures(), images=pictures().images[:, 0]), r"uint8 of shape \(2, 8, 8\)"),
        (
            replace(pictures(), images=pictures().images[:0]),
            r"of shape \(0, 1, 8, 8\).* at least 1",
        ),
        (replace(pictures(), labels=torch.zeros(2)), r"labels are torch.float32 .*2 pictures want"),
        (replace(pictures(), labels=torch.zeros(2) > 0), r"labels are torch.bool"),
        (replace(pictures(), labels=torch.zeros(2, 1).long()), r"int64 of shape \(2, 1\)"),
        (replace(pictures(), labels=torch.zeros(3).long()), r"int64 of shape \(3,\)"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(data, match):
    with pytest.raises(ValueError, match=match):
        check_fit(network(), data)
    check_fit(network(), pictures(label=9))
