"""What stands behind and below a bloom: soft backgrounds, stems, leaves and twigs."""

import numpy as np

from course_utils.data.drawing._canvas import Canvas
from course_utils.data.drawing._shapes import (
    CIRCLE,
    Dice,
    discs,
    fade,
    mix,
    rgb,
    smooth,
    stroke,
    turn,
    vary,
)

# Colours from the top of the background to its foot.
_SCENES = [
    ("#bfe3f7", "#e9f5dc", "#9cc77a"),  # sky over a meadow
    ("#dff0c8", "#a9d08a", "#5f9a54"),  # morning green
    ("#8fbf8a", "#5c9a6a", "#356b4a"),  # deep green
    ("#fbe3d2", "#f3efc9", "#a8c883"),  # evening
    ("#d6e9f5", "#bfe0d6", "#7fb595"),  # mist
    ("#a9d3ef", "#cfe8f6", "#e8f4ec"),  # open sky
]


def background(dice: Dice, size: int) -> Canvas:
    """Return a canvas with a blurred garden on it: a slope of colours and discs of light."""
    top, middle, foot = (vary(dice, code, 0.02, 0.05) for code in dice.pick(_SCENES))
    canvas = Canvas(size, size, top)
    canvas.paint(fade(0.0, 0.6, canvas.y), middle)
    canvas.paint(fade(0.45, 1.05, canvas.y), foot)
    for _ in range(dice.whole(5, 8)):
        x, y, radius = dice.between(0, 1), dice.between(0, 1), dice.between(0.06, 0.2)
        glow = mix(dice.pick([middle, foot, middle]), rgb("#fffbe8"), dice.between(0.1, 0.75))
        soft = fade(radius * 1.15, radius * 0.6, canvas.distance(x, y))
        canvas.paint(soft * dice.between(0.25, 0.5), glow)
    return canvas


def stem(
    canvas: Canvas,
    dice: Dice,
    top: tuple[float, float],
    leaves: int,
    width: float = 0.026,
    leaf: tuple[float, float] = (0.22, 0.4),
    upright: bool = False,
) -> None:
    """Grow a stem from the foot of the picture to ``top``, with leaves on alternate sides.

    Args:
        canvas: What is painted on.
        dice: Chance.
        top: Where the stem ends.
        leaves: How many leaves.
        width: Of the stem.
        leaf: Length of a leaf, and its width as a share of that.
        upright: Whether leaves rise from the ground like blades.
    """
    green = vary(dice, dice.pick(["#4f8a3c", "#3f7d45", "#6a9a3a", "#2f6f4a"]), 0.02)
    foot = (top[0] + dice.between(-0.12, 0.12), 1.05)
    bend = ((top[0] + foot[0]) / 2 + dice.between(-0.05, 0.05), (top[1] + 1.05) / 2)
    line = smooth([top, bend, foot], 8, closed=False)
    side = dice.pick([-1, 1])
    for number in range(leaves):
        at = foot if upright else line[int(len(line) * (0.66 + 0.16 * number))]
        lean = dice.between(14, 30) if upright else dice.between(42, 66)
        _leaf(canvas, dice, at, leaf, side * lean, green)
        side = -side
    canvas.fill(stroke(line, width), mix(green, rgb("#16301c"), 0.35))
    canvas.fill(stroke(line - (width * 0.14, 0.0), width * 0.55), green)


def _leaf(
    canvas: Canvas,
    dice: Dice,
    at: np.ndarray | tuple[float, float],
    leaf: tuple[float, float],
    lean: float,
    green: np.ndarray,
) -> None:
    long, share = leaf[0] * dice.between(0.9, 1.2), leaf[1] * dice.between(0.85, 1.15)
    half = [(0.02, 0.0), (0.42, -0.28), (0.46, -0.55), (0.2, -0.86), (0.0, -1.02)]
    corners = np.array([*half, *[(-x, y) for x, y in half[-2::-1]]]) * (share, 1.0)
    outline, dark = smooth(corners), mix(green, rgb("#16301c"), 0.4)
    canvas.fill(turn(outline, lean) * long + at, dark)
    canvas.fill(turn(outline * (0.88, 0.97), lean) * long + at, mix(green, rgb("#d8ec9a"), 0.22))
    rib = stroke(np.array([[0.0, 0.0], [0.0, -0.9]]), np.array([0.07, 0.01]))
    canvas.fill(turn(rib, lean) * long + at, dark, 0.7)


def branch(canvas: Canvas, dice: Dice) -> list[tuple[float, float]]:
    """Lay a twig across the picture and return where blossoms sit on it, the last in front."""
    bark = vary(dice, dice.pick(["#6a4636", "#5a3d3a", "#7a5540"]))
    side = dice.pick([-1, 1])
    xs = np.array([-0.56, -0.2, 0.15, 0.38]) * side + 0.5
    ys = np.array([0.86, 0.68, 0.5, 0.22]) + dice.spread(4, 0.06)
    line = smooth(np.stack([xs, ys], axis=-1), 8, closed=False)
    widths = np.linspace(0.055, 0.018, len(line))
    canvas.fill(stroke(line, widths), mix(bark, rgb("#20100c"), 0.4))
    canvas.fill(stroke(line - (0.0, 0.006), widths * 0.55), mix(bark, rgb("#d8b49a"), 0.25))
    green = vary(dice, "#8fb04a")
    for at, lean in ((14, side * 75.0), (22, side * -40.0)):
        _leaf(canvas, dice, line[at], (0.17, 0.45), lean + dice.between(-15, 15), green)
    canvas.fill(discs(line[-1], 0.035), mix(green, bark, 0.4))
    for width, colour in ((0.045, "#d9588e"), (0.028, "#f08fb4")):
        canvas.fill(CIRCLE * (width, 0.06) + line[-1] - (0.0, 0.03), rgb(colour))
    offsets = [(0.2, -0.14), (-0.2, 0.1), (0.0, -0.02)][: dice.whole(2, 3)][::-1]
    return [
        (0.5 + side * dx + dice.between(-0.04, 0.04), 0.48 + dy + dice.between(-0.04, 0.04))
        for dx, dy in offsets[::-1]
    ]


def arch(canvas: Canvas, dice: Dice, count: int) -> list[tuple[np.ndarray, float]]:
    """Bend a stem over and return where bells hang from it and how far each leans."""
    green = vary(dice, dice.pick(["#4f8a3c", "#3f7d45", "#5a8a4a"]), 0.02)
    side = dice.pick([-1, 1])
    points = np.array([(-0.16, 1.05), (-0.2, 0.6), (-0.12, 0.25), (0.08, 0.12), (0.27, 0.2)])
    points[1:, 1] += dice.spread(4, 0.03)
    line = smooth(points * (side, 1) + (0.5, 0.0), 8, closed=False)
    for lean in (dice.between(12, 24), -dice.between(8, 20)):
        _leaf(canvas, dice, line[0], (0.5, 0.15), lean, green)
    canvas.fill(stroke(line, np.linspace(0.034, 0.014, len(line))), green)
    index = np.linspace(11, len(line) - 1, count).astype(int)
    sides = [(-1) ** number for number in range(count)]
    places = [
        line[at] + (0.05 * way * (number < count - 2), 0.015)
        for number, (at, way) in enumerate(zip(index, sides, strict=True))
    ]
    return [
        (place, -14.0 * way * (number < count - 2))
        for number, (place, way) in enumerate(zip(places, sides, strict=True))
    ]
