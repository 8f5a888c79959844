"""What has proved itself: settings and networks for pictures of some size, whatever they show."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from course_utils.data.fit import told_size
from course_utils.data.tensors import ImageTensors
from course_utils.training.config import TrainingConfig
from course_utils.training.recipes import plain_blocks

WIDTHS = (16, 24, 32, 48, 64, 96, 128)
"""Channels at the full size that a network may have; the levels below have two and three times
as many."""

USUAL = 32
"""The width that has proved itself for 32 pixels, on two cores, in a quarter of an hour."""

FEW, MANY = 1_500, 4_000
"""Where fewer updates fit in, the network becomes narrower; wider only while so many fit in."""

_LOWEST = 14
"""Pixels that the shorter side of the lowest level may have."""

GRIDS = 8
"""Sample grids, and checkpoints, on the way."""


def proven_settings(
    data: ImageTensors, minutes: float | None, given: Mapping[str, Any]
) -> TrainingConfig:
    """What has proved itself for pictures of this size, and what is given.

    Args:
        data: The pictures.
        minutes: What the run may take, or None.
        given: Settings that are to be these.

    Returns:
        Settings in which `spread` has still to be done.

    Source:
        Batch, rate, AdamW's second average, averaged weights with a warm start and dropped labels
        as in ``benchmarks/recipes.py``; a GPU has more cores than 16 small pictures can fill. The
        path and the levels that are best there were tried on two drawn sets only: not used here.
    """
    height, width = data.images.shape[2:]
    gpu = torch.cuda.is_available()
    few = 2 ** round(math.log2(16 * 32 / math.sqrt(height * width)))  # 16 of 32 pixels, 32 of 16
    chosen: dict[str, Any] = {
        "image_size": height if height == width else (height, width),
        "batch_size": 64 if gpu else min(64, max(8, few)),
        "num_warmup_steps": 0,
        "learning_rate": 2e-3,
        "adam_beta2": 0.99,
        "ema_decay": 0.9995,
        "label_dropout": 0.1 if len(data.names) > 1 else 0.0,
        "mixed_precision": "bf16" if gpu and torch.cuda.is_bf16_supported() else "no",
        "eval_inference_steps": 25,
    }
    return TrainingConfig(**(chosen | {"minutes": minutes} | dict(given)))


def spread(config: TrainingConfig, given: Mapping[str, Any]) -> TrainingConfig:
    """Put warm-up, grids and checkpoints where a run of this length wants them.

    Args:
        config: The settings, with the number of updates.
        given: Settings that are to be as they are.

    Returns:
        The settings.
    """
    each = max(1, config.num_steps // GRIDS)
    wanted: dict[str, Any] = {
        "num_warmup_steps": min(100, config.num_steps // 10),
        "save_image_steps": each,
        "save_model_steps": each,
    }
    return replace(config, **{k: v for k, v in wanted.items() if k not in given})


def proven_network(height: int, width: int, channels: int) -> dict[str, Any]:
    """Plain blocks on as many levels as a size has, the lowest of 4 to 7 pixels if it can be.

    Args:
        height: Of the pictures, in pixels.
        width: Likewise.
        channels: Channels at the full size, a multiple of 8.

    Returns:
        Arguments of ``UNet2DModel``.

    Raises:
        ValueError: The size cannot be halved often enough, and another one is named.
    """
    halvings = _halvings(height, width)
    least = min(height, width) >> halvings
    if least > _LOWEST:
        near, step = (height, width), 1
        while min(near) / step > _LOWEST:
            step *= 2
            near = _multiple(height, step), _multiple(width, step)
        what, take = f"A side of {height}", f"a multiple of {step}"
        still = f"halved as often as it can be, it is still {least}"
        if height != width:
            what, take = f"A size of {told_size((height, width))}", f"multiples of {step}"
            still = f"halved as often as both sides can be, its shorter one is still {least}"
        raise ValueError(
            f"{what} pixels cannot be: {still}, too many for a network to see the whole. Take "
            f"{take}, such as {told_size(near)}."
        )
    widths = tuple(channels * min(k, 3) for k in range(1, halvings + 2))
    return plain_blocks(widths, 1, groups=8)


def _halvings(height: int, width: int) -> int:
    """How often a size can be halved until its shorter side has 4 to 7 pixels, or is odd."""
    count = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 8:
        height, width, count = height // 2, width // 2, count + 1
    return count


def _multiple(side: int, step: int) -> int:
    """The multiple of a step that is nearest to a side, once the step at least."""
    return max(1, round(side / step)) * step
