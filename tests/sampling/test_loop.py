"""The sampling loop, against diffusers and against schedulers whose answer is known."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler

from course_utils.data import to_pil, to_uint8
from course_utils.sampling import initial_noise, sample
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
    [(None, "2, not none"), ([0], "2, not 1"), ([0, 3], "holds 3"), ([-1, 0], "holds -1")],
)
def test_bad_labels_are_refused(class_model, labels, match):
    with pytest.raises(ValueError, match=match):
        sample(class_model, DDIMScheduler(), seeds=[0, 1], class_labels=labels)


def test_labels_without_classes_and_no_seeds_are_refused(model):
    with pytest.raises(ValueError, match="without classes"):
        sample(model, DDIMScheduler(), seeds=[0], class_labels=[0])
    with pytest.raises(ValueError, match="seeds is empty"):
        sample(model, DDIMScheduler(), seeds=[])


def test_every_byte_comes_back_as_itself():
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(to_uint8(every.float() / 127.5 - 1), every)


def test_values_outside_are_clamped_and_do_not_wrap():
    assert to_uint8(torch.tensor([-1.5, -1.0, 1.0, 1.5])).tolist() == [0, 0, 255, 255]


def test_halves_are_rounded_not_cut():
    assert to_uint8(torch.tensor([0.6 / 127.5 - 1, 0.4 / 127.5 - 1])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("images", "match"),
    [(torch.zeros(3, dtype=torch.uint8), "uint8"), (torch.tensor([float("nan")]), "NaN")],
)
def test_bytes_and_nan_are_refused(images, match):
    with pytest.raises(ValueError, match=match):
        to_uint8(images)


def test_to_pil_gives_grey_and_colour_the_right_way_up():
    grey = torch.tensor([[-1.0, 1.0]]).view(1, 1, 1, 2)
    (image,) = to_pil(grey)
    assert (image.mode, image.size) == ("L", (2, 1))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [0, 255]
    colour = torch.full((2, 3, 4, 4), -1.0)
    colour[:, 0] = 1
    assert to_pil(colour)[1].getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 2, 8, 8)])
def test_to_pil_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="shape"):
        to_pil(torch.zeros(shape))
