"""Sprites on a 16 by 16 grid: chapter 3 (``03_sprites``) trains on these first."""

from collections.abc import Callable, Sequence

import numpy as np

from course_utils.data.drawing import _pixels as art
from course_utils.data.drawing import _pixels_things as things
from course_utils.data.drawing._shapes import Dice, hsv, mix, rgb, vary

GRID = 16
"""Pixels along each side of a sprite; larger sizes repeat them."""

_INK = ord("K")
_CLEAR = ord(".")


def draw_sprite(kind: str, seed: int, size: int = GRID) -> np.ndarray:
    """Draw one sprite that looks to the right or to the left, outlined, on near-white.

    Args:
        kind: One of ``SPRITES``.
        seed: Any whole number: which sprite of that kind.
        size: Height and width in pixels, a multiple of 16.

    Returns:
        uint8 array of shape ``(size, size, 3)`` with at most 16 colours.

    Chapter: the page "The pictures", "Sprites".
    """
    dice = Dice("sprites", kind, seed)
    palette = _palette(dice)
    letters = _outline(SPRITES[kind](dice, palette))
    if kind == "spell":
        _sparkle(letters, dice)
    if dice.chance(0.5):
        letters = letters[:, ::-1]
    colours = np.zeros((128, 3), dtype=np.uint8)
    for letter, colour in palette.items():
        colours[ord(letter)] = np.floor(np.clip(colour.ravel(), 0, 1) * 255 + 0.5)
    return colours[letters].repeat(size // GRID, axis=0).repeat(size // GRID, axis=1)


_SKINS = ["#ffdcb8", "#f4c090", "#d99a66", "#a8683c", "#74462c"]
_HAIRS = ["#5a3420", "#2e2430", "#e8b83c", "#b8482a", "#d8d4dc", "#7a4ab8"]
_FIXED = {
    ".": "#fcfcfa",
    "K": "#231f2e",
    "w": "#ffffff",
    "r": "#e04050",
    "g": "#c4ccd8",
    "G": "#8490a4",
    "y": "#f2b84a",
    "Y": "#bc7a34",
    "o": "#8a5a3c",
    "l": "#7cc250",
    "L": "#3f8a48",
    "v": "#dcecf4",
}


def _palette(dice: Dice) -> dict[str, np.ndarray]:
    """Return a colour for each letter: fixed ones, skin, hair, and two hues by chance."""
    hue = dice.between(0.0, 1.0)
    skin, hair = rgb(dice.pick(_SKINS)), vary(dice, dice.pick(_HAIRS))
    second = _tone(hue + dice.between(0.3, 0.7), dice.between(0.55, 0.8), dice.between(0.75, 0.95))
    palette = {letter: rgb(code) for letter, code in _FIXED.items()}
    palette |= {"s": skin, "t": mix(skin, rgb("#7a3a3a"), 0.25)}
    palette |= {"h": hair, "i": mix(hair, rgb("#1a1024"), 0.35)}
    palette |= {"d": second, "e": mix(second, rgb("#2a1440"), 0.35)}
    return palette | _ramp(hue, dice.between(0.6, 0.85), dice.between(0.8, 0.95))


def _tone(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return a colour, less glaring where it is green."""
    green = max(0.0, 1 - abs(hue % 1 - 0.36) / 0.16)
    return hsv(hue, saturation * (1 - 0.12 * green), value * (1 - 0.2 * green))


def _ramp(hue: float, saturation: float, value: float) -> dict[str, np.ndarray]:
    """Return a main colour with a light that leans to yellow and a shade that leans to violet."""
    main = _tone(hue, saturation, value)
    light = mix(main, rgb("#fffbd8"), 0.5)
    return {"a": light, "b": main, "c": mix(main, rgb("#2a1050"), 0.38)}


def _lay(rows: Sequence[str], below: np.ndarray | None = None) -> np.ndarray:
    """Lay a typed drawing over another, both inside the grid's outermost pixels."""
    grid = np.full((GRID, GRID), _CLEAR, dtype=np.int64) if below is None else below.copy()
    drawn = _letters(rows)
    height, width = drawn.shape
    spot = grid[1 : 1 + height, 1 : 1 + width]
    spot[drawn != _CLEAR] = drawn[drawn != _CLEAR]
    return grid


def _outline(letters: np.ndarray) -> np.ndarray:
    """Return the drawing with ink on every clear pixel beside a drawn one."""
    drawn = np.pad(letters != _CLEAR, 1)
    beside = drawn[:-2, 1:-1] | drawn[2:, 1:-1] | drawn[1:-1, :-2] | drawn[1:-1, 2:]
    return np.where(beside & (letters == _CLEAR), _INK, letters)


def _hero(dice: Dice, palette: dict[str, np.ndarray]) -> np.ndarray:
    grid = _lay(art.CAPE) if dice.chance(0.4) else None
    grid = _lay(art.FACE, _lay(dice.pick(list(art.CLOTHES.values())), grid))
    grid = _lay(dice.pick(list(art.HEADGEAR.values())), grid)
    return _lay(dice.pick(list(art.HELD.values())), grid)


def _monster(dice: Dice, palette: dict[str, np.ndarray]) -> np.ndarray:
    grid = _lay(dice.pick(list(art.MONSTERS.values())))
    return _freckle(grid, dice, dice.whole(0, 3), ord(dice.pick("ccd")))


# The hue of each food and how far it strays: an apple is green to red, a carrot never blue.
_FOOD_HUES = {
    "apple": (0.1, 0.18),
    "cherries": (0.97, 0.05),
    "carrot": (0.07, 0.03),
    "cheese": (0.13, 0.03),
    "cupcake": (0.5, 0.5),
    "fish": (0.5, 0.5),
    "melon": (0.02, 0.1),
    "sundae": (0.5, 0.5),
    "donut": (0.9, 0.2),
    "drumstick": (0.06, 0.03),
    "strawberry": (0.98, 0.03),
    "burger": (0.03, 0.03),
    "grapes": (0.8, 0.12),
    "pear": (0.2, 0.08),
    "sushi": (0.03, 0.06),
}


def _food(dice: Dice, palette: dict[str, np.ndarray]) -> np.ndarray:
    name = dice.pick(list(things.FOOD))
    middle, stray = _FOOD_HUES[name]
    hue = middle + dice.between(-stray, stray)
    palette |= _ramp(hue, dice.between(0.65, 0.9), dice.between(0.8, 0.97))
    grid = _lay(things.FOOD[name])
    sprinkled = name in ("cupcake", "sundae", "donut")
    return _freckle(grid, dice, dice.whole(2, 4) if sprinkled else dice.whole(0, 2), ord("w"))


def _spell(dice: Dice, palette: dict[str, np.ndarray]) -> np.ndarray:
    palette["K"] = mix(palette["c"], rgb("#1a0a3a"), 0.6)
    return _lay(dice.pick(list(things.SPELLS.values())))


def _sparkle(letters: np.ndarray, dice: Dice) -> None:
    """Set a few single pixels of light where the drawing leaves room."""
    rows, columns = np.nonzero(letters == _CLEAR)
    for _ in range(dice.whole(1, 4)):
        at = dice.whole(0, len(rows) - 1)
        letters[rows[at], columns[at]] = ord(dice.pick("bcd"))


def _potion(dice: Dice, palette: dict[str, np.ndarray]) -> np.ndarray:
    halves = dice.pick(list(things.BOTTLES.values()))
    top, level = 14 - len(halves), dice.whole(3, 5)
    rows = [_glass_row(half, step, level) for step, half in enumerate(halves)]
    cork, wide = dice.pick("oody"), dice.whole(1, 2)
    rows = [_centred(cork * 2 * wide)] * (top - dice.whole(0, 1)) + rows
    grid = _lay(rows[-14:])
    mark = _letters(dice.pick(list(things.EMBLEMS.values())))
    grid[10:13, 6:10] = np.where(mark == _CLEAR, grid[10:13, 6:10], mark)
    return _freckle(grid, dice, dice.whole(0, 3), ord("a"))


def _letters(rows: Sequence[str]) -> np.ndarray:
    return np.array([[ord(letter) for letter in row] for row in rows])


def _glass_row(half: int, step: int, level: int) -> str:
    """Return one row of a bottle: glass above the liquid's level, liquid below."""
    if step == 0:
        return _centred("v" * (2 * half))
    inner = 2 * half - 2
    if step < level:
        return _centred("w" + "v" * inner + "g")
    if step == level:
        return _centred("w" + "a" * inner + "g")
    body = "b" * inner if inner == 2 else "a" + "b" * (inner - 2) + "c"
    return _centred("w" + body + "c")


def _centred(text: str) -> str:
    return text.center(14, ".")


def _freckle(grid: np.ndarray, dice: Dice, count: int, letter: int) -> np.ndarray:
    """Return the drawing with a few pixels changed, inside areas of the main or second colour."""
    for tone in (ord("b"), ord("d")):
        same = np.pad(grid == tone, 1)
        inside = (
            same[1:-1, 1:-1] & same[:-2, 1:-1] & same[2:, 1:-1] & same[1:-1, :-2] & same[1:-1, 2:]
        )
        rows, columns = np.nonzero(inside)
        for _ in range(count if len(rows) else 0):
            at = dice.whole(0, len(rows) - 1)
            grid[rows[at], columns[at]] = letter
    return grid


SPRITES: dict[str, Callable[[Dice, dict[str, np.ndarray]], np.ndarray]] = {
    "hero": _hero,
    "monster": _monster,
    "food": _food,
    "spell": _spell,
    "potion": _potion,
}
"""Kinds of sprites and what draws each as letters of a palette, which it may change."""
