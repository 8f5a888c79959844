"""A folder or an array of your own pictures as a data set, whatever they were saved as.

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
        The folder layout of ``datasets``' *imagefolder*.

    Chapter: 1, "Your own pictures".
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
        Pillow's list of modes.

    Chapter: 1, "Your own pictures".
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


def load_array(path: Path) -> "Dataset":
    """Open pictures that were saved as one NumPy array.

    Args:
        path: A ``.npy`` file, uint8 of shape (N, H, W, 3). If a file ``<name>_labels.npy``
            lies beside it, that holds the labels: whole numbers from 0, shape (N,), or one
            row of a single 1 and else zeros for each picture, shape (N, K).

    Returns:
        A data set with the columns ``image`` (mode ``"RGB"``) and ``label``, whose names are
        the numbers. Without a file of labels every label is 0.

    Raises:
        ValueError: One of the files cannot be read, holds something else, or the two do not
            belong together.

    Source:
        ``numpy.load``; nothing in the file is executed.

    Chapter: the page "The pictures", "One word away".
    """
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    pictures = _load(path)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise ValueError(
            f"{path} holds {pictures.dtype} of shape {pictures.shape}; pictures are uint8 of "
            "shape (N, H, W, 3), 0 to 255. Values from 0 to 1 need: "
            "(pictures * 255).round().astype('uint8')."
        )
    if pictures.size == 0:
        raise ValueError(f"{path} holds no pictures: its shape is {pictures.shape}.")
    labels = _labels_of(path, len(pictures))
    names = [str(label) for label in range(int(labels.max()) + 1)]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"image": list(pictures), "label": labels}, features=features)


def _labels_of(path: Path, count: int) -> np.ndarray:
    """The labels in the file beside a file of pictures, or zeros where there is none."""
    beside = path.with_name(f"{path.stem}_labels{path.suffix}")
    if not beside.exists():
        return np.zeros(count, dtype=np.int64)
    found = _load(beside)
    labels = found.argmax(axis=1) if found.ndim == 2 and found.size else found
    one_hot = found.ndim != 2 or ((found == 1).sum(1) == 1).all() & ((found != 0).sum(1) == 1).all()
    if labels.shape != (count,) or not one_hot or (labels < 0).any() or (labels % 1).any():
        raise ValueError(
            f"{beside} holds {found.dtype} of shape {found.shape}; for {count} pictures it must "
            f"hold {count} whole numbers from 0, or {count} rows with a single 1 and else zeros."
        )
    return labels.astype(np.int64)


def _load(path: Path) -> np.ndarray:
    """The array in a file, which must be plain numbers."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"{path} is not one array of numbers, as numpy.save writes it.")
    return array
