"""From pictures to noise and back, and between one noise and another."""

import diffusers
import pytest
import torch

from course_utils import sampling as ours
from course_utils.noise import training_target
from course_utils.sampling import Guidance, initial_noise, invert, sample, slerp
from tests.trainer import network

HOW = {"class_labels": [0, 1], "progress": False}


@pytest.fixture(scope="module")
def model():
    return network(norm_num_groups=4, num_class_embeds=3).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5


def scheduler(kind="epsilon"):
    """With betas that leave little of the picture, so that the noise is nearly all noise."""
    return ours.DDIMScheduler(
        100, beta_end=0.1, clip_sample=False, prediction_type=kind, timestep_spacing="trailing"
    )


def test_equals_the_inverse_scheduler_of_diffusers(model, pictures):
    theirs = diffusers.DDIMInverseScheduler(100, beta_end=0.1, clip_sample=False)
    theirs.set_timesteps(10)
    x = pictures
    with torch.inference_mode():
        for t in theirs.timesteps:
            answer = model(x, t, class_labels=torch.tensor([0, 1])).sample
            x = theirs.step(answer, t, x).prev_sample
    mine = ours.DDIMScheduler(100, beta_end=0.1, clip_sample=False)  # leading, as theirs
    found = invert(model, mine, pictures, num_inference_steps=10, **HOW)
    torch.testing.assert_close(found, x, atol=1e-4, rtol=0)


class Gaussian(torch.nn.Module):
    """The best answer where pictures are noise of their own, 0.3 strong: known in closed form."""

    deviation = 0.3

    def __init__(self, levels):
        super().__init__()
        self.config = network(num_class_embeds=3).config
        self.levels = levels
        self.somewhere = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t, class_labels=None):
        signal_rate, noise_rate = self.levels.rates(t, x)
        share = x / ((signal_rate * self.deviation) ** 2 + noise_rate**2)
        x0, noise = signal_rate * self.deviation**2 * share, noise_rate * share
        kind = self.levels.config.prediction_type
        answer = training_target(kind, x0, noise, signal_rate, noise_rate)
        return type("Output", (), {"sample": answer})


KINDS = ["epsilon", "v_prediction", "sample", "flow_prediction"]


def levels_of(kind):
    return ours.FlowMatchEulerScheduler(100) if kind == "flow_prediction" else scheduler(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_way_is_known_in_closed_form_the_noise_found_nears_it(pictures, kind):
    """The flow keeps each point at the same number of deviations from the middle."""
    levels = levels_of(kind)
    model = Gaussian(levels)
    levels.set_timesteps(100)
    signal_rate, noise_rate = levels.rates(levels.timesteps[0], pictures)
    strength = ((signal_rate * 0.3) ** 2 + noise_rate**2).sqrt()
    exact = pictures / 0.3 * strength
    few, many = (
        (invert(model, levels, pictures, num_inference_steps=n, **HOW) - exact).abs().max()
        for n in (10, 100)
    )
    assert many < max(few / 4, 0.01 * exact.abs().max())


def trip(model, levels, pictures, steps, **options):
    noise = invert(model, levels, pictures, num_inference_steps=steps, **HOW, **options)
    guidance = options.get("guidance")
    back = sample(
        model, levels, noise=noise, num_inference_steps=steps, guidance=guidance, **HOW
    ).images
    return (back - pictures).abs().max().item()


@pytest.mark.parametrize("kind", KINDS)
def test_the_round_trip_closes_with_steps_and_with_corrections(pictures, kind):
    levels = levels_of(kind)
    model = Gaussian(levels)
    few, many = (trip(model, levels, pictures, steps) for steps in (10, 100))
    assert many < few / 2
    once, often = (trip(model, levels, pictures, 20, corrections=n) for n in (1, 30))
    assert often < once / 50


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # inside of diffusers
@pytest.mark.parametrize(
    ("name", "spacing"),
    [("EulerDiscrete", "leading"), ("DPMSolverMultistep", "trailing"), ("HeunDiscrete", "leading")],
)
def test_schedulers_that_count_in_sigma_give_noise_of_the_same_strength(
    model, pictures, name, spacing
):
    levels = {"beta_start": 1e-4, "beta_end": 0.1, "timestep_spacing": spacing}
    levels |= {"prediction_type": "v_prediction"}
    theirs = getattr(diffusers, f"{name}Scheduler")(100, **levels)
    mine = ours.DDIMScheduler(100, clip_sample=False, **levels)
    expected = invert(model, mine, pictures, num_inference_steps=10, **HOW)
    found = invert(model, theirs, pictures, num_inference_steps=10, **HOW)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_guidance_can_be_undone_as_well(model, pictures):
    guidance = Guidance(1.5, no_label=2)
    levels = scheduler("v_prediction")
    assert trip(model, levels, pictures, 20, guidance=guidance, corrections=20) < 1e-3
    plain = invert(model, levels, pictures, num_inference_steps=10, **HOW)
    other = invert(model, levels, pictures, num_inference_steps=10, guidance=guidance, **HOW)
    assert not torch.allclose(plain, other, atol=1e-2)


def test_what_cannot_be_inverted_is_refused(model, pictures):
    with pytest.raises(ValueError, match="corrections is -1; use 0 or more"):
        invert(model, scheduler(), pictures, corrections=-1, **HOW)
    with pytest.raises(TypeError, match=r"corrections is 0\.5"):
        invert(model, scheduler(), pictures, corrections=0.5, **HOW)
    with pytest.raises(ValueError, match=r"images have shape \(2, 1, 4, 8\)"):
        invert(model, scheduler(), pictures[:, :, :4], **HOW)


def test_sampling_starts_at_the_noise_that_is_given(model):
    noise, _ = initial_noise((1, 8, 8), [3, 9])
    by_seed = sample(model, scheduler(), seeds=[3, 9], num_inference_steps=4, **HOW).images
    found = sample(model, scheduler(), noise=noise, num_inference_steps=4, **HOW).images
    assert torch.equal(found, by_seed)
    fresh = ours.DDPMScheduler(50)
    counted = sample(model, fresh, noise=noise, num_inference_steps=4, **HOW).images
    same = sample(model, fresh, noise=noise, seeds=[0, 1], num_inference_steps=4, **HOW).images
    assert torch.equal(counted, same)
    for bad in (noise[:, :, :4], noise.repeat(1, 2, 1, 1)):
        with pytest.raises(ValueError, match=r"noise has shape .* must be the same"):
            sample(model, fresh, noise=bad, num_inference_steps=4, **HOW)
    with pytest.raises(ValueError, match="seeds is empty"):
        sample(model, fresh, num_inference_steps=4, class_labels=[])


def test_between_two_noises_lies_noise_of_the_same_strength():
    first, second = torch.randn(2, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(slerp(first, second, 0.0), first, atol=1e-6)
    assert torch.allclose(slerp(first, second, 1.0), second, atol=1e-6)
    norms = torch.stack([slerp(first, second, k / 10).flatten(1).norm(dim=1) for k in range(11)])
    low, high = norms[[0, -1]].amin(0), norms[[0, -1]].amax(0)
    assert (norms > low * 0.995).all()
    assert (norms < high * 1.005).all()
    straight = ((first + second) / 2).flatten(1).norm(dim=1)
    assert (straight < 0.8 * low).all()  # about the root of one half


def test_the_angle_is_shared_out_evenly():
    """On a circle, where it can be seen: 30 degrees of 90 are a third."""
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    third = slerp(east, north, 1 / 3)
    torch.testing.assert_close(third, torch.tensor([[3**0.5 / 2, 0.5]]))
    torch.testing.assert_close(slerp(east, east, 0.5), east)
    assert slerp(east.half(), north.half(), 0.5).dtype == torch.float16
    with pytest.raises(ValueError, match=r"second has shape \(2,\) and first \(1, 2\)"):
        slerp(east, north[0], 0.5)
    with pytest.raises(ValueError, match=r"share is 1.5; use 0 \(the first\) to 1"):
        slerp(east, north, 1.5)
