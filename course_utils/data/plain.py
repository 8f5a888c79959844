"""One picture, whatever it was saved as, becomes plain: 8-bit grey or RGB, upright, on a colour.

Pictures come as 16-bit scans, CMYK prints, palettes, films, turned by a phone, and with
see-through parts. What is done to each is noted, so that `load_images` can say it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor, ImageOps
from PIL.ExifTags import Base

from course_utils.data.pixels import png

if TYPE_CHECKING:
    from datasets import Dataset

_NO_PICTURES = {"BUFR", "GRIB", "HDF5", "MPEG"}  # Pillow knows their names, and opens none of them
_TOP = 65_535  # the brightest value of 16 bits


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a picture file was found to be.

    Attributes:
        size: Width and height in pixels, as it is seen.
        brightest: The brightest value of any channel, 0 to 255, once it is plain.
        deep: The lowest and highest value of 65,535, where a channel has more than 8 bits; None
            where it has not.
        film: Whether it has more frames or pages than the first, which is the one that is kept.
        turned: Whether its EXIF data say that it is to be turned or mirrored.
        clear: Whether it had see-through parts, which lie on a colour now.
        kind: What Pillow calls the format, such as ``"JPEG"``.
        mode: What Pillow calls the layout of its pixels, such as ``"CMYK"``.
    """

    size: tuple[int, int]
    brightest: int
    deep: tuple[int, int] | None = None
    film: bool = False
    turned: bool = False
    clear: bool = False
    kind: str = "PNG"
    mode: str = "RGB"


@dataclass(frozen=True, kw_only=True)
class OpenedPicture(Seen):
    """A picture file that could be read, and what had to be done to it.

    Attributes:
        stored: The picture as ``datasets`` stores it: the file's path if it is plain already,
            else the bytes of a PNG.
    """

    stored: dict[str, str | bytes | None]


def picture_suffixes() -> frozenset[str]:
    """The ends of file names that count as pictures: all that this Pillow can open.

    Returns:
        Suffixes in lower case, each with its dot, such as ``".png"``.

    Source:
        ``PIL.Image.registered_extensions``.
    """
    known = Image.registered_extensions()
    opened = (set(Image.OPEN) | {"MPO"}) - _NO_PICTURES  # an MPO is opened as the JPEG it is
    return frozenset(suffix for suffix, kind in known.items() if kind in opened)


def open_picture(path: Path, background: str = "white") -> OpenedPicture:
    """Read a picture file for a data set.

    Args:
        path: The file.
        background: The colour that see-through parts are laid on.

    Returns:
        What is stored of it and what was done to it.

    Raises:
        Exception: As `read_picture`.
    """
    plain, seen = read_picture(path, background)
    stored: dict[str, str | bytes | None] = {"path": None, "bytes": None}
    # datasets turns a plain file by its EXIF data as well, when it decodes it.
    if plain.mode == seen.mode and not seen.clear and _as_text(path):
        stored["path"] = str(path.resolve())
    else:
        stored["bytes"] = png(plain)
    return OpenedPicture(stored=stored, **vars(seen))


def read_picture(path: Path, background: str = "white") -> tuple[Image.Image, Seen]:
    """Read a picture file: its first frame, turned as a viewer shows it, in 8 bits.

    Args:
        path: The file.
        background: The colour that see-through parts are laid on.

    Returns:
        The picture as `to_plain` makes it, and what it was.

    Raises:
        OSError: It is not there, or not whole.
        ValueError: Its values cannot be brought to 8 bits.
        Exception: Whatever else Pillow's reader of this kind of file raises.

    Source:
        Pillow; the EXIF standard for the orientation.
    """
    with Image.open(path) as image:
        # The mode of 16-bit colour is "RGB": only the file's own layout tells the depth.
        deep = image.mode.startswith("I") or bool(re.search(r";16[BLN]", str(image.tile)))
        film = getattr(image, "is_animated", False)
        turned = image.getexif().get(Base.Orientation) in range(2, 9)
        image.load()  # turns a TIFF, and forgets that it was turned
        upright = ImageOps.exif_transpose(image)
        plain = to_plain(upright, background)
        found = _range_of_16_bits(upright, plain) if deep else None
        # Where a deep picture was see-through there is a colour, which says nothing of its values.
        brightest = found[1] // 257 if found else _range(plain)[1]
        seen = Seen(
            size=plain.size,
            brightest=brightest,
            deep=found,
            film=film,
            turned=turned,
            clear=upright.has_transparency_data,
            kind=image.format or path.suffix,
            mode=image.mode,
        )
    return plain, seen


def upright_size(file: Path | IO[bytes]) -> tuple[int, int]:
    """How large a picture is as a viewer shows it, from the beginning of its file.

    Args:
        file: Its path, or what has been opened.

    Returns:
        Width and height.

    Raises:
        Exception: As `read_picture`.

    Source:
        The EXIF standard: from the fifth orientation on, the picture lies on its side.
    """
    with Image.open(file) as image:
        lies = image.getexif().get(Base.Orientation, 1) >= 5
        return image.size[::-1] if lies else image.size


def to_plain(image: Image.Image, background: str = "white") -> Image.Image:
    """Bring a picture to 8 bits, grey or RGB.

    Args:
        image: A picture of any mode. 16-bit values are divided by 257, so that 65,535 becomes
            255.
        background: The colour that see-through parts are laid on, as ``PIL.ImageColor`` knows
            it.

    Returns:
        The picture in mode ``"L"`` (grey sources, unless they lie on a colour that is not grey)
        or ``"RGB"``.

    Raises:
        ValueError: A floating-point picture, whose range cannot be known, or values that do not
            fit into 16 bits.

    Source:
        Pillow's list of modes.

    Chapter: 1, "Your own pictures".
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it as 8 or 16 bits.")
    if image.mode.startswith("I"):
        return _from_16_bits(image, background)
    if image.mode == "La":  # Pillow turns this kind of see-through grey into no other
        image = image.convert("LA")
    if image.has_transparency_data:
        see_through = _see_through(image)
        below = Image.new("RGBA", image.size, ImageColor.getrgb(background)[:3])
        laid = Image.alpha_composite(below, see_through)
        grey = image.mode in ("1", "L", "LA") and is_grey(background)
        image = laid.convert("L" if grey else "RGB")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def is_grey(colour: str) -> bool:
    """Whether a colour is black, white or between the two.

    Args:
        colour: As ``PIL.ImageColor`` knows it.

    Returns:
        True where red, green and blue are the same.
    """
    return len(set(ImageColor.getrgb(colour)[:3])) == 1


def each_plain(dataset: "Dataset", background: str = "white") -> Iterator[Image.Image]:
    """The pictures of a data set, plain, decoded one at a time.

    Args:
        dataset: Has an ``image`` column.
        background: The colour that see-through parts are laid on.

    Yields:
        Each picture as `to_plain` makes it.

    Raises:
        ValueError: A picture is missing or torn, or `to_plain` refuses it; names its row.
    """
    row = 0
    try:
        for entry in dataset.select_columns("image"):
            if entry["image"] is None:
                raise ValueError("there is none (None)")
            yield to_plain(entry["image"], background)
            row += 1
    except Exception as error:  # Pillow's readers raise what they like at torn files
        raise ValueError(
            f"The picture in row {row} cannot be used: {error}. Mend it or leave the row out."
        ) from error


def _from_16_bits(image: Image.Image, background: str) -> Image.Image:
    """Grey values from 0 to 65,535 as 0 to 255, the see-through one as the background."""
    values = np.asarray(image)
    low, high = _range(image)
    if low < 0 or high > _TOP:
        raise ValueError(
            f"its values, {low:,} to {high:,}, do not fit into 16 bits (0 to {_TOP:,}); "
            "scale them, and save it anew."
        )
    pixels = Image.fromarray((values / 257).round().astype(np.uint8))
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        mode = "L" if is_grey(background) else "RGB"
        pixels = pixels.convert(mode)
        pixels.paste(ImageColor.getcolor(background, mode), mask=Image.fromarray(values == clear))
    return pixels


def _see_through(image: Image.Image) -> Image.Image:
    """A picture in RGBA; a see-through colour of 16 bits loses its lower 8, as the pixels did."""
    clear = image.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image.convert("RGBA")


def _range_of_16_bits(image: Image.Image, plain: Image.Image) -> tuple[int, int]:
    """The lowest and highest value; of 16-bit colour Pillow keeps the upper 8 bits alone."""
    if image.mode.startswith("I"):
        return _range(image)
    low, high = _range(plain)
    return low << 8, high << 8 | 255


def _range(image: Image.Image) -> tuple[int, int]:
    """The lowest and highest value in a picture, over all channels."""
    values = np.asarray(image)
    return int(values.min()), int(values.max())


def _as_text(path: Path) -> bool:
    """Whether the name of a file is text; others cannot be kept in a table."""
    try:
        str(path.resolve()).encode()
    except UnicodeEncodeError:
        return False
    return True
