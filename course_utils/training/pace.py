"""How far along a run is, in updates; and how many of them fit into the minutes it may take.

The learning rate climbs, and then falls along half a cosine to the last update. A run of so many
updates knows where that is. A run of so many minutes finds out: it takes the time of each update,
and where the machine is quicker or slower than was thought, it moves the last update and walks
the rest of the cosine faster or slower, so that the rate still reaches zero in time.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

_WARM = 3
"""Updates that are not timed: the first ones allocate, and choose their kernels."""

_SLACK = 0.03
"""By which share of what is left a plan may be off before it is changed."""


@dataclass
class Pace:
    """Where on its way each update of a run is.

    Attributes:
        num_warmup_steps: Updates over which the rate climbs.
        num_steps: Updates in all, as far as is known.
        places: Updates with the share of the cosine that is behind them, in [0, 1], in rising
            order. Between two of them it grows evenly. All that a repetition must know.
    """

    num_warmup_steps: int
    num_steps: int
    places: list[tuple[int, float]]

    @classmethod
    def of(cls, num_warmup_steps: int, num_steps: int) -> "Pace":
        """The pace of a run whose length is known: evenly from the warm-up to the end.

        Args:
            num_warmup_steps: Updates over which the rate climbs.
            num_steps: Updates in all.

        Returns:
            The pace.
        """
        end = max(num_steps, num_warmup_steps + 1)
        return cls(num_warmup_steps, num_steps, [(num_warmup_steps, 0.0), (end, 1.0)])

    @classmethod
    def kept(cls, about: dict[str, Any]) -> "Pace":
        """The pace that a checkpoint has kept.

        Args:
            about: What `as_dict` gave, as JSON gives it back.

        Returns:
            The pace.
        """
        places = [(int(step), float(share)) for step, share in about["places"]]
        return cls(about["num_warmup_steps"], about["num_steps"], places)

    def as_dict(self) -> dict[str, Any]:
        """The pace in plain values.

        Returns:
            Its attributes by name.
        """
        return asdict(self)

    def progress(self, step: int) -> float:
        """The share of the cosine that is behind an update.

        Args:
            step: Its number, from 0.

        Returns:
            A number in [0, 1].
        """
        for (first, low), (last, high) in zip(self.places, self.places[1:], strict=False):
            if step < last:
                return low + (step - first) / (last - first) * (high - low)
        return 1.0

    def rate(self, step: int) -> float:
        """The learning rate of an update, as a share of the peak.

        Args:
            step: Its number, from 0.

        Returns:
            A number in [0, 1].

        Source:
            ``diffusers.optimization.get_cosine_schedule_with_warmup``, which this equals for a
            run of so many updates; the cosine is eq. 5 of arXiv 1608.03983.
        """
        if step < self.num_warmup_steps:
            return step / max(1, self.num_warmup_steps)
        return max(0.0, 0.5 * (1.0 + math.cos(math.pi * self.progress(step))))

    def end_at(self, num_steps: int, step: int) -> None:
        """Move the last update, and go along the rest of the cosine to there.

        Args:
            num_steps: Updates in all, more than `step`.
            step: How many updates have been made. What is behind them stays as it was.
        """
        if num_steps == self.num_steps:
            return
        if step <= self.num_warmup_steps:
            self.places = Pace.of(self.num_warmup_steps, num_steps).places
        else:
            behind = [place for place in self.places if place[0] < step]
            self.places = [*behind, (step, self.progress(step)), (num_steps, 1.0)]
        self.num_steps = num_steps


class Timekeeper:
    """Fits the updates of a run into the time that was promised.

    Args:
        minutes: What the whole run may take; None for as long as it takes.
        spent: Seconds of that that are gone already, or wanted for something else.
        clock: Seconds that only run forward.
    """

    def __init__(
        self,
        minutes: float | None,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = math.inf if minutes is None else 60 * minutes
        self.spent, self._clock = spent, clock
        self._began = self._last = clock()
        self._updates: deque[float] = deque()
        self._made, self._aside = 0, 0.0

    def left(self) -> float:
        """What is left of the time.

        Returns:
            Seconds, below 0 where it is over, without end where nothing was promised.
        """
        return self.seconds - self.spent - (self._clock() - self._began)

    def begin_update(self) -> None:
        """Note that an update begins; what was since the last one is time aside."""
        now = self._clock()
        if self._made > _WARM:
            self._aside += now - self._last
        self._last = now

    def end_update(self) -> None:
        """Note that an update has been made."""
        now = self._clock()
        self._made += 1
        if self._made > _WARM:
            self._updates.append(now - self._last)
        while len(self._updates) > max(20, self._made // 4):
            self._updates.popleft()  # the machine may have been another one then
        self._last = now

    def fits(self, pace: Pace, step: int) -> int:
        """How many updates the run should have in all.

        An update takes what the last quarter of them took. Time aside, for checkpoints and
        sample grids, is spread over all.

        Args:
            pace: The plan until now.
            step: How many updates have been made.

        Returns:
            The plan's own number where it is good enough, or not enough is known yet; at least
            one more than have been made.
        """
        if not self._updates or self.seconds == math.inf:
            return pace.num_steps
        each = sum(self._updates) / len(self._updates) + self._aside / (self._made - _WARM)
        wanted = step + max(1, int(self.left() / each))
        off, rest = abs(wanted - pace.num_steps), pace.num_steps - step
        return wanted if off > max(1, _SLACK * rest) else pace.num_steps
