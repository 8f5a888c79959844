"""Flowers before a soft green or sky: chapter 5 (``05_flowers``) grows them from noise."""

from collections.abc import Callable

import numpy as np

from course_utils.data.drawing import _stalks as stalks
from course_utils.data.drawing._canvas import Canvas
from course_utils.data.drawing._petals import Bloom, dot_pattern, lay_ring, petal
from course_utils.data.drawing._shapes import (
    CIRCLE,
    Dice,
    discs,
    mix,
    rgb,
    smooth,
    stroke,
    turn,
    vary,
)


def draw_flower(kind: str, seed: int, size: int) -> np.ndarray:
    """Draw one flower: background, stem and leaves, then the bloom.

    Args:
        kind: One of ``FLOWERS``.
        seed: Any whole number: which flower of that kind.
        size: Height and width in pixels, 8 or more.

    Returns:
        uint8 array of shape ``(size, size, 3)``.

    Chapter: the page "The pictures", "Flowers".
    """
    dice = Dice("flowers", kind, seed)
    canvas = stalks.background(dice, size)
    FLOWERS[kind](canvas, dice)
    return canvas.finish()


def _head(dice: Dice, radius: tuple[float, float], lean: float = 0.16) -> Bloom:
    """Place a bloom a little above the middle, turned a little towards the reader's side."""
    centre = (dice.between(0.43, 0.57), dice.between(0.37, 0.45))
    return Bloom(centre, dice.between(*radius), dice.between(-40, 40), 1 - dice.between(0, lean))


def _daisy(canvas: Canvas, dice: Dice) -> None:
    bloom = _head(dice, (0.29, 0.36), 0.25)
    stalks.stem(canvas, dice, bloom.centre, leaves=dice.whole(1, 2))
    tone = dice.pick(["#ffffff", "#ffffff", "#fdeef5", "#f6c9dd", "#d9ccf5", "#fff3c4"])
    light = vary(dice, tone, 0.01, 0.03)
    dark, count = mix(light, rgb("#8a86b8"), 0.42), dice.whole(12, 20)
    shape = petal(dice, width=5.2 / count, point=0.25, notch=0.03)
    lay_ring(canvas, dice, bloom, shape * 0.97, count, light, dark)
    lay_ring(canvas, dice, bloom.turned(180 / count), shape * 0.84, count, light, dark)
    _button(canvas, bloom, dice.between(0.25, 0.33), vary(dice, "#f7c22f"), vary(dice, "#c97c16"))


def _sunflower(canvas: Canvas, dice: Dice) -> None:
    bloom = _head(dice, (0.31, 0.37))
    stalks.stem(canvas, dice, bloom.centre, leaves=2, width=0.04, leaf=(0.26, 0.6))
    light = vary(dice, dice.pick(["#ffcf2e", "#ffc21f", "#ffb52b", "#f7dd5a", "#e57a2c"]), 0.012)
    dark = mix(light, rgb("#c2570c"), 0.55)
    count = dice.whole(13, 19)
    shape = petal(dice, width=6.2 / count, point=0.85)
    lay_ring(canvas, dice, bloom, shape, count, light, dark)
    lay_ring(canvas, dice, bloom.turned(180 / count), shape * 0.87, count, light, dark)
    share = dice.between(0.4, 0.5)
    brown = vary(dice, dice.pick(["#5a3417", "#46260f", "#6b4a1c"]))
    _button(canvas, bloom, share, brown, mix(brown, rgb("#1d0d04"), 0.6))
    seeds = bloom.place(dot_pattern(46) * share * 0.9)
    canvas.fill(discs(seeds, bloom.radius * 0.028), mix(brown, rgb("#e9a43c"), 0.6))


def _rose(canvas: Canvas, dice: Dice) -> None:
    bloom = _head(dice, (0.28, 0.34), 0.1)
    stalks.stem(canvas, dice, bloom.centre, leaves=2, leaf=(0.22, 0.55))
    tone = dice.pick(["#d9203f", "#b3122f", "#f27a9b", "#f9b7c6", "#fbd9a0", "#fff3e6", "#f58a4e"])
    light = vary(dice, tone, 0.012)
    deep = mix(light, vary(dice, "#6a0826"), dice.between(0.42, 0.55))
    shape = petal(dice, width=1.25, point=-0.1, ruffle=0.01)
    turned = bloom
    for step, share in enumerate((1.0, 0.78, 0.57)):
        rim = mix(light, rgb("#ffffff"), 0.2 - 0.08 * step)
        shade = mix(light, deep, 0.6 + 0.2 * step)
        lay_ring(canvas, dice, turned, shape * share, 5 - step // 2, rim, shade, waves=3)
        turned = turned.turned(dice.between(30, 42))
    _swirl(canvas, turned, 0.36, mix(light, deep, 0.2), mix(light, deep, 0.95))


def _poppy(canvas: Canvas, dice: Dice) -> None:
    bloom = _head(dice, (0.31, 0.38), 0.25)
    stalks.stem(canvas, dice, bloom.centre, leaves=1, width=0.018)
    tone = dice.pick(["#e8261f", "#f0442a", "#f26a2e", "#f78fa0", "#fdb44b", "#e23a5c"])
    light = vary(dice, tone, 0.012)
    dark = mix(light, rgb("#5c0710"), 0.45)
    shape = petal(dice, width=dice.between(1.15, 1.4), point=-0.15, ruffle=0.035)
    count = dice.whole(2, 3)
    lay_ring(canvas, dice, bloom, shape, count, light, dark, waves=1)
    lay_ring(canvas, dice, bloom.turned(180 / count), shape * 0.88, count, light, dark, waves=1)
    ink = rgb("#241820")
    canvas.fill(bloom.place(CIRCLE * 0.3), ink, 0.75)
    stamens = turn(np.array([[0.0, -0.36], [0.0, -0.27]]), np.arange(0, 360, 20))
    canvas.fill(bloom.place(discs(stamens[:, 0], 0.035)), vary(dice, "#3a2a30"))
    _button(canvas, bloom, 0.15, vary(dice, "#a9bf5a"), vary(dice, "#6f8a3a"))


def _lily(canvas: Canvas, dice: Dice) -> None:
    bloom = _head(dice, (0.36, 0.42), 0.2)
    stalks.stem(canvas, dice, bloom.centre, leaves=2, leaf=(0.3, 0.26))
    tone = dice.pick(["#fff6f0", "#f9a8c0", "#f58233", "#fbd34a", "#ef7fa6", "#fde6d0"])
    light = vary(dice, tone, 0.012, 0.04)
    dark = mix(light, vary(dice, dice.pick(["#c23a6a", "#b5482a", "#93a03a"])), 0.5)
    shape = petal(dice, width=dice.between(0.46, 0.58), point=1.1)
    lay_ring(canvas, dice, bloom, shape * 0.95, 3, light, dark, rib=True)
    lay_ring(canvas, dice, bloom.turned(60), shape, 3, light, dark, rib=True)
    spots = turn(np.array([[0.05, -0.3], [-0.06, -0.36], [0.0, -0.43]]), np.arange(6) * 60.0)
    canvas.fill(bloom.place(discs(spots.reshape(-1, 2), 0.02)), mix(dark, rgb("#4a0a20"), 0.5))
    canvas.fill(bloom.place(CIRCLE * 0.12), mix(rgb("#b8d36a"), light, 0.3))
    rays = turn(np.array([[0.0, 0.0], [0.03, -0.25], [0.0, -0.45]]), np.arange(6) * 60.0 + 25)
    canvas.fill(bloom.place(stroke(rays, 0.03)), rgb("#dfe9a8"))
    canvas.fill(bloom.place(discs(rays[:, -1], 0.055)), vary(dice, "#a84a1c"))


def _cherry(canvas: Canvas, dice: Dice) -> None:
    places = stalks.branch(canvas, dice)
    tone = vary(dice, dice.pick(["#ffd3e1", "#fbb6cf", "#fff0f4", "#f794b8"]), 0.012, 0.04)
    dark, heart = mix(tone, rgb("#c23d74"), 0.4), mix(tone, rgb("#d42a68"), 0.65)
    for number, place in enumerate(places):
        radius = dice.between(0.19, 0.225) * (1 if number else 1.15)
        bloom = Bloom(place, radius, dice.between(0, 72), dice.between(0.8, 1.0))
        shape = petal(dice, width=dice.between(0.84, 0.98), point=0.1, notch=0.16)
        lay_ring(canvas, dice, bloom, shape, 5, tone, dark, waves=1)
        canvas.fill(bloom.place(CIRCLE * 0.2), heart, 0.7)
        rays = turn(np.array([[0.0, 0.0], [0.0, -0.42]]), np.arange(7) * 51.4)
        canvas.fill(bloom.place(stroke(rays, 0.04)), heart)
        canvas.fill(bloom.place(discs(rays[:, 1], 0.06)), rgb("#ffd75e"))


def _button(
    canvas: Canvas, bloom: Bloom, share: float, light: np.ndarray, dark: np.ndarray
) -> None:
    """Paint a round centre that is lit from above."""
    x, y = bloom.centre
    radius = bloom.radius * share
    glow = canvas.distance(x - 0.25 * radius, y - 0.4 * radius) / (1.5 * radius)
    canvas.fill(bloom.place(CIRCLE * share * 1.1), mix(dark, rgb("#3a1c08"), 0.4), 0.55)
    canvas.fill(bloom.place(CIRCLE * share), mix(light, dark, np.minimum(glow, 1.0)))


def _swirl(canvas: Canvas, bloom: Bloom, share: float, light: np.ndarray, dark: np.ndarray) -> None:
    """Paint the rolled-up heart of a rose: crescents, each turned against the last."""
    for step, size in enumerate((1.0, 0.76, 0.54, 0.34)):
        shift = turn(np.array([0.0, 0.09 * share]), 125.0 * step)
        canvas.fill(bloom.place(CIRCLE * share * size + shift), dark)
        inner = CIRCLE * share * size * 0.86 - shift * 0.5
        canvas.fill(bloom.place(inner), mix(light, dark, 0.2 * step))


def _tulip(canvas: Canvas, dice: Dice) -> None:
    x, y = dice.between(0.44, 0.56), dice.between(0.38, 0.43)
    stalks.stem(canvas, dice, (x, y + 0.15), leaves=2, width=0.032, leaf=(0.42, 0.2), upright=True)
    tone = dice.pick(["#e8283c", "#f7c52e", "#f58fb0", "#a04ac0", "#fff4ea", "#f27a2c", "#7a1f4a"])
    light = vary(dice, tone, 0.012)
    dark = mix(light, rgb(dice.pick(["#7a0f2e", "#8a3a10"])), 0.42)
    wide, tall = dice.between(0.22, 0.28), dice.between(0.32, 0.39)
    glow = np.clip((canvas.y - y + tall * 0.8) / (1.7 * tall), 0, 1) + 0 * canvas.x
    inside, front = mix(dark, light, 0.25), mix(mix(light, rgb("#ffffff"), 0.22), dark, glow)
    tip = dice.between(0.02, 0.06)
    for out, colour in ((0.55, inside), (-0.55, inside), (0.0, inside)):
        _cup(canvas, (x, y), (out, wide * 0.5, tall), tip, colour, dark)
    for out, size in ((0.62, 0.55), (-0.62, 0.55), (0.0, 0.62)):
        _cup(canvas, (x, y), (out, wide * size, tall * 0.93), tip, front, dark)


def _cup(
    canvas: Canvas,
    at: tuple[float, float],
    form: tuple[float, float, float],
    tip: float,
    colour: np.ndarray,
    edge: np.ndarray,
) -> None:
    """Paint one petal of a tulip's cup; ``form`` is its lean, half width and height."""
    lean, wide, tall = form
    side = lean * wide * 1.45
    half = np.array([(0.0, -1.0), (0.62, -0.45), (1.0, 0.2), (0.72, 0.72), (0.0, 1.0)])
    corners = np.concatenate([half, half[-2:0:-1] * (-1, 1)]) * (wide, tall * 0.55)
    corners[:, 0] += side * (0.55 - 0.8 * corners[:, 1] / tall)
    corners[0] += (0.0, -tip)
    outline = smooth(corners) + at
    canvas.fill(outline - (0.0, 0.004), mix(edge, rgb("#2a0814"), 0.25), 0.7)
    canvas.fill((outline - at) * (0.94, 0.97) + at, colour)


def _pansy(canvas: Canvas, dice: Dice) -> None:
    bloom = Bloom(_head(dice, (1, 1)).centre, dice.between(0.3, 0.35), dice.between(-14, 14), 0.94)
    stalks.stem(canvas, dice, bloom.centre, leaves=2, leaf=(0.24, 0.5))
    tones = ["#6a4fc8", "#8d5fd3", "#4a63d0", "#c79af0", "#f2cf4a", "#f7f0fb", "#8a2f5a", "#f0883c"]
    back, front = vary(dice, dice.pick(tones), 0.02), vary(dice, dice.pick(tones), 0.02)
    ink = mix(vary(dice, dice.pick(["#2a0f5a", "#4a0a2a"])), front, 0.1)
    shape = petal(dice, width=dice.between(0.95, 1.15), point=-0.05, ruffle=0.02)
    lay_ring(canvas, dice, bloom, shape, 0, back, mix(back, ink, 0.5), angles=[-30.0, 30.0])
    lower = bloom, shape * 0.92, 0, front, mix(front, ink, 0.6)
    lay_ring(canvas, dice, *lower, waves=3, angles=[-96.0, 96.0, 180.0])
    blotch = petal(dice, width=0.66, point=-0.1, ruffle=0.08) * dice.between(0.42, 0.56)
    canvas.fill(bloom.place(turn(blotch, np.array([-100.0, 100.0, 180.0]))), ink)
    beard = turn(np.array([[0.0, 0.04], [0.0, -0.22]]), np.array([-116.0, 116.0, 180.0]))
    canvas.fill(bloom.place(stroke(beard, np.array([0.16, 0.03]))), vary(dice, "#fbc52e"))


def _bluebell(canvas: Canvas, dice: Dice) -> None:
    tone = dice.pick(["#5a6fe0", "#6f5fd8", "#4a86e6", "#8a6fe0", "#e79ad0", "#eef2ff"])
    light = vary(dice, tone, 0.02)
    dark = mix(light, rgb("#231a6a"), 0.45)
    size = dice.between(0.12, 0.145)
    for place, lean in stalks.arch(canvas, dice, dice.whole(5, 7)):
        _bell(canvas, place, size, lean, light, dark)


def _bell(
    canvas: Canvas,
    at: np.ndarray,
    size: float,
    lean: float,
    light: np.ndarray,
    dark: np.ndarray,
) -> None:
    """Hang one bell with a turned-up rim at a point."""
    half = [(0.0, -0.1), (0.4, 0.15), (0.5, 0.9), (0.95, 1.5), (0.55, 1.45), (0.28, 1.7)]
    corners = np.array([*half, (0.0, 1.4), *[(-x, y) for x, y in half[:0:-1]]])
    shape = smooth(corners, 4)
    glow = np.clip((canvas.y - at[1]) / (1.6 * size), 0, 1) + 0 * canvas.x
    canvas.fill(turn(shape, lean) * size * 1.09 + at, mix(dark, rgb("#120a3a"), 0.3), 0.8)
    canvas.fill(turn(shape * (0.92, 0.95), lean) * size + at, mix(dark, light, glow))
    shine = stroke(np.array([[-0.16, 0.3], [-0.2, 1.2]]), 0.13)
    canvas.fill(turn(shine, lean) * size + at, mix(light, rgb("#ffffff"), 0.5), 0.7)


FLOWERS: dict[str, Callable[[Canvas, Dice], None]] = {
    "daisy": _daisy,
    "sunflower": _sunflower,
    "tulip": _tulip,
    "rose": _rose,
    "poppy": _poppy,
    "pansy": _pansy,
    "lily": _lily,
    "cherry": _cherry,
    "bluebell": _bluebell,
}
"""Kinds of flowers and what paints each on a background."""
