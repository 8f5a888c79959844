"""Our schedulers where diffusers' own are expected: arguments, config, folders, pipelines."""

import inspect
import json
import subprocess
import sys

import diffusers
import numpy as np
import pytest
import torch

from course_utils.sampling import DDIMScheduler, DDPMScheduler, FlowMatchEulerScheduler
from tests.sampling.test_schedulers import (
    BOTH,
    dummy_model,
    generator,
    pictures,
    run,
    theirs_like,
    worst,
)
from tests.trainer import network

TWINS = {DDPMScheduler: diffusers.DDPMScheduler, DDIMScheduler: diffusers.DDIMScheduler}


def arguments(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("cls", BOTH)
def test_arguments_have_the_names_the_order_and_the_defaults_of_diffusers(cls):
    """The defaults too: whoever swaps the class must not get other settings."""
    assert arguments(cls.__init__) == arguments(TWINS[cls].__init__)
    for method in ("step", "add_noise", "get_velocity", "scale_model_input"):
        ours, theirs = arguments(getattr(cls, method)), arguments(getattr(TWINS[cls], method))
        assert ours == theirs, method
    theirs = [name for name, _ in arguments(TWINS[cls].set_timesteps)]
    assert [name for name, _ in arguments(cls.set_timesteps)][: len(theirs)] == theirs


@pytest.mark.parametrize("cls", BOTH)
def test_the_config_goes_both_ways_and_keeps_what_was_given_by_place(cls):
    """diffusers counts an argument given by place as left out, and from_config then drops it."""
    ours = cls(60, 0.001, prediction_type="v_prediction", clip_sample=False)
    theirs = TWINS[cls].from_config(ours.config)
    again = cls.from_config(theirs.config)
    for scheduler in (theirs, again, cls.from_config(ours.config)):
        settings = {k: v for k, v in scheduler.config.items() if not k.startswith("_")}
        assert settings == {k: v for k, v in ours.config.items() if not k.startswith("_")}
        assert len(scheduler) == 60
    other = DDIMScheduler if cls is DDPMScheduler else DDPMScheduler
    assert other.from_config(ours.config).config.beta_start == 0.001
    lost = TWINS[cls].from_config(TWINS[cls](60).config)
    assert len(lost) == 1000  # theirs, given by place: this is what ours must not do


@pytest.mark.parametrize("cls", [*BOTH, FlowMatchEulerScheduler])
def test_a_saved_scheduler_comes_back_the_same(cls, tmp_path):
    ours = cls(60)
    ours.save_pretrained(tmp_path)
    again = cls.from_pretrained(tmp_path)
    assert worst(run(again, dummy_model, X, 10), run(ours, dummy_model, X, 10)) == 0
    saved = json.loads((tmp_path / "scheduler_config.json").read_text())
    assert saved["_class_name"] == cls.__name__
    assert saved["num_train_timesteps"] == 60


X = pictures(2, 3, 4, 4)


@pytest.mark.parametrize("cls", BOTH)
def test_a_step_answers_by_name_by_place_and_as_a_tuple(cls):
    scheduler = cls(beta_schedule="squaredcos_cap_v2")
    scheduler.set_timesteps(num_inference_steps=10)
    t = scheduler.timesteps[3]
    output = scheduler.step(model_output=X, timestep=t, sample=X, generator=generator())
    assert output[0] is output.prev_sample is output["prev_sample"]
    plain = scheduler.step(X, t, X, generator=generator(), return_dict=False)
    assert isinstance(plain, tuple)
    assert torch.equal(plain[0], output[0])
    assert torch.equal(plain[1], output.pred_original_sample)


@pytest.mark.parametrize("cls", [*BOTH, FlowMatchEulerScheduler])
def test_offers_what_pipelines_ask_for(cls):
    scheduler = cls(20)
    assert scheduler.init_noise_sigma == 1
    assert scheduler.order == 1
    assert len(scheduler) == 20
    assert scheduler.scale_model_input(X, 3) is X
    assert scheduler.config["num_train_timesteps"] == scheduler.config.num_train_timesteps == 20
    assert scheduler.timesteps.tolist() == list(
        range(20, 0, -1) if cls is FlowMatchEulerScheduler else range(19, -1, -1)
    )  # before set_timesteps the path is all of them


def test_before_set_timesteps_the_path_is_every_level():
    ours, theirs = DDPMScheduler(40), diffusers.DDPMScheduler(40)
    for t in (39, 20, 0):
        mine = ours.step(X, t, X, generator=generator()).prev_sample
        assert worst(mine, theirs.step(X, t, X, generator=generator()).prev_sample) <= 1e-5


@pytest.mark.parametrize("cls", BOTH)
def test_a_path_of_ones_own_is_walked_as_diffusers_walks_it(cls):
    path = [90, 41, 40, 7, 0]
    ours = cls(100)
    ours.set_timesteps(timesteps=path)
    assert ours.timesteps.tolist() == path
    assert [ours.previous_timestep(t).item() for t in path] == [41, 40, 7, 0, -1]
    assert ours.num_inference_steps == 5
    theirs = theirs_like(DDPMScheduler(100), exact=True)
    theirs.set_timesteps(timesteps=path)
    if cls is DDIMScheduler:  # diffusers' takes no path; with eta 1 the two are one
        options, theirs_options = {"eta": 1.0}, {}
        ours = cls(100, clip_sample=False)
        theirs = theirs_like(DDPMScheduler(100, clip_sample=False), exact=True)
        ours.set_timesteps(timesteps=path)
        theirs.set_timesteps(timesteps=path)
    else:
        options, theirs_options = {}, {}
    x, y, mine, other = X.double(), X.double(), generator(1), generator(1)
    for t in path:
        x = ours.step(dummy_model(x, t), t, x, generator=mine, **options).prev_sample
        y = theirs.step(dummy_model(y, t), t, y, generator=other, **theirs_options).prev_sample
    assert worst(x, y) <= 1e-10


@pytest.mark.parametrize("kind", ["fixed_small", "fixed_small_log", "fixed_large"])
def test_every_variance_is_that_of_diffusers(kind):
    ours = DDPMScheduler(100, variance_type=kind, prediction_type="sample")
    theirs = theirs_like(ours, exact=True)
    start = X.double()
    path = run(ours, dummy_model, start, 20)
    assert worst(path, run(theirs, dummy_model, start, 20)) <= 1e-10
    if kind == "fixed_large":
        small = DDPMScheduler(100, prediction_type="sample")
        assert worst(path, run(small, dummy_model, start, 20)) > 0.01


def test_the_large_variance_by_its_log_is_the_large_variance():
    """diffusers takes the root of the logarithm there, which is no number."""
    runs = [
        run(DDPMScheduler(100, variance_type=kind), dummy_model, X, 10)
        for kind in ("fixed_large", "fixed_large_log")
    ]
    assert torch.equal(*runs)
    theirs = diffusers.DDPMScheduler(100, variance_type="fixed_large_log")
    assert run(theirs, dummy_model, X, 10).isnan().any()


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
def test_the_large_variance_leaves_no_noise_in_the_finished_picture(spacing):
    """The last step of a path may start above t = 0; diffusers then adds noise to the picture."""
    options = {"variance_type": "fixed_large", "timestep_spacing": spacing}
    ours = DDPMScheduler(100, prediction_type="sample", **options)
    assert torch.equal(run(ours, lambda x, t: 0.5 * torch.ones_like(x), X, 5)[-1], 0.5 + 0 * X)
    theirs = diffusers.DDPMScheduler(100, prediction_type="sample", **options)
    ends = run(theirs, lambda x, t: 0.5 * torch.ones_like(x), X, 5)[-1]
    assert (worst(ends, 0.5 + 0 * X) > 0.01) == (spacing == "trailing")


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("most", [0.5, 1.0, 3.0])
def test_dynamic_thresholding_is_that_of_diffusers(cls, most):
    config = {"thresholding": True, "sample_max_value": most, "dynamic_thresholding_ratio": 0.9}
    ours = cls(100, **config)
    start = 3 * X.double()
    ours_path = run(ours, dummy_model, start, 20)
    if most >= 1:
        assert worst(ours_path, run(theirs_like(ours, exact=True), dummy_model, start, 20)) <= 1e-10
    clipped = run(cls(100), dummy_model, start, 20)
    assert (worst(ours_path, clipped) > 1e-3) == (most > 1)
    unclipped = run(cls(100, clip_sample=False), dummy_model, start, 20)
    assert worst(ours_path, unclipped) > 1e-3


@pytest.mark.parametrize("cls", BOTH)
def test_the_range_of_clipping_is_that_of_diffusers(cls):
    ours = cls(100, clip_sample_range=0.3)
    start = X.double()
    path = run(ours, dummy_model, start, 20)
    assert worst(path, run(theirs_like(ours, exact=True), dummy_model, start, 20)) <= 1e-10
    assert path[-1].abs().max() <= 0.3 + 1e-12


@pytest.mark.parametrize("cls", BOTH)
def test_an_offset_moves_the_leading_path(cls):
    ours = cls(steps_offset=1)
    theirs = theirs_like(ours, exact=True)
    for scheduler in (ours, theirs):
        scheduler.set_timesteps(5)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist() == [801, 601, 401, 201, 1]
    # the end: diffusers' DDIM goes down by T // n from 1, below 0, which is the picture
    assert worst(run(ours, dummy_model, X, 5), run(theirs, dummy_model, X, 5)) <= 1e-5
    assert cls(1000, timestep_spacing="trailing", steps_offset=1).config.steps_offset == 1


@pytest.mark.parametrize("to_one", [True, False])
def test_the_path_of_ddim_ends_where_it_is_told_to(to_one):
    ours = DDIMScheduler(100, beta_start=0.01, set_alpha_to_one=to_one)
    theirs = theirs_like(ours)
    theirs.alphas_cumprod = torch.cumprod(1 - ours.betas.double(), 0)
    theirs.final_alpha_cumprod = torch.tensor(1.0).double() if to_one else theirs.alphas_cumprod[0]
    start = X.double()
    path = run(ours, dummy_model, start, 10)
    assert worst(path, run(theirs, dummy_model, start, 10)) <= 1e-10


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("given", [list, np.array, torch.tensor])
def test_betas_of_ones_own_replace_the_schedule(cls, given):
    values = [0.1, 0.2, 0.4, 0.5]
    ours = cls(4, trained_betas=given(values))
    assert ours.betas.tolist() == pytest.approx(values)
    theirs = TWINS[cls](4, trained_betas=values)
    assert worst(ours.alphas_cumprod, theirs.alphas_cumprod) <= 1e-6
    last = cls(4, trained_betas=[0.1, 0.2, 0.4, 1.0], prediction_type="sample")
    assert last.alphas_cumprod[-1] == 0  # only the last may be 1


def test_betas_given_as_an_array_survive_the_folder(tmp_path):
    DDPMScheduler(2, trained_betas=np.array([0.1, 0.3])).save_pretrained(tmp_path)
    assert DDPMScheduler.from_pretrained(tmp_path).betas.tolist() == pytest.approx([0.1, 0.3])


def test_noise_of_ones_own_takes_the_place_of_a_generator():
    ours = DDIMScheduler(100)
    ours.set_timesteps(10)
    t, fresh = ours.timesteps[2], torch.randn(X.shape, generator=generator(4))
    given = ours.step(X, t, X, eta=1.0, variance_noise=fresh).prev_sample
    drawn = ours.step(X, t, X, eta=1.0, generator=generator(4)).prev_sample
    assert torch.equal(given, drawn)


def test_flow_matching_walks_a_path_of_ones_own():
    ours = FlowMatchEulerScheduler(10)
    ours.set_timesteps(timesteps=[10, 2.5])
    assert ours.timesteps.tolist() == [10, 2.5]
    x = ours.step(X, 10.0, X).prev_sample
    assert worst(x, X - 0.75 * X) <= 1e-6
    assert worst(ours.step(X, 2.5, x).prev_sample, x - 0.25 * X) <= 1e-6


@pytest.mark.parametrize("cls", BOTH)
def test_other_schedulers_of_diffusers_can_be_made_from_ours(cls):
    ours = cls(200, beta_schedule="scaled_linear", prediction_type="v_prediction")
    solver = diffusers.DPMSolverMultistepScheduler.from_config(ours.config)
    assert solver.config.num_train_timesteps == 200
    assert solver.config.prediction_type == "v_prediction"
    assert worst(solver.betas, ours.betas) <= 1e-6
    assert diffusers.DPMSolverMultistepScheduler in ours.compatibles
    assert cls.from_config(solver.config).config.beta_schedule == "scaled_linear"


LOAD = """
import sys, torch
from diffusers import DiffusionPipeline
import course_utils.sampling  # diffusers loads a class of ours only where we have been imported
pipeline = DiffusionPipeline.from_pretrained(sys.argv[1])
pipeline.set_progress_bar_config(disable=True)
how = {"num_inference_steps": 3, "output_type": "np"}
images = pipeline(2, torch.Generator().manual_seed(3), **how).images
print(type(pipeline.scheduler).__module__, images.sum())
"""


@pytest.mark.parametrize("pipeline_class", [diffusers.DDPMPipeline, diffusers.DDIMPipeline])
def test_a_pipeline_with_our_scheduler_is_saved_and_loads_in_a_fresh_process(
    pipeline_class, tmp_path
):
    """DDIMPipeline makes a DDIM of diffusers' own of whatever scheduler it is given."""
    cls = DDPMScheduler if pipeline_class is diffusers.DDPMPipeline else DDIMScheduler
    pipeline = pipeline_class(network(num_class_embeds=None), cls(50, clip_sample=False))
    pipeline.set_progress_bar_config(disable=True)
    how = {"num_inference_steps": 3, "output_type": "np"}
    before = pipeline(2, generator(3), **how).images.sum()
    pipeline.save_pretrained(tmp_path)
    command = [sys.executable, "-c", LOAD, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    module, total = done.stdout.split()
    assert module.startswith("course_utils.sampling" if cls is DDPMScheduler else "diffusers.")
    assert float(total) == pytest.approx(float(before), rel=1e-5)
