"""The sampling loop, against diffusers and against schedulers whose answer is known."""

import copy

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler

from course_utils import models as ours_models
from course_utils import sampling as ours
from course_utils.sampling import initial_noise, quick_scheduler, sample
from tests.trainer import network


@pytest.fixture(scope="module")
def model():
    return network(norm_num_groups=4, num_class_embeds=None)


@pytest.fixture(scope="module")
def class_model():
    return network(norm_num_groups=4, num_class_embeds=3)


def test_equals_the_pipeline_of_diffusers(model):
    scheduler = DDIMScheduler(num_train_timesteps=100)
    ours = sample(model, scheduler, seeds=[5, 6], num_inference_steps=10).images
    pipeline_scheduler = DDPMScheduler(num_train_timesteps=100)
    pipeline = DDPMPipeline(unet=model.eval(), scheduler=pipeline_scheduler)
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    theirs = pipeline(
        batch_size=2, generator=generators, num_inference_steps=10, output_type="np"
    ).images
    again = sample(model, pipeline_scheduler, seeds=[5, 6], num_inference_steps=10).images
    expected = torch.from_numpy(theirs).permute(0, 3, 1, 2) * 2 - 1
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(ours, again, atol=0.05)  # another scheduler, other pictures


def test_a_picture_depends_on_its_seed_and_not_on_its_neighbours(model):
    scheduler = DDPMScheduler(num_train_timesteps=50)
    together = sample(model, scheduler, seeds=[1, 2, 3], num_inference_steps=5).images
    alone = sample(model, scheduler, seeds=[2], num_inference_steps=5).images
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)
    assert not torch.allclose(together[0], together[1], atol=0.05)


def test_labels_reach_the_network(class_model):
    scheduler = DDIMScheduler(num_train_timesteps=50)
    images = sample(
        class_model, scheduler, seeds=[1, 1], class_labels=[0, 2], num_inference_steps=5
    ).images
    assert not torch.allclose(images[0], images[1], atol=1e-3)


def test_an_oracle_gives_the_picture_back(model):
    """With the true noise at every step, DDIM has to end at the picture it came from."""
    x0 = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8)
    scheduler = DDIMScheduler(num_train_timesteps=100)

    class Oracle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.config = model.config
            self.somewhere = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x, t, class_labels=None):
            share = scheduler.alphas_cumprod[t]
            noise = (x - share.sqrt() * x0) / (1 - share).sqrt()
            return type("Output", (), {"sample": noise})

    made = sample(Oracle(), scheduler, seeds=[0], num_inference_steps=10, keep_steps=True)
    torch.testing.assert_close(made.images, x0, atol=1e-4, rtol=0)
    for guess in made.predictions:
        torch.testing.assert_close(guess, x0, atol=1e-3, rtol=0)


def test_steps_are_kept_from_noise_to_picture(model):
    scheduler = DDIMScheduler(num_train_timesteps=100)
    made = sample(model, scheduler, seeds=[4], num_inference_steps=5, keep_steps=True)
    assert made.timesteps == [80, 60, 40, 20, 0]
    assert len(made.steps) == 6
    assert len(made.predictions) == 5
    torch.testing.assert_close(made.steps[0], initial_noise((1, 8, 8), [4])[0])
    torch.testing.assert_close(made.steps[-1].clamp(-1, 1), made.images)
    short = sample(model, scheduler, seeds=[4], num_inference_steps=5)
    assert short.steps == []
    assert torch.equal(short.images, made.images)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_in_the_mode_it_came_in(model, training):
    model.train(training)
    sample(model, DDIMScheduler(num_train_timesteps=10), seeds=[0], num_inference_steps=2)
    assert model.training is training


def test_sampling_leaves_the_global_generator_alone(model):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    sample(model, DDPMScheduler(num_train_timesteps=10), seeds=[9], num_inference_steps=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (None, "^The model wants one label per picture: 2, not none.$"),
        ([0], "2, not 1"),
        ([0, 3], "^class_labels holds 3; labels run from 0 to 2.$"),
        ([-1, 0], "holds -1"),
    ],
)
def test_bad_labels_are_refused(class_model, labels, match):
    with pytest.raises(ValueError, match=match):
        sample(class_model, DDIMScheduler(), seeds=[0, 1], class_labels=labels)


def test_labels_without_classes_and_no_seeds_are_refused(model):
    with pytest.raises(ValueError, match=r"^class_labels were given, but the model was built"):
        sample(model, DDIMScheduler(), seeds=[0], class_labels=[0])
    with pytest.raises(ValueError, match=r"^seeds is empty; give one seed for"):
        sample(model, DDIMScheduler(), seeds=[])


@pytest.mark.parametrize("seeds", [[1.5], ["a"], "12", [None], [True], torch.tensor([1.0])])
def test_seeds_that_are_no_whole_numbers_are_named(model, seeds):
    with pytest.raises(TypeError, match=r"^a seed is .*, which is not a whole number"):
        sample(model, DDIMScheduler(), seeds=seeds)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1])
def test_seeds_that_no_generator_takes_are_named(model, seed):
    with pytest.raises(ValueError, match=rf"^a seed is {seed}; use whole numbers from 0 up to"):
        sample(model, DDIMScheduler(), seeds=[seed])


def test_one_number_is_no_list_of_seeds_or_labels(class_model):
    with pytest.raises(TypeError, match=r"^seeds is 3; give a list with one for each picture"):
        sample(class_model, DDIMScheduler(), seeds=3, class_labels=[0])
    with pytest.raises(TypeError, match=r"^class_labels is 1; give a list with one for each"):
        sample(class_model, DDIMScheduler(), seeds=[3], class_labels=1)


@pytest.mark.parametrize("labels", [[1.0], ["1"], [True], [None], torch.tensor([1.5])])
def test_labels_that_are_no_whole_numbers_are_named(class_model, labels):
    with pytest.raises(TypeError, match=r"^a label in class_labels is .*not a whole number"):
        sample(class_model, DDIMScheduler(), seeds=[0], class_labels=labels)


def test_whole_numbers_of_numpy_and_pytorch_are_seeds_and_labels(class_model):
    levels = DDIMScheduler(20)
    wanted = sample(class_model, levels, seeds=[1, 2], class_labels=[2, 1], num_inference_steps=2)
    for seeds, labels in (
        (torch.tensor([1, 2]), torch.tensor([2, 1], dtype=torch.uint8)),
        (np.array([1, 2]), np.array([2, 1], np.int16)),
        ([np.int64(1), np.uint8(2)], (np.int64(2), torch.tensor(1))),
        (range(1, 3), torch.tensor([[2], [1]])),
    ):
        made = sample(class_model, levels, seeds=seeds, class_labels=labels, num_inference_steps=2)
        assert torch.equal(made.images, wanted.images)


def test_the_network_is_left_in_its_mode_when_a_step_fails(model):
    class Broken(DDIMScheduler):
        def step(self, *_, **__):
            raise RuntimeError("no step")

    model.train()
    with pytest.raises(RuntimeError, match="no step"):
        sample(model, Broken(), seeds=[0])
    assert model.training
    model.eval()


class Ideal(torch.nn.Module):
    """The best answer for the one picture there is, at noise levels of any kind."""

    def __init__(self, config, x0, rates):
        super().__init__()
        self.config, self.x0, self.rates = config, x0, rates
        self.somewhere = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t, class_labels=None):
        signal_rate, noise_rate = self.rates(t, x)
        noise = (x - signal_rate * self.x0) / noise_rate
        return diffusers.models.unets.unet_2d.UNet2DOutput(sample=noise)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize("name", ["Euler", "EulerAncestral", "Heun", "DPMSolverMultistep"])
def test_schedulers_of_diffusers_that_scale_their_input_find_the_picture(model, name):
    """They start from noise of another strength and visit levels between the whole numbers."""
    x0 = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8)
    suffix = "" if name == "DPMSolverMultistep" else "Discrete"
    scheduler = getattr(diffusers, f"{name}{suffix}Scheduler")(100)
    alpha_bar = scheduler.alphas_cumprod.double()

    def rates(t, x):  # of the levels between, as the scheduler lays them out
        levels = ((1 - alpha_bar) / alpha_bar).sqrt().log()
        low = int(t)
        part = float(t) - low
        sigma = (levels[low] * (1 - part) + levels[min(low + 1, 99)] * part).exp()
        return 1 / (sigma**2 + 1).sqrt(), sigma / (sigma**2 + 1).sqrt()

    ideal = Ideal(model.config, x0, rates)
    made = sample(ideal, scheduler, seeds=[0, 1], num_inference_steps=10, progress=False)
    assert (made.images - x0).abs().max() <= 0.02  # they end a hair above no noise at all
    assert len(made.timesteps) == len(scheduler.timesteps) == (19 if name == "Heun" else 10)


def test_both_schedulers_of_flow_matching_find_the_picture(model):
    x0 = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8)
    for scheduler in (
        ours.FlowMatchEulerScheduler(100),
        diffusers.FlowMatchEulerDiscreteScheduler(100),
    ):
        ideal = Ideal(model.config, x0, lambda t, x: (1 - t / 100, t / 100))

        class Velocity(Ideal):
            def forward(self, x, t, class_labels=None):
                noise = super().forward(x, t).sample
                return diffusers.models.unets.unet_2d.UNet2DOutput(sample=noise - self.x0)

        ideal.__class__ = Velocity
        made = sample(ideal, scheduler, seeds=[0], num_inference_steps=7, progress=False)
        assert (made.images - x0).abs().max() <= 1e-5
        assert all(isinstance(t, float) for t in made.timesteps)


def test_a_guess_that_a_scheduler_does_not_tell_cannot_be_kept(model):
    how = {"seeds": [0], "num_inference_steps": 2, "progress": False}
    says = (
        "^keep_steps is True, but FlowMatchEulerDiscreteScheduler tells no guess of the clean "
        "picture. Use keep_steps=False, or another scheduler.$"
    )
    with pytest.raises(ValueError, match=says):
        sample(model, diffusers.FlowMatchEulerDiscreteScheduler(100), keep_steps=True, **how)
    made = sample(model, ours.FlowMatchEulerScheduler(100), keep_steps=True, **how)
    assert len(made.predictions) == 2


def test_pictures_need_not_be_square(model):
    wide = network(sample_size=(8, 16), norm_num_groups=4, num_class_embeds=None)
    made = sample(wide, ours.DDIMScheduler(10), seeds=[0], num_inference_steps=2)
    assert made.images.shape == (1, 1, 8, 16)


@pytest.mark.parametrize("library", [ours, diffusers])
def test_a_quick_scheduler_has_the_levels_and_the_kind_and_starts_at_the_last(library):
    trained = library.DDPMScheduler(60, beta_schedule="scaled_linear", prediction_type="sample")
    quick = quick_scheduler(trained)
    assert torch.equal(quick.betas, trained.betas)
    assert quick.config.prediction_type == "sample"
    quick.set_timesteps(6)
    assert quick.timesteps.tolist() == [59, 49, 39, 29, 19, 9]
    flow = ours.FlowMatchEulerScheduler(60)
    copied = quick_scheduler(flow)
    copied.set_timesteps(3)
    assert len(flow.timesteps) == 60


KINDS = {
    "UNet2DModel": lambda: network(norm_num_groups=4, num_class_embeds=None),
    "UNet": lambda: ours_models.UNet(hidden_dims=(8, 16), image_size=8),
}


@pytest.mark.filterwarnings("ignore:.*should be kept in float32")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_in_another_precision_draws_the_same_pictures(kind, dtype):
    """The steps between its calls stay in float32: they add up what the network says.

    Velocities near 1 are wrong by some roundings of `dtype`, and each of 5 steps takes at most
    one of them over, since alpha and sigma are at most 1.
    """
    torch.manual_seed(0)
    model = KINDS[kind]()
    levels = ours.DDIMScheduler(100, prediction_type="v_prediction")
    wanted = sample(model, levels, seeds=[1, 2], num_inference_steps=5)
    found = sample(model.to(dtype), levels, seeds=[1, 2], num_inference_steps=5, keep_steps=True)
    assert found.images.dtype == torch.float32
    assert {step.dtype for step in found.steps} == {torch.promote_types(dtype, torch.float32)}
    bound = 5 * 8 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)
    torch.testing.assert_close(found.images, wanted.images, atol=bound, rtol=0)


def test_weights_that_are_stored_in_less_than_they_are_used_in(model):
    stored = copy.deepcopy(model)
    stored.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)
    assert next(stored.conv_out.parameters()).dtype == torch.float8_e4m3fn
    levels = ours.DDIMScheduler(100, prediction_type="v_prediction")
    found = sample(stored, levels, seeds=[1], num_inference_steps=5, keep_steps=True)
    assert {step.dtype for step in found.steps} == {torch.float32}
