"""A folder of your own pictures as a data set, whatever they were saved as.

Pictures come as 16-bit scans, CMYK prints, palettes, and with see-through parts; some are
broken. Each is brought to plain 8-bit grey or RGB, or named in an error.
"""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    from datasets import Dataset

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""The file names that count as pictures, in lower case."""


def load_folder(folder: Path) -> "Dataset":
    """Open a folder of pictures, one sub-folder for each label.

    Args:
        folder: Holds either sub-folders of pictures, whose names become the labels in
            alphabetical order, or pictures, which then all get the one label 0.

    Returns:
        A data set with the columns ``image`` (mode ``"L"`` or ``"RGB"``) and ``label``.
        See-through parts are laid on white; 16-bit pictures are scaled to 8 bits.

    Raises:
        ValueError: There are no pictures, or some lie beside the sub-folders, or some
            cannot be read; those are named.

    Source:
        The folder layout of ``datasets``' *imagefolder*. Chapter: 1, "Your own pictures".
    """
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    files, names = _find(folder)
    images, broken = [], []
    for path in files:
        try:
            images.append(_encode(path))
        except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            broken.append(f"  {path}: {error}")
    if broken:
        listing = "\n".join(broken[:10] + ["  …"] * (len(broken) > 10))
        raise ValueError(
            f"{len(broken)} of {len(files)} pictures cannot be read; mend or remove:\n{listing}"
        )
    labels = [names.index(path.parent.name) for path in files]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"image": images, "label": labels}, features=features)


def _find(folder: Path) -> tuple[list[Path], list[str]]:
    """The picture files of a folder in a fixed order, and the names of their labels."""
    loose = _pictures(folder)
    nested = [file for sub in sorted(folder.iterdir()) if sub.is_dir() for file in _pictures(sub)]
    if loose and nested:
        raise ValueError(
            f"{folder} holds pictures beside sub-folders of pictures ({loose[0].name} is one). "
            "Move them into a sub-folder named after their label."
        )
    if not loose and not nested:
        raise ValueError(
            f"{folder} holds no pictures, nor do its sub-folders. "
            f"Files whose names end in {', '.join(SUFFIXES)} count."
        )
    files = loose or nested
    return files, sorted({file.parent.name for file in files})


def _pictures(folder: Path) -> list[Path]:
    """The picture files right in a folder, by name; hidden ones do not count."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _encode(path: Path) -> dict[str, Any]:
    """A file as `datasets` stores it: its path if it is plain, else its converted bytes."""
    with Image.open(path) as image:
        image.load()
        if image.mode in ("L", "RGB") and "transparency" not in image.info:
            return {"path": str(path.resolve()), "bytes": None}
        plain = to_plain(ImageOps.exif_transpose(image))
    buffer = BytesIO()
    plain.save(buffer, format="PNG")
    return {"path": None, "bytes": buffer.getvalue()}


def to_plain(image: Image.Image) -> Image.Image:
    """Bring a picture of any mode to 8-bit grey or RGB.

    Args:
        image: A loaded Pillow image: grey, RGB, palette, CMYK, 16-bit, with alpha, …

    Returns:
        The picture in mode ``"L"`` (grey sources) or ``"RGB"``, see-through parts on white.

    Raises:
        ValueError: A floating-point picture, whose range cannot be known.

    Source:
        Pillow's list of modes. Chapter: 1, "Your own pictures".
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; save it as 8 or 16 bits.")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, see_through).convert(
            "L" if image.mode in ("L", "LA", "La") else "RGB"
        )
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
