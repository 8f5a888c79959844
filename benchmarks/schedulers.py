"""How long a sampling step takes with our schedulers and with diffusers'.

Both sample from the same noise in one process, a step of ours and a step of theirs in turn: once
behind a network, once with the network taken out. From the repository's root:
``python -m benchmarks.schedulers``.
"""

import inspect
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import diffusers
import torch
from torch import Tensor

from course_utils.sampling import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

STEPS = 50
CLASSES = (
    DDPMScheduler,
    DDIMScheduler,
    HeunDiscreteScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
)
Model = Callable[[Tensor, Tensor], Tensor]


def small_unet() -> Model:
    """The chapters' digit network: 28×28, 160,000 parameters, here with fixed random weights."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 16, 32),
        down_block_types=("DownBlock2D",) * 3,
        up_block_types=("UpBlock2D",) * 3,
        norm_num_groups=1,
    ).eval()
    return lambda sample, t: unet(sample, t).sample


def no_network() -> Model:
    """Answers with the sample itself, at no cost."""
    return lambda sample, t: sample


def timed_steps(scheduler: Any, model: Model, start: Tensor) -> Iterator[float]:
    """Sample, and yield the milliseconds of each step."""
    scheduler.set_timesteps(STEPS)
    if hasattr(scheduler, "set_begin_index"):  # or diffusers takes the second of two equal steps
        scheduler.set_begin_index(0)
    sample, generator = start * scheduler.init_noise_sigma, torch.Generator().manual_seed(0)
    takes = "generator" in inspect.signature(scheduler.step).parameters
    fresh = {"generator": generator} if takes else {}
    for t in scheduler.timesteps:
        begin = time.perf_counter()
        seen = scheduler.scale_model_input(sample, t)
        sample = scheduler.step(model(seen, t), t, sample, **fresh).prev_sample
        yield 1000 * (time.perf_counter() - begin)


@torch.inference_mode()
def compare(ours: Any, theirs: Any, model: Model, shape: tuple[int, ...], runs: int) -> list[float]:
    """Medians of ours, of theirs, and of the ratio of neighbouring steps."""
    start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    pairs = []
    for turn in range(runs + 1):
        mine, other = timed_steps(ours, model, start), timed_steps(theirs, model, start)
        if turn % 2:  # the one that goes second finds warmer caches
            pairs.append(list(zip(mine, other, strict=True)))
        else:
            pairs.append([(a, b) for b, a in zip(other, mine, strict=True)])
    measured = [pair for turn in pairs[1:] for pair in turn]  # the first run warms up
    columns = [*zip(*measured, strict=True), [a / b for a, b in measured]]
    return [statistics.median(column) for column in columns]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread of ", end="")
    print(f"{os.cpu_count()}, {STEPS} steps, ms per step (median)\n")
    print(f"{'scheduler':13}{'network':14}{'batch':18}{'ours':>9}{'diffusers':>11}{'ratio':>8}")
    cases = [
        ("UNet, 160k", small_unet(), (16, 1, 28, 28), 6),
        ("none", no_network(), (1, 1, 28, 28), 40),
        ("none", no_network(), (16, 1, 28, 28), 40),
        ("none", no_network(), (16, 3, 64, 64), 20),
    ]
    for cls in CLASSES:
        for name, model, shape, runs in cases:
            reference = getattr(diffusers, cls.__name__)
            ours, theirs, ratio = compare(cls(), reference(), model, shape, runs)
            size = "×".join(map(str, shape))
            label = cls.__name__.removesuffix("Scheduler").removesuffix("Multistep")
            print(f"{label:13}{name:14}{size:18}{ours:9.3f}{theirs:11.3f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
