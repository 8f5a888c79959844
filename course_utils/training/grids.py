"""Sample grids: what the network draws at this moment, always from the same noise."""

import copy
import math
from typing import Any

from PIL import Image
from torch import Tensor, nn

from course_utils.sampling import sample, to_pil
from course_utils.training.config import TrainingConfig


def draw_samples(config: TrainingConfig, ema_model: nn.Module, noise_scheduler: Any) -> Tensor:
    """Draw a grid's pictures; the randomness of the training is not touched.

    Picture k has seed k, and in a network with classes label k, counted round. So the grids of
    one run show the same pictures growing up.

    Args:
        config: Its `eval_batch_size`, `eval_inference_steps` and `label_dropout` count.
        ema_model: The network with its averaged weights.
        noise_scheduler: What the network was trained with; only its settings are used.

    Returns:
        Pictures in [-1, 1], shape (eval_batch_size, C, H, W), on the CPU.

    Source:
        crowsonkb/k-diffusion draws its demo grids from a generator of their own.
        Chapter: 04_butterflies.
    """
    count, classes = config.eval_batch_size, ema_model.config.num_class_embeds
    if classes is not None and config.label_dropout > 0:
        classes -= 1  # the last one stands for "no label"
    steps = min(config.eval_inference_steps, noise_scheduler.config.num_train_timesteps)
    return sample(
        ema_model,
        quick_scheduler(noise_scheduler),
        seeds=range(count),
        class_labels=None if classes is None else [k % classes for k in range(count)],
        num_inference_steps=steps,
        progress=False,
    ).images


def quick_scheduler(noise_scheduler: Any) -> Any:
    """DDIM with the noise levels of a scheduler, so that a grid takes tens of steps.

    Args:
        noise_scheduler: Ours or diffusers'. Flow matching is quick already and is copied.

    Returns:
        A new scheduler that starts at the last noise level.

    Source:
        Song et al. 2021, arXiv 2010.02502; trailing steps: arXiv 2305.08891, section 3.3.
        Chapter: 04_butterflies.
    """
    from diffusers import DDIMScheduler

    if noise_scheduler.config.prediction_type == "flow_prediction":
        return copy.deepcopy(noise_scheduler)
    return DDIMScheduler(
        noise_scheduler.config.num_train_timesteps,
        trained_betas=noise_scheduler.betas.tolist(),
        prediction_type=noise_scheduler.config.prediction_type,
        timestep_spacing="trailing",
    )


def image_grid(images: Tensor) -> Image.Image:
    """Lay pictures out in a square grid, edge to edge.

    Args:
        images: In [-1, 1], shape (N, C, H, W).

    Returns:
        One image, ceil(√N) pictures wide; places that are left over are black.

    Source:
        The course's own. Chapter: 04_butterflies.
    """
    pictures = to_pil(images)
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    grid = Image.new(pictures[0].mode, (columns * width, rows * height))
    for k, picture in enumerate(pictures):
        grid.paste(picture, (k % columns * width, k // columns * height))
    return grid
