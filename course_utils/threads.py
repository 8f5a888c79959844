"""How many threads to calculate with: all, unless other programs keep some of the cores busy.

PyTorch splits every layer among its threads, and those that are done spin until the last one is.
Where another program has one of the cores, all of them wait for the thread that shares it, at
every layer: a step takes many times as long. On fewer threads it hardly notices.
"""

import os
import platform
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PROBE = 0.05
"""Seconds that a number of threads is tried for, long enough for the system to take turns."""

_TURNS = 3
"""How often each number is tried, since others keep a core busy for moments, too."""


_known: dict[str, int] = {}
"""The threads that PyTorch had to begin with, and those that were chosen last."""


def choose_threads() -> int:
    """Try how fast this machine is just now with all threads and with fewer, and take the best.

    Nothing is done where the reader has decided, by ``OMP_NUM_THREADS`` (a number from 1 up) or
    by ``torch.set_num_threads``.

    Returns:
        The number of threads that PyTorch has from now on.
    """
    import torch

    first, _, _ = os.environ.get("OMP_NUM_THREADS", "").partition(",")  # one for each level
    decided = first.strip().isdecimal() and int(first) > 0  # OpenMP passes over what is not
    now = torch.get_num_threads()
    most = _known.setdefault("most", now)
    if not decided and now == _known.setdefault("chosen", now):
        rates = dict.fromkeys(sorted({most, most - 1, most // 2, 1} - {0}, reverse=True), 0.0)
        for number in list(rates) * _TURNS:
            rates[number] += _rate(number)
        # More threads unless fewer are clearly faster: a short look is never exact.
        _known["chosen"] = next(n for n in rates if 1.1 * rates[n] >= max(rates.values()))
        torch.set_num_threads(_known["chosen"])
    return torch.get_num_threads()


def machine() -> str:
    """What this process calculates on, in words.

    Returns:
        The GPU's name, or the kind of processor and how many of its cores are used.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    number = torch.get_num_threads()
    return f"{platform.machine()}, {number} thread{'s' if number > 1 else ''} of {_cores()}"


def _cores() -> int:
    """The cores that this process may use, as PyTorch itself counts: without their twins."""
    import psutil

    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return max(1, min(len(allowed), psutil.cpu_count(logical=False) or len(allowed)))


def _rate(threads: int) -> float:
    """How many small layers are done in a second on a number of threads."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    with torch.inference_mode():
        x, weight = torch.ones(16, 16, 16, 16), torch.full((16, 16, 3, 3), 1 / 144)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < _PROBE:
            x = F.silu(F.conv2d(x, weight, padding=1))
            done += 1
        return done / (time.perf_counter() - started)


class StepWatch:
    """Notices that the steps of a training have become slow, and chooses the threads anew.

    Args:
        choose: What chooses, `choose_threads`.
        clock: Seconds that only run forward.
    """

    LOOK_AGAIN = 20.0
    """Seconds between two choices, so that looking costs next to nothing."""

    def __init__(
        self,
        choose: "Callable[[], int]" = choose_threads,
        clock: "Callable[[], float]" = time.monotonic,
    ) -> None:
        self._choose, self._clock = choose, clock
        self._times: deque[float] = deque(maxlen=7)
        self._best, self._last = float("inf"), clock()
        self._chosen_at = self._last
        choose()

    def after_step(self) -> None:
        """Take the time of a step."""
        now = self._clock()
        self._times.append(now - self._last)
        self._last = now
        if len(self._times) < 7 or now - self._chosen_at < self.LOOK_AGAIN:
            return
        typical = median(self._times)  # a checkpoint or a sample grid between two does not count
        self._best = min(self._best, typical)
        if typical > 1.4 * self._best:  # other programs have come, or have not gone yet
            self._choose()
            self._times.clear()
            self._chosen_at = self._last = self._clock()
