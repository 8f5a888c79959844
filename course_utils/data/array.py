"""Pictures in a NumPy file as a data set, or a word on what has to be done to them first."""

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils.data.summary import (
    classes,
    named,
    number,
    readable,
    size_notes,
    warn_if_dark,
)

if TYPE_CHECKING:
    from datasets import Dataset

_DEPTHS = (255, 1_023, 4_095, 16_383, 65_535)  # the highest values of 8, 10, 12, 14 and 16 bits
_LABELS = re.compile(r"label|target|caption|class|metadata|annotation|^y([_.-]|$)", re.IGNORECASE)


def load_array(path: Path) -> "Dataset":
    """Open pictures that were saved as one NumPy array.

    Args:
        path: A ``.npy`` file, uint8: colour of shape (N, H, W, 3), or grey of shape (N, H, W)
            or (N, H, W, 1). If a file ``<name>_labels.npy`` lies beside it, that holds the
            labels: whole numbers from 0 or words, shape (N,) or (N, 1), or one row of a single
            1 and else zeros for each picture, shape (N, K).

    Returns:
        A data set with the columns ``image`` (mode ``"RGB"`` or ``"L"``) and ``label``. The
        classes are the labels that occur, in rising order, named by their number or word.
        Without a file of labels every label is 0. ``info.description`` is a line that tells all
        that, and names other files beside it that look like labels and are not used.

    Raises:
        ValueError: One of the files cannot be read, holds something else, or the two do not
            belong together. Where a few lines of NumPy would mend it, they are given.

    Source:
        ``numpy.load``; nothing in the file is executed.

    Chapter: the page "The pictures", "One word away".
    """
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, Image

    pictures = _load(path, "biuf")
    if pictures.size == 0:
        raise ValueError(f"{path} holds no pictures: its shape is {pictures.shape}.")
    _check(path, pictures)
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    beside = path.with_name(f"{path.stem}_labels{path.suffix}")
    has_labels = os.path.lexists(beside)  # a link to nowhere too, which will be named
    names, labels = _labels(beside, len(pictures)) if has_labels else (["0"], None)
    labels = np.zeros(len(pictures), np.int64) if labels is None else labels
    colour = "grey" if pictures.ndim == 3 else "colour"
    said = [classes(names, labels.tolist())]
    said += size_notes([path.name], [(pictures.shape[2], pictures.shape[1])])[:1]
    if pictures.shape[1] != pictures.shape[2]:
        said.append("not square, prepare() keeps the middle")
    said.append(f"{'labels from' if has_labels else 'no'} {readable(beside.name)}")
    unused = _unused(path, beside)
    said += [f"beside it and not used: {named(unused)}"] if unused else []
    warn_if_dark(int(pictures.max()), f"the pictures in {path}")
    line = f"{readable(str(path))}: {number(len(pictures), f'{colour} picture')}; " + "; ".join(
        said
    )
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    return Dataset.from_dict(
        {"image": list(pictures), "label": labels},
        info=DatasetInfo(description=line, features=features),
    )


def _load(path: Path, kinds: str) -> np.ndarray:
    """The array in a file, whose values are of one of these kinds of NumPy's."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        what = "numbers or words" if "U" in kinds else "numbers"
        raise ValueError(f"{path} is not one array of {what}, as numpy.save writes it.")
    return array


def _check(path: Path, pictures: np.ndarray) -> None:
    """Complain of an array that is not plain pictures, with the lines that make it so."""
    colour = pictures.ndim == 4 and pictures.shape[-1] in (1, 3)
    if pictures.dtype == np.uint8 and (colour or _is_grey(pictures)):
        return
    low, high = pictures.min().item(), pictures.max().item()
    layout = _layout_steps(pictures)
    if not np.isfinite([low, high]).all():
        advice = "Some values are NaN or infinite: find out where those come from."
    elif layout is None:
        advice = "Bring the axes into that order."
    else:
        steps = layout + _range_steps(pictures.dtype, low, high) + _alpha_steps(pictures)
        advice = "Do this to them, and save them anew:"
        advice += "".join(f"\n    pictures = {step}" for step in steps)
    raise ValueError(
        f"{path} holds {pictures.dtype} of shape {pictures.shape}, values {low} to {high}; "
        "pictures are uint8, 0 to 255, of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). "
        + advice
    )


def _is_grey(pictures: np.ndarray) -> bool:
    """Whether the shape is that of several grey pictures, and not of a single one in colour."""
    shape = pictures.shape
    return pictures.ndim == 3 and (shape[2] > 4 or shape[1] == shape[2])


def _channels_first(pictures: np.ndarray) -> bool:
    """Whether the second axis holds the channels, as in PyTorch."""
    return pictures.ndim == 4 and pictures.shape[-1] > 4 and pictures.shape[1] <= 4


def _layout_steps(pictures: np.ndarray) -> list[str] | None:
    """What brings the axes into the order (N, H, W, channels); None where that is not known."""
    if _channels_first(pictures):
        return ["pictures.transpose(0, 2, 3, 1)  # channels last"]
    if _is_grey(pictures) or (pictures.ndim == 4 and pictures.shape[-1] <= 4):
        return []
    if pictures.ndim == 3:
        return ["pictures[None]  # one picture is a set of one"]
    side = math.isqrt(pictures.shape[-1])
    if pictures.ndim == 2 and side > 4 and side * side == pictures.shape[-1]:
        return [f"pictures.reshape(-1, {side}, {side})  # rows of pixels are grey pictures"]
    return None


def _range_steps(dtype: np.dtype, low: float, high: float) -> list[str]:
    """What brings the values to whole numbers from 0 to 255."""
    end = ".round().astype('uint8')"
    if dtype == np.uint8:
        return []
    if dtype.kind == "b":
        return ["pictures.astype('uint8') * 255"]
    if dtype.kind == "f" and -1 <= low < 0 and high <= 1:
        return [f"((pictures + 1) * 127.5){end}  # from -1 to 1"]
    if dtype.kind == "f" and low >= 0 and high <= 1:
        return [f"(pictures * 255){end}  # from 0 to 1"]
    if low >= 0 and high <= 255:
        return [f"pictures{end}  # the values fit already"]
    if low >= 0 and high <= _DEPTHS[-1]:
        top = next(depth for depth in _DEPTHS if high <= depth)
        scaled = "pictures / 257" if top == _DEPTHS[-1] else f"pictures / {top} * 255"
        return [f"({scaled}){end}  # {top.bit_length()} bits"]
    spread = float(high) - float(low) or 1.0
    return [f"((pictures - {float(low)}) / {spread} * 255){end}  # from lowest to highest"]


def _alpha_steps(pictures: np.ndarray) -> list[str]:
    """What lays see-through pictures on white: the last of 2 or 4 channels tells how opaque."""
    channels = pictures.shape[1 if _channels_first(pictures) else -1]
    if pictures.ndim < 3 or _is_grey(pictures) or channels not in (2, 4):
        return []
    # Or pictures[..., :-1], which shows the colours that the see-through parts hide.
    return [
        "255 - (255.0 - pictures[..., :-1]) * pictures[..., -1:] / 255  # on white",
        "pictures.round().astype('uint8')",
    ]


def _labels(beside: Path, count: int) -> tuple[list[str], np.ndarray]:
    """The names of the labels that occur in a file, and which of them each picture has."""
    found = _load(beside, "biufUS")
    labels, fits = found, True
    if found.dtype.kind == "S":
        labels = found = np.char.decode(found, "utf-8", "backslashreplace")
    if found.ndim == 2 and found.shape[1] == 1:
        labels = found[:, 0]
    elif found.ndim == 2 and found.size and found.dtype.kind != "U":
        labels = found.argmax(axis=1)
        fits = bool((((found == 1).sum(1) == 1) & ((found != 0).sum(1) == 1)).all())
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    if labels.dtype.kind != "U":
        within = (labels >= 0) & (labels < 2.0**64)  # what follows would warn of infinite ones
        fits = fits and bool(within.all()) and not (labels % 1).any()
    if labels.shape != (count,) or not fits:
        raise ValueError(
            f"{beside} holds {found.dtype} of shape {found.shape}; for {count} pictures it must "
            f"hold {count} whole numbers from 0 or words, or {count} rows with a single 1 and "
            "else zeros."
        )
    if labels.dtype.kind == "f":
        labels = labels.astype(np.uint64)
    names, index = np.unique(labels, return_inverse=True)
    return [str(name) for name in names], index.astype(np.int64)


def _unused(path: Path, beside: Path) -> list[str]:
    """Files in the same folder that look as if they held labels for these pictures."""
    others = {file.name for file in path.parent.iterdir() if file.is_file()}
    own = {path.name, beside.name}
    # The labels of another array there are not these pictures' labels.
    own |= {f"{Path(name).stem}_labels{Path(name).suffix}" for name in others - own}
    return sorted(name for name in others - own if _LABELS.search(name) or _same(name, path))


def _same(name: str, path: Path) -> bool:
    """Whether a file is named after the pictures, as mine.csv is after mine.npy."""
    return name.startswith((f"{path.stem}.", f"{path.stem}_", f"{path.stem}-"))
