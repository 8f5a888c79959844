"""Pictures that begin with a picture: changed, or mended.

All of it works with any network that `sample` takes and any scheduler that can add noise.
"""

import copy
from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.models.base import Denoiser
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.diffusion import fresh_noise
from course_utils.sampling.guidance import Guidance
from course_utils.sampling.labels import Wish
from course_utils.sampling.walk import Rates, Walk
from course_utils.validate import check_count


@torch.inference_mode()
def image_to_image(
    model: Denoiser,
    noise_scheduler: SamplingScheduler,
    images: Tensor,
    *,
    strength: float,
    seeds: Sequence[int],
    class_labels: Sequence[Wish] | None = None,
    num_inference_steps: int = 50,
    guidance: Guidance | None = None,
    progress: bool = True,
) -> Tensor:
    """Begin with a picture and not with noise: spoil it in part, and walk back from there.

    Args:
        model: As in `sample`.
        noise_scheduler: As in `sample`.
        images: Pictures to begin with, shape (N, C, H, W), in [-1, 1]; or one, shape
            (1, C, H, W), for N variations of it.
        strength: Which share of the way to go, in (0, 1]. With little, the picture stays; at 1,
            hardly anything of it is left.
        seeds: One for each of N pictures.
        class_labels: As in `sample`.
        num_inference_steps: Of how many steps the whole way has.
        guidance: As in `sample`.
        progress: Whether to show a progress bar.

    Returns:
        Pictures on the CPU, float32, shape (N, C, H, W), in [-1, 1].

    Raises:
        TypeError: As in `sample`.
        ValueError: As in `sample`; or the pictures do not fit the network or the seeds, or the
            strength is outside (0, 1] or less than a single step.

    Example:
        >>> from course_utils.models import gallery
        >>> from course_utils.sampling import image_to_image, quick_scheduler, sample
        >>> artist = gallery.load("sprites-16")
        >>> steps = quick_scheduler(artist.noise_scheduler)
        >>> how = {"class_labels": [4], "num_inference_steps": 4, "progress": False}
        >>> potion = sample(artist.model, steps, seeds=[0], **how).images
        >>> image_to_image(artist.model, steps, potion, strength=0.5, seeds=[1], **how).shape
        torch.Size([1, 3, 16, 16])

    Source:
        SDEdit, Meng and others 2021, arXiv 2108.01073, Algorithm 1.

    Chapter: 7, "A scribble becomes a flower".
    """
    walk = Walk(model, noise_scheduler, num_inference_steps, seeds, class_labels, guidance)
    x0 = walk.checked(images)
    rates = walk.rates()
    first = _first_step(noise_scheduler, strength, num_inference_steps)
    signal_rate, noise_rate = rates[first]
    x = signal_rate * x0 + noise_rate * walk.placed(walk.noise)
    if hasattr(noise_scheduler, "set_begin_index"):
        noise_scheduler.set_begin_index(first)  # those of diffusers that count their steps
    with walk.evaluating():
        for t in tqdm(noise_scheduler.timesteps[first:], desc="editing", disable=not progress):
            x = walk.step(x, t).prev_sample
    return x.float().clamp(-1, 1).cpu()


@torch.inference_mode()
def inpaint(
    model: Denoiser,
    noise_scheduler: SamplingScheduler,
    images: Tensor,
    mask: Tensor,
    *,
    seeds: Sequence[int],
    class_labels: Sequence[Wish] | None = None,
    num_inference_steps: int = 50,
    resamples: int = 1,
    guidance: Guidance | None = None,
    progress: bool = True,
) -> Tensor:
    """Paint a part of a picture anew, so that it fits what is kept.

    After each step what is to be kept is put back, with the noise of that level. Where a step is
    resampled, its result is made as noisy as before and the step is made again: the new part has
    another chance to look at the old one.

    Args:
        model: As in `sample`.
        noise_scheduler: As in `sample`.
        images: Shape (N, C, H, W) or, the same for all, (1, C, H, W), in [-1, 1].
        mask: 1 where to paint and 0 where to keep: shape (H, W) for all, or (N, 1, H, W).
        seeds: One for each of N pictures.
        class_labels: As in `sample`.
        num_inference_steps: How many noise levels to visit.
        resamples: How often each step is made, at least 1.
        guidance: As in `sample`.
        progress: Whether to show a progress bar.

    Returns:
        Pictures on the CPU, float32, shape (N, C, H, W), in [-1, 1]; where the mask is 0, those
        that were given.

    Raises:
        TypeError: As in `sample`, or `resamples` is not a whole number.
        ValueError: As in `sample`; or pictures or mask do not fit, the mask holds anything but
            0 and 1, or `resamples` is below 1.

    Example:
        >>> import torch
        >>> from course_utils.models import gallery
        >>> from course_utils.sampling import inpaint, quick_scheduler
        >>> artist = gallery.load("sprites-16")
        >>> half = torch.zeros(16, 16)
        >>> half[:, 8:] = 1  # to be painted
        >>> grey = torch.zeros(1, 3, 16, 16)
        >>> steps = quick_scheduler(artist.noise_scheduler)
        >>> how = {"class_labels": [4], "num_inference_steps": 4, "progress": False}
        >>> made = inpaint(artist.model, steps, grey, half, seeds=[0], **how)
        >>> bool((made[..., :8] == 0).all())
        True

    Source:
        RePaint, Lugmayr and others 2022, arXiv 2201.09865, Algorithm 1 and eq. 8.

    Chapter: 7, "The missing wing".
    """
    check_count("resamples", resamples)
    walk = Walk(model, noise_scheduler, num_inference_steps, seeds, class_labels, guidance)
    x0 = walk.checked(images)
    paint = _checked_mask(mask, x0).to(x0)
    rates = walk.rates()
    x = walk.start(walk.noise)
    with walk.evaluating():
        steps = tqdm(noise_scheduler.timesteps, desc="painting", disable=not progress)
        for number, t in enumerate(steps):
            before, after = rates[number : number + 2]
            times = resamples if after != before and after[1] > 0 else 1
            for left in reversed(range(times)):
                walk.noise_scheduler = copy.deepcopy(noise_scheduler) if left else noise_scheduler
                x = walk.step(x, t).prev_sample
                known = after[0] * x0 + after[1] * fresh_noise(x0, walk.generators)
                x = paint * x + (1 - paint) * known  # (8c)
                if left:
                    x = _spoiled(x, after, before, walk.generators)
    return x.float().clamp(-1, 1).cpu()


def _spoiled(x: Tensor, now: Rates, wanted: Rates, generators: list[torch.Generator]) -> Tensor:
    """Pictures brought from a noise level to a higher one by fresh noise."""
    kept = wanted[0] / now[0]
    missing = wanted[1] ** 2 - (kept * now[1]) ** 2
    return kept * x + sqrt(max(missing, 0.0)) * fresh_noise(x, generators)


def _first_step(noise_scheduler: SamplingScheduler, strength: float, num_steps: int) -> int:
    """The place in the path at which so large a share of the way begins."""
    if not 0 < strength <= 1:
        raise ValueError(f"strength is {strength}; use a share above 0, at most 1.")
    steps = int(num_steps * strength + 1e-9)
    if steps == 0:
        raise ValueError(
            f"strength is {strength}: of {num_steps} steps that is less than one. Use at least "
            f"{1 / num_steps:g}, or more steps."
        )
    return (num_steps - steps) * getattr(noise_scheduler, "order", 1)


def _checked_mask(mask: Tensor, images: Tensor) -> Tensor:
    """A mask that fits the pictures, shape (1 or N, 1, H, W)."""
    count, _, height, width = images.shape
    if mask.shape not in ((height, width), (count, 1, height, width)):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} for pictures of shape {tuple(images.shape)}; use "
            f"({height}, {width}) for all, or ({count}, 1, {height}, {width})."
        )
    if not ((mask == 0) | (mask == 1)).all():
        raise ValueError(
            "mask holds other values than 0 and 1; use 1 where to paint, 0 where to keep."
        )
    return mask.reshape(-1, 1, height, width)
