"""Handwritten digits, white ink on black: chapters 1 and 2 learn from some that people wrote.

A digit is a hand's strokes (`_skeletons`), bent by chance as a whole and point by point, and
written by a round pen whose width follows the pressure.
"""

import math

import numpy as np

from course_utils.data.drawing._shapes import Dice, smooth
from course_utils.data.drawing._skeletons import HANDS, read

DIGITS = tuple(HANDS)
"""The names of the ten digits."""

_BOX = 20 / 28  # MNIST scales the longer side of a digit to this part of the picture
_STEPS = 6  # points on a curve from one point of the skeleton to the next
_AT_ONCE = 32_000  # distances worked out together, which stay in the cache of a processor


def draw_digit(kind: str, seed: int, size: int) -> np.ndarray:
    """Draw one digit, scaled and centred as MNIST's are.

    The longer side of the ink is 20/28 of the picture, and its centre of mass in the middle.

    Args:
        kind: One of ``DIGITS``.
        seed: Any whole number: which picture of that digit.
        size: Height and width in pixels, 8 or more.

    Returns:
        uint8 array of shape ``(size, size)``, 0 where there is no ink.

    Chapter: the page "The pictures", "How is one made?".
    """
    dice = Dice("digits", kind, seed)
    lines = _write(dice, kind)
    segments = _place(dice, _segments(lines, _press(dice, kind, lines)))
    soft, ink = dice.between(0.026, 0.05), dice.between(1.0, 1.4)
    light = np.minimum(_cover(segments, size, soft) * ink, 1.0)
    return np.floor(light * 255 + 0.5).astype(np.uint8)


def _near(dice: Dice, amount: float) -> float:
    """Return a number within ``amount`` of 0, most often close to it."""
    return amount * (dice.between(-1, 1) + dice.between(-1, 1) + dice.between(-1, 1)) / 3


def _write(dice: Dice, kind: str) -> list[np.ndarray]:
    """Return the lines that the pen follows, each of shape ``(N, 2)``."""
    hands = HANDS[kind]
    hand = dice.pick([hand for hand, often in hands.items() for _ in range(often)])
    hasty = dice.chance(0.2) and kind != "4"  # a four with round corners is a nine
    bending = _bending(dice, kind)
    return [_stroke(dice, pieces, bending) for pieces in read(hand, hasty)]


def _bending(dice: Dice, kind: str) -> tuple[float, ...]:
    """Throw how a digit as a whole differs from its skeleton."""
    slant, wide = 0.11 + _near(dice, 0.85), 0.98 + _near(dice, 0.45)
    slant += {"0": 0.08, "1": dice.between(-0.1, 0.4), "4": 0.12}.get(kind, 0.0)
    wide += dice.between(0.0, 0.4) * dice.between(0.0, 1.0)
    rise, taper, bow = _near(dice, 0.4), _near(dice, 0.8), _near(dice, 0.3)
    waist, middle = _near(dice, 0.45), _near(dice, 0.25)
    if kind == "0":
        wide *= 1.1
    if kind == "1":
        rise, taper, bow = 0.0, 0.0, 0.5 * bow
    return slant, wide, rise, taper, bow, waist, middle


def _bend(points: np.ndarray, bending: tuple[float, ...]) -> np.ndarray:
    """Bend a skeleton as a whole: the same for all its points."""
    slant, wide, rise, taper, bow, waist, middle = bending
    x, y = (points[:, 0] - 0.3) * wide, points[:, 1]
    x = x + middle * (0.09 - x * x)
    y = y + waist * y * (1.0 - y)
    up = y - 0.5
    x = x * (1.0 + taper * up) + bow * up * up
    return np.stack([x - slant * up, y - rise * x], axis=-1)


def _stroke(dice: Dice, pieces: list[np.ndarray], bending: tuple[float, ...]) -> np.ndarray:
    """Return the line of one stroke, whose pieces meet in sharp turns."""
    lines: list[np.ndarray] = []
    for piece in pieces:
        points = _bend(piece, bending) + _stray(dice, len(piece))
        if lines:
            points[0] = lines[-1][-1]
        lines.append(smooth(points, _STEPS, closed=False))
    line = np.concatenate(lines)
    return line + _wave(dice, len(line), 3, dice.between(0.0, 0.03))  # an unsteady hand


def _stray(dice: Dice, count: int) -> np.ndarray:
    """Return by how much a hand misses each point: neighbours in much the same way."""
    far = np.array([(_near(dice, 0.18), _near(dice, 0.18)) for _ in range(count + 2)])
    near = np.array([(_near(dice, 0.05), _near(dice, 0.05)) for _ in range(count)])
    return (far[:-2] + 2.0 * far[1:-1] + far[2:]) / 4.0 + near


def _wave(dice: Dice, count: int, steps: int, amount: float) -> np.ndarray:
    """Return ``count`` points that wander smoothly about (0, 0), a new way every ``steps``."""
    knots = [(_near(dice, amount), _near(dice, amount)) for _ in range(count // steps + 2)]
    return smooth(knots, steps, closed=False)[:count]


def _press(dice: Dice, kind: str, lines: list[np.ndarray]) -> list[np.ndarray]:
    """Return half the width of the ink at every point of every line."""
    pen = max(0.062 + _near(dice, 0.045), 0.034)
    if dice.chance(0.15):
        pen += dice.between(0.0, 0.05)
    if kind == "1" and dice.chance(0.25):  # a one stays legible with a broad pen
        bare = len(lines) == 1 and len(lines[0]) == 2 * _STEPS + 1
        pen *= dice.between(1.2, 2.4 if bare else 1.6)
    uneven, lift = dice.between(0.0, 0.5), dice.between(0.0, 0.4)
    widths = []
    for line in lines:
        pressure = 1.0 + _wave(dice, len(line), 5, uneven)[:, 0]
        pressure[-3:] *= 1.0 - lift * np.array([0.3, 0.6, 1.0])
        widths.append(pen * pressure)
    return widths


def _segments(lines: list[np.ndarray], widths: list[np.ndarray]) -> np.ndarray:
    """Return the stretches of all lines: both ends' x, y and half width, shape ``(S, 6)``."""
    dots = [np.column_stack([line, half]) for line, half in zip(lines, widths, strict=True)]
    return np.concatenate([np.concatenate([dot[:-1], dot[1:]], axis=1) for dot in dots])


def _place(dice: Dice, segments: np.ndarray) -> np.ndarray:
    """Scale and move a digit to where MNIST has it, in units of the picture's height."""
    ends = segments.reshape(-1, 3)
    half = ends[:, 2:]
    low, high = (ends[:, :2] - half).min(axis=0), (ends[:, :2] + half).max(axis=0)
    scale = _BOX / max((high - low).tolist())
    x0, y0, r0, x1, y1, r1 = segments.T
    across, down = x1 - x0, y1 - y0
    ink = (np.sqrt(across * across + down * down) + 1e-6) * (r0 + r1)
    total = math.fsum(ink.tolist())
    x = math.fsum((ink * (x0 + x1)).tolist()) / total / 2
    y = math.fsum((ink * (y0 + y1)).tolist()) / total / 2
    shift = np.array([0.5 + _near(dice, 0.02), 0.5 + _near(dice, 0.02), 0.0])
    return ((ends - np.array([x, y, 0.0])) * scale + shift).reshape(-1, 6)


def _cover(segments: np.ndarray, size: int, soft: float) -> np.ndarray:
    """Return how much of each pixel the pen covers, its edge ``soft`` or a pixel wide."""
    x0, y0, r0, x1, y1, r1 = (part[:, None, None] for part in segments.T)
    across, down = x1 - x0, y1 - y0
    square = np.maximum(across * across + down * down, 1e-12)
    blur = max(soft, 1 / size) / 2
    middles = (np.arange(size) + 0.5) / size
    rows = max(1, _AT_ONCE // (size * len(segments)))
    bands = []
    for top in range(0, size, rows):
        x, y = middles - x0, middles[top : top + rows, None] - y0
        along = np.clip((x * across + y * down) / square, 0.0, 1.0)
        x, y = x - along * across, y - along * down
        gap, half = np.sqrt(x * x + y * y), r0 + along * (r1 - r0)
        cover = np.minimum(half, blur + gap) + np.minimum(half, blur - gap)
        bands.append(cover.max(axis=0))
    return np.clip(np.concatenate(bands) / (2 * blur), 0.0, 1.0)
