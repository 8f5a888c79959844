"""The solvers for few steps against diffusers' own, and against the exact way to the picture."""

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from course_utils.models import IdealDenoiser
from course_utils.noise import schedules
from course_utils.sampling import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
    karras_sigmas,
)
from course_utils.sampling.dpm_solver import mean_powers
from course_utils.sampling.sigmas import rates_of
from tests.sampling.in_double import in_double
from tests.sampling.test_schedulers import dummy_model, pictures, worst

TWINS = {
    HeunDiscreteScheduler: diffusers.HeunDiscreteScheduler,
    DPMSolverMultistepScheduler: diffusers.DPMSolverMultistepScheduler,
    UniPCMultistepScheduler: diffusers.UniPCMultistepScheduler,
}
SOLVERS = tuple(TWINS)
# diffusers makes arrays of tensors in a way that NumPy has not liked since its version 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
START = pictures(2, 3, 4, 4, dtype=torch.float64)


def walk(scheduler, model=dummy_model, start=START):
    """All samples of a run along the path that is laid out, shape (calls, batch, ...)."""
    sample, path = start * float(scheduler.init_noise_sigma), []
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(sample, t)
        told = float(t.float())  # ours has timesteps in float32 at the most
        sample = scheduler.step(model(seen, told), t, sample).prev_sample
        path.append(sample)
    return torch.stack(path)


def theirs_like(ours, **other):
    """diffusers' scheduler of this config; to be made and walked in double."""
    levels = {"beta_schedule": "linear", "trained_betas": ours.betas.tolist()}
    kept = {k: v for k, v in ours.config.items() if not k.startswith("_") and v is not None}
    return TWINS[type(ours)].from_config(kept | levels | other)


def walk_theirs(ours, steps, model=dummy_model, calls=None, **other):
    """All samples of diffusers' run in float64, or the first so many."""
    with in_double(TWINS[type(ours)]):
        theirs = theirs_like(ours, **other)
        theirs.set_timesteps(steps)
        if hasattr(theirs, "set_begin_index"):
            theirs.set_begin_index(0)
        theirs.timesteps = theirs.timesteps[:calls]
        return walk(theirs, model)


def lists_another_number(ours, steps):
    """Whether diffusers' trailing timesteps are one more: it counts in steps of a rounded T / n."""
    total = len(ours)
    trailing = ours.config.timestep_spacing == "trailing"
    return trailing and len(np.arange(total, 0, -total / steps)) != steps


@st.composite
def runs(draw, solvers=SOLVERS):
    """A solver with its path laid out, and the number of steps."""
    cls = draw(st.sampled_from(solvers))
    total = draw(st.sampled_from([1000, 200, 60]))
    config = {
        "num_train_timesteps": total,
        "beta_schedule": draw(st.sampled_from(schedules.SCHEDULES)),
        "prediction_type": draw(st.sampled_from(schedules.PREDICTION_TYPES)),
        "timestep_spacing": draw(st.sampled_from(schedules.SPACINGS)),
        "use_karras_sigmas": draw(st.booleans()),
    }
    if config["use_karras_sigmas"] and draw(st.booleans()):
        config |= {"sigma_min": draw(st.floats(0.02, 0.2)), "sigma_max": draw(st.floats(1, 100))}
    if cls is HeunDiscreteScheduler:
        config["clip_sample"] = draw(st.booleans())
    else:
        config["solver_order"] = draw(st.integers(1, 3))
        config["lower_order_final"] = draw(st.booleans())
        config["thresholding"] = draw(st.booleans())
        if config["prediction_type"] != "epsilon" and not config["use_karras_sigmas"]:
            config["rescale_betas_zero_snr"] = draw(st.booleans())
    ours = cls(**config)
    steps = draw(st.integers(2, 40))
    ours.set_timesteps(steps)
    return ours, steps


def apart(ours, theirs):
    """The largest difference, as a share where the samples are large."""
    return ((ours - theirs).abs() / theirs.abs().clamp(min=1)).max().item()


@settings(deadline=None, derandomize=True, max_examples=300)
@given(runs())
def test_whole_runs_equal_diffusers(case):
    """Every sample on the way; where diffusers is wrong, see the tests below."""
    ours, steps = case
    config = ours.config
    assume(not lists_another_number(ours, steps))
    assume(not (isinstance(ours, DPMSolverMultistepScheduler) and config.solver_order == 3))
    to_the_end = getattr(config, "lower_order_final", True) or config.solver_order == 1
    calls = None if to_the_end or not isinstance(ours, UniPCMultistepScheduler) else -1
    mine, theirs = walk(ours), walk_theirs(ours, steps, calls=calls)
    assert mine.dtype == torch.float64
    assert mine.isfinite().all()
    assert apart(mine[:calls], theirs) <= 1e-8


def test_third_order_is_that_of_diffusers_unipc_and_not_of_its_dpm_solver():
    """Both fit a parabola; diffusers' DPM-Solver takes half of its bend, see the slopes below."""
    ours = DPMSolverMultistepScheduler(solver_order=3)
    for steps in (5, 9, 14):
        ours.set_timesteps(steps)
        mine = walk(ours)
        twin = UniPCMultistepScheduler(solver_order=3)
        twin.set_timesteps(steps)
        uncorrected = walk_theirs(twin, steps, disable_corrector=list(range(steps)))
        assert apart(mine, uncorrected) <= 1e-8
        assert apart(mine, walk_theirs(ours, steps)) > 1e-4


TOTAL = 20_000
POINTS = torch.tensor([[-0.9, -0.3], [0.2, 0.8], [0.7, -0.5], [0.4, 0.1]])


def fine_betas():
    """The linear schedule of arXiv 2011.13456 in so many levels that steps can have any length."""
    time = torch.arange(TOTAL + 1, dtype=torch.float64) / TOTAL
    alpha_bar = torch.exp(-0.1 * time - 19.9 * time.square() / 2)
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).float().tolist()


FINE = {"num_train_timesteps": TOTAL, "trained_betas": fine_betas()}
IDEAL = IdealDenoiser(POINTS, DDPMScheduler(**FINE))


def even_path(steps):
    """Timesteps from σ = 20 to σ = 0.3, evenly in its logarithm."""
    share = schedules.alphas_cumprod(torch.tensor(FINE["trained_betas"]), torch.float64)
    levels = ((1 - share) / share).log().numpy() / 2
    wanted = np.linspace(np.log(20), np.log(0.3), steps + 1)
    return np.interp(wanted, levels, np.arange(TOTAL)).round().astype(int).tolist()


def at_the_end(scheduler, steps):
    """Where samples arrive at σ = 0.3 with a network that makes no mistakes."""
    scheduler.set_timesteps(timesteps=even_path(steps))
    x = pictures(64, 2, dtype=torch.float64)
    grown = isinstance(scheduler, HeunDiscreteScheduler)
    x = x / rates_of(scheduler.sigmas[0])[0] if grown else x
    for t in scheduler.timesteps[:-1]:
        seen = scheduler.scale_model_input(x, t)
        x = scheduler.step(IDEAL(seen, t.long()).sample, t, x).prev_sample
    return x * rates_of(scheduler.sigmas[-2])[0] if grown else x


def slope(scheduler, exact):
    """By which power of the number of steps the error falls."""
    errors = [
        (at_the_end(scheduler, steps) - exact).square().mean().sqrt().item() for steps in (80, 320)
    ]
    return np.log(errors[0] / errors[1]) / np.log(4)


UNIPC_3 = UniPCMultistepScheduler(**FINE, solver_order=3, lower_order_final=False)


@pytest.fixture(scope="module")
def exact():
    """The end of the way, to six digits: two solvers come to agree on it."""
    end = at_the_end(UNIPC_3, 1000)
    third = DPMSolverMultistepScheduler(**FINE, solver_order=3, lower_order_final=False)
    assert worst(end, at_the_end(third, 1500)) <= 2e-7
    return end


@pytest.mark.parametrize(
    ("scheduler", "order"),
    [
        (DDIMScheduler(**FINE, clip_sample=False), 1),
        (DPMSolverMultistepScheduler(**FINE, solver_order=1), 1),
        (HeunDiscreteScheduler(**FINE), 2),
        (DPMSolverMultistepScheduler(**FINE, lower_order_final=False), 2),
        (DPMSolverMultistepScheduler(**FINE, solver_order=3, lower_order_final=False), 3),
        (UniPCMultistepScheduler(**FINE, lower_order_final=False), 3),
        (UNIPC_3, 4),
    ],
)
def test_the_error_falls_as_the_theory_promises(scheduler, order, exact):
    """UniPC's corrector adds one to the order of its step."""
    assert slope(scheduler, exact) == pytest.approx(order, abs=0.15)


def test_diffusers_third_order_is_of_second(exact):
    ours = DPMSolverMultistepScheduler(**FINE, solver_order=3, lower_order_final=False)
    with in_double(diffusers.DPMSolverMultistepScheduler):
        assert slope(theirs_like(ours), exact) == pytest.approx(2, abs=0.3)


def test_diffusers_cosine_and_karras_tell_the_network_the_timestep_below():
    """Ours tells the nearest: diffusers cuts off what it calculated, where it means to keep it."""
    config = {"beta_schedule": "squaredcos_cap_v2", "use_karras_sigmas": True}
    ours = DPMSolverMultistepScheduler(**config)
    theirs = diffusers.DPMSolverMultistepScheduler(**config)
    ours.set_timesteps(20)
    theirs.set_timesteps(20)
    assert apart(theirs.sigmas, ours.sigmas) <= 1e-3  # theirs are in float32
    levels = np.log(ours._table)
    between = [float(theirs._sigma_to_t(sigma, levels)) for sigma in ours.sigmas[:-1].numpy()]
    assert worst(torch.tensor(between), ours.timesteps) <= 0.5
    assert (torch.tensor(between) - theirs.timesteps).max() > 0.9


def test_diffusers_skips_the_first_level_where_two_have_one_timestep():
    ours = UniPCMultistepScheduler(beta_schedule="squaredcos_cap_v2", use_karras_sigmas=True)
    ours.set_timesteps(20)
    assert ours.timesteps[:2].tolist() == [999, 999]
    assert walk(ours).isfinite().all()
    theirs = diffusers.UniPCMultistepScheduler.from_config(ours.config)
    theirs.set_timesteps(20)
    theirs.step(START, theirs.timesteps[0], START)
    assert theirs.step_index == 2  # after one step; the run ends in an error


@pytest.mark.parametrize("cls", SOLVERS)
@pytest.mark.parametrize("kind", schedules.PREDICTION_TYPES)
def test_finished_pictures_equal_diffusers_as_it_is(cls, kind):
    """Untouched, in float32, with a model that knows the pictures; the bound is its table's."""
    ours = cls(prediction_type=kind, timestep_spacing="leading")
    model = IdealDenoiser(pictures(5, 1, 2, 2, seed=3).tanh(), DDPMScheduler(prediction_type=kind))
    if cls is HeunDiscreteScheduler:  # its default betas are others
        levels = DDPMScheduler(1000, 0.00085, 0.012, prediction_type=kind)
        model = IdealDenoiser(model.x0_set, levels)
    theirs, ends = TWINS[cls].from_config(ours.config), []
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(20)
        start = pictures(4, 1, 2, 2)
        ends.append(walk(scheduler, lambda x, t: model(x, int(t)).sample, start)[-1])
    assert worst(*ends) <= 1000 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("spacing", schedules.SPACINGS)
@pytest.mark.parametrize("cls", SOLVERS)
def test_one_picture_is_found_for_every_number_of_steps(cls, spacing):
    ours = cls(50, beta_schedule="squaredcos_cap_v2", timestep_spacing=spacing)
    x0 = pictures(1, 6, dtype=torch.float64).tanh()
    model = IdealDenoiser(x0, ours)
    for steps in range(1, 50):
        ours.set_timesteps(steps)
        path = walk(ours, lambda x, t: model(x, torch.tensor(t)).sample, pictures(3, 6).double())
        assert worst(path[-1], x0) <= 1e-9


def test_first_order_is_ddim():
    first, ddim = DPMSolverMultistepScheduler(solver_order=1), DDIMScheduler(clip_sample=False)
    for scheduler in (first, ddim):
        scheduler.set_timesteps(timesteps=[950, 500, 499, 20, 3])
    assert worst(walk(first), walk(ddim)) <= 1e-12


def test_karras_spacing_is_that_of_the_paper():
    sigmas = karras_sigmas(18, 0.002, 80)  # Table 1 of arXiv 2206.00364
    assert sigmas[0].item() == pytest.approx(80)
    assert sigmas[-1].item() == pytest.approx(0.002)
    assert sigmas.pow(1 / 7).diff().std() <= 1e-12  # even on the scale of the seventh root
    theirs = diffusers.HeunDiscreteScheduler()._convert_to_karras(torch.tensor([80, 0.002]), 18)
    assert worst(sigmas, torch.from_numpy(theirs)) <= 1e-5  # its ends are in float32
    assert karras_sigmas(3, 1, 2, rho=1).tolist() == pytest.approx([2, 1.5, 1])
    assert karras_sigmas(1, 1, 2).tolist() == pytest.approx([2])


@pytest.mark.parametrize("h", [0.05, 1.0, 9.0])
def test_means_of_powers_are_those_of_a_sum(h):
    middles = (np.arange(200_000) + 0.5) / 200_000
    weights = np.exp(h * middles)
    wanted = [(weights * middles**k).sum() / weights.sum() for k in (1, 2, 3)]
    assert mean_powers(h, 3) == pytest.approx(wanted, abs=1e-8)
