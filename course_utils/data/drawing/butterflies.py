"""Butterflies pinned on a specimen card: chapter 4 (``04_butterflies``) learns to draw them."""

from collections.abc import Callable

import numpy as np

from course_utils.data.drawing._canvas import Canvas
from course_utils.data.drawing._shapes import CIRCLE, Dice, hsv, mix, rgb, smooth, stroke, vary
from course_utils.data.drawing._wings import Coat, Wing, make_wing, paint_wing

_INK = "#1d1715"
_CREAM = "#fbf3dc"


def draw_butterfly(kind: str, seed: int, size: int) -> np.ndarray:
    """Draw one butterfly; its right half is painted and mirrored about the body.

    Args:
        kind: One of ``BUTTERFLIES``.
        seed: Any whole number: which butterfly of that family.
        size: Height and width in pixels, 8 or more.

    Returns:
        uint8 array of shape ``(size, size, 3)``, equal to its own mirror image.

    Chapter: the page "The pictures", "Butterflies".
    """
    dice = Dice("butterflies", kind, seed)
    card = mix(rgb(dice.pick(["#f6f1e4", "#f4f2ec", "#eef1f0", "#f5efe9"])), rgb("#ffffff"), 0.3)
    odd = size % 2
    canvas = Canvas(size, size // 2 + odd, card, left=-odd / 2)
    coats = BUTTERFLIES[kind](dice)
    wings = _spread_wings(kind, dice)
    _paint_shadow(canvas, wings)
    _paint_tail(canvas, wings[0], dice, kind, coats[0].border)
    for wing, coat in zip(wings, coats, strict=True):
        paint_wing(canvas, wing, coat)
    _paint_body(canvas, dice, float(wings[0].root[1]), coats)
    half = canvas.finish()
    return np.concatenate([half[:, odd:][:, ::-1], half], axis=1)


def _spread_wings(kind: str, dice: Dice) -> list[Wing]:
    """Return hindwing and forewing, moved down so that the animal stands in the middle."""
    scallop = {"peacock": 0.05, "swallowtail": 0.05, "monarch": 0.02}.get(kind, 0.0)
    hind = make_wing(kind, False, dice, scallop)
    fore = make_wing(kind, True, dice, scallop * 0.5)
    top, bottom = fore.outline[:, 1].min(), hind.outline[:, 1].max()
    down = np.array([0.0, 0.5 - (top + bottom + _TAILS.get(kind, (0, 0, 0))[1]) / 2])
    return [Wing(wing.outline + down, wing.root + down, wing.edge) for wing in (hind, fore)]


# How far a tail reaches out and down, and its width.
_TAILS = {"swallowtail": (0.035, 0.12, 0.032), "hairstreak": (0.03, 0.09, 0.012)}


def _paint_shadow(canvas: Canvas, wings: list[Wing]) -> None:
    both = np.stack([wing.outline for wing in wings])
    for drop, opacity in ((0.010, 0.10), (0.020, 0.07)):
        canvas.fill(both + np.array([0.0, drop]), rgb("#6b5a48"), opacity)


def _paint_tail(canvas: Canvas, hind: Wing, dice: Dice, kind: str, colour: np.ndarray) -> None:
    if kind not in _TAILS:
        return
    out, down, width = _TAILS[kind]
    length = dice.between(0.75, 1.2)
    base = hind.along(np.array([0.6]), 0.92)[0]
    tip = base + np.array([out * dice.between(0.3, 1.4), (down + 0.02) * length])
    bend = (base + tip) / 2 + np.array([-0.008, 0.0])
    line = smooth([base, bend, tip], closed=False)
    widths = width * np.linspace(1.1, 0.75, len(line))
    canvas.fill(stroke(line, np.maximum(widths, canvas.hairline(0))), colour)
    canvas.fill(tip + CIRCLE * width * 0.62, colour)


def _paint_body(canvas: Canvas, dice: Dice, y: float, coats: list[Coat]) -> None:
    dark = mix(rgb(dice.pick(["#2a211d", "#33281f", "#241f26"])), coats[1].base, 0.12)
    light = mix(dark, rgb("#d8c4a0"), 0.38)
    slim, long = dice.between(0.9, 1.15), dice.between(0.2, 0.26)
    _paint_antennae(canvas, dice, y, dark)
    side = np.array([(0.022, 0.05), (0.018, 0.6 * long), (0.004, long)])
    abdomen = smooth([(0, -0.01), *side, *(side[1::-1] * (-1, 1))])
    for colour, share in ((dark, 1.0), (light, 0.3)):
        thorax = CIRCLE * (0.027 * slim * share, 0.055 * (0.4 + 0.6 * share))
        canvas.fill(abdomen * (slim * share, 1) + (0, y), colour)
        canvas.fill(thorax - (0, 0.02 - y), colour)
    canvas.fill(CIRCLE * 0.021 * slim + (0, y - 0.085), dark)


def _paint_antennae(canvas: Canvas, dice: Dice, y: float, colour: np.ndarray) -> None:
    out, up = dice.between(0.08, 0.14), dice.between(0.2, 0.26)
    line = smooth([(0.005, -0.09), (0.35 * out, -0.09 - 0.55 * up), (out, -0.09 - up)], 6, False)
    line += np.array([0.0, y])
    canvas.fill(stroke(line, canvas.hairline(0.008, 0.7)), colour)
    canvas.fill(line[-1] + CIRCLE * (0.012, 0.015), colour)


def _swallowtail(dice: Dice) -> list[Coat]:
    ink = vary(dice, _INK)
    main = vary(dice, dice.pick(["#f7d154", "#f9e08a", "#fbf0c4", "#cfe6c0", "#f4bf4f"]), 0.02)
    base = mix(main, rgb("#ffffff"), 0.25)
    blue, red = vary(dice, "#5b93d6", 0.06), vary(dice, "#e0523a", 0.02)
    keep = dice.between(0.76, 0.85)
    bars = (dice.whole(3, 4), dice.between(0.03, 0.045), ink)
    row = (6, (1 + keep) / 2, 0.012, main)
    fore = Coat(base, main, ink, keep, (ink, 0.006), dots=[row], bars=bars)
    hind = Coat(
        base,
        main,
        ink,
        keep - 0.04,
        (ink, 0.006),
        dots=[(5, 0.9, 0.016, blue)],
        eyes=[(0.93, 0.84, 0.03, [ink, red])],
    )
    return [hind, fore]


def _monarch(dice: Dice) -> list[Coat]:
    ink = vary(dice, _INK)
    main = vary(dice, dice.pick(["#f08a24", "#e8701f", "#f4a636", "#d9541e"]), 0.015)
    base = mix(main, rgb("#f9b54a"), dice.between(0.1, 0.6))
    keep, width = dice.between(0.78, 0.86), dice.between(0.012, 0.018)
    white = rgb(_CREAM)
    rows = [(8, 0.955, 0.009, white), (7, (keep + 0.95) / 2 - 0.01, 0.009, white)]
    tip = (dice.between(0.12, 0.19), ink)
    fore = Coat(base, main, ink, keep, (ink, width), dots=[*rows, (3, 0.78, 0.014, white)], tip=tip)
    return [Coat(base, main, ink, keep, (ink, width), dots=rows), fore]


def _morpho(dice: Dice) -> list[Coat]:
    ink = vary(dice, "#16151f")
    hue = dice.between(0.53, 0.63)
    main = hsv(hue, dice.between(0.72, 0.9), dice.between(0.85, 0.98))
    base = hsv(hue + 0.035, 0.85, dice.between(0.5, 0.65))
    pale = hsv(hue - 0.03, 0.45, 1.0)
    keep = dice.between(0.78, 0.92)
    sheen = dice.between(0.5, 0.62)
    bands = [(sheen, sheen + 0.16, mix(main, pale, dice.between(0.3, 0.7)))]
    dots = [(dice.whole(4, 7), (1 + keep) / 2, 0.008, rgb("#f4f8ff"))]
    tip = (dice.between(0.07, 0.16), ink)
    veins = (mix(base, ink, 0.3), 0.004)
    fore = Coat(base, main, ink, keep, veins, bands, dots, tip)
    return [Coat(base, main, ink, keep + 0.03, veins, bands), fore]


def _white(dice: Dice) -> list[Coat]:
    tone = dice.pick(["#fdfcf4", "#fbf6cf", "#f9e75e", "#f4ec9a", "#fde9b8"])
    main = vary(dice, tone, 0.01, 0.03)
    ink = vary(dice, dice.pick(["#3d3a3c", "#57504a", "#e8862e", "#e2622a"]), 0.02)
    base = mix(main, rgb("#a8b09a"), dice.between(0.15, 0.4))
    veins = (mix(main, rgb("#8f8a70"), 0.45), 0.004)
    spot = (dice.between(0.3, 0.7), dice.between(0.5, 0.6), dice.between(0.016, 0.026), [ink])
    edge = mix(main, rgb("#6c6450"), 0.55)
    tip = (dice.between(0.11, 0.2), ink)
    fore = Coat(base, main, edge, 0.975, veins, tip=tip, eyes=[(spot[0], spot[1], spot[2], [ink])])
    orb = mix(main, rgb("#e79a3c"), dice.between(0.3, 0.9))
    return [Coat(base, main, edge, 0.975, veins, eyes=[(0.4, 0.5, 0.02, [orb])]), fore]


def _peacock(dice: Dice) -> list[Coat]:
    main = vary(dice, dice.pick(["#b5432a", "#a8382e", "#c25a2c", "#8f4a34"]), 0.02)
    base, dark = mix(main, rgb("#4a2a20"), 0.5), vary(dice, "#3a2c2a")
    gold, blue = vary(dice, "#f2cf6b", 0.02), hsv(dice.between(0.52, 0.68), 0.7, 0.85)
    ink = rgb(_INK)
    size = dice.between(0.062, 0.082)
    eye = (dice.between(0.12, 0.3), 0.76, size, [gold, ink, blue])
    low = (dice.between(0.3, 0.48), 0.74, size * dice.between(0.9, 1.1), [gold, ink, blue])
    keep = dice.between(0.88, 0.94)
    fore = Coat(base, main, dark, keep, None, eyes=[eye], bars=(2, 0.035, ink))
    return [Coat(base, main, dark, keep, None, eyes=[low]), fore]


def _glasswing(dice: Dice) -> list[Coat]:
    dark = vary(dice, dice.pick(["#4a2f26", "#3a2a2c", "#5c3722"]))
    warm = vary(dice, dice.pick(["#d9692c", "#c4502e", "#e09a3a"]), 0.02)
    tint = vary(dice, dice.pick(["#dfeef2", "#e4ecf6", "#e6f2ea", "#f3ead8"]), 0.03, 0.03)
    glass, keep = dice.between(0.25, 0.55), dice.between(0.82, 0.9)
    veins = (dark, dice.between(0.007, 0.011))
    bands = [(keep - 0.07, keep, warm)]
    white = rgb("#fdfaf2")
    fore = Coat(
        tint,
        tint,
        dark,
        keep,
        veins,
        [(0.62, 0.72, white)],
        [(4, 0.94, 0.008, white)],
        (dice.between(0.08, 0.15), dark),
        glass=glass,
    )
    return [Coat(tint, tint, dark, keep, veins, bands, glass=glass), fore]


def _hairstreak(dice: Dice) -> list[Coat]:
    hue = dice.pick([0.46, 0.52, 0.6, 0.72, 0.78, 0.06]) + dice.between(-0.02, 0.02)
    main = hsv(hue, dice.between(0.4, 0.65), dice.between(0.7, 0.88))
    base = hsv(hue + 0.02, 0.6, 0.55)
    dark = mix(hsv(hue, 0.4, 0.3), rgb(_INK), 0.5)
    line, orange = rgb("#fbf7ee"), vary(dice, "#f0792c", 0.02)
    at = dice.between(0.66, 0.74)
    bands = [(at, at + 0.035, line)]
    keep = dice.between(0.88, 0.94)
    fore = Coat(base, main, dark, keep, (mix(main, dark, 0.4), 0.004), bands)
    hind = Coat(base, main, dark, keep, None, bands, eyes=[(0.86, 0.84, 0.034, [orange, dark])])
    return [hind, fore]


def _birdwing(dice: Dice) -> list[Coat]:
    ink = vary(dice, "#17191a")
    hue = dice.pick([0.36, 0.42, 0.17, 0.5]) + dice.between(-0.02, 0.02)
    green = hsv(hue, dice.between(0.6, 0.8), dice.between(0.7, 0.85))
    gold = vary(dice, dice.pick(["#f5c431", "#f0dc5a", "#e9a92c"]), 0.015)
    start = dice.between(0.45, 0.55)
    fore = Coat(
        ink,
        ink,
        ink,
        0.94,
        (mix(ink, green, 0.35), 0.006),
        [(start, start + dice.between(0.2, 0.3), green)],
    )
    low = (5, 0.74, 0.013, ink)
    hind = Coat(mix(gold, green, 0.4), gold, ink, dice.between(0.82, 0.9), (ink, 0.007), dots=[low])
    return [hind, fore]


BUTTERFLIES: dict[str, Callable[[Dice], list[Coat]]] = {
    "swallowtail": _swallowtail,
    "monarch": _monarch,
    "morpho": _morpho,
    "white": _white,
    "peacock": _peacock,
    "glasswing": _glasswing,
    "hairstreak": _hairstreak,
    "birdwing": _birdwing,
}
"""Families of butterflies and what throws the coats of their hind- and forewing."""
