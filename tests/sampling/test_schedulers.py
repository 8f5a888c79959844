"""Schedulers against diffusers' own, closed forms, and a denoiser that makes no mistakes."""

import math
import re

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from course_utils.models import IdealDenoiser
from course_utils.noise import mixing_rates, predicted_x0_and_noise, schedules, training_target
from course_utils.sampling import DDIMScheduler, DDPMScheduler, FlowMatchEulerScheduler
from course_utils.sampling.diffusion import dynamic_threshold, fresh_noise
from tests.trainer import network

BOTH = (DDPMScheduler, DDIMScheduler)
KINDS = ("epsilon", "sample", "v_prediction", "flow_prediction")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def worst(ours, theirs):
    return (ours - theirs).abs().max().item()


def dummy_model(sample, t):
    """Deterministic, bounded, and different for every pixel, picture and timestep."""
    return torch.tanh(0.7 * sample.roll(1, -1) + 0.3 * math.sin(t))


def theirs_like(ours, exact=False):
    """diffusers' scheduler with the same config; `exact` gives it float64 tables."""
    if isinstance(ours, DDPMScheduler):
        theirs = diffusers.DDPMScheduler.from_config(ours.config)
    else:  # diffusers' DDIM has no sigmoid schedule, but takes any betas
        plain = {"rescale_betas_zero_snr": False, "variance_type": "fixed_small"}
        given_betas = diffusers.DDPMScheduler.from_config(ours.config, **plain).betas.tolist()
        as_linear = {"beta_schedule": "linear", "trained_betas": given_betas}
        theirs = diffusers.DDIMScheduler.from_config(ours.config, **as_linear)
    if exact:
        theirs.alphas_cumprod = torch.cumprod(1 - ours.betas.double(), 0)
        theirs.one = theirs.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
    return theirs


def run(scheduler, model, sample, steps, **options):
    """All samples of a sampling run, shape (steps, batch, ...)."""
    scheduler.set_timesteps(steps)
    random, path = generator(1), []
    for t in scheduler.timesteps:
        sample = scheduler.step(model(sample, t), t, sample, generator=random, **options)
        sample = sample.prev_sample
        path.append(sample)
    return torch.stack(path)


def diffusers_is_right(scheduler, steps):
    """Whether diffusers lists what was asked for, and DDIM's stride agrees with that list."""
    theirs = theirs_like(scheduler)
    theirs.set_timesteps(steps)
    listed = theirs.timesteps.tolist()
    if len(listed) != steps:
        return False
    stride = scheduler.config.num_train_timesteps // steps
    strides = [max(t - stride, -1) for t in listed]
    return isinstance(scheduler, DDPMScheduler) or strides == [*listed[1:], -1]


@st.composite
def runs(draw, totals):
    """A scheduler, a number of steps and the options of `step`."""
    total = draw(totals)
    config = {
        "num_train_timesteps": total,
        "beta_schedule": draw(st.sampled_from(schedules.SCHEDULES)),
        "prediction_type": draw(st.sampled_from(schedules.PREDICTION_TYPES)),
        "timestep_spacing": draw(st.sampled_from(schedules.SPACINGS)),
        "clip_sample": draw(st.booleans()),
    }
    if total > 1 and config["prediction_type"] != "epsilon":
        config["rescale_betas_zero_snr"] = draw(st.booleans())
    scheduler = draw(st.sampled_from(BOTH))(**config)
    divisors = [n for n in range(1, min(total, 50) + 1) if total % n == 0]
    steps = draw(st.sampled_from(divisors) | st.integers(1, min(total, 50)))
    options = {}
    if isinstance(scheduler, DDIMScheduler):
        options["eta"] = draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
        options["use_clipped_model_output"] = draw(st.booleans())
    return scheduler, steps, options


@settings(deadline=None, derandomize=True, max_examples=300)
@given(runs(st.sampled_from([1000, 200, 60]) | st.integers(1, 100)))
def test_whole_runs_equal_diffusers_formulas(case):
    """Every sample on the way, for every option; diffusers' tables are in float64 here."""
    scheduler, steps, options = case
    assume(diffusers_is_right(scheduler, steps))
    start = pictures(2, 3, 4, 4)
    ours = run(scheduler, dummy_model, start, steps, **options)
    theirs = run(theirs_like(scheduler, exact=True), dummy_model, start, steps, **options)
    assert ours.dtype == torch.float32
    assert ours.isfinite().all()
    assume(theirs.isfinite().all())  # eta = 1: the root of -1e-17, huggingface/diffusers#5969
    assert worst(ours, theirs) <= 1e-5


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("kind", schedules.PREDICTION_TYPES)
@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_finished_pictures_equal_diffusers_as_it_is(name, kind, spacing):
    """Untouched diffusers, the usual 1000 timesteps, and a model that knows the pictures.

    Its table is a product of up to 1000 float32 factors, each rounded: wrong by up to 1000 eps.
    """
    config = {"beta_schedule": name, "prediction_type": kind, "timestep_spacing": spacing}
    model = IdealDenoiser(pictures(5, 1, 2, 2, seed=3).tanh(), DDPMScheduler(**config))
    for cls, options in ((DDPMScheduler, {}), (DDIMScheduler, {}), (DDIMScheduler, {"eta": 0.5})):
        ours, theirs = (
            run(s, lambda x, t: model(x, t).sample, pictures(4, 1, 2, 2), 50, **options)[-1]
            for s in (cls(**config), theirs_like(cls(**config)))
        )
        assert worst(ours, theirs) <= 1000 * torch.finfo(torch.float32).eps


def test_what_is_left_between_us_and_diffusers_is_its_float32_table():
    scheduler = DDPMScheduler(40, beta_schedule="scaled_linear", timestep_spacing="linspace")
    start = pictures(2, 3, 4, 4)
    ours = run(scheduler, dummy_model, start, 40)
    rounded = run(theirs_like(scheduler), dummy_model, start, 40)
    exact = run(theirs_like(scheduler, exact=True), dummy_model, start, 40)
    assert worst(rounded, exact) > 1e-5
    assert worst(ours, exact) <= 1e-8


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(1, 1000), st.data())
def test_flow_matching_runs_equal_diffusers(total, data):
    steps = data.draw(st.integers(1, min(total, 50)))
    start = pictures(2, 3, 4, 4)
    ours = run(FlowMatchEulerScheduler(total), dummy_model, start, steps)
    theirs = run(diffusers.FlowMatchEulerDiscreteScheduler(total), dummy_model, start, steps)
    assert worst(ours, theirs) <= 1e-5


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(BOTH), st.sampled_from(schedules.SCHEDULES), st.integers(1, 1000), st.data())
def test_noising_and_velocity_equal_diffusers(cls, name, total, data):
    timesteps = torch.tensor(data.draw(st.lists(st.integers(0, total - 1), min_size=3, max_size=3)))
    ours = cls(total, beta_schedule=name)
    theirs, x0, noise = theirs_like(ours), pictures(3, 1, 2, 2), pictures(3, 1, 2, 2, seed=1)
    for method in ("add_noise", "get_velocity"):
        mine = getattr(ours, method)(x0, noise, timesteps)
        assert worst(mine, getattr(theirs, method)(x0, noise, timesteps)) <= 1e-5
        one_by_one = [
            getattr(ours, method)(x0[i : i + 1], noise[i : i + 1], t)
            for i, t in enumerate(timesteps)
        ]
        assert torch.equal(mine, torch.cat(one_by_one))


def test_flow_matching_noise_and_velocity_by_hand():
    scheduler, x0, noise = FlowMatchEulerScheduler(10), torch.ones(3, 2), torch.full((3, 2), 5.0)
    noisy = scheduler.add_noise(x0, noise, torch.tensor([0, 2.5, 10]))
    assert torch.equal(noisy, torch.tensor([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]))
    assert torch.equal(scheduler.get_velocity(x0, noise, 3), torch.full((3, 2), 4.0))


@pytest.mark.parametrize("kind", KINDS)
def test_splitting_a_prediction_undoes_making_the_target(kind):
    x0, noise = pictures(4, 3, dtype=torch.float64), pictures(4, 3, seed=1, dtype=torch.float64)
    signal, rate = (0.3, 0.7) if kind == "flow_prediction" else (0.6, 0.8)
    target = training_target(kind, x0, noise, signal, rate)
    found = predicted_x0_and_noise(kind, target, signal * x0 + rate * noise, signal, rate)
    assert worst(found[0], x0) <= 1e-14
    assert worst(found[1], noise) <= 1e-14


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_mixing_rates_are_the_same_for_our_scheduler_and_diffusers(name):
    ours = DDPMScheduler(50, beta_schedule=name)
    timesteps, like = torch.arange(50), pictures(50, 1, 2, 2)
    for mine, other in zip(
        mixing_rates(ours, timesteps, like),
        mixing_rates(theirs_like(ours), timesteps, like),
        strict=True,
    ):
        assert mine.shape == other.shape == (50, 1, 1, 1)
        assert worst(mine, other) <= 1e-6


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_noise(dtype, schedule):
    scheduler = DDPMScheduler(beta_schedule=schedule)
    x0, noise = torch.zeros(1000, 1), torch.ones(1000, 1)
    ours = scheduler.add_noise(x0.to(dtype), noise.to(dtype), torch.arange(1000))
    assert ours.dtype == torch.float32
    assert torch.equal(ours, scheduler.add_noise(x0, noise, torch.arange(1000)))
    assert worst(ours[:, 0], schedules.noise_rates(scheduler.betas)) <= 1e-7


def test_diffusers_loses_the_noise_in_bfloat16():
    x0, noise = torch.zeros(10, 1).bfloat16(), torch.ones(10, 1).bfloat16()
    assert not diffusers.DDPMScheduler().add_noise(x0, noise, torch.arange(10)).any()


def test_a_step_keeps_the_dtype_of_the_sample():
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        for cls in BOTH:
            path = run(cls(10, beta_end=0.5), dummy_model, pictures(2, 4, dtype=dtype), 5)
            assert path.dtype == dtype


@pytest.mark.parametrize("spacing", schedules.SPACINGS)
@pytest.mark.parametrize("cls", BOTH)
def test_one_picture_is_found_for_every_number_of_steps(cls, spacing):
    scheduler = cls(50, beta_schedule="squaredcos_cap_v2", timestep_spacing=spacing)
    x0, start = pictures(1, 6).tanh(), pictures(3, 6, seed=1, dtype=torch.float64)
    model = IdealDenoiser(x0, scheduler)
    for steps in range(1, 51):
        path = run(scheduler, lambda x, t: model(x, t).sample, start, steps)
        assert len(path) == steps
        assert worst(path[-1], x0) <= 1e-9


def distance_from_listed_level(scheduler, spacing, steps):
    """How far DDIM strays from x_t = a x0 + s noise, for a model that knows x0 and the noise."""
    ours = DDIMScheduler(50, beta_schedule="squaredcos_cap_v2", timestep_spacing=spacing)
    x0, noise = pictures(1, 6, dtype=torch.float64).tanh(), pictures(1, 6, seed=1).double()
    ours.set_timesteps(steps)
    listed = ours.timesteps.tolist()
    wanted = [ours.add_noise(x0, noise, t) for t in listed] + [x0]
    path = run(scheduler, lambda x, t: noise, wanted[0], steps)
    return worst(path, torch.stack(wanted[1:]))


@pytest.mark.parametrize("spacing", schedules.SPACINGS)
def test_every_sample_has_the_noise_of_its_own_timestep(spacing):
    config = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": spacing}
    for steps in range(1, 51):
        assert distance_from_listed_level(DDIMScheduler(50, **config), spacing, steps) <= 1e-9


def test_diffusers_ddim_strays_from_the_list():
    """huggingface/diffusers#9261, #12633 and #14357."""
    for spacing, steps in (("linspace", 7), ("trailing", 7), ("linspace", 10)):
        config = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": spacing}
        theirs = diffusers.DDIMScheduler(50, **config)
        assert distance_from_listed_level(theirs, spacing, steps) > 0.02


def test_diffusers_ddim_leaves_noise_in_the_finished_picture():
    """trailing, 7 steps of 1000: its last stride ends at t = 0 and not at the picture."""
    ours = DDIMScheduler(timestep_spacing="trailing")
    x0 = pictures(1, 6).tanh()
    model = IdealDenoiser(x0, ours)
    start = pictures(3, 6, seed=1)
    finished = [
        run(s, lambda x, t: model(x, t).sample, start, 7)[-1] for s in (ours, theirs_like(ours))
    ]
    assert worst(finished[0], x0) <= 1e-5
    assert worst(finished[1], x0) > 1e-2


@pytest.mark.parametrize("spacing", schedules.SPACINGS)
@pytest.mark.parametrize("cls", BOTH)
def test_several_pictures_are_found_for_every_number_of_steps(cls, spacing):
    """The last guess is the posterior mean of the last listed timestep, at t = 0 a picture."""
    config = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": spacing}
    scheduler = cls(50, **config)
    points = pictures(8, 2).tanh().double()
    model = IdealDenoiser(points, scheduler)
    start = pictures(32, 2, seed=1, dtype=torch.float64)
    for steps in range(1, 51):
        path = run(scheduler, lambda x, t: model(x, t).sample, start, steps)
        before = path[-2] if steps > 1 else start
        last = scheduler.timesteps[-1]
        mean = model.posterior_mean(before, *scheduler.rates(last, before))
        assert worst(path[-1], mean) <= 1e-9
    assert torch.cdist(path[-1], points).min(1).values.max() <= 1e-3  # all 50 steps


@pytest.mark.parametrize("kind", schedules.PREDICTION_TYPES)
def test_ideal_denoiser_of_one_point_answers_in_closed_form(kind):
    scheduler = DDPMScheduler(prediction_type=kind)
    x0, noise = pictures(1, 1, 2, 2).tanh(), pictures(4, 1, 2, 2, seed=1)
    timesteps = torch.tensor([0, 10, 500, 999])
    sample = scheduler.add_noise(x0.expand(4, 1, 2, 2).double(), noise.double(), timesteps)
    answer = IdealDenoiser(x0, scheduler)(sample, timesteps).sample
    velocity = scheduler.get_velocity(x0.expand(4, 1, 2, 2).double(), noise.double(), timesteps)
    wanted = {"epsilon": noise, "sample": x0.expand(4, 1, 2, 2), "v_prediction": velocity}[kind]
    assert worst(answer, wanted.double()) <= 1e-9


def test_ideal_denoiser_of_two_opposite_points_is_a_tanh():
    scheduler = DDPMScheduler(prediction_type="sample")
    point = torch.tensor([[0.6, -0.8]], dtype=torch.float64)
    model = IdealDenoiser(torch.cat([point, -point]), scheduler)
    sample = pictures(100, 2, dtype=torch.float64)
    for t in (0, 300, 999):
        alpha_bar = torch.cumprod(1 - scheduler.betas.double(), 0)[t]
        tilt = torch.tanh(alpha_bar.sqrt() * (sample @ point.T) / (1 - alpha_bar))
        assert worst(model(sample, t).sample, tilt * point) <= 1e-12


def test_ideal_denoiser_of_many_normal_points_is_the_linear_estimator():
    """For x0 ~ N(0, c²): E[x0 | x] = a c² x / (a² c² + s²)."""
    scheduler, spread = DDPMScheduler(prediction_type="sample"), 0.5
    shares = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    model = IdealDenoiser(spread * torch.special.ndtri(shares)[:, None], scheduler)
    sample = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
    for t in (100, 400, 800):
        a2 = torch.cumprod(1 - scheduler.betas.double(), 0)[t]
        wanted = a2.sqrt() * spread**2 * sample / (a2 * spread**2 + 1 - a2)
        assert worst(model(sample, t).sample, wanted) <= 1e-3


def test_flow_matching_follows_a_straight_path_to_the_one_picture():
    scheduler = FlowMatchEulerScheduler(50)
    x0, noise = pictures(1, 6).tanh().double(), pictures(1, 6, seed=1, dtype=torch.float64)
    model = IdealDenoiser(x0, scheduler)
    for steps in range(1, 51):
        path = run(scheduler, lambda x, t: model(x, t).sample, noise, steps)
        sigmas = [*(scheduler.timesteps[1:].double() / 50), 0]
        wanted = torch.stack([(1 - sigma) * x0 + sigma * noise for sigma in sigmas])
        assert worst(path, wanted) <= 1e-6
        guess = scheduler.step(noise - x0, scheduler.timesteps[0], noise).pred_original_sample
        assert worst(guess, x0) <= 1e-12


def tiny_unet():
    one_level = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    return network(block_out_channels=(8,), norm_num_groups=4, num_class_embeds=None, **one_level)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("seeds", [0, [0, 1]])
def test_a_ddpm_pipeline_makes_the_same_pictures(cls, seeds):
    ours, images = cls(), []
    for scheduler in (ours, theirs_like(ours, exact=True)):
        pipeline = diffusers.DDPMPipeline(tiny_unet(), scheduler)
        pipeline.set_progress_bar_config(disable=True)
        random = [generator(s) for s in seeds] if isinstance(seeds, list) else generator(seeds)
        images.append(pipeline(2, random, num_inference_steps=10, output_type="np").images)
    assert images[0].shape == (2, 8, 8, 1)
    assert np.abs(images[0] - images[1]).max() <= 1e-5


@pytest.mark.parametrize("kind", schedules.PREDICTION_TYPES)
def test_a_training_loop_reaches_the_same_weights(kind):
    ours, weights = DDPMScheduler(prediction_type=kind), []
    for scheduler in (ours, theirs_like(ours)):
        model, random = tiny_unet(), generator()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            x0, noise = torch.rand(2, 4, 1, 8, 8, generator=random)
            timesteps = torch.randint(scheduler.config.num_train_timesteps, (4,), generator=random)
            target = {"epsilon": noise, "sample": x0}.get(kind)
            if scheduler.config.prediction_type == "v_prediction":
                target = scheduler.get_velocity(x0, noise, timesteps)
            answer = model(scheduler.add_noise(x0, noise, timesteps), timesteps).sample
            optimizer.zero_grad()
            (answer - target).square().mean().backward()
            optimizer.step()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert worst(*weights) <= 1e-5


def test_ddim_with_eta_one_is_ddpm_where_nothing_is_clipped():
    start = pictures(2, 4, dtype=torch.float64)
    config = {"clip_sample": False, "prediction_type": "v_prediction"}
    ddpm = run(DDPMScheduler(**config), dummy_model, start, 50)
    assert worst(run(DDIMScheduler(**config), dummy_model, start, 50, eta=1.0), ddpm) <= 1e-9


def test_zero_terminal_snr_stays_finite():
    config = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    for kind in ("sample", "v_prediction"):
        for cls, options in ((DDPMScheduler, {}), (DDIMScheduler, {"eta": 1.0})):
            scheduler = cls(prediction_type=kind, **config)
            assert run(scheduler, dummy_model, pictures(2, 4), 20, **options).isfinite().all()


def ready(cls=DDPMScheduler, **config):
    scheduler = cls(10, **config)
    scheduler.set_timesteps(5)
    return scheduler


X = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: DDPMScheduler(beta_schedule="cosine"), ValueError, "'cosine'.*squaredcos"),
        (lambda: DDPMScheduler(prediction_type="noise"), ValueError, "'noise'.*epsilon"),
        (lambda: DDIMScheduler(timestep_spacing="even"), ValueError, "'even'.*leading"),
        (lambda: DDPMScheduler(eta=0.5), TypeError, "eta"),
        (lambda: DDPMScheduler(beta_strat=0.1), TypeError, "beta_strat"),
        (lambda: DDPMScheduler(rescale_betas_zero_snr=True), ValueError, "v_prediction"),
        (lambda: training_target("noise", X, X, 0.6, 0.8), ValueError, "'noise'.*flow_pred"),
        (lambda: predicted_x0_and_noise("x0", X, X, 0.6, 0.8), ValueError, "'x0'.*flow_pred"),
        (lambda: FlowMatchEulerScheduler(0), ValueError, "is 0; use at least 1"),
        (lambda: ready().set_timesteps(11), ValueError, "11.*1 to 10"),
        (lambda: ready(DDIMScheduler).set_timesteps(0), ValueError, "is 0; use at least 1"),
        (lambda: ready().set_timesteps(5.0), TypeError, "5.0.*use an int"),
        (lambda: FlowMatchEulerScheduler(10).set_timesteps(11), ValueError, "11.*1 to 10"),
        (lambda: ready().add_noise(X, X, torch.tensor([0, 10])), ValueError, "10 is outside"),
        (lambda: ready().add_noise(X, X, torch.tensor([-1, 5])), ValueError, "-1 is outside"),
        (lambda: ready().add_noise(X, X, torch.tensor([0.0, 1.0])), TypeError, "float32.*integers"),
        (lambda: ready().add_noise(X, X[:1], 1), ValueError, r"\(1, 3\).*\(2, 3\)"),
        (lambda: ready().add_noise(X, X, torch.tensor([1, 2, 3])), ValueError, r"\(3,\).*\(2,\)"),
        (lambda: ready().add_noise(X.byte(), X, 1), TypeError, "uint8.*scale"),
        (lambda: ready().get_velocity(X, X[:, :1], 1), ValueError, r"\(2, 1\)"),
        (lambda: FlowMatchEulerScheduler(10).add_noise(X, X, 10.5), ValueError, "10.5 is outside"),
        (lambda: ready().step(X[:1], 8, X), ValueError, r"\(1, 3\).*\(2, 3\)"),
        (lambda: ready().step(X, 3, X), ValueError, "timestep 3 is not among.*5"),
        (lambda: ready().step(X, 10, X), ValueError, "timestep 10 is outside"),
        (lambda: ready().step(X, -1, X), ValueError, "timestep -1 is outside"),
        (lambda: ready(DDIMScheduler).step(X, 8.0, X), TypeError, "8.0.*int"),
        (lambda: ready(DDIMScheduler).step(X, 8, X, eta=2.0), ValueError, "eta is 2.0"),
        (lambda: ready().step(X, 8, X, generator=[generator()]), ValueError, "1 generators for 2"),
        (lambda: ready().set_timesteps(), ValueError, "is None and timesteps is None; give one"),
        (lambda: ready().set_timesteps(5, timesteps=[3, 1]), ValueError, "5 and timesteps"),
        (lambda: ready().set_timesteps(timesteps=[3, 3]), ValueError, r"\[3, 3\]; give.*falling"),
        (lambda: ready().set_timesteps(timesteps=[10, 3]), ValueError, r"\[10, 3\]; give.*\[0, 10"),
        (lambda: ready().set_timesteps(timesteps=[3, -1]), ValueError, r"\[3, -1\]; give"),
        (lambda: ready().set_timesteps(timesteps=[]), ValueError, r"\[\]; give one or more"),
        (lambda: ready().set_timesteps(timesteps=[3.5]), TypeError, "3.5.*use an int"),
        (lambda: FlowMatchEulerScheduler(10).set_timesteps(), ValueError, "None; give one"),
        (
            lambda: FlowMatchEulerScheduler(10).set_timesteps(timesteps=[11.0]),
            ValueError,
            "fall from 10",
        ),
        (lambda: FlowMatchEulerScheduler(10).set_timesteps(timesteps=[1.0, 2]), ValueError, "fall"),
        (lambda: FlowMatchEulerScheduler(10).set_timesteps(timesteps=[1.0, 0]), ValueError, "fall"),
        (lambda: FlowMatchEulerScheduler(prediction_type="epsilon"), ValueError, "'epsilon'.*flow"),
        (lambda: DDPMScheduler(variance_type="learned"), ValueError, "'learned'.*predict a varia"),
        (lambda: DDPMScheduler(variance_type="other"), ValueError, "'other'.*fixed_small"),
        (lambda: DDPMScheduler(trained_betas=[0.1, 0.2]), ValueError, r"\(2,\).*1000"),
        (lambda: DDIMScheduler(2, trained_betas=[0.1, 1.2]), ValueError, r"betas\[1\] is 1.2"),
        (lambda: DDIMScheduler(2, trained_betas=[1.0, 0.2]), ValueError, r"betas\[0\] is 1"),
        (lambda: DDPMScheduler(clip_sample_range=0), ValueError, "clip_sample_range is 0"),
        (lambda: DDPMScheduler(sample_max_value=-1.0), ValueError, "sample_max_value is -1"),
        (lambda: DDIMScheduler(dynamic_thresholding_ratio=1.5), ValueError, "ratio is 1.5"),
        (lambda: ready(steps_offset=2).set_timesteps(5), ValueError, "offset is 2.*from 10 to 2"),
        (lambda: DDIMScheduler(steps_offset=0.5), TypeError, "steps_offset is 0.5"),
        (
            lambda: ready(DDIMScheduler).step(X, 8, X, generator=generator(), variance_noise=X),
            ValueError,
            "both given",
        ),
        (
            lambda: ready(DDIMScheduler).step(X, 8, X, eta=1.0, variance_noise=X[:1]),
            ValueError,
            r"variance_noise has shape \(1, 3\)",
        ),
        (lambda: IdealDenoiser(torch.zeros(0, 3), ready()), ValueError, r"\(0, 3\)"),
        (lambda: IdealDenoiser(X, ready())(X[:, :2], 1), ValueError, r"\(2,\).*\(3,\)"),
        (lambda: IdealDenoiser(X, FlowMatchEulerScheduler(10))(X, 0), ValueError, "has no noise"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def shapes_differ(name, other):
    return rf"^{name} has shape \(1, 3\) and {other} \(2, 3\); they must be the same.$"


@pytest.mark.parametrize("scheduler", [ready(), ready(DDIMScheduler), FlowMatchEulerScheduler(10)])
def test_shapes_that_differ_are_named_as_the_arguments_are(scheduler):
    """PyTorch would broadcast the one over the other, in silence."""
    scheduler.set_timesteps(5)
    t = scheduler.timesteps[0]
    with pytest.raises(ValueError, match=shapes_differ("noise", "original_samples")):
        scheduler.add_noise(X, X[:1], t)
    with pytest.raises(ValueError, match=shapes_differ("noise", "sample")):
        scheduler.get_velocity(X, X[:1], t)
    with pytest.raises(ValueError, match=shapes_differ("model_output", "sample")):
        scheduler.step(X[:1], t, X)


def test_noise_of_another_shape_is_named():
    with pytest.raises(ValueError, match=shapes_differ("variance_noise", "sample")):
        ready(DDIMScheduler).step(X, 8, X, eta=1.0, variance_noise=X[:1])


def test_counts_and_choices_are_named_as_the_arguments_are():
    for scheduler in (ready(), FlowMatchEulerScheduler(10)):
        with pytest.raises(ValueError, match=r"^num_inference_steps is 11; .*use 1 to 10\.$"):
            scheduler.set_timesteps(11)
    with pytest.raises(ValueError, match=r"^prediction_type is 'x', which is unknown\. Use one of"):
        training_target("x", X, X, 0.6, 0.8)
    with pytest.raises(ValueError, match=r"^prediction_type is 'x', which is unknown"):
        predicted_x0_and_noise("x", X, X, 0.6, 0.8)
    for name in ("beta_schedule", "prediction_type", "timestep_spacing"):
        with pytest.raises(ValueError, match=rf"^{name} is 'x', which is unknown"):
            DDPMScheduler(**{name: "x"})
    with pytest.raises(ValueError, match=r"^num_train_timesteps is 0; use at least 1\.$"):
        DDIMScheduler(0)
    with pytest.raises(ValueError, match=r"^rescale_betas_zero_snr=True leaves no picture at .*"):
        DDIMScheduler(rescale_betas_zero_snr=True)
    scheduler = ready()
    scheduler.set_timesteps(timesteps=[5, 2])
    with pytest.raises(ValueError, match=r"^timestep 0 is not among this run's 2, T=10; pass"):
        scheduler.step(X, 0, X)
    with pytest.raises(ValueError, match=r"^timestep 10 is outside \[0, T\), T=10; pass"):
        ready().step(X, 10, X)
    with pytest.raises(TypeError, match=r"^a timestep is 3\.5, which is not a whole number"):
        ready().set_timesteps(timesteps=[3.5])
    with pytest.raises(TypeError, match=r"^timestep is 8\.0, which is not a whole number"):
        ready().step(X, 8.0, X)
    with pytest.raises(ValueError, match=r"-1 is outside \[0, 9\]; draw timesteps in the range of"):
        ready().add_noise(X, X, torch.tensor([-1, 5]))


@pytest.mark.parametrize("scheduler", [ready(), FlowMatchEulerScheduler(10)])
def test_rates_and_noise_go_where_the_pictures_are(scheduler):
    """The device "meta" has shapes only; it stands here for any that is not the CPU."""
    far = torch.empty(2, 3, device="meta")
    for rate in scheduler.rates(torch.tensor([1, 2]), far):
        assert rate.device.type == "meta"
    assert scheduler.rates(3, far.double())[0].dtype == torch.float64
    assert scheduler.add_noise(far, far, 3).device.type == "meta"
    scheduler.set_timesteps(2, device="meta")
    assert scheduler.timesteps.device.type == "meta"
    for random in (None, generator(), [generator(), generator(1)]):
        assert fresh_noise(far, random).device.type == "meta"
    for rate in mixing_rates(diffusers.DDPMScheduler(10), torch.tensor([1, 2]), far):
        assert rate.device.type == "meta"


def test_one_timestep_for_all_may_be_a_list_of_one():
    noisy = ready().add_noise(X, X + 1, torch.tensor([3]))
    assert torch.equal(noisy, ready().add_noise(X, X + 1, 3))


def test_flow_matching_counts_its_steps_and_answers_as_a_tuple():
    scheduler = FlowMatchEulerScheduler(10)
    scheduler.set_timesteps(timesteps=[10, 4, 0.5])
    assert scheduler.num_inference_steps == 3
    assert scheduler.timesteps.dtype == torch.float32
    scheduler.set_timesteps(timesteps=[7])
    assert scheduler.timesteps.tolist() == [7]
    assert isinstance(scheduler.step(X, 7.0, X, return_dict=False), tuple)
    for path in ([], [4, 4], [4, 4.5], [5, -1]):
        with pytest.raises(ValueError, match=rf"^timesteps are {re.escape(str(path))}; they must"):
            scheduler.set_timesteps(timesteps=path)


def test_the_path_of_flow_matching_is_even_to_the_last_bit():
    scheduler = FlowMatchEulerScheduler(1000)
    scheduler.set_timesteps(7)
    exact = torch.tensor([1000 - 999 * k / 6 for k in range(7)], dtype=torch.float64)
    assert torch.equal(scheduler.timesteps, exact.float())


def test_a_threshold_is_found_in_half_precision_too():
    """The quantile is one of float32: PyTorch has none in half precision."""
    guess = torch.linspace(-4, 4, 64).view(1, 64)
    exact = dynamic_threshold(guess, 0.9, 10.0)
    for dtype in (torch.bfloat16, torch.float16):
        found = dynamic_threshold(guess.to(dtype), 0.9, 10.0)
        assert found.dtype == dtype
        assert worst(found.float(), exact) <= 4 * torch.finfo(dtype).eps
    pair = torch.stack([guess, 2 * guess]).view(2, 1, 8, 8)
    assert worst(dynamic_threshold(pair, 0.9, 10.0), exact.view(1, 1, 8, 8)) <= 1e-6
    assert dynamic_threshold(pair, 1.0, 10.0).shape == pair.shape
    assert DDPMScheduler(dynamic_thresholding_ratio=1).config.dynamic_thresholding_ratio == 1
    double = dynamic_threshold(guess.double(), 0.9, 10.0)
    assert double.dtype == torch.float64
    assert worst(double, exact.double()) > 0  # float64 was not rounded on the way
