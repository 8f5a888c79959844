"""From pictures to the noise that they would have come from, and between one noise and another."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.models.base import Denoiser
from course_utils.noise.targets import predicted_x0_and_noise
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.guidance import Guidance
from course_utils.sampling.labels import Wish
from course_utils.sampling.walk import Rates, Walk
from course_utils.validate import check_same_shape, check_whole


@torch.inference_mode()
def invert(
    model: Denoiser,
    noise_scheduler: SamplingScheduler,
    images: Tensor,
    *,
    class_labels: Sequence[Wish] | None = None,
    num_inference_steps: int = 50,
    corrections: int = 0,
    guidance: Guidance | None = None,
    progress: bool = True,
) -> Tensor:
    """Find the noise that a picture would have come from, by DDIM's step turned round.

    ``sample(…, noise=…)`` leads back to the picture, nearly: a step up has to ask the network
    about a picture that it does not have yet, and takes the one before. A correction asks again
    with what it then has.

    Args:
        model: As in `sample`.
        noise_scheduler: Its levels are visited from the last to the first, and its
            ``prediction_type`` says what the network answers. The way back then has to be one
            without fresh noise and without clipping.
        images: Shape (N, C, H, W), in [-1, 1].
        class_labels: As in `sample`.
        num_inference_steps: How many noise levels to visit.
        corrections: How often each step is corrected; each asks the network once more.
        guidance: As in `sample`.
        progress: Whether to show a progress bar.

    Returns:
        Noise on the CPU, float32, shape (N, C, H, W), nearly standard normal.

    Raises:
        TypeError: As in `sample`.
        ValueError: As in `sample`; or the pictures do not fit, or `corrections` is below 0.

    Example:
        >>> from course_utils.models import gallery
        >>> from course_utils.sampling import invert, quick_scheduler, sample
        >>> artist = gallery.load("sprites-16")
        >>> steps = quick_scheduler(artist.noise_scheduler)
        >>> how = {"class_labels": [4], "num_inference_steps": 4, "progress": False}
        >>> potion = sample(artist.model, steps, seeds=[0], **how).images
        >>> noise = invert(artist.model, steps, potion, **how)
        >>> sample(artist.model, steps, noise=noise, **how).images.shape
        torch.Size([1, 3, 16, 16])

    Source:
        Song and others 2021, arXiv 2010.02502, section 4.3 and eq. 13; the corrections are
        fixed-point steps, as in Pan and others 2023, arXiv 2309.04907.

    Chapter: 7, "From picture to noise, and back".
    """
    if check_whole("corrections", corrections) < 0:
        raise ValueError(f"corrections is {corrections}; use 0 or more.")
    seeds = range(len(images))  # nothing is drawn by them
    walk = Walk(model, noise_scheduler, num_inference_steps, seeds, class_labels, guidance)
    x = walk.checked(images)
    kind = getattr(noise_scheduler.config, "prediction_type", "flow_prediction")
    levels = dict(zip(noise_scheduler.timesteps.tolist(), walk.rates(), strict=False))
    now = (1.0, 0.0)  # the picture
    with walk.evaluating():
        for t in tqdm(sorted(levels), desc="inverting", disable=not progress):
            wanted = _as_shown(levels[t], kind)
            guess = x
            for _ in range(1 + corrections):
                guess = _noisier(kind, walk.answer(guess, t), guess, x, now, wanted)
            x, now = guess, wanted
    return x.float().cpu()


def _noisier(
    kind: str, said: Tensor, guess: Tensor, x: Tensor, now: Rates, wanted: Rates
) -> Tensor:
    """The sample from which DDIM's step leads to x, if the network says this of it."""
    a, s = now
    next_a, next_s = wanted
    if kind == "flow_prediction":
        return x + (next_s - s) * said
    if kind == "v_prediction":  # x = cos δ · next - sin δ · v, of 2202.00512, appendix D
        return (x + (a * next_s - s * next_a) * said) / (a * next_a + s * next_s)
    _, noise = predicted_x0_and_noise(kind, said, guess, next_a, next_s)
    return next_a * (x - s * noise) / a + next_s * noise  # (13)


def slerp(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Between two noises, along the sphere on which noise lies.

    Args:
        first: Shape (N, ...).
        second: Same shape.
        share: 0 for the first, 1 for the second, or any between.

    Returns:
        Same shape. A straight mixture of two noises is weaker than either; this one is not.

    Raises:
        ValueError: The shapes differ, or the share is outside [0, 1].

    Example:
        >>> import torch
        >>> from course_utils.sampling import slerp
        >>> slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
        tensor([[0.7071, 0.7071]])

    Source:
        Shoemake 1985, as used in Song and others 2021, arXiv 2010.02502, section 5.3.

    Chapter: 7, "Halfway between two pictures".
    """
    check_same_shape("second", second, "first", first)
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; use 0 (the first) to 1 (the second).")
    a, b = first.flatten(1).double(), second.flatten(1).double()
    cosine = torch.cosine_similarity(a, b, dim=1).clamp(-1, 1)
    angle = cosine.acos().clamp(min=1e-6).unsqueeze(1)
    mixed = torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b
    return (mixed / torch.sin(angle)).reshape(first.shape).to(first)


def _as_shown(rates: Rates, kind: str) -> Rates:
    """The rates of what a network is shown: where a scheduler counts in sigma, it is scaled."""
    signal_rate, noise_rate = rates
    power = 1.0 if kind == "flow_prediction" else sqrt(signal_rate**2 + noise_rate**2)
    return signal_rate / power, noise_rate / power
