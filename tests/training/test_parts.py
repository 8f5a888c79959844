"""The same run however the work is cut up, other losses, and what stops a run."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.training_utils import compute_snr
from torch.nn import functional as F

from course_utils.sampling import FlowMatchEulerScheduler
from course_utils.training import (
    diffusion_loss,
    draw_batch,
    noise_and_levels,
    rows_of_step,
    seeded,
    train,
)
from course_utils.training.batches import levels_from_the_middle
from tests.trainer import assert_same, network, pictures, settings, short_run, weights


def plain_loop(config, model, scheduler, data):
    """The loop as one would write it by hand, from the seeds of each step on."""
    import numpy as np

    def generator(*numbers):
        state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(state) >> 1)

    epochs = [torch.randperm(len(data), generator=generator(config.seed, 1, k)) for k in range(9)]
    order = torch.cat(epochs).split(config.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, fused=True)
    lr_scheduler = get_cosine_schedule_with_warmup(
        optimizer, config.num_warmup_steps, config.num_steps
    )
    losses = []
    for step in range(config.num_steps):
        draws = generator(config.seed, 0, step)
        x0 = data.images[order[step]].float() / 127.5 - 1
        if data.flip:
            mirrored = torch.rand(len(x0), generator=draws) < 0.5
            x0[mirrored] = x0[mirrored].flip(-1)
        noise = torch.randn(x0.shape, generator=draws)
        t = torch.randint(0, 1000, (len(x0),), generator=draws)
        labels = {} if model.class_embedding is None else {"class_labels": data.labels[order[step]]}
        kind = scheduler.config.prediction_type
        target = noise if kind == "epsilon" else scheduler.get_velocity(x0, noise, t)
        loss = F.mse_loss(model(scheduler.add_noise(x0, noise, t), t, **labels).sample, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("classes", [None, 10])
def test_the_numbers_of_a_run_are_those_of_a_plain_loop_to_the_last_bit(flip, classes):
    """What the chapters' scores hang on: batch order, noise, levels, update."""
    config = settings(num_steps=9, seed=4, batch_size=16)
    kept = {"scheduler": DDPMScheduler(), "data": pictures(flip=flip)}
    other = network(num_class_embeds=classes)
    losses = plain_loop(config, other, *kept.values())
    run = train(config, network(num_class_embeds=classes), *kept.values(), progress=False)
    assert run.losses == losses
    assert torch.equal(weights(run.model), weights(other))


def test_the_velocity_too_is_trained_as_in_a_plain_loop():
    scheduler = DDPMScheduler(prediction_type="v_prediction")
    losses = plain_loop(settings(), network(), scheduler, pictures())
    assert short_run(scheduler=scheduler).losses == losses


@pytest.mark.parametrize("parts", [2, 8])
def test_a_batch_in_parts_gives_the_update_of_the_whole_batch(parts, monkeypatch):
    """Gradients are compared, since AdamW makes a large step of a rounding error."""
    seen = []
    step = torch.optim.AdamW.step

    def spy(self, *args, **kwargs):
        seen.append(torch.cat([p.grad.flatten() for p in self.param_groups[0]["params"]]))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    whole = short_run(learning_rate=1e-4)
    cut = short_run(learning_rate=1e-4, gradient_accumulation_steps=parts)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-6)
    assert len(seen) == 12
    torch.testing.assert_close(seen[6], seen[0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(seen[11], seen[5], atol=1e-5, rtol=1e-3)
    assert seen[0].norm() == pytest.approx(1, abs=0.01)  # clipped, so these are no tiny numbers


def test_clipping_and_learning_rate_wait_for_the_last_part(monkeypatch):
    """Clipped once an update, on the whole gradient; the last rate is 0 with parts, too."""
    norms, rates = [], []
    clip, step = torch.nn.utils.clip_grad_norm_, torch.optim.AdamW.step

    def clip_spy(parameters, *args, **kwargs):
        norms.append(clip(parameters, *args, **kwargs))
        return norms[-1]

    def step_spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        step_spy.optimizer = self
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip_spy)
    monkeypatch.setattr(torch.optim.AdamW, "step", step_spy)
    short_run()
    whole = [float(norm) for norm in norms]
    norms.clear()
    rates.clear()
    short_run(gradient_accumulation_steps=4)
    assert len(norms) == 6
    assert [float(norm) for norm in norms] == pytest.approx(whole, rel=1e-4)
    climb = [0, 0.5, 1, *(0.5 * (1 + math.cos(math.pi * k / 4)) for k in (1, 2, 3))]
    assert rates == pytest.approx([1e-3 * share for share in climb])
    assert step_spy.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_noise_and_levels_of_a_picture_do_not_depend_on_how_the_batch_is_cut():
    batch = draw_batch(settings(), pictures(), DDPMScheduler(), step=3, num_classes=10)
    for count in (1, 2, 4, 8):
        parts = [batch.part(k, count) for k in range(count)]
        for name in ("x0", "class_labels", "noise", "timesteps"):
            together = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(together, getattr(batch, name))
    other = draw_batch(settings(), pictures(), DDPMScheduler(), step=4, num_classes=10)
    assert not torch.equal(other.noise, batch.noise)


def test_a_batch_that_cannot_be_cut_into_equal_parts_is_refused():
    with pytest.raises(ValueError, match=r"batch_size is 8; .*multiple of 3"):
        short_run(gradient_accumulation_steps=3)


def test_dropped_labels_become_the_last_class_and_change_nothing_else():
    def draw(share, step):
        config = settings(label_dropout=share, batch_size=40)
        return draw_batch(config, pictures(), DDPMScheduler(), step, num_classes=10)

    dropped = 0
    for step in range(50):
        plain, batch = draw(0.0, step), draw(0.25, step)
        assert torch.equal(plain.noise, batch.noise)
        assert torch.equal(plain.timesteps, batch.timesteps)
        changed = batch.class_labels != plain.class_labels
        assert set(batch.class_labels[changed].tolist()) <= {9}
        dropped += changed.sum().item()
    assert 0.22 < dropped / 2000 < 0.28
    assert short_run(label_dropout=0.5).losses != short_run().losses


def test_dropped_labels_are_decided_by_a_stream_of_their_own():
    config = settings(label_dropout=0.25, batch_size=40, seed=6)
    rows = rows_of_step(50, 40, 7, seed=6)
    chance = torch.rand(40, generator=seeded(6, 7, stream=2))
    wanted = torch.where(chance < 0.25, 9, pictures().labels[rows])
    batch = draw_batch(config, pictures(), DDPMScheduler(), step=7, num_classes=10)
    assert torch.equal(batch.class_labels, wanted)
    without = draw_batch(config, pictures(), DDPMScheduler(), step=7)
    assert without.class_labels is None
    assert torch.equal(without.x0, batch.x0)


def test_a_part_goes_where_it_is_wanted():
    for classes in (None, 10):
        batch = draw_batch(settings(), pictures(), DDPMScheduler(), step=0, num_classes=classes)
        part = batch.part(1, 2, "meta")
        for name in ("x0", "noise", "timesteps", *(["class_labels"] if classes else [])):
            assert getattr(part, name).device.type == "meta"
            assert getattr(batch.part(1, 2), name).device.type == "cpu"
            assert len(getattr(part, name)) == 4
        assert (part.class_labels is None) is (classes is None)


def test_the_generator_of_a_number_is_that_of_numpys_seed_sequence():
    for numbers in ((0, 0, 0), (3, 5, 2), (2**62, 9, 1)):
        seed, number, stream = numbers
        state = np.random.SeedSequence([seed, stream, number]).generate_state(1, np.uint64)[0]
        assert seeded(seed, number, stream).initial_seed() == int(state) >> 1
        if stream == 0:
            assert seeded(seed, number).initial_seed() == int(state) >> 1


def test_noise_and_levels_by_hand():
    shape = torch.Size([500, 1, 2, 2])
    for scheduler, low in ((DDPMScheduler(7), 0), (FlowMatchEulerScheduler(7), 1)):
        noise, levels = noise_and_levels(scheduler, shape, seeded(1, 2))
        again = seeded(1, 2)
        assert torch.equal(noise, torch.randn(shape, generator=again))
        assert torch.equal(levels, torch.randint(7, (500,), generator=again) + low)
        assert set(levels.tolist()) == set(range(low, low + 7))
        assert levels.dtype == torch.int64


def test_levels_from_the_middle_by_hand():
    for scheduler, low in ((DDPMScheduler(7), 0), (FlowMatchEulerScheduler(7), 1)):
        levels = levels_from_the_middle(scheduler, 2_000, seeded(1, 2))
        z = torch.randn(2_000, generator=seeded(1, 2)).double()
        assert torch.equal(levels, (7 / (1 + torch.exp(-z))).long() + low)
        assert set(levels.tolist()) == set(range(low, low + 7))
        counts = (levels - low).bincount(minlength=7)
        assert counts[3] > 2 * max(counts[0], counts[6])


@pytest.mark.parametrize("scheduler", [DDPMScheduler(1000), FlowMatchEulerScheduler(1000)])
def test_where_levels_come_from_changes_nothing_else_of_a_batch(scheduler):
    evenly = settings(label_dropout=0.5)
    middle = replace(evenly, timestep_sampling="logit_normal")
    one, other = (draw_batch(config, pictures(), scheduler, 3, 10) for config in (evenly, middle))
    for name in ("x0", "class_labels", "noise"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    wanted = levels_from_the_middle(scheduler, 8, seeded(evenly.seed, 3, stream=4))
    assert torch.equal(other.timesteps, wanted)
    assert not torch.equal(one.timesteps, wanted)


def test_label_dropout_needs_a_class_of_its_own():
    with pytest.raises(ValueError, match=r"num_class_embeds is 9.*one class more, 10"):
        short_run(model=network(num_class_embeds=9), label_dropout=0.1)
    with pytest.raises(ValueError, match="no classes"):
        short_run(model=network(num_class_embeds=None), label_dropout=0.1)


def test_pictures_of_another_size_than_asked_for_are_refused():
    with pytest.raises(ValueError, match=r"image_size is 16 .* 8x8"):
        short_run(image_size=16)
    short_run(image_size=8, num_steps=2)


class Off(torch.nn.Module):
    """A network whose answer is zero, so that the error is the target itself."""

    def forward(self, sample, timesteps, class_labels=None):
        return type("Output", (), {"sample": torch.zeros_like(sample)})


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("loss", ["mse", "l1", "huber"])
def test_losses_and_weights_against_their_formulas(loss, kind):
    scheduler = DDPMScheduler(prediction_type=kind)
    x0 = torch.rand(6, 1, 4, 4) * 2 - 1
    noise, t = torch.randn(x0.shape), torch.tensor([0, 5, 100, 400, 800, 999])
    share = scheduler.alphas_cumprod[t].view(-1, 1, 1, 1)
    target = {
        "epsilon": noise,
        "sample": x0,
        "v_prediction": share.sqrt() * noise - (1 - share).sqrt() * x0,
    }[kind]
    size = target.abs()
    error = {
        "mse": size**2,
        "l1": size,
        "huber": torch.where(size < 1, size**2 / 2, size - 0.5),
    }[loss]
    found = diffusion_loss(Off(), scheduler, x0, None, (noise, t), loss)
    torch.testing.assert_close(found, error.mean())

    snr = compute_snr(scheduler, t)  # diffusers' own
    weight = {"epsilon": snr.clamp(max=5) / snr, "sample": snr.clamp(max=5)}
    weight["v_prediction"] = snr.clamp(max=5) / (snr + 1)
    found = diffusion_loss(Off(), scheduler, x0, None, (noise, t), loss, min_snr_gamma=5.0)
    torch.testing.assert_close(found, (weight[kind] * error.mean((1, 2, 3))).mean())


@pytest.mark.parametrize("change", [{"loss": "l1"}, {"loss": "huber"}, {"min_snr_gamma": 5.0}])
def test_the_trainer_uses_the_loss_that_was_asked_for(change):
    batch = draw_batch(settings(), pictures(), DDPMScheduler(), 0, 10)
    draws = (batch.noise, batch.timesteps)
    model, scheduler = network(), DDPMScheduler()
    first = diffusion_loss(model, scheduler, batch.x0, batch.class_labels, draws, **change)
    assert short_run(num_steps=2, **change).losses[0] == pytest.approx(first.item(), rel=1e-6)
    assert first.item() != pytest.approx(short_run(num_steps=2).losses[0], rel=1e-3)


def test_bf16_trains_nearly_as_full_precision_does_and_the_two_can_follow_each_other():
    full, half, again = short_run(), short_run(mixed_precision="bf16"), short_run()
    assert half.losses == pytest.approx(full.losses, rel=0.02)
    assert half.losses != full.losses
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}
    assert_same(full, again)


def test_after_bf16_the_networks_are_plain_ones_with_weights_of_their_own():
    run = short_run(mixed_precision="bf16", learning_rate=0.01)
    batch = draw_batch(settings(), pictures(), DDPMScheduler(), 0, 10)
    for found in (run.model, run.ema_model):
        plain = network()
        plain.load_state_dict(found.state_dict())
        with torch.no_grad():
            answers = [
                m(batch.x0, batch.timesteps, batch.class_labels).sample
                for m in (found.eval(), plain.eval())
            ]
        assert torch.equal(*answers)
    assert not torch.equal(weights(run.model), weights(run.ema_model))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which fp16 works")
def test_fp16_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match="'fp16', which needs a GPU"):
        short_run(mixed_precision="fp16")


def test_dropout_inside_the_network_repeats_and_leaves_the_global_generator_alone():
    first = short_run(model=network(dropout=0.3))
    torch.manual_seed(77)
    expected = torch.rand(3)
    torch.manual_seed(77)
    second = short_run(model=seeded_network(77, dropout=0.3))
    assert_same(first, second)
    assert torch.equal(torch.rand(3), expected)
    assert first.losses != short_run().losses


def seeded_network(seed, **changes):
    """The usual network, with the global generator put to `seed` after its weights were drawn."""
    model = network(**changes)
    torch.manual_seed(seed)
    return model


def test_an_exploding_loss_stops_the_run_and_says_where_and_what_to_try():
    model = network()
    model.conv_out.weight.data.mul_(1e4)
    with pytest.raises(FloatingPointError, match="at step 0") as error:
        short_run(model=model)
    rows = torch.randperm(50, generator=seeded(0, 0, stream=1))[:3].tolist()
    for part in ("max_loss is 100", "learning_rate", f"rows {rows[0]}, {rows[1]}", "checkpoint"):
        assert part in str(error.value)
    short_run(model=model, max_loss=1e30)


def test_an_infinite_gradient_stops_the_run_before_it_reaches_the_weights():
    model = network()
    model.conv_in.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(FloatingPointError, match=r"The gradient is .*at step 0"):
        short_run(model=model)
    assert torch.equal(weights(model), weights(network()))
