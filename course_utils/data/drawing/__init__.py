"""Pictures to learn from, drawn from nothing but a seed.

Four families, each with labelled kinds: handwritten ``digits``, grey as MNIST's, ``sprites``
(chapter 3, ``03_sprites``), ``butterflies`` (chapter 4, ``04_butterflies``) and ``flowers``
(chapter 5, ``05_flowers``), in colour.

A picture is a pure function of family, label, seed and size, to the last bit, on every machine
and with every version of numpy and Pillow: chance comes from the part of Python's ``random``
whose stream is guaranteed, and pixels from ``+ - * /`` and square roots, which IEEE 754 fixes.
Sines, cosines and means are rounded to six decimals before they are used. Only a change of the
drawings in this package changes a picture.
"""

import numpy as np
from PIL import Image

from course_utils.data.drawing.butterflies import BUTTERFLIES, draw_butterfly
from course_utils.data.drawing.digits import DIGITS, draw_digit
from course_utils.data.drawing.flowers import FLOWERS, draw_flower
from course_utils.data.drawing.sprites import GRID, SPRITES, draw_sprite

__all__ = ["KINDS", "contact_sheet", "draw", "draw_many"]

KINDS: dict[str, tuple[str, ...]] = {
    "digits": DIGITS,
    "sprites": tuple(SPRITES),
    "butterflies": tuple(BUTTERFLIES),
    "flowers": tuple(FLOWERS),
}
"""Families of pictures and the names of their labels, of which the first is label 0."""

_DRAWERS = {
    "digits": draw_digit,
    "sprites": draw_sprite,
    "butterflies": draw_butterfly,
    "flowers": draw_flower,
}
_CHANNELS: dict[str, tuple[int, ...]] = {"digits": ()}  # of a picture's shape; else (3,)
_PER_SEED = 1_000_000


def draw(family: str, label: int, seed: int, size: int) -> Image.Image:
    """Draw one picture.

    The same family, label and seed give the same picture at every size.

    Args:
        family: ``"digits"``, ``"sprites"``, ``"butterflies"`` or ``"flowers"``.
        label: Which kind, an index into ``KINDS[family]``.
        seed: Any whole number: which picture of that kind.
        size: Height and width in pixels: 8 or more, and for sprites a multiple of 16.

    Returns:
        Picture of ``size`` by ``size`` pixels: RGB, or for digits grey (mode L), white ink on
        black.

    Raises:
        ValueError: If there is no such family, label or size.

    Chapter: the page "The pictures", "How is one made?".

    Example:
        >>> from course_utils.data import draw
        >>> draw("butterflies", 2, seed=7, size=64).size
        (64, 64)
    """
    _check(family, size)
    kinds = KINDS[family]
    if label not in range(len(kinds)):
        names = ", ".join(f"{index} {name}" for index, name in enumerate(kinds))
        raise ValueError(f"{family} have no label {label!r}; choose one of: {names}.")
    return Image.fromarray(_DRAWERS[family](kinds[int(label)], int(seed), int(size)))


def draw_many(family: str, count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``count`` pictures whose labels take turns, so that all kinds are equally frequent.

    Picture ``i`` has label ``i % kinds`` and is ``draw(family, label, seed * 1_000_000 + i,
    size)``: a longer run starts with the pictures of a shorter one, and runs with different
    seeds have none in common.

    Args:
        family: ``"digits"``, ``"sprites"``, ``"butterflies"`` or ``"flowers"``.
        count: How many pictures, from 0 to 1,000,000.
        size: Height and width in pixels: 8 or more, and for sprites a multiple of 16.
        seed: Which run: keep one for training and another for testing.

    Returns:
        Pictures, uint8 of shape ``(count, size, size, 3)``, for digits ``(count, size, size)``,
        and labels, int64 of shape ``(count,)``, which index ``KINDS[family]``.

    Raises:
        ValueError: If there is no such family or size, or ``count`` is out of range.

    Example:
        >>> from course_utils.data import draw_many
        >>> pictures, labels = draw_many("flowers", count=6, size=32)
        >>> pictures.shape, labels.shape
        ((6, 32, 32, 3), (6,))

    Chapter: the page "The pictures", "No two alike?".
    """
    _check(family, size)
    if count not in range(_PER_SEED + 1):
        raise ValueError(f"count is {count!r}; ask for 0 to {_PER_SEED:,} pictures.")
    labels = np.arange(count) % len(KINDS[family])
    pictures = np.empty((count, size, size, *_CHANNELS.get(family, (3,))), dtype=np.uint8)
    for index, label in enumerate(labels.tolist()):
        pictures[index] = np.asarray(draw(family, label, seed * _PER_SEED + index, size))
    return pictures, labels


def contact_sheet(
    family: str, columns: int, size: int, seed: int = 0, scale: int = 1
) -> Image.Image:
    """Lay pictures out on one sheet, a row for each kind, to look at many of them at once.

    Args:
        family: ``"digits"``, ``"sprites"``, ``"butterflies"`` or ``"flowers"``.
        columns: How many of each kind, 1 or more.
        size: Height and width of a picture in pixels: 8 or more, for sprites a multiple of 16.
        seed: Which run, as for :func:`draw_many`.
        scale: How many times each pixel is repeated across and down, 1 or more.

    Returns:
        Sheet, RGB or for digits grey, ``columns * size * scale`` wide and
        ``kinds * size * scale`` high.

    Raises:
        ValueError: If there is no such family or size, or nothing to lay out.

    Example:
        >>> from course_utils.data import contact_sheet
        >>> contact_sheet("butterflies", columns=4, size=32).save("butterflies.png")

    Chapter: the page "The pictures", "Sprites".
    """
    if columns < 1 or scale < 1:
        raise ValueError(f"columns is {columns!r} and scale {scale!r}; ask for 1 or more of each.")
    kinds = len(KINDS.get(family, ()))
    pictures, _ = draw_many(family, columns * kinds, size, seed)
    grid = pictures.reshape(columns, kinds, size, size, -1).transpose(1, 2, 0, 3, 4)
    sheet = grid.reshape(kinds * size, columns * size, *pictures.shape[3:])
    return Image.fromarray(sheet.repeat(scale, axis=0).repeat(scale, axis=1))


def _check(family: str, size: int) -> None:
    if family not in KINDS:
        raise ValueError(f"There is no family {family!r}; choose one of: {', '.join(KINDS)}.")
    if size < 8 or size % 1:
        raise ValueError(f"size is {size!r}; ask for a whole number of pixels, 8 or more.")
    if family == "sprites" and size % GRID:
        raise ValueError(
            f"size is {size!r}, but sprites live on a grid of {GRID} by {GRID}: "
            f"ask for a multiple of {GRID}, such as {GRID * max(1, round(size / GRID))}."
        )
