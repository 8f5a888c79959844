"""Guidance: a worse answer, and what is better about another one, scaled."""

import warnings

import diffusers
import pytest
import torch
from diffusers import DDIMScheduler, DiTPipeline
from diffusers.guiders import ClassifierFreeGuidance

from course_utils import sampling as ours
from course_utils.sampling import Guidance, initial_noise, sample
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
        (float("inf"), 2, ValueError, "guidance_scale is inf"),
        (2.0, None, ValueError, "guidance_scale is 2.0, so there must be one worse answer"),
        (2.0, 1.5, ValueError, "no_label 1.5, but the network knows labels from 0 to 2"),
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


class Picture(torch.nn.Module):
    """A decoder that hands on what it gets, for a pipeline whose networks work on codes."""

    config = type("Config", (), {"scaling_factor": 1.0})
    device, dtype = torch.device("cpu"), torch.float32

    def decode(self, latents):
        return type("Decoded", (), {"sample": latents})


def test_equals_the_pipeline_of_diffusers_that_guides_by_labels():
    """DiTPipeline's label for "no label" is 1000; the network in it may be any."""
    model = network(norm_num_groups=4, num_class_embeds=1001).eval()
    pipeline = DiTPipeline(model, Picture(), DDIMScheduler(50, clip_sample=False))
    pipeline.set_progress_bar_config(disable=True)
    generators = [torch.Generator().manual_seed(seed) for seed in (4, 7)]
    how = {"guidance_scale": 3.0, "num_inference_steps": 6}
    theirs = pipeline([5, 999], generator=generators, output_type="pt", **how).images
    found = sample(model, scheduler(), seeds=[4, 7], class_labels=[5, 999], no_label=1000, **how)
    torch.testing.assert_close(found.images, theirs * 2 - 1, atol=1e-5, rtol=0)
    weaker = how | {"guidance_scale": 2.0}
    other = sample(model, scheduler(), seeds=[4, 7], class_labels=[5, 999], no_label=1000, **weaker)
    assert not torch.allclose(other.images, found.images, atol=1e-3)


def answers(model, labels, seeds=(4, 7), t=30):
    """Noisy pictures, and what the network says of them with each label for both."""
    x, _ = initial_noise((1, 8, 8), seeds)
    with torch.inference_mode():
        said = [model(x, t, class_labels=torch.tensor([k] * len(x))).sample for k in labels]
    return x, said


def guided(model, x, labels, guidance, t=30):
    with torch.inference_mode():
        return ours.guided_answer(model, x, t, labels, guidance)


@pytest.mark.parametrize("rescale", [0.0, 0.3, 1.0])
def test_rescaling_equals_that_of_diffusers(model, rescale):
    x, (told, not_told) = answers(model, [1, NO_LABEL])
    guide = ClassifierFreeGuidance(4.0, guidance_rescale=rescale)
    expected = guide.forward(told, not_told).pred
    found = guided(model, x, torch.tensor([1, 1]), Guidance(4.0, NO_LABEL, rescale=rescale))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if rescale == 1:  # what it is for: the spread is that of the answer with the label
        spread = [y.flatten(1).std(dim=1) for y in (found, told)]
        torch.testing.assert_close(*spread, atol=1e-5, rtol=0)


def test_a_negative_label_is_what_the_answer_goes_away_from(model):
    x, (zero, one, two) = answers(model, [0, 1, 2])
    found = guided(model, x, torch.tensor([0, 0]), Guidance(3.0, negative_labels=[1, 2]))
    expected = torch.stack([3 * zero[0] - 2 * one[0], 3 * zero[1] - 2 * two[1]])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("classes", [3, None])
def test_a_weaker_network_is_asked_the_same(classes):
    strong = network(norm_num_groups=4, num_class_embeds=classes).eval()
    weak = network(norm_num_groups=4, num_class_embeds=classes).train()
    with torch.no_grad():
        for weight in weak.parameters():
            weight.mul_(0.9)
    labels = None if classes is None else torch.tensor([1, 2])
    x, _ = initial_noise((1, 8, 8), [4, 7])
    with torch.inference_mode():
        good, bad = (net(x, 30, class_labels=labels).sample for net in (strong, weak))
    assert not torch.allclose(good, bad, atol=1e-2)
    found = guided(strong, x, labels, Guidance(2.0, weaker=weak))
    torch.testing.assert_close(found, 2 * good - bad, atol=1e-5, rtol=0)
    wishes = None if classes is None else [1, 2]
    how = {"seeds": [4, 7], "class_labels": wishes, "num_inference_steps": 3}
    sample(strong, scheduler(), **how, guidance=Guidance(2.0, weaker=weak))
    assert weak.training  # it was asked in evaluation mode, and is as it was


def batches_of(model, *args, **options):
    """How many pictures each call of the network has seen."""
    seen = []
    handle = model.register_forward_pre_hook(lambda part, inputs: seen.append(len(inputs[0])))
    try:
        made = sample(model, *args, **options)
    finally:
        handle.remove()
    return seen, made


def test_guidance_asks_once_a_step_and_outside_of_its_interval_as_many_as_without(model):
    seen, made = batches_of(model, scheduler(), **ASKED, guidance=Guidance(2.0, NO_LABEL))
    assert made.timesteps == [40, 30, 20, 10, 0]
    assert seen == [4] * 5
    part = Guidance(2.0, NO_LABEL, interval=(10, 30))
    seen, _ = batches_of(model, scheduler(), **ASKED, guidance=part)
    assert seen == [2, 4, 4, 4, 2]


def test_an_interval_guides_there_and_nowhere_else(model):
    found = sample(
        model, scheduler(), **ASKED, guidance=Guidance(3.0, NO_LABEL, interval=(15, 25))
    ).images
    steps = scheduler()
    steps.set_timesteps(5)
    x, _ = initial_noise((1, 8, 8), ASKED["seeds"])
    with torch.inference_mode():
        for t in steps.timesteps:
            answer = model(x, t, class_labels=torch.tensor([0, 1])).sample
            if t == 20:
                worse = model(x, t, class_labels=torch.tensor([2, 2])).sample
                answer = worse + 3 * (answer - worse)
            x = steps.step(answer, t, x).prev_sample
    torch.testing.assert_close(found, x.clamp(-1, 1), atol=1e-5, rtol=0)


def test_a_mixture_is_the_sum_of_its_answers_asked_in_one_call(model):
    x, (zero, one, none) = answers(model, [0, 1, NO_LABEL])
    wishes = torch.tensor([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0]])
    found = guided(model, x, wishes, Guidance(2.0, NO_LABEL))
    better = torch.stack([0.25 * zero[0] + 0.75 * one[0], one[1]])
    torch.testing.assert_close(found, 2 * better - none, atol=1e-5, rtol=0)
    both = ASKED | {"class_labels": [{0: 0.25, 1: 0.75}, 1]}
    seen, _ = batches_of(model, scheduler(), **both, guidance=Guidance(2.0, NO_LABEL))
    assert seen == [5] * 5  # two labels and one, and twice without
    seen, _ = batches_of(model, scheduler(), **both)
    assert seen == [3] * 5


def test_a_mixture_of_one_label_is_that_label_whatever_its_neighbours_wish(model):
    plain = sample(model, scheduler(), **ASKED).images
    mixed = ASKED | {"seeds": [4, 5], "class_labels": [{0: 1.0}, {1: 0.5, 2: 0.5}]}
    found = sample(model, scheduler(), **mixed).images
    torch.testing.assert_close(found[0], plain[0], atol=1e-5, rtol=0)
    assert not torch.allclose(found[1], plain[1], atol=1e-2)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize("name", ["EulerDiscrete", "HeunDiscrete", "DPMSolverMultistep", "DDPM"])
def test_all_of_it_works_with_schedulers_of_diffusers(model, name):
    """Guided towards one label away from the same one, nothing changes, to rounding."""
    kind = getattr(diffusers, f"{name}Scheduler")
    plain = sample(model, kind(50), **ASKED).images
    same = Guidance(1.5, negative_labels=ASKED["class_labels"])
    found = sample(model, kind(50), **ASKED, guidance=same).images
    torch.testing.assert_close(found, plain, atol=1e-4, rtol=0)
    other = Guidance(1.5, negative_labels=[1, 0], rescale=0.5, interval=(5, 45))
    alone = {"seeds": [7], "class_labels": [1], "num_inference_steps": 5}
    one = Guidance(1.5, negative_labels=[0], rescale=0.5, interval=(5, 45))
    both = sample(model, kind(50), **ASKED, guidance=other).images
    assert not torch.allclose(both, plain, atol=1e-2)
    single = sample(model, kind(50), **alone, guidance=one).images
    torch.testing.assert_close(both[1:], single, atol=1e-4, rtol=0)  # seed by seed


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scale": 2.0}, "give no_label .*, negative_labels or weaker"),
        ({"scale": 2.0, "no_label": 1, "negative_labels": [0]}, "must be one worse answer"),
        ({"rescale": 1.5}, "rescale is 1.5; use 0 .* to 1"),
        ({"rescale": float("nan")}, "rescale is nan"),
        ({"interval": (30, 10)}, r"interval is \(30, 10\); give two timesteps, the lower one"),
        ({"interval": (5,)}, r"interval is \(5,\)"),
    ],
)
def test_a_guidance_that_is_none_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Guidance(**settings)


@pytest.mark.parametrize(
    ("guidance", "words"),
    [
        (Guidance(2.0, negative_labels=[1]), "one label per picture: 2, not 1"),
        (Guidance(2.0, negative_labels=[1, 3]), "negative_labels holds 3; labels run from 0 to 2"),
        (
            Guidance(2.0, weaker=network(num_class_embeds=4)),
            "weaker has num_class_embeds=4 and .*3",
        ),
    ],
)
def test_a_guidance_that_does_not_fit_is_refused(model, guidance, words):
    with pytest.raises(ValueError, match=words):
        sample(model, scheduler(), **ASKED, guidance=guidance)


def test_two_ways_to_say_how_to_guide_are_one_too_many(model):
    for other in ({"guidance_scale": 2.0}, {"no_label": 2}):
        with pytest.raises(ValueError, match="guidance was given beside"):
            sample(model, scheduler(), **ASKED, guidance=Guidance(2.0, NO_LABEL), **other)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ([{0: 0.5, 1: 0.4}, 1], r"holds the mixture {0: 0.5, 1: 0.4}; its shares .* sum to 1"),
        ([{0: 1.5, 1: -0.5}, 1], "above 0 and sum to 1"),
        ([{}, 1], "above 0 and sum to 1"),
        ([{0: 0.5, 3: 0.5}, 1], "class_labels holds 3; labels run from 0 to 2"),
    ],
)
def test_mixtures_that_are_none_are_refused(model, wishes, words):
    with pytest.raises(ValueError, match=words):
        sample(model, scheduler(), **ASKED | {"class_labels": wishes})


@pytest.mark.parametrize("library", [diffusers, ours])
def test_guidance_with_clipped_guesses_warns_and_the_quick_scheduler_clips_none(model, library):
    clipping = library.DDIMScheduler(50)
    assert clipping.config.clip_sample  # the default of diffusers
    with pytest.warns(UserWarning, match="DDIMScheduler has clip_sample=True.* use clip_sample=F"):
        sample(model, clipping, **ASKED, guidance_scale=2.0, no_label=NO_LABEL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample(model, clipping, **ASKED)  # nothing is guided
        for calm in (library.DDPMScheduler(50), ours.quick_scheduler(library.DDPMScheduler(50))):
            sample(model, calm, **ASKED, guidance_scale=2.0, no_label=NO_LABEL)
