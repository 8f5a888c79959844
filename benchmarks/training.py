"""What a training step costs: our trainer and the tutorial's bare loop, precision, batch, width.

The two loops train the same network on the same pictures, a few steps of one and a few of the
other in turn; so do the two precisions. A step's time is that from one batch being asked for to
the next: on a CPU the processor time of the one thread, which other programs disturb least; on a
GPU the time on the clock. The number shown is what the quickest tenth of the steps stay below:
the median of a loop differs by a tenth from one minute to the next on a shared machine.
From the repository's root: ``python -m benchmarks.training``.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from course_utils.data import ImageTensors
from course_utils.training import TrainingConfig, train
from course_utils.training.recipes import Recipe, recipe

clock = time.perf_counter if torch.cuda.is_available() else time.process_time


@dataclass(frozen=True)
class TimedImages(ImageTensors):
    """Pictures that note when a batch is asked for."""

    asked: list[float] = field(default_factory=list)

    def batch(self, rows: Any, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """As in `ImageTensors`."""
        self.asked.append(clock())
        return super().batch(rows, generator)

    def step_times(self) -> list[float]:
        """Milliseconds from batch to batch since the last call, the first step left out."""
        pairs = zip(self.asked[1:-1], self.asked[2:], strict=True)
        times = [1000 * (later - sooner) for sooner, later in pairs]
        self.asked.clear()
        return times


def bare_loop(
    config: TrainingConfig, model: nn.Module, noise_scheduler: Any, data: TimedImages
) -> None:
    """Accelerate, AdamW, cosine, clipping and a mean squared error, as in the tutorial."""
    from accelerate import Accelerator
    from diffusers.optimization import get_cosine_schedule_with_warmup
    from torch.utils.data import DataLoader

    accelerator = Accelerator(mixed_precision=config.mixed_precision)
    loader = DataLoader(range(len(data)), config.batch_size, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    lr_scheduler = get_cosine_schedule_with_warmup(
        optimizer, config.num_warmup_steps, config.num_steps
    )
    model, optimizer, loader, lr_scheduler = accelerator.prepare(
        model, optimizer, loader, lr_scheduler
    )
    model.train()
    for _, rows in zip(range(config.num_steps), loader, strict=False):
        x0, labels = (part.to(accelerator.device) for part in data.batch(rows.cpu()))
        noise = torch.randn_like(x0)
        timesteps = torch.randint(0, 1000, (len(x0),), device=x0.device)
        noisy = noise_scheduler.add_noise(x0, noise, timesteps)
        target = noise_scheduler.get_velocity(x0, noise, timesteps)
        conditional = model.config.num_class_embeds is not None
        prediction = model(noisy, timesteps, labels if conditional else None, return_dict=False)[0]
        loss = nn.functional.mse_loss(prediction, target)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        loss.detach().item()


def our_loop(config: TrainingConfig, model: nn.Module, scheduler: Any, data: TimedImages) -> None:
    """The course's trainer."""
    train(config, model, scheduler, data, progress=False)


Loop = Callable[[TrainingConfig, nn.Module, Any, TimedImages], None]


def timed(loop: Loop, chosen: Recipe, data: TimedImages, steps: int, **changes: Any) -> list[float]:
    """Milliseconds per step of a short run."""
    config = replace(chosen.config, num_steps=steps + 2, num_warmup_steps=1, **changes)
    loop(config, chosen.model(len(data.names)), chosen.noise_scheduler(), data)
    return data.step_times()


def pictures(chosen: Recipe) -> TimedImages:
    """Random bytes in the recipe's shape: what is in a picture does not change its cost."""
    size = chosen.config.image_size
    images = torch.randint(0, 256, (1_000, chosen.channels, size, size), dtype=torch.uint8)
    return TimedImages(images, torch.arange(1_000) % 10, tuple("0123456789"), chosen.flip)


def quick(times: list[float]) -> float:
    """The time that a tenth of the steps stay below: what a step takes undisturbed."""
    return statistics.quantiles(times, n=10)[0]


def in_turn(runs: dict[str, Callable[[], list[float]]], rounds: int) -> dict[str, float]:
    """Milliseconds of each, and the ratio of each later one to the first."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in list(runs)[:: 1 if turn % 2 else -1]:  # the one that goes second is warmer
            times = runs[name]()
            if turn:  # the first round warms up
                found[name] += times
    times = {name: quick(every) for name, every in found.items()}
    first, *others = times
    return times | {f"{name}/{first}": times[name] / times[first] for name in others}


def print_loops() -> None:
    """Our trainer against the bare loop."""
    print("The tutorial's bare loop and our trainer, in turn, ms per step (quick tenth)")
    print(f"{'recipe':13}{'parameters':>11}{'batch':>7}{'bare':>9}{'ours':>9}{'ours/bare':>11}")
    for name, steps, rounds in (("butterflies", 12, 10), ("digits", 12, 10)):
        chosen = recipe(name, "laptop")
        data, count = pictures(chosen), parameters(chosen)
        loops = {"bare": bare_loop, "ours": our_loop}
        runs = {k: lambda f=f: timed(f, chosen, data, steps) for k, f in loops.items()}  # noqa: B023
        found = in_turn(runs, rounds)
        print(f"{name:13}{count:11,}{chosen.config.batch_size:7}", end="")
        print(f"{found['bare']:9.1f}{found['ours']:9.1f}{found['ours/bare']:11.3f}")


def print_precisions(chosen: Recipe, data: TimedImages) -> None:
    """Bf16 against fp32."""
    runs = {
        kind: lambda kind=kind: timed(our_loop, chosen, data, 8, mixed_precision=kind)
        for kind in ("no", "bf16")
    }
    found = in_turn(runs, 4)
    print("\nbutterflies in bf16 and in full precision, in turn, ms per step (quick tenth)")
    print(f"fp32 {found['no']:.1f}   bf16 {found['bf16']:.1f}   ratio {found['bf16/no']:.2f}")


def print_batches(chosen: Recipe, data: TimedImages) -> None:
    """The cost of a picture in batches of different sizes."""
    print("\nbutterflies by batch size")
    print(f"{'batch':>5}{'ms/step':>10}{'pictures/s':>12}")
    for size in (4, 8, 16, 32, 64):
        time_of_step = quick(timed(our_loop, chosen, data, 8, batch_size=size))
        print(f"{size:5}{time_of_step:10.1f}{1000 * size / time_of_step:12.1f}")


def print_widths(chosen: Recipe, data: TimedImages) -> None:
    """The cost of a wider network."""
    print("\nbutterflies by the width of the network, batch 8")
    print(f"{'channels':>15}{'parameters':>12}{'ms/step':>10}{'pictures/s':>12}")
    for width in (16, 32, 64):
        widths = (width, 2 * width, 2 * width)
        network = chosen.network | {"block_out_channels": widths, "norm_num_groups": 16}
        wide = replace(chosen, network=network)
        time_of_step = quick(timed(our_loop, wide, data, 8))
        label = ", ".join(map(str, widths))
        print(f"{label:>15}{parameters(wide):12,}{time_of_step:10.1f}", end="")
        print(f"{8_000 / time_of_step:12.1f}")


def parameters(chosen: Recipe) -> int:
    """How many numbers the recipe's network learns."""
    return sum(p.numel() for p in chosen.model(10).parameters())


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, {device}, ", end="")
    print(f"one thread of {os.cpu_count()}\n")
    print_loops()
    butterflies = recipe("butterflies", "laptop")
    data = pictures(butterflies)
    print_precisions(butterflies, data)
    print_batches(butterflies, data)
    print_widths(butterflies, data)


if __name__ == "__main__":
    main()
