"""Petals: their outlines, and how a ring of them is laid about the middle of a bloom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from course_utils.data.drawing._canvas import Canvas
from course_utils.data.drawing._shapes import (
    GOLDEN_ANGLE,
    Dice,
    direction,
    mix,
    smooth,
    stroke,
    turn,
)

_STEPS = 4  # points on a petal's outline from one corner to the next
_TIP = 5 * _STEPS  # where on the outline a petal ends


@dataclass(frozen=True)
class Bloom:
    """Where a flower's head is, how large, how far turned, and how flat it is seen."""

    centre: tuple[float, float]
    radius: float
    angle: float
    flat: float

    def turned(self, degrees: float) -> "Bloom":
        """Return the same bloom turned further."""
        return replace(self, angle=self.angle + degrees)

    def place(self, outlines: np.ndarray) -> np.ndarray:
        """Move outlines about ``(0, 0)``, with radius 1, to where the bloom is."""
        turned = turn(outlines, self.angle)
        return turned * (self.radius, self.radius * self.flat) + self.centre


def petal(
    dice: Dice, width: float, point: float = 0.0, notch: float = 0.0, ruffle: float = 0.0
) -> np.ndarray:
    """Return a petal that grows from ``(0, 0)`` up to about ``(0, -1)``, shape ``(44, 2)``.

    Args:
        dice: Chance, for the little that differs from flower to flower.
        width: Of the whole petal.
        point: From -0.2 (broad at the end) over 0 (round) to 1 (pointed).
        notch: How deep the end is cut in.
        ruffle: How much the rim waves.
    """
    wide = width * dice.between(0.92, 1.08) / 2
    shoulder, top = 0.86 - 0.5 * point, -1.0 - 0.06 * max(point, 0.0)
    half = [
        (0.1, 0.0),
        (0.6 + 0.1 * point, -0.3),
        (1.0 - 0.06 * point, -0.58),
        (shoulder, -0.84),
        (shoulder * 0.45, -0.97 + 0.04 * point),
    ]
    corners = np.array([*half, (0.0, top + notch), *[(-x, y) for x, y in half[::-1]]])
    outline = smooth(corners * (wide, 1.0), _STEPS)
    wave = (np.arange(len(outline)) % _STEPS) * 2 / _STEPS - 1
    return outline * (1 - ruffle * wave * wave)[:, None]


def lay_ring(
    canvas: Canvas,
    dice: Dice,
    bloom: Bloom,
    shape: np.ndarray,
    count: int,
    light: np.ndarray,
    dark: np.ndarray,
    waves: int = 2,
    rib: bool = False,
    angles: Sequence[float] | None = None,
) -> None:
    """Lay petals about the middle, each over its neighbour, dark at the heart.

    Args:
        canvas: What is painted on.
        dice: Chance, for petals that are not quite alike.
        bloom: Where the ring is laid.
        shape: One petal, shape ``(V, 2)``.
        count: How many petals.
        light: Colour of the petals' ends.
        dark: Colour near the middle and of the edges.
        waves: In how many goes; petals of one go don't overlap.
        rib: Whether a pale line runs down each petal.
        angles: Where the petals point, instead of ``count`` at even steps.
    """
    if angles is None:
        angles = [360 * k / count for k in range(count)]
    petals = turn(shape, np.array(angles) + dice.spread(len(angles), 40 / max(len(angles), 8)))
    petals = petals * (1 + dice.spread(len(angles), 0.05))[:, None, None]
    reach = bloom.radius * float(np.sqrt((shape * shape).sum(axis=1).max()))
    shade = np.minimum(canvas.distance(*bloom.centre, 1 / bloom.flat) / (0.85 * reach), 1.0)
    colour = mix(mix(dark, light, 0.25), light, shade)
    for start in range(min(waves, len(angles))):
        part = petals[start::waves]
        canvas.fill(bloom.place(part * 1.015), mix(dark, light, 0.12), 0.85)
        canvas.fill(bloom.place(_slim(part)), colour)
        if rib:
            line = part[:, [0, 0]] * 0.3 + part[:, [_TIP, _TIP]] * [[[0.1], [0.75]]]
            canvas.fill(bloom.place(stroke(line, np.array([0.07, 0.01]))), mix(light, dark, 0.45))


def _slim(petals: np.ndarray) -> np.ndarray:
    """Return petals a little smaller about their own middles, so that an edge shows."""
    middle = np.round(petals.mean(axis=1, keepdims=True), 6)
    return middle + (petals - middle) * 0.93


def dot_pattern(count: int) -> np.ndarray:
    """Return the seeds of a flower head in the unit circle, shape ``(count, 2)``."""
    steps = np.arange(count) + 0.5
    cosine, sine = direction(steps * GOLDEN_ANGLE)
    return np.stack([cosine, sine], axis=-1) * np.sqrt(steps / count)[:, None]
