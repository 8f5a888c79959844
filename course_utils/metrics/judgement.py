"""The table of all measures: numbers, and what they say in words."""

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from torch import Tensor


class Spread(NamedTuple):
    """A measure over several sets.

    Attributes:
        mean: Its mean.
        deviation: The standard deviation from one set to the next: the error bar of one set.
    """

    mean: float
    deviation: float


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        measure: What was measured.
        extractor: The name of the features, with its version; None where pixels were compared.
        drawn: What the drawn pictures got; None where it could not be measured.
        floor: What other real pictures get.
        ceiling: What an untrained network gets, or noise.
        note: Why it could not be measured.
    """

    measure: str
    extractor: str | None
    drawn: Spread | None = None
    floor: Spread | None = None
    ceiling: Spread | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """In words, where the drawn pictures stand between real ones and noise."""
        if self.drawn is None or self.floor is None or self.ceiling is None:
            return self.note
        gap, way = self.drawn.mean - self.floor.mean, self.ceiling.mean - self.floor.mean
        bar = 2 * math.hypot(self.drawn.deviation, self.floor.deviation)
        if abs(gap) <= bar:
            return "as real ones"
        if self.measure == "copy score":  # noise is no end of its scale
            return "copies" if gap > 0 else "nearer to what it never learned"
        if way * gap < 0:
            return "beyond real ones: look for copies, or for too little variety"
        return f"{min(gap / way, 1):.0%} of the way to noise" if way else "off"


@dataclass(frozen=True)
class Judgement:
    """What `judge` found.

    Attributes:
        count: Pictures in each set.
        repeats: How many sets were measured.
        rows: The table.
        samples: Some of the drawn pictures, shape (N, C, H, W), in [-1, 1].
        neighbours: The real picture that is nearest to each, the same shape.
    """

    count: int
    repeats: int
    rows: tuple[Row, ...]
    samples: Tensor
    neighbours: Tensor

    def table(self) -> str:
        """The table as text, no wider than a phone shows when it is turned.

        Returns:
            A line for each measure, the extractors' names above their measures.
        """
        lines = [f"{self.repeats} sets of {self.count} pictures; ± from one set to the next"]
        lines += [f"{'':22}{'drawn':>16}{'real':>16}{'untrained':>11}"]
        above: str | None = ""
        for row in self.rows:
            if row.extractor != above:
                above = row.extractor
                lines.append(f"-- {above or 'compared as pictures'}")
            if row.drawn is None or row.floor is None or row.ceiling is None:
                lines.append(f"{row.measure:22}{row.note}")
                continue
            drawn, floor = (f"{s.mean:.3g} ± {s.deviation:.1g}" for s in (row.drawn, row.floor))
            lines.append(f"{row.measure:22}{drawn:>16}{floor:>16}{row.ceiling.mean:>11.3g}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The numbers in plain values, for a JSON file.

        Returns:
            ``count``, ``repeats``, and for each row its fields and its verdict.
        """
        rows = []
        for row in self.rows:
            spreads = {k: getattr(row, k) for k in ("drawn", "floor", "ceiling")}
            plain = {k: None if s is None else s._asdict() for k, s in spreads.items()}
            rows.append(asdict(row) | plain | {"verdict": row.verdict})
        return {"count": self.count, "repeats": self.repeats, "rows": rows}
