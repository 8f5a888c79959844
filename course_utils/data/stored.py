"""What lies in NumPy's files: which array is the pictures, which the labels, and what is neither.

A ``.npy`` file is one array, and its labels lie beside it; a ``.npz`` file holds both.
"""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import MAGIC_PREFIX

from course_utils.data.summary import named

SUFFIXES = (".npy", ".npz")
"""The ends of the names of files that are read here."""

_LABELS = re.compile(r"label|target|caption|class|metadata|annotation|^y([_.-]|$)", re.IGNORECASE)
_PICTURES = ("images", "pictures", "x_train", "x")  # in a .npz, by what one calls them
_NUMBERS = ("labels", "label", "y_train", "y", "targets", "target")
_WORDS = ("classes", "class_names", "label_names", "categories")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Arrays as they lie in a file, unchecked.

    Attributes:
        pictures: Numbers of any shape.
        labels: Numbers or words of any shape; None where there are none.
        words: What the labels 0, 1, 2, … are called; None where nothing says so.
        where: Where the labels lie; for messages.
        told: Whether there are labels and where, for the line that says what was opened.
        unused: A note on what is not used, if there is any.
    """

    pictures: np.ndarray
    labels: np.ndarray | None
    words: np.ndarray | None
    where: str
    told: str
    unused: list[str]


def read_stored(path: Path) -> Stored:
    """Find the pictures and their labels.

    Args:
        path: A ``.npy`` file, perhaps with ``<name>_labels.npy`` beside it; or a ``.npz`` file.

    Returns:
        The arrays.

    Raises:
        ValueError: A file cannot be read, or it cannot be told which array holds the pictures.

    Source:
        ``numpy.load``; nothing in the file is executed.
    """
    return _unpack(path) if path.suffix.lower() == ".npz" else _beside(path)


def _beside(path: Path) -> Stored:
    """The array of a file, and the labels that lie beside it."""
    beside = path.with_name(f"{path.stem}_labels{path.suffix}")
    has_labels = os.path.lexists(beside)  # a link to nowhere too, which will be named
    unused = _looks_like_labels(path, beside)
    return Stored(
        pictures=_load(path, "biuf"),
        labels=_load(beside, "biufUS") if has_labels else None,
        words=None,
        where=str(beside),
        told=f"{'labels from' if has_labels else 'no'} {beside.name}",
        unused=[f"beside it and not used: {named(unused)}"] * bool(unused),
    )


def _load(path: Path, kinds: str) -> np.ndarray:
    """The array in a file, whose values are of one of these kinds of NumPy's."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path} cannot be read as an array: {_why(path, error)}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds:
        what = "numbers or words" if "U" in kinds else "numbers"
        raise ValueError(f"{path} is not one array of {what}, as numpy.save writes it.")
    return array


def _why(path: Path, error: Exception) -> str:
    """Why NumPy does not read a file. Its own advice, to run what is in there, is not passed on."""
    if isinstance(error, OSError):
        return str(error)
    with path.open("rb") as file:
        start = file.read(16)
    if start and not start.startswith((MAGIC_PREFIX, b"PK")):
        return f"it is no file of NumPy's, as numpy.save writes them; it begins with {start!r}."
    if isinstance(error, TypeError):  # an array is no archive
        return "it is a single array. Give its name the end .npy."
    if "pickle" in str(error):
        return "it holds objects of Python's, which are not loaded. Save numbers, or words as str."
    return str(error)


def _looks_like_labels(path: Path, beside: Path) -> list[str]:
    """Files in the same folder that look as if they held labels for these pictures."""
    others = {file.name for file in path.parent.iterdir() if file.is_file()}
    own = {path.name, beside.name}
    # The labels of another array there are not these pictures' labels.
    own |= {f"{Path(name).stem}_labels{Path(name).suffix}" for name in others - own}
    return sorted(name for name in others - own if _LABELS.search(name) or _same(name, path))


def _same(name: str, path: Path) -> bool:
    """Whether a file is named after the pictures, as mine.csv is after mine.npy."""
    return name.startswith((f"{path.stem}.", f"{path.stem}_", f"{path.stem}-"))


def _unpack(path: Path) -> Stored:
    """The arrays in a .npz file, told apart by their names and shapes."""
    arrays = _members(path)
    pictures = _pictures(path, arrays)
    labels = next((name for name in _NUMBERS if name in arrays), None)
    words = next((name for name in _WORDS if arrays.get(name, np.int64()).dtype.kind in "US"), None)
    unused = sorted(set(arrays) - {pictures, labels, words})
    return Stored(
        pictures=arrays[pictures],
        labels=arrays[labels] if labels else None,
        words=arrays[words] if labels and words else None,
        where=f"{labels!r} in {path}",
        told=f"labels from its array {labels!r}" if labels else "no array 'labels' in it",
        unused=[f"in it and not used: {named(unused)}"] * bool(unused),
    )


def _members(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file by name; what only Python could read again is refused."""
    try:
        with np.load(path, allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as arrays: {_why(path, error)}") from error
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _pictures(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """The name of the array that holds the pictures."""
    deep = [name for name, a in arrays.items() if a.ndim >= 3 and a.dtype.kind in "biuf"]
    known = [name for name in _PICTURES if name in arrays and arrays[name].dtype.kind in "biuf"]
    if len(deep) == 1 and (not known or known[0] in deep or arrays[known[0]].ndim < 2):
        return deep[0]
    if known:
        return known[0]
    each = named([f"{name} {a.dtype} {a.shape}" for name, a in arrays.items()], most=8)
    raise ValueError(
        f"{path} holds {each or 'nothing'}; it cannot be told which are the pictures. Save them "
        "as images, and their labels, if there are any, as labels: "
        "numpy.savez('mine.npz', images=…, labels=…)."
    )
