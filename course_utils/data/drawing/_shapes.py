"""Chance, colours and outlines: what every drawn family is made of.

Nothing in here may differ between machines, so only ``+ - * /`` and square roots touch arrays
(IEEE 754 fixes their last bit); sines, cosines and means are rounded to six decimals, and
chance comes from ``random.Random(str).random``, whose stream Python guarantees.
"""

import colorsys
import math
import random
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

GOLDEN_ANGLE = 137.507764
"""Degrees from one seed of a flower head to the next."""


class Dice:
    """Throws that depend on nothing but the words the dice were made from.

    Args:
        *words: Whatever names the picture, such as ``"flowers", "rose", 7``.
    """

    def __init__(self, *words: object) -> None:
        self._throw = random.Random("/".join(map(str, words))).random

    def between(self, low: float, high: float) -> float:
        """Return a number from ``low`` up to, not including, ``high``."""
        return low + (high - low) * self._throw()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + int((high - low + 1) * self._throw())

    def pick(self, options: Sequence[Item]) -> Item:
        """Return one of ``options``, each equally likely."""
        return options[int(len(options) * self._throw())]

    def chance(self, share: float) -> bool:
        """Return True in ``share`` (0 to 1) of the throws."""
        return self._throw() < share

    def spread(self, count: int, amount: float) -> np.ndarray:
        """Return ``count`` numbers between ``-amount`` and ``amount``, shape ``(count,)``."""
        return np.array([self.between(-amount, amount) for _ in range(count)])


def rgb(code: str) -> np.ndarray:
    """Return the colour ``"#rrggbb"`` as channels in 0 to 1, shape ``(3, 1, 1)``."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]).reshape(3, 1, 1)


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return a colour from hue (wraps at 1), saturation and value, shape ``(3, 1, 1)``."""
    saturation, value = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0)
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value)).reshape(3, 1, 1)


def vary(dice: Dice, code: str, hue: float = 0.02, amount: float = 0.07) -> np.ndarray:
    """Return ``code`` with its hue, saturation and value moved a little by chance."""
    h, s, v = colorsys.rgb_to_hsv(*rgb(code).ravel().tolist())
    moved = h + dice.between(-hue, hue), s * (1 + dice.between(-amount, amount) * 2)
    return hsv(*moved, v * (1 + dice.between(-amount, amount)))


def mix(first: np.ndarray, second: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Return the colour that lies ``share`` (0 to 1) of the way from ``first`` to ``second``."""
    return first + (second - first) * share


def fade(low: float, high: float, field: np.ndarray) -> np.ndarray:
    """Return a smooth step: 0 where ``field <= low``, 1 where it is ``>= high``."""
    ramp = np.clip((field - low) / (high - low), 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def direction(degrees: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cosine and the sine of an angle, rounded to six decimals."""
    angles = np.asarray(degrees, dtype=float)
    pairs = [(math.cos(math.radians(a)), math.sin(math.radians(a))) for a in angles.ravel()]
    cosines, sines = np.round(np.array(pairs), 6).T
    return cosines.reshape(angles.shape), sines.reshape(angles.shape)


CIRCLE = np.stack(direction(np.arange(0, 360, 12)), axis=-1)
"""Thirty points around the circle of radius 1, shape ``(30, 2)``."""


def turn(points: np.ndarray, degrees: float | np.ndarray) -> np.ndarray:
    """Turn ``(V, 2)`` points clockwise about the origin, once for every angle given.

    Returns:
        Shape ``(V, 2)`` for one angle, ``(P, V, 2)`` for ``P`` of them.
    """
    cosine, sine = (part[..., None] for part in direction(degrees))
    x, y = points[..., 0], points[..., 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=-1)


def smooth(points: np.ndarray | Sequence, steps: int = 6, closed: bool = True) -> np.ndarray:
    """Draw a Catmull-Rom curve through ``points``.

    Args:
        points: Corners, shape ``(N, 2)``.
        steps: Points on the curve for each stretch between two corners.
        closed: Whether the last corner joins the first.

    Returns:
        Shape ``(N * steps, 2)``, or ``((N - 1) * steps + 1, 2)`` when open; corner ``k`` is at
        index ``k * steps``.
    """
    corners = np.asarray(points, dtype=float)
    if closed:
        padded = np.concatenate([corners[-1:], corners, corners[:2]])
    else:
        padded = np.concatenate([corners[:1], corners, corners[-1:], corners[-1:]])
    a, b, c, d = (padded[i : i + len(corners), None] for i in range(4))
    t = (np.arange(steps) / steps)[:, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    curve = curve.reshape(-1, 2)
    return curve if closed else curve[: (len(corners) - 1) * steps + 1]


def stroke(line: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Give lines of shape ``(..., N, 2)`` a width, one for all or one for each point.

    Returns:
        The outlines, shape ``(..., 2 * N, 2)``.
    """
    along = np.empty_like(line)
    along[..., 1:-1, :] = line[..., 2:, :] - line[..., :-2, :]
    along[..., 0, :] = line[..., 1, :] - line[..., 0, :]
    along[..., -1, :] = line[..., -1, :] - line[..., -2, :]
    x, y = along[..., 0], along[..., 1]
    half = np.broadcast_to(width, x.shape) / 2 / np.maximum(np.sqrt(x * x + y * y), 1e-9)
    side = np.stack([-y * half, x * half], axis=-1)
    return np.concatenate([line + side, (line - side)[..., ::-1, :]], axis=-2)


def discs(centres: np.ndarray | Sequence, radii: float | np.ndarray) -> np.ndarray:
    """Return circles about ``(P, 2)`` centres as outlines, shape ``(P, 15, 2)``."""
    centres = np.asarray(centres, dtype=float).reshape(-1, 1, 2)
    return centres + CIRCLE[::2] * np.broadcast_to(radii, len(centres)).reshape(-1, 1, 1)
