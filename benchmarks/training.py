"""What a training step costs: our trainer and the tutorial's bare loop, precision, batch, width.

The two loops train the same network on the same pictures, one step of one, one step of the other,
since a shared machine is a tenth faster or slower from one minute to the next. A step's time is
that from one batch being asked for to the next: on a CPU the processor time of its one thread,
on a GPU the time on the clock. From the repository's root: ``python -m benchmarks.training``.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Condition, Thread
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from course_utils.data import ImageTensors
from course_utils.training import Recipe, TrainingConfig, recipe, train

clock = time.perf_counter if torch.cuda.is_available() else time.thread_time


class Turns:
    """Lets several loops, each in a thread of its own, go one step at a time, one after another."""

    def __init__(self, count: int) -> None:
        self.count, self.turn, self.changed = count, 0, Condition()

    def wait_for(self, place: int) -> None:
        """Go on when all others have had their turn."""
        with self.changed:
            self.changed.wait_for(lambda: self.turn % self.count == place)

    def pass_on(self) -> None:
        """Let the next one go."""
        with self.changed:
            self.turn += 1
            self.changed.notify_all()


@dataclass(frozen=True)
class TimedImages(ImageTensors):
    """Pictures that time what happens from one batch to the next, and then pass the turn on."""

    turns: Turns = field(default_factory=lambda: Turns(1))
    place: int = 0
    marks: list[float] = field(default_factory=list)

    def batch(self, rows: Any, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """As in `ImageTensors`."""
        self.marks.append(clock())  # a step ends here
        self.turns.pass_on()
        self.turns.wait_for(self.place)
        self.marks.append(clock())  # and the next one begins
        return super().batch(rows, generator)

    def step_times(self) -> list[float]:
        """Milliseconds of each step but the first two, which warm up."""
        pairs = zip(self.marks[1::2], self.marks[2::2], strict=False)
        return [1000 * (end - begin) for begin, end in pairs][2:]


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


def in_turn(
    loops: list[Loop], chosen: Recipe, data: ImageTensors, steps: int, **changes: Any
) -> list[list[float]]:
    """Milliseconds of each step of each loop, which go step by step beside one another."""
    turns = Turns(len(loops))
    config = replace(chosen.config, num_steps=steps + 3, num_warmup_steps=1, **changes)
    found = [
        TimedImages(data.images, data.labels, data.names, data.flip, turns, place)
        for place in range(len(loops))
    ]

    def go(loop: Loop, images: TimedImages) -> None:
        torch.set_num_threads(1)  # holds for the thread that says it
        turns.wait_for(images.place)
        try:
            loop(config, chosen.model(len(data.names)), chosen.noise_scheduler(), images)
        finally:
            turns.pass_on()

    threads = [Thread(target=go, args=pair) for pair in zip(loops, found, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [images.step_times() for images in found]


def step_time(chosen: Recipe, data: ImageTensors, **changes: Any) -> float:
    """Milliseconds of a step of our trainer, the median of some."""
    return statistics.median(in_turn([our_loop], chosen, data, 8, **changes)[0])


def pictures(chosen: Recipe) -> ImageTensors:
    """Random bytes in the recipe's shape: what is in a picture does not change its cost."""
    size, count = chosen.config.image_size, 64 * chosen.config.batch_size
    images = torch.randint(0, 256, (count, chosen.channels, size, size), dtype=torch.uint8)
    return ImageTensors(images, torch.arange(count) % 10, tuple("0123456789"), chosen.flip)


def print_loops() -> None:
    """Our trainer against the bare loop; the ratio is that of each step to its neighbour."""
    print("The tutorial's bare loop and our trainer, step by step in turn, medians")
    print(f"{'recipe':13}{'parameters':>11}{'batch':>7}", end="")
    print(f"{'bare, ms':>10}{'ours, ms':>10}{'ours/bare':>11}")
    for name in ("butterflies", "digits"):
        chosen = recipe(name, "laptop")
        bare, ours = in_turn([bare_loop, our_loop], chosen, pictures(chosen), steps=60)
        ratio = statistics.median(b / a for a, b in zip(bare, ours, strict=True))
        print(f"{name:13}{parameters(chosen):11,}{chosen.config.batch_size:7}", end="")
        print(f"{statistics.median(bare):10.1f}{statistics.median(ours):10.1f}{ratio:11.3f}")


def print_precisions(chosen: Recipe, data: ImageTensors) -> None:
    """Bf16 against fp32."""
    full, half = (step_time(chosen, data, mixed_precision=kind) for kind in ("no", "bf16"))
    print("\nbutterflies in full precision and in bf16")
    print(f"fp32 {full:.1f} ms   bf16 {half:.1f} ms   ratio {half / full:.2f}")


def print_batches(chosen: Recipe, data: ImageTensors) -> None:
    """The cost of a picture in batches of different sizes."""
    print("\nbutterflies by batch size")
    print(f"{'batch':>5}{'ms/step':>10}{'pictures/s':>12}")
    for size in (4, 8, 16, 32, 64):
        time_of_step = step_time(chosen, data, batch_size=size)
        print(f"{size:5}{time_of_step:10.1f}{1000 * size / time_of_step:12.1f}")


def print_widths(chosen: Recipe, data: ImageTensors) -> None:
    """The cost of a wider network."""
    print("\nbutterflies by the width of the network, batch 8")
    print(f"{'channels':>19}{'parameters':>12}{'ms/step':>10}{'pictures/s':>12}")
    for width in (16, 32, 64):
        widths = (width, 2 * width, 4 * width, 4 * width)
        network = chosen.network | {"block_out_channels": widths}
        wide = replace(chosen, network=network)
        time_of_step = step_time(wide, data)
        label = ", ".join(map(str, widths))
        print(f"{label:>19}{parameters(wide):12,}{time_of_step:10.1f}", end="")
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
