"""Guidance: the answer without the label, and the difference that the label makes, scaled."""

import pytest
import torch
from diffusers import DDIMScheduler

from course_utils.sampling import initial_noise, sample
from tests.trainer import network

NO_LABEL = 2
ASKED = {"seeds": [4, 7], "class_labels": [0, 1], "num_inference_steps": 5}


@pytest.fixture(scope="module")
def model():
    return network(norm_num_groups=4, num_class_embeds=3).eval()


def scheduler():
    return DDIMScheduler(50, clip_sample=False)


def test_by_hand_with_two_calls_a_step_it_is_the_same(model):
    guided = sample(model, scheduler(), **ASKED, guidance_scale=2.5, no_label=NO_LABEL).images
    steps = scheduler()
    steps.set_timesteps(5)
    size = (model.config.in_channels, *2 * [model.config.sample_size])
    x, _ = initial_noise(size, ASKED["seeds"])
    with torch.inference_mode():
        for t in steps.timesteps:
            told = model(x, t, class_labels=torch.tensor([0, 1])).sample
            not_told = model(x, t, class_labels=torch.tensor([2, 2])).sample
            x = steps.step(2.5 * told - 1.5 * not_told, t, x).prev_sample
    torch.testing.assert_close(guided, x.clamp(-1, 1), atol=1e-4, rtol=0)
    plain = sample(model, scheduler(), **ASKED).images
    assert not torch.allclose(guided, plain, atol=1e-2)


def test_a_scale_of_one_is_the_network_as_it_is_to_the_bit_and_asked_once(model):
    plain = sample(model, scheduler(), **ASKED).images
    batches = []
    handle = model.register_forward_pre_hook(lambda part, inputs: batches.append(len(inputs[0])))
    again = sample(model, scheduler(), **ASKED, guidance_scale=1.0, no_label=NO_LABEL).images
    handle.remove()
    assert torch.equal(again, plain)
    assert batches == [2] * 5


def test_a_scale_of_zero_is_the_network_without_a_label(model):
    nothing = ASKED | {"class_labels": [NO_LABEL] * 2}
    expected = sample(model, scheduler(), **nothing).images
    found = sample(model, scheduler(), **ASKED, guidance_scale=0, no_label=NO_LABEL).images
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("scale", "no_label", "error", "words"),
    [
        (-0.5, 2, ValueError, "guidance_scale is -0.5; it is 0 or more"),
        (float("nan"), 2, ValueError, "guidance_scale is nan"),
        ("2", 2, TypeError, "guidance_scale is '2'; give a number"),
        (True, 2, TypeError, "guidance_scale is True"),
        (2.0, None, ValueError, r"no_label None, but the network knows labels from 0 to 2"),
        (2.0, 3, ValueError, r"no_label 3, but .*\(label_dropout above 0"),
    ],
)
def test_a_guidance_that_cannot_be_is_refused(model, scale, no_label, error, words):
    with pytest.raises(error, match=words):
        sample(model, scheduler(), **ASKED, guidance_scale=scale, no_label=no_label)


def test_a_network_without_classes_cannot_be_guided():
    plain = network(norm_num_groups=4, num_class_embeds=None)
    with pytest.raises(ValueError, match="the network knows no classes"):
        sample(plain, scheduler(), seeds=[1], guidance_scale=2.0, no_label=0)
