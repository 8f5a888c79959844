"""Ctrl-C and SIGTERM: the update in hand ends, a checkpoint is written, and then the run stops."""

import signal
import threading
from types import FrameType
from typing import Any

import torch

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
]  # the last one is Windows' Ctrl-Break


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop and did; the message says how it goes on.

    Args:
        message: What was kept, and how to go on.
        number: The signal.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class StopSignals:
    """Notes, while it is entered, that the run is to stop.

    A second Ctrl-C stops at once. Signals can be caught in the main thread only; in any other,
    this does nothing. Afterwards all signals do what they did before.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before not in (None, signal.SIG_IGN):  # as under nohup
                    self._before[number] = before
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, _: FrameType | None) -> None:
        """Remember the signal; one that comes again is obeyed at once."""
        again = self.number == number
        self.number = number
        # Launchers pass a signal on that the terminal has sent already: to many, none is a repeat.
        if again and not torch.distributed.is_initialized():
            raise Interrupted("Stopped at once: nothing more was kept.", number)

    def agreed(self, accelerator: Any) -> int:
        """The signal that any of the processes has got, so that all stop after the same update.

        Args:
            accelerator: Accelerate's `Accelerator`.

        Returns:
            The signal's number, 0 for none.
        """
        if accelerator.num_processes == 1:
            return self.number
        mine = torch.tensor([self.number], device=accelerator.device)
        return int(accelerator.gather(mine).max())
