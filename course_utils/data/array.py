"""Pictures in a NumPy file as a data set, or a word on what has to be done to them first."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course_utils.data.stored import Stored, read_stored
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
MOST_CHANNELS = 16
"""A last axis of up to so many is taken for channels."""

_FEWER = 4
"""A single picture has this many times fewer channels than pixels along either side."""


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Pictures and labels as they lay in a file.

    Attributes:
        pictures: uint8, shape (N, H, W), or with channels (N, H, W, C), C at least 2.
        labels: int64, shape (N,).
        names: The name of each label.
        line: What was opened, in a line.
    """

    pictures: np.ndarray
    labels: np.ndarray
    names: list[str]
    line: str


def load_array(path: Path) -> "Dataset":
    """Open pictures that were saved as a NumPy array.

    Args:
        path: As `read_arrays` takes it; the pictures are grey or have three channels.

    Returns:
        A data set with the columns ``image`` (mode ``"RGB"`` or ``"L"``) and ``label``.
        ``info.description`` is the line of `read_arrays`.

    Raises:
        ValueError: As for `read_arrays`; or the pictures have other channels, and then the lines
            that mend it are given.

    Source:
        ``numpy.load``; nothing in the file is executed.

    Chapter: the page "The pictures", "One word away".
    """
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, Image

    found = read_arrays(path, most_channels=3)
    features = Features({"image": Image(), "label": ClassLabel(names=found.names)})
    return Dataset.from_dict(
        {"image": list(found.pictures), "label": found.labels},
        info=DatasetInfo(description=found.line, features=features),
    )


def read_arrays(path: Path, most_channels: int = MOST_CHANNELS) -> Arrays:
    """Read pictures and their labels from NumPy's files.

    Args:
        path: A ``.npy`` file, uint8: grey of shape (N, H, W) or (N, H, W, 1), or with channels
            (N, H, W, C). If a file ``<name>_labels.npy`` lies beside it, that holds the labels:
            whole numbers from 0 or words, shape (N,) or (N, 1), or one row of a single 1 and
            else zeros for each picture, shape (N, K). Or a ``.npz`` file with such arrays: one of
            pictures, or one that is called ``images``; perhaps ``labels``, and ``classes``,
            which names the labels 0, 1, 2, …
        most_channels: 3 refuses all but grey and three.

    Returns:
        The arrays. The classes are the labels that occur, in rising order, named by their number
        or word. Without labels every label is 0. The line names other arrays, or other files
        beside it, that look like labels and are not used.

    Raises:
        ValueError: A file cannot be read, holds something else, or its arrays do not belong
            together. Where a few lines of NumPy would mend it, they are given.
    """
    stored = read_stored(path)
    pictures = stored.pictures
    if pictures.size == 0:
        raise ValueError(f"{path} holds no pictures: its shape is {pictures.shape}.")
    _check(path, pictures, most_channels)
    if pictures.ndim == 4 and pictures.shape[-1] == 1:
        pictures = pictures[..., 0]
    count, height, width, *channels = pictures.shape
    names, labels = ["0"], np.zeros(count, np.int64)
    if stored.labels is not None:
        names, labels = _labels(stored.where, stored.labels, count)
        names = _worded(stored, names)
    said = [classes(names, labels.tolist()), *size_notes([path.name], [(width, height)])[:1]]
    said += [f"{c} channels" for c in channels if c != 3]
    if height != width:
        said.append("not square, which prepare() crops, pads or squashes")
    said += [readable(stored.told), *stored.unused]
    warn_if_dark(int(pictures.max()), f"the pictures in {path}")
    colour = {(): "grey ", (3,): "colour "}.get(tuple(channels), "")
    line = f"{readable(str(path))}: {number(count, f'{colour}picture')}; " + "; ".join(said)
    return Arrays(pictures=pictures, labels=labels, names=names, line=line)


def _check(path: Path, pictures: np.ndarray, most_channels: int) -> None:
    """Complain of an array that is not plain pictures, with the lines that make it so."""
    known = (1, 3) if most_channels == 3 else range(1, most_channels + 1)
    first = _channels_first(pictures, most_channels)
    colour = pictures.ndim == 4 and pictures.shape[-1] in known and not first
    if pictures.dtype == np.uint8 and (colour or _is_grey(pictures)):
        return
    low, high = pictures.min().item(), pictures.max().item()
    layout = _layout_steps(pictures, first)
    if not np.isfinite([low, high]).all():
        advice = "Some values are NaN or infinite: find out where those come from."
    elif pictures.ndim == 0:
        advice = "This is a single number: save the array of the pictures."
    elif layout is None:
        advice = "Bring the axes into that order."
    else:
        steps = layout + _range_steps(pictures.dtype, low, high) + _alpha_steps(pictures, first)
        advice = "Do this to them, and save them anew:"
        advice += "".join(f"\n    pictures = {step}" for step in steps)
    raise ValueError(
        f"{path} holds {pictures.dtype} of shape {pictures.shape}, values {low} to {high}; "
        "pictures are uint8, 0 to 255, of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). "
        + advice
    )


def _is_grey(pictures: np.ndarray) -> bool:
    """Whether the shape is that of several grey pictures, and not of one with channels."""
    if pictures.ndim != 3:
        return False
    short, long = sorted(pictures.shape[:2])
    last = pictures.shape[2]
    # 48 by 64 by 5 is a picture of five channels; 1,000 by 32 by 8 are a thousand narrow ones.
    single = last <= MOST_CHANNELS and _FEWER * last <= short and long <= _FEWER * short
    return pictures.shape[1] == last or (last > 4 and not single)


def _channels_first(pictures: np.ndarray, most_channels: int) -> bool:
    """Whether the second axis holds the channels, as in PyTorch."""
    if pictures.ndim != 4:
        return False
    _, first, second, last = pictures.shape
    if first == second:  # a square, and the channels behind it
        return False
    # More than 4 are told by the square that follows them.
    return last > 4 and (first <= 4 or (first <= most_channels and second == last))


def _layout_steps(pictures: np.ndarray, channels_first: bool) -> list[str] | None:
    """What brings the axes into the order (N, H, W, channels); None where that is not known."""
    if channels_first:
        return ["pictures.transpose(0, 2, 3, 1)  # channels last"]
    if _is_grey(pictures) or (pictures.ndim == 4 and pictures.shape[-1] <= 4):
        return []
    if pictures.ndim == 3:
        return ["pictures[None]  # one picture is a set of one"]
    side = math.isqrt(pictures.shape[-1]) if pictures.ndim == 2 else 0
    if side > 4 and side * side == pictures.shape[-1]:
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


def _alpha_steps(pictures: np.ndarray, channels_first: bool) -> list[str]:
    """What lays see-through pictures on white: the last of 2 or 4 channels tells how opaque."""
    channels = pictures.shape[1 if channels_first else -1]
    if pictures.ndim < 3 or _is_grey(pictures) or channels not in (2, 4):
        return []
    # Or pictures[..., :-1], which shows the colours that the see-through parts hide.
    return [
        "255 - (255.0 - pictures[..., :-1]) * pictures[..., -1:] / 255  # on white",
        "pictures.round().astype('uint8')",
    ]


def _labels(where: str, found: np.ndarray, count: int) -> tuple[list[str], np.ndarray]:
    """The names of the labels that occur in an array, and which of them each picture has."""
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
            f"{where} holds {found.dtype} of shape {found.shape}; for {count} pictures it must "
            f"hold {count} whole numbers from 0 or words, or {count} rows with a single 1 and "
            "else zeros."
        )
    if labels.dtype.kind == "f":
        labels = labels.astype(np.uint64)
    names, index = np.unique(labels, return_inverse=True)
    return [str(name) for name in names], index.astype(np.int64)


def _worded(stored: Stored, names: list[str]) -> list[str]:
    """The labels by their words, where a file has some for their numbers."""
    if stored.words is None or not all(name.isdigit() for name in names):
        return names
    words = [str(word) for word in np.char.asarray(stored.words).ravel()]
    if len(words) <= max(map(int, names)) or len(set(words)) < len(words):
        raise ValueError(
            f"{stored.where} goes up to {max(map(int, names))}, and the file names "
            f"{len(set(words))} classes ({named(words)}); there must be a name of its own for "
            "each number from 0 on."
        )
    return [words[int(name)] for name in names]
