"""From noise to pictures: the sampling loop, for schedulers of ours and of diffusers."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.models.base import Denoiser, dtype_of, height_and_width
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.guidance import check_guidance, guided_answer
from course_utils.validate import check_whole


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


def initial_noise(
    shape: Sequence[int], seeds: Sequence[int]
) -> tuple[Tensor, list[torch.Generator]]:
    """Pure noise for each picture, from a seed of its own.

    One generator per picture makes a picture depend on its seed alone, not on how many
    others are drawn beside it.

    Args:
        shape: Shape of one picture, (C, H, W).
        seeds: One seed for each of N pictures.

    Returns:
        Standard normal noise of shape (N, C, H, W) on the CPU, and the N generators, ready
        to give the noise of the steps that follow.

    Example:
        >>> from course_utils.sampling import initial_noise
        >>> noise, generators = initial_noise((3, 16, 16), seeds=[0, 1])
        >>> alone, _ = initial_noise((3, 16, 16), seeds=[1])
        >>> noise.shape, bool((noise[1] == alone[0]).all())
        (torch.Size([2, 3, 16, 16]), True)

    Source:
        The habit of NVlabs/edm2 (arXiv 2312.02696), which samples by one seed per picture.

    Chapter: 1, "Sampling".
    """
    generators = [torch.Generator().manual_seed(_seed(seed)) for seed in seeds]
    noise = [torch.randn(tuple(shape), generator=generator) for generator in generators]
    return torch.stack(noise), generators


def _seed(seed: Any) -> int:
    """One of the seeds, as a number that a generator takes."""
    number = check_whole("a seed", seed)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"a seed is {number}; use whole numbers from 0 up to 2**64 - 1.")
    return number


def _check(model: Denoiser, class_labels: Sequence[int] | None, seeds: Sequence[int]) -> None:
    """Refuse what would fail later with a message that does not name the cause."""
    num_classes = model.config.num_class_embeds
    for name, given in (("seeds", seeds), ("class_labels", class_labels)):
        if given is not None and not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
            raise TypeError(f"{name} is {given!r}; give a list with one for each picture.")
    if len(seeds) == 0:
        raise ValueError("seeds is empty; give one seed for each picture you want.")
    if num_classes is None and class_labels is not None:
        raise ValueError("class_labels were given, but the model was built without classes.")
    if num_classes is None:
        return
    if class_labels is None or len(class_labels) != len(seeds):
        found = "none" if class_labels is None else len(class_labels)
        raise ValueError(f"The model wants one label per picture: {len(seeds)}, not {found}.")
    numbers = [check_whole("a label in class_labels", label) for label in class_labels]
    wrong = [label for label in numbers if not 0 <= label < num_classes]
    if wrong:
        raise ValueError(f"class_labels holds {wrong[0]}; labels run from 0 to {num_classes - 1}.")


@torch.inference_mode()
def sample(
    model: Denoiser,
    noise_scheduler: SamplingScheduler,
    *,
    seeds: Sequence[int],
    class_labels: Sequence[int] | None = None,
    num_inference_steps: int = 50,
    guidance_scale: float = 1.0,
    no_label: int | None = None,
    keep_steps: bool = False,
    progress: bool = True,
) -> Samples:
    """Draw pictures: start at pure noise and let the scheduler walk down the noise levels.

    Args:
        model: A network called as ``model(sample, timestep, class_labels=…).sample``, with
            ``config.in_channels``, ``config.sample_size`` and ``config.num_class_embeds``. It may
            be in half precision; the steps between its calls are made in float32 all the same.
        noise_scheduler: A scheduler with ``set_timesteps``, ``timesteps`` and ``step``.
        seeds: One seed for each of N pictures. A picture depends on its own seed, not on N.
        class_labels: One label for each picture, in [0, num_class_embeds); None for a
            network without classes.
        num_inference_steps: How many noise levels to visit, from 1 to the scheduler's T.
        guidance_scale: How much the labels count, from 0; 1 for the network as it is. Any other
            value asks it twice at each level, with the label and without.
        no_label: The label that stands for "no label"; only guidance wants it.
        keep_steps: Whether to keep every x_t and every guess of x0, for a film strip.
        progress: Whether to show a progress bar.

    Returns:
        A `Samples` with ``images`` in [-1, 1], on the CPU.

    Raises:
        TypeError: A seed, a label or the number of steps is not a whole number.
        ValueError: No seeds; labels missing, too many, out of range, or not wanted; more
            steps than the scheduler has; a guidance that cannot be.

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
    _check(model, class_labels, seeds)
    check_guidance(model, guidance_scale, no_label)
    device = next(model.parameters()).device
    height, width = height_and_width(model.config.sample_size)
    noise, generators = initial_noise((model.config.in_channels, height, width), seeds)
    labels = None if class_labels is None else torch.tensor([*map(int, class_labels)]).to(device)
    noise_scheduler.set_timesteps(num_inference_steps)
    # Schedulers that count in sigma start from stronger noise, and show the network less of it.
    dtype = dtype_of(model)
    x = noise.to(device, torch.promote_types(dtype, torch.float32))  # steps need it
    x = x * getattr(noise_scheduler, "init_noise_sigma", 1.0)
    shown = getattr(noise_scheduler, "scale_model_input", lambda sample, timestep: sample)
    fresh = _takes_generators(noise_scheduler, generators)
    steps, predictions = [x.cpu()], []
    with _evaluating(model):
        for t in tqdm(noise_scheduler.timesteps, desc="sampling", disable=not progress):
            seen = shown(x, t).to(dtype)
            model_output = guided_answer(model, seen, t, labels, guidance_scale, no_label)
            out = noise_scheduler.step(model_output.to(x.dtype), t, x, **fresh)
            x = out.prev_sample
            if keep_steps:
                steps.append(x.cpu())
                predictions.append(_guess_of(out, noise_scheduler).cpu())
    images = x.float().clamp(-1, 1).cpu()
    timesteps = noise_scheduler.timesteps.tolist()
    return Samples(images, timesteps, steps if keep_steps else [], predictions)


@contextmanager
def _evaluating(model: Denoiser) -> Iterator[None]:
    """A network in evaluation mode; afterwards, failed or not, it is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _takes_generators(noise_scheduler: SamplingScheduler, generators: list[Any]) -> dict[str, Any]:
    """The generators, for a scheduler that adds fresh noise; others have no place for them."""
    takes = "generator" in inspect.signature(noise_scheduler.step).parameters
    return {"generator": generators} if takes else {}


def _guess_of(out: Any, noise_scheduler: SamplingScheduler) -> Tensor:
    """The guess of x0 that a step was made by."""
    guess = getattr(out, "pred_original_sample", None)
    if guess is None:
        raise ValueError(
            f"keep_steps is True, but {type(noise_scheduler).__name__} tells no guess of the clean "
            "picture. Use keep_steps=False, or another scheduler."
        )
    return guess
