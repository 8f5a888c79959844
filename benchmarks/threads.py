"""What another busy program costs a training, by the number of threads and how they wait.

The same steps in processes of their own, on an idle machine and beside a program that keeps one
core busy. "The course" is what `course_utils.threads` chooses. Nothing else may run meanwhile.
From the repository's root: ``python -m benchmarks.threads``.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from course_utils.data import ImageTensors
from course_utils.training import recipe, train

WAYS = {
    "PyTorch by itself": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "all, waiting asleep": {"OMP_WAIT_POLICY": "passive"},
    "all, spinning briefly": {"GOMP_SPINCOUNT": "1000"},
    "the course": {},
}
"""What is tried, and the variables that are set for it."""

SECONDS, TURNS = 8.0, 3


class Clocked(ImageTensors):
    """Pictures that note when each batch was asked for."""

    def batch(self, rows, generator=None):  # noqa: ANN001, ANN201
        """As in `ImageTensors`."""
        MARKS.append(time.perf_counter())
        if MARKS[-1] - MARKS[0] > SECONDS:
            raise TimeoutError
        return super().batch(rows, generator)


MARKS: list[float] = []


def measure(way: str) -> float:
    """Milliseconds of a step of chapter 4's training, the mean of some seconds."""
    import course_utils.training.loop as loop

    if way != "the course":
        loop.StepWatch = lambda: None
    chosen = recipe("butterflies", "laptop")
    images = torch.randint(0, 256, (512, 3, 32, 32), dtype=torch.uint8)
    data = Clocked(images, torch.arange(512) % 10, tuple("0123456789"))
    with suppress(TimeoutError):
        train(chosen.config, chosen.model(), chosen.noise_scheduler(), data, progress=False)
    return 1000 * (MARKS[-1] - MARKS[3]) / (len(MARKS) - 4)


@contextmanager
def busy_core() -> Iterator[None]:
    """Another program that never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def in_a_process(way: str) -> float:
    """Measure a way in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-m", "benchmarks.threads", way]
    done = subprocess.run(command, env=kept | WAYS[way], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__}, {os.cpu_count()} cores; a training step of chapter 4,")
    print(f"in ms: median of {TURNS} runs of {SECONDS:.0f} s, and the slowest of them\n")
    found: dict[str, dict[str, list[float]]] = {way: {"idle": [], "busy": []} for way in WAYS}
    for way in list(WAYS) * TURNS:
        found[way]["idle"].append(in_a_process(way))
        with busy_core():
            found[way]["busy"].append(in_a_process(way))
    best = statistics.median(found["PyTorch by itself"]["idle"])
    print(f"{'':24}{'idle':>8}{'slowest':>9}{'one core busy':>16}{'slowest':>9}", end="")
    print(f"{'busy/idle':>12}{'idle/best':>12}")
    for way, times in found.items():
        idle, busy = (statistics.median(times[kind]) for kind in ("idle", "busy"))
        print(f"{way:24}{idle:8.0f}{max(times['idle']):9.0f}{busy:16.0f}", end="")
        print(f"{max(times['busy']):9.0f}{busy / best:12.2f}{idle / best:12.2f}")


if __name__ == "__main__":
    print(measure(sys.argv[1])) if len(sys.argv) == 2 else main()
