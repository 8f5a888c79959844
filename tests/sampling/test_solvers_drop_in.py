"""The solvers where diffusers' own are expected, and what they say to what can't be."""

import inspect
import json

import diffusers
import pytest
import torch

from course_utils.models import IdealDenoiser
from course_utils.sampling import (
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
    initial_noise,
    karras_sigmas,
    sample,
)
from tests.sampling.test_schedulers import dummy_model, generator, pictures, worst
from tests.sampling.test_solvers import SOLVERS, START, TWINS, apart, in_double, theirs_like, walk
from tests.trainer import network

MULTISTEP = (DPMSolverMultistepScheduler, UniPCMultistepScheduler)
OURS_ALONE = {"sigma_min", "sigma_max", "rescale_betas_zero_snr"}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def arguments(function):
    return {p.name: p.default for p in inspect.signature(function).parameters.values()}


@pytest.mark.parametrize("cls", SOLVERS)
def test_arguments_have_the_names_the_order_and_the_defaults_of_diffusers(cls):
    ours, theirs = arguments(cls.__init__), arguments(TWINS[cls].__init__)
    shared = [name for name in theirs if name in ours and name not in OURS_ALONE]
    assert [name for name in ours if name not in OURS_ALONE] == shared
    assert all(ours[name] == theirs[name] for name in shared)
    assert all(ours[name] == theirs[name] for name in OURS_ALONE & theirs.keys())
    assert set(arguments(cls.step)) - {"generator"} <= set(arguments(TWINS[cls].step))
    assert list(arguments(cls.set_timesteps))[:3] == ["self", "num_inference_steps", "device"]


@pytest.mark.parametrize("cls", SOLVERS)
def test_a_config_goes_both_ways_and_into_a_folder(cls, tmp_path):
    ours = cls(60, 0.001, prediction_type="v_prediction", use_karras_sigmas=True)
    theirs = TWINS[cls].from_config(ours.config)
    ours.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert saved["_class_name"] == cls.__name__
    for again in (cls.from_config(theirs.config), cls.from_pretrained(tmp_path)):
        assert len(again) == 60
        for scheduler in (ours, again):
            scheduler.set_timesteps(7)
        assert torch.equal(walk(again), walk(ours))


@pytest.mark.parametrize("cls", SOLVERS)
def test_from_the_config_of_another_scheduler_come_its_noise_levels(cls):
    trained = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=True)
    ours = cls.from_config(trained.config)
    assert worst(ours.alphas_cumprod, trained.alphas_cumprod) <= 1e-6
    ours.set_timesteps(6)
    wide = walk(ours, lambda x, t: 3 * dummy_model(x, t))[-1].abs().max()
    assert (wide > 1.5) == (cls in MULTISTEP)  # Heun has a clip_sample, and takes DDPM's


@pytest.mark.parametrize("cls", SOLVERS)
def test_a_run_may_begin_in_the_middle_as_in_diffusers(cls):
    """For editing: a picture is noised to some level of the path, and walked home from there."""
    ours = cls(prediction_type="v_prediction")
    ours.set_timesteps(12)
    begin = 8 if cls is HeunDiscreteScheduler else 4  # Heun has two calls for a step
    x0 = pictures(2, 3, 4, 4, seed=5, dtype=torch.float64)
    with in_double(TWINS[cls]):
        theirs = theirs_like(ours)
        theirs.set_timesteps(12)
        ends = []
        for scheduler in (ours, theirs):
            x = scheduler.add_noise(x0, START, scheduler.timesteps[begin].repeat(2))
            for now in scheduler.timesteps[begin:]:
                seen = scheduler.scale_model_input(x, now)
                x = scheduler.step(dummy_model(seen, float(now.float())), now, x).prev_sample
            ends.append(x)
    assert apart(*ends) <= 1e-8


@pytest.mark.parametrize("cls", SOLVERS)
def test_sample_walks_them_and_asks_as_often_as_they_say(cls):
    model = network()
    asked = []
    model.register_forward_pre_hook(lambda module, args: asked.append(args[1]))
    ours = cls()
    made = sample(
        model, ours, seeds=[3, 4], class_labels=[0, 1], num_inference_steps=5, keep_steps=True,
        progress=False,
    )  # fmt: skip
    calls = 9 if cls is HeunDiscreteScheduler else 5
    assert len(asked) == len(made.predictions) == len(made.timesteps) == calls
    noise, _ = initial_noise(made.images.shape[1:], [3, 4])
    assert torch.equal(made.steps[0], noise * ours.init_noise_sigma)
    assert torch.equal(made.images, made.steps[-1].clamp(-1, 1))


@pytest.mark.parametrize("cls", MULTISTEP)
def test_a_pipeline_of_diffusers_draws_with_them(cls):
    unet = network(num_class_embeds=None)
    drawn = []
    for scheduler in (cls(), cls()):
        pipeline = diffusers.DDPMPipeline(unet, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        drawn.append(pipeline(2, generator(), num_inference_steps=4, output_type="np").images)
    assert (drawn[0] == drawn[1]).all()
    assert drawn[0].std() > 0


@pytest.mark.parametrize("cls", SOLVERS)
def test_a_step_keeps_the_dtype_and_answers_as_a_tuple(cls):
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        ours = cls()
        ours.set_timesteps(5)
        assert walk(ours, start=START.to(dtype)).dtype == dtype
    ours.set_timesteps(5)
    answer = ours.step(START, ours.timesteps[0], START, return_dict=False)
    ours.set_timesteps(5)
    named = ours.step(START, ours.timesteps[0], START)
    assert isinstance(answer, tuple)
    assert torch.equal(answer[0], named.prev_sample)
    assert torch.equal(answer[1], named.pred_original_sample)


@pytest.mark.parametrize("cls", SOLVERS)
def test_the_path_is_told_before_and_after(cls):
    ours = cls(20)
    assert ours.timesteps.unique().tolist() == list(range(20))  # before, it is all of them
    ours.set_timesteps(timesteps=[15, 7, 2])
    assert [ours.previous_timestep(t).item() for t in (15, 7, 2)] == [7, 2, -1]
    assert ours.num_inference_steps == 3
    assert ours.sigmas.shape == (4,)
    assert ours.sigmas[-1] == 0
    ours.set_timesteps(3, device="meta")
    assert ours.timesteps.device.type == "meta"


def test_heun_counts_pictures_as_x0_and_noise_by_sigma():
    """And shows the network what it was trained on: its rates stay those of the mixture."""
    ours = HeunDiscreteScheduler(prediction_type="v_prediction")
    ours.set_timesteps(7)
    x0, noise = pictures(4, 6, dtype=torch.float64), pictures(4, 6, seed=1, dtype=torch.float64)
    t = ours.timesteps[3]
    grown, plain = ours.add_noise(x0, noise, t), super(HeunDiscreteScheduler, ours)
    assert worst(grown, x0 + ours.sigmas[2] * noise) <= 1e-12
    assert worst(ours.scale_model_input(grown, t), plain.add_noise(x0, noise, t)) <= 1e-12
    found = IdealDenoiser(x0[:1], ours)(plain.add_noise(x0[:1], noise[:1], t), t[None]).sample
    assert worst(found, ours.get_velocity(x0[:1], noise[:1], t)) <= 1e-9


def ready(cls=DPMSolverMultistepScheduler, steps=5, **config):
    scheduler = cls(10, **config)
    scheduler.set_timesteps(steps)
    return scheduler


def after_one_step(cls):
    scheduler = ready(cls)
    scheduler.step(X, scheduler.timesteps[0], X)
    return scheduler


X = torch.zeros(2, 3)
KARRAS = {"use_karras_sigmas": True}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: DPMSolverMultistepScheduler(solver_order=4), ValueError, "is 4; use 1, 2 or 3"),
        (lambda: UniPCMultistepScheduler(solver_order=0), ValueError, "is 0; use at least 1"),
        (lambda: UniPCMultistepScheduler(solver_order=1.5), TypeError, "solver_order is 1.5"),
        (
            lambda: DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"),
            ValueError,
            "'sde-dpmsolver.*Use one of dpmsolver",
        ),
        (lambda: HeunDiscreteScheduler(clip_sample_range=0), ValueError, "clip_sample_range is 0"),
        (lambda: HeunDiscreteScheduler(eta=1), TypeError, "eta"),
        (lambda: HeunDiscreteScheduler(**KARRAS, sigma_min=0), ValueError, "sigma_min is 0 and"),
        (lambda: ready(**KARRAS, sigma_max=0.001), ValueError, "sigma_max is 0.001"),
        (lambda: karras_sigmas(3, 2, 1), ValueError, "is 2 and sigma_max is 1; they must"),
        (lambda: karras_sigmas(0, 1, 2), ValueError, "num_inference_steps is 0"),
        (lambda: karras_sigmas(3, 1, 2, rho=0), ValueError, "rho is 0; use a number above"),
        (
            lambda: ready(**KARRAS).set_timesteps(timesteps=[5, 2]),
            ValueError,
            r"\[5, 2\], but use_karras_sigmas=True",
        ),
        (lambda: ready(steps=10), ValueError, "is 10; .* use 1 to 9"),
        (lambda: ready(HeunDiscreteScheduler, steps=11), ValueError, "is 11; .* use 1 to 10"),
        (lambda: ready(HeunDiscreteScheduler, steps=2.0), TypeError, "is 2.0"),
        (lambda: ready().step(X, 1, X), ValueError, "timestep 1 is not among this run's 5"),
        (lambda: ready().step(X, 10, X), ValueError, r"timestep 10 is outside \[0, T\)"),
        (lambda: ready().step(X[:1], 9, X), ValueError, r"model_output has shape \(1, 3\)"),
        (lambda: ready().add_noise(X, X, 0.5), TypeError, "use integers"),
    ],
)
def test_bad_input_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize("cls", SOLVERS)
def test_a_timestep_out_of_turn_is_refused(cls):
    begun = after_one_step(cls)
    due = begun.timesteps[1].item()
    with pytest.raises(ValueError, match=f"timestep 9 is out of turn: {due:g} is due"):
        begun.step(X, 9, X)
    with pytest.raises(ValueError, match="sample has shape"):
        begun.step(X[:1], due, X[:1])
    scheduler = ready(cls)
    walk(scheduler, start=X)
    with pytest.raises(ValueError, match="comes after the end; set_timesteps begins anew"):
        scheduler.step(X, scheduler.timesteps[-1], X)


def test_a_run_forgets_the_run_before():
    for cls in SOLVERS:
        used, fresh = ready(cls), ready(cls)
        walk(used, start=X + 1)
        used.set_timesteps(5)
        assert torch.equal(walk(used, start=X), walk(fresh, start=X))
