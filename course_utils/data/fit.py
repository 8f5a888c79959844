"""A picture of any shape becomes one of the shape that a network wants: cut, padded or squashed.

Inside, a size is a height and a width, as in a tensor; in the shell it is ``WxH``, as programs
for pictures write it.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

from PIL import Image, ImageColor

from course_utils.validate import check_choice, check_count

Fit: TypeAlias = Literal["crop", "pad", "squash"]
"""``crop`` keeps the middle and loses what sticks out, ``pad`` keeps all and fills up with a
colour, ``squash`` keeps all and bends its proportions."""

Size: TypeAlias = int | tuple[int, int]
"""The side of a square, or height and width."""

FITS = get_args(Fit)

LARGEST_SIDE = 1_024
"""No picture is made larger, since the networks compute with all of its pixels at once."""


def check_size(name: str, size: Size | Sequence[int]) -> tuple[int, int]:
    """Refuse what is no size.

    Args:
        name: What the size is called; for the message.
        size: The side of a square, or height and width, in pixels.

    Returns:
        Height and width.

    Raises:
        TypeError: It is neither a whole number nor two of them.
        ValueError: One of them is below 1, or above `LARGEST_SIDE`.
    """
    if not isinstance(size, (tuple, list)):
        side = _check_side(name, size)
        return side, side
    if len(size) != 2:
        raise TypeError(f"{name} is {size!r}; use one whole number, or (height, width).")
    height, width = size
    return _check_side(f"the height of {name}", height), _check_side(f"the width of {name}", width)


def _check_side(name: str, side: Any) -> int:
    """Refuse what is no number of pixels along a side."""
    pixels = check_count(name, side)
    if pixels > LARGEST_SIDE:
        raise ValueError(
            f"{name} is {pixels} pixels; use at most {LARGEST_SIDE}. A network computes with all "
            "pixels at once: on a laptop begin with 32."
        )
    return pixels


def read_size(text: str) -> Size:
    """Understand a size as one writes it in a shell.

    Args:
        text: ``"32"``, or width and height as in ``"48x32"``.

    Returns:
        The side of a square, or ``(height, width)``.

    Raises:
        ValueError: It is something else.
    """
    parts = re.fullmatch(r"\s*(\d+)(?:\s*[xX×]\s*(\d+))?\s*", text)
    width, height = (int(parts[1]), int(parts[2] or parts[1])) if parts else (0, 0)
    if min(width, height) < 1:
        raise ValueError(
            f"The size is {text!r}; give the side of a square in pixels, such as 32, or width x "
            "height, such as 48x32."
        )
    return width if width == height else (height, width)


def told_size(size: Size | Sequence[int]) -> str:
    """A size as one writes it in a shell.

    Args:
        size: The side of a square, or height and width.

    Returns:
        ``"32"``, or width and height as in ``"48x32"``.
    """
    height, width = check_size("size", size)
    return str(width) if width == height else f"{width}x{height}"


def check_fit(fit: str, background: str) -> None:
    """Refuse a way to fit that there is not, and a colour that has no name.

    Args:
        fit: One of `FITS`.
        background: A colour, as ``PIL.ImageColor`` knows them: a name, or such as ``#ffcc00``.

    Raises:
        ValueError: One of the two is something else.
    """
    check_choice("fit", fit, FITS)
    try:
        ImageColor.getrgb(background)
    except (ValueError, AttributeError, TypeError):
        raise ValueError(
            f"background is {background!r}, which is no colour. Use a name such as 'white', or "
            "'#ffcc00'."
        ) from None


def fitted(image: Image.Image, size: tuple[int, int], fit: Fit, background: str) -> Image.Image:
    """Bring one picture to a size.

    Args:
        image: Plain: mode ``"L"`` or ``"RGB"``.
        size: Height and width.
        fit: What is done where the proportions are others.
        background: The colour that fills up.

    Returns:
        The picture, smoothed as it gets smaller, of just that size.

    Source:
        Pillow's bicubic filter, whose reach grows with the reduction.

    Chapter: 1, "The data".
    """
    height, width = size
    across, down = image.width / width, image.height / height
    if fit == "crop":  # as much of the picture as has the right proportions
        scale = min(across, down)
        kept = _near(width * scale, image.width), _near(height * scale, image.height)
        image = image.crop(_middle(image.size, *kept))
    if fit != "pad":
        return image.resize((width, height), Image.Resampling.BICUBIC)
    scale = max(across, down)  # so that all of the picture is in it
    inner = _near(image.width / scale, width), _near(image.height / scale, height)
    whole = Image.new(image.mode, (width, height), ImageColor.getcolor(background, image.mode))
    whole.paste(image.resize(inner, Image.Resampling.BICUBIC), _middle((width, height), *inner)[:2])
    return whole


def _near(length: float, most: int) -> int:
    """A length in whole pixels, one at least."""
    return min(max(1, round(length)), most)


def _middle(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """The box of some width and height in the middle."""
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return left, top, left + width, top + height
