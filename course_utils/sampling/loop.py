"""From noise to pictures: the sampling loop, for schedulers of ours and of diffusers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.models.base import Denoiser
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.guidance import Guidance
from course_utils.sampling.labels import Wish
from course_utils.sampling.walk import Walk
from course_utils.validate import check_same_shape


@dataclass(frozen=True)
class Samples:
    """What `sample` made.

    Attributes:
        images: The finished pictures, float32, shape (N, C, H, W), in [-1, 1].
        timesteps: The noise levels visited, from noisy to clean, in [0, T]; whole numbers where
            the scheduler counts levels.
        steps: Where asked for, x_t before each of `timesteps` and the end: a list of
            ``len(timesteps) + 1`` tensors of shape (N, C, H, W), not clamped; else empty.
        predictions: Where asked for, the network's guess of x0 at each of `timesteps`.
    """

    images: Tensor
    timesteps: list[float]
    steps: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)


@torch.inference_mode()
def sample(
    model: Denoiser,
    noise_scheduler: SamplingScheduler,
    *,
    seeds: Sequence[int] | None = None,
    noise: Tensor | None = None,
    class_labels: Sequence[Wish] | None = None,
    num_inference_steps: int = 50,
    guidance_scale: float = 1.0,
    no_label: int | None = None,
    guidance: Guidance | None = None,
    keep_steps: bool = False,
    progress: bool = True,
) -> Samples:
    """Draw pictures: start at pure noise and let the scheduler walk down the noise levels.

    Args:
        model: A network called as ``model(sample, timestep, class_labels=…).sample``, with
            ``config.in_channels``, ``config.sample_size`` and ``config.num_class_embeds``. It may
            be in half precision; the steps between its calls are made in float32 all the same.
        noise_scheduler: A scheduler with ``set_timesteps``, ``timesteps`` and ``step``.
        seeds: One seed for each of N pictures. A picture depends on its own seed, not on N. With
            `noise` they are for the noise that a scheduler adds on the way; None for 0, 1, 2 …
        noise: Where to start, standard normal, shape (N, C, H, W); None for the seeds' own.
        class_labels: For each picture a label in [0, num_class_embeds), or a mixture such as
            ``{0: 0.5, 3: 0.5}``; None for a network without classes.
        num_inference_steps: How many noise levels to visit, from 1 to the scheduler's T.
        guidance_scale: How much the labels count, from 0; 1 for the network as it is. Any other
            value asks it at each level with the label and without, in one call.
        no_label: The label that stands for "no label"; only guidance wants it.
        guidance: Guidance of another kind, in place of the two before.
        keep_steps: Whether to keep every x_t and every guess of x0, for a film strip.
        progress: Whether to show a progress bar.

    Returns:
        A `Samples` with ``images`` in [-1, 1], on the CPU.

    Raises:
        TypeError: A seed, a label or the number of steps is not a whole number.
        ValueError: No seeds; labels missing, too many, out of range, or not wanted; noise of
            another shape; more steps than the scheduler has; a guidance that cannot be, or two.

    Example:
        >>> from course_utils.models import gallery
        >>> from course_utils.sampling import quick_scheduler, sample
        >>> artist = gallery.load("sprites-16")
        >>> run = sample(
        ...     artist.model,
        ...     quick_scheduler(artist.noise_scheduler),
        ...     seeds=[0, 1],
        ...     class_labels=[0, artist.no_label],
        ...     num_inference_steps=4,
        ...     progress=False,
        ... )
        >>> run.images.shape
        torch.Size([2, 3, 16, 16])

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 2; Song et al. 2021, arXiv 2010.02502, eq. 12,
        where the scheduler is DDIM.

    Chapter: 1, "Sampling".
    """
    if guidance is None:
        guidance = Guidance(guidance_scale, no_label)
    elif guidance_scale != 1 or no_label is not None:
        raise ValueError("guidance was given beside guidance_scale or no_label; put all into it.")
    given = () if noise is None else range(len(noise))
    seeds = given if seeds is None else seeds
    walk = Walk(model, noise_scheduler, num_inference_steps, seeds, class_labels, guidance)
    if noise is not None:
        check_same_shape("noise", noise, "what the network draws", walk.noise)
    x = walk.start(walk.noise if noise is None else noise)
    steps, predictions = [x.cpu()], []
    with walk.evaluating():
        for t in tqdm(noise_scheduler.timesteps, desc="sampling", disable=not progress):
            out = walk.step(x, t)
            x = out.prev_sample
            if keep_steps:
                steps.append(x.cpu())
                predictions.append(_guess_of(out, noise_scheduler).cpu())
    images = x.float().clamp(-1, 1).cpu()
    timesteps = noise_scheduler.timesteps.tolist()
    return Samples(images, timesteps, steps if keep_steps else [], predictions)


def _guess_of(out: Any, noise_scheduler: SamplingScheduler) -> Tensor:
    """The guess of x0 that a step was made by."""
    guess = getattr(out, "pred_original_sample", None)
    if guess is None:
        raise ValueError(
            f"keep_steps is True, but {type(noise_scheduler).__name__} tells no guess of the clean "
            "picture. Use keep_steps=False, or another scheduler."
        )
    return guess
