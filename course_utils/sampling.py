"""From noise to pictures: the sampling loop, and the way from a tensor to an image file.

The loop asks three things of a scheduler: ``set_timesteps``, ``timesteps`` and ``step``.
Anything that has them fits, ours and diffusers' alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True)
class Samples:
    """What `sample` made.

    Attributes:
        images: The finished pictures, float32, shape (N, C, H, W), in [-1, 1].
        timesteps: The noise levels visited, from noisy to clean, in [0, T).
        steps: Where asked for, x_t before each of `timesteps` and the end: a list of
            ``len(timesteps) + 1`` tensors of shape (N, C, H, W), not clamped; else empty.
        predictions: Where asked for, the network's guess of x0 at each of `timesteps`.
    """

    images: Tensor
    timesteps: list[int]
    steps: list[Tensor] = field(default_factory=list)
    predictions: list[Tensor] = field(default_factory=list)


def initial_noise(shape: Sequence[int], seeds: Sequence[int]) -> tuple[Tensor, list[Any]]:
    """Pure noise for each picture, from a seed of its own.

    One generator per picture makes a picture depend on its seed alone, not on how many
    others are drawn beside it.

    Args:
        shape: Shape of one picture, (C, H, W).
        seeds: One seed for each of N pictures.

    Returns:
        Standard normal noise of shape (N, C, H, W) on the CPU, and the N generators, ready
        to give the noise of the steps that follow.

    Source:
        The habit of NVlabs/edm2 (arXiv 2312.02696), which samples by one seed per picture.
        Chapter: 1, "Sampling".
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    noise = [torch.randn(tuple(shape), generator=generator) for generator in generators]
    return torch.stack(noise), generators


def _check(model: nn.Module, class_labels: Sequence[int] | None, seeds: Sequence[int]) -> None:
    """Refuse what would fail later with a message that does not name the cause."""
    num_classes = model.config.num_class_embeds
    if len(seeds) == 0:
        raise ValueError("seeds is empty; give one seed for each picture you want.")
    if num_classes is None and class_labels is not None:
        raise ValueError("class_labels were given, but the model was built without classes.")
    if num_classes is None:
        return
    if class_labels is None or len(class_labels) != len(seeds):
        found = "none" if class_labels is None else len(class_labels)
        raise ValueError(f"The model wants one label per picture: {len(seeds)}, not {found}.")
    wrong = [int(label) for label in class_labels if not 0 <= int(label) < num_classes]
    if wrong:
        raise ValueError(f"class_labels holds {wrong[0]}; labels run from 0 to {num_classes - 1}.")


@torch.inference_mode()
def sample(
    model: nn.Module,
    noise_scheduler: Any,
    *,
    seeds: Sequence[int],
    class_labels: Sequence[int] | None = None,
    num_inference_steps: int = 50,
    keep_steps: bool = False,
    progress: bool = True,
) -> Samples:
    """Draw pictures: start at pure noise and let the scheduler walk down the noise levels.

    Args:
        model: A network called as ``model(sample, timestep, class_labels=…).sample``, with
            ``config.in_channels``, ``config.sample_size`` and ``config.num_class_embeds``.
        noise_scheduler: A scheduler with ``set_timesteps``, ``timesteps`` and ``step``.
        seeds: One seed for each of N pictures. A picture depends on its own seed, not on N.
        class_labels: One label for each picture, in [0, num_class_embeds); None for a
            network without classes.
        num_inference_steps: How many noise levels to visit, from 1 to the scheduler's T.
        keep_steps: Whether to keep every x_t and every guess of x0, for a film strip.
        progress: Whether to show a progress bar.

    Returns:
        A `Samples` with ``images`` in [-1, 1], on the CPU.

    Raises:
        ValueError: No seeds; labels missing, too many, out of range, or not wanted; more
            steps than the scheduler has.

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 2; Song et al. 2021, arXiv 2010.02502,
        eq. 12, where the scheduler is DDIM. Chapter: 1, "Sampling".
    """
    _check(model, class_labels, seeds)
    device = next(model.parameters()).device
    height, width = _size(model.config.sample_size)
    x, generators = initial_noise((model.config.in_channels, height, width), seeds)
    x = x.to(device)
    labels = None if class_labels is None else torch.as_tensor(class_labels, device=device)
    noise_scheduler.set_timesteps(num_inference_steps)
    was_training = model.training
    model.eval()
    steps, predictions = [x.cpu()], []
    for t in tqdm(noise_scheduler.timesteps, desc="sampling", disable=not progress):
        model_output = model(x, t, class_labels=labels).sample
        out = noise_scheduler.step(model_output, t, x, generator=generators)
        x = out.prev_sample
        if keep_steps:
            steps.append(x.cpu())
            predictions.append(out.pred_original_sample.cpu())
    model.train(was_training)
    timesteps = [int(t) for t in noise_scheduler.timesteps]
    images = x.float().clamp(-1, 1).cpu()
    return Samples(images, timesteps, steps if keep_steps else [], predictions)


def _size(sample_size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a picture from a network's ``sample_size``."""
    if isinstance(sample_size, int):
        return sample_size, sample_size
    height, width = sample_size
    return height, width


def to_uint8(images: Tensor) -> Tensor:
    """Turn pictures in [-1, 1] into bytes: clamp, scale, round.

    Without the clamp, -1.1 would wrap round to a bright speck; without the rounding, a
    picture made of bytes would not come back as the same bytes.

    Args:
        images: Float pictures of any shape, meant to lie in [-1, 1]; the rest is clamped.

    Returns:
        The same shape as uint8, 0 for -1 and 255 for 1.

    Raises:
        ValueError: `images` is not a float tensor, or holds a NaN.

    Source:
        Ho et al. 2020, arXiv 2006.11239, section 3.3: bytes scaled linearly to [-1, 1].
        Chapter: 1, "Sampling".
    """
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}; this takes floats in [-1, 1].")
    if images.isnan().any():
        raise ValueError("images hold NaN; the network or the scheduler has diverged.")
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_pil(images: Tensor) -> list[Image.Image]:
    """Turn a batch in [-1, 1] into Pillow images.

    Args:
        images: Float pictures of shape (N, C, H, W), C = 1 (grey) or 3 (RGB), in [-1, 1].

    Returns:
        N images of mode ``"L"`` or ``"RGB"`` and size (W, H).

    Raises:
        ValueError: The shape is another, or the values are no floats.

    Source:
        Pillow's ``Image.fromarray``. Chapter: 1, "Sampling".
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"images have shape {tuple(images.shape)}; expected (N, C, H, W) with C = 1 or 3."
        )
    arrays = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(a[..., 0] if a.shape[-1] == 1 else a) for a in arrays]
