"""Edits: against the steps made by hand, and one scheduler against another that must agree."""

import diffusers
import pytest
import torch

from course_utils import sampling as ours
from course_utils.sampling import Guidance, image_to_image, initial_noise, inpaint
from tests.trainer import network

SEEDS = [4, 7]
ASKED = {"seeds": SEEDS, "class_labels": [0, 1], "num_inference_steps": 5, "progress": False}
LEFT = torch.zeros(8, 8).index_fill_(1, torch.arange(4), 1)  # to be painted: the left half


@pytest.fixture(scope="module")
def model():
    return network(norm_num_groups=4, num_class_embeds=3).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1


def ddim():
    return diffusers.DDIMScheduler(50, clip_sample=False)


def same_path_in_two_ways(name):
    """Euler's step in sigma and DPM-Solver's of first order are DDIM's step (2206.00927, 4.1).

    Which timesteps a spacing names is not the same in all of them.
    """
    spacing = {"timestep_spacing": "trailing" if name == "dpm" else "leading"}
    other = {
        "ours": lambda: ours.DDIMScheduler(50, clip_sample=False, **spacing),
        "euler": lambda: diffusers.EulerDiscreteScheduler(50, **spacing),
        "dpm": lambda: diffusers.DPMSolverMultistepScheduler(50, solver_order=1, **spacing),
    }
    return diffusers.DDIMScheduler(50, clip_sample=False, **spacing), other[name]()


@pytest.mark.parametrize("strength", [0.2, 0.6, 1.0])
def test_a_picture_is_spoiled_in_part_and_walked_back_from_there(model, pictures, strength):
    found = image_to_image(model, ddim(), pictures, strength=strength, **ASKED)
    steps = ddim()
    steps.set_timesteps(5)
    path = steps.timesteps[-round(5 * strength) :]
    noise, _ = initial_noise((1, 8, 8), SEEDS)
    x = steps.add_noise(pictures, noise, path[:1])
    with torch.inference_mode():
        for t in path:
            answer = model(x, t, class_labels=torch.tensor([0, 1])).sample
            x = steps.step(answer, t, x).prev_sample
    torch.testing.assert_close(found, x.clamp(-1, 1), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize("name", ["ours", "euler", "dpm"])
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_schedulers_that_walk_the_same_path_change_a_picture_alike(model, pictures, name, strength):
    how = {"strength": strength, **ASKED}
    one, other = same_path_in_two_ways(name)
    expected = image_to_image(model, one, pictures, **how)
    found = image_to_image(model, other, pictures, **how)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize("name", ["ours", "euler", "dpm"])
@pytest.mark.parametrize("resamples", [1, 3])
def test_schedulers_that_walk_the_same_path_mend_a_picture_alike(model, pictures, name, resamples):
    """Those that count their steps must not count the ones that are made again."""
    how = {"resamples": resamples, **ASKED}
    one, other = same_path_in_two_ways(name)
    expected = inpaint(model, one, pictures, LEFT, **how)
    found = inpaint(model, other, pictures, LEFT, **how)
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=0)


@pytest.mark.parametrize("edit", ["change", "mend"])
def test_both_schedulers_of_flow_matching_edit_alike(model, pictures, edit):
    def run(scheduler):
        if edit == "change":
            return image_to_image(model, scheduler, pictures, strength=0.6, **ASKED)
        return inpaint(model, scheduler, pictures, LEFT, resamples=2, **ASKED)

    found = run(ours.FlowMatchEulerScheduler(1000))
    expected = run(diffusers.FlowMatchEulerDiscreteScheduler(1000))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def by_hand(model, pictures, resamples):
    """RePaint's Algorithm 1, with the draws in the order of its lines."""
    steps = ddim()
    steps.set_timesteps(5)
    shares = [*steps.alphas_cumprod[steps.timesteps].double().tolist(), 1.0]
    x, generators = initial_noise((1, 8, 8), SEEDS)

    def drawn():
        return torch.stack([torch.randn(1, 8, 8, generator=own) for own in generators])

    with torch.inference_mode():
        for k, t in enumerate(steps.timesteps):
            times = resamples if k < 4 else 1
            for u in range(times):
                answer = model(x, t, class_labels=torch.tensor([0, 1])).sample
                x = steps.step(answer, t, x).prev_sample
                known = shares[k + 1] ** 0.5 * pictures + (1 - shares[k + 1]) ** 0.5 * drawn()
                x = torch.where(LEFT.bool(), x, known)
                if u < times - 1:
                    beta = 1 - shares[k] / shares[k + 1]
                    x = (1 - beta) ** 0.5 * x + beta**0.5 * drawn()
    return x.clamp(-1, 1)


@pytest.mark.parametrize("resamples", [1, 2])
def test_mending_is_the_algorithm_of_repaint(model, pictures, resamples):
    found = inpaint(model, ddim(), pictures, LEFT, resamples=resamples, **ASKED)
    torch.testing.assert_close(found, by_hand(model, pictures, resamples), atol=1e-4, rtol=0)
    assert torch.equal(found[..., 4:], pictures[..., 4:])  # what is kept is kept to the bit
    assert not torch.allclose(found[..., :4], pictures[..., :4], atol=0.1)


SCHEDULERS = {
    "ddim": lambda: ours.DDIMScheduler(50),
    "ddpm": lambda: ours.DDPMScheduler(50),
    "flow": lambda: ours.FlowMatchEulerScheduler(50),
    "theirs ddpm": lambda: diffusers.DDPMScheduler(50),
    "heun": lambda: diffusers.HeunDiscreteScheduler(50),
    "dpm": lambda: diffusers.DPMSolverMultistepScheduler(50),
    "unipc": lambda: diffusers.UniPCMultistepScheduler(50),
    "ancestral": lambda: diffusers.EulerAncestralDiscreteScheduler(50),
    "our heun": lambda: ours.HeunDiscreteScheduler(50),
    "our dpm": lambda: ours.DPMSolverMultistepScheduler(50),
    "our unipc": lambda: ours.UniPCMultistepScheduler(50),
}


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("classes", [3, None])
def test_edits_work_with_any_scheduler_seed_by_seed(pictures, name, classes):
    model = network(norm_num_groups=4, num_class_embeds=classes).eval()
    guidance = None if classes is None else Guidance(2.0, no_label=2)
    how = {"num_inference_steps": 4, "guidance": guidance, "progress": False}
    labels = {2: [0, 1], 1: [1]} if classes else {2: None, 1: None}
    both, second = {"seeds": [4, 7]}, {"seeds": [7]}
    mask = torch.stack([LEFT, LEFT.T]).unsqueeze(1)
    for edit, given in (
        (image_to_image, {"strength": 0.5}),
        (inpaint, {"resamples": 2}),
    ):
        first = (pictures,) if edit is image_to_image else (pictures, mask)
        alone = tuple(x[1:] for x in first)
        made = edit(
            model, SCHEDULERS[name](), *first, **given, class_labels=labels[2], **both, **how
        )
        one = edit(
            model, SCHEDULERS[name](), *alone, **given, class_labels=labels[1], **second, **how
        )
        assert made.isfinite().all()
        torch.testing.assert_close(made[1:], one, atol=2e-4, rtol=0)
        assert not torch.allclose(made[1:], pictures[1:], atol=0.05)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
def test_a_step_made_again_asks_again_and_the_last_one_is_made_once(model, pictures):
    seen = []
    handle = model.register_forward_pre_hook(lambda part, inputs: seen.append(int(inputs[1])))
    inpaint(model, ddim(), pictures, LEFT, resamples=3, **ASKED)
    inpaint(model, diffusers.HeunDiscreteScheduler(50), pictures, LEFT, resamples=2, **ASKED)
    handle.remove()
    assert seen[:13] == [40] * 3 + [30] * 3 + [20] * 3 + [10] * 3 + [0]
    # Heun looks twice at each level but the last; only a look that goes down is made again.
    assert len(seen[13:]) == 9 + 4


def test_one_picture_is_varied_by_seeds(model, pictures):
    found = image_to_image(model, ddim(), pictures[:1], strength=0.6, **ASKED)
    twice = image_to_image(model, ddim(), pictures[:1].repeat(2, 1, 1, 1), strength=0.6, **ASKED)
    assert torch.equal(found, twice)
    assert not torch.allclose(found[0], found[1], atol=0.05)


@pytest.mark.parametrize(
    ("strength", "words"),
    [
        (0, "strength is 0; use a share above 0, at most 1"),
        (1.2, "strength is 1.2"),
        (float("nan"), "strength is nan"),
        (0.1, "strength is 0.1: of 5 steps that is less than one. Use at least 0.2, or more"),
    ],
)
def test_a_strength_that_cannot_be_is_refused(model, pictures, strength, words):
    with pytest.raises(ValueError, match=words):
        image_to_image(model, ddim(), pictures, strength=strength, **ASKED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:, :, :4], r"images have shape \(2, 1, 4, 8\); .* take \(2, 1, 8, 8\)"),
        (lambda x: x.repeat(2, 1, 1, 1)[:3], r"shape \(3, 1, 8, 8\)"),
        (lambda x: (x + 1) * 127.5, r"torch.float32 from \d.* to 25\d.*; scale them to floats"),
        (lambda x: (x > 0).to(torch.uint8), "torch.uint8 from 0 to 1; scale"),
        (lambda x: x * float("nan"), "from nan to nan"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(model, pictures, change, words):
    with pytest.raises(ValueError, match=words):
        image_to_image(model, ddim(), change(pictures), strength=0.5, **ASKED)
    with pytest.raises(ValueError, match=words):
        inpaint(model, ddim(), change(pictures), LEFT, **ASKED)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (
            LEFT[:, :4],
            r"mask has shape \(8, 4\) for pictures .*; use \(8, 8\) for all, or \(2, 1, 8",
        ),
        (LEFT.expand(3, 1, 8, 8), r"mask has shape \(3, 1, 8, 8\)"),
        (LEFT.expand(2, 8, 8), r"mask has shape \(2, 8, 8\)"),
        (LEFT * 0.5, "mask holds other values than 0 and 1"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(model, pictures, mask, words):
    with pytest.raises(ValueError, match=words):
        inpaint(model, ddim(), pictures, mask, **ASKED)


def test_no_resampling_at_all_is_refused(model, pictures):
    with pytest.raises(ValueError, match="resamples is 0; use at least 1"):
        inpaint(model, ddim(), pictures, LEFT, resamples=0, **ASKED)
    with pytest.raises(TypeError, match=r"resamples is 1\.5"):
        inpaint(model, ddim(), pictures, LEFT, resamples=1.5, **ASKED)
