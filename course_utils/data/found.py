"""What lies in a folder: its pictures, by their names, and everything else."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from course_utils.data.plain import picture_suffixes
from course_utils.data.summary import named, number, readable

TRAIN = frozenset({"train", "training"})
OTHER_SPLITS = frozenset(
    {"test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev"}
)
"""Names of folders that hold no class, but a part of the set; those that datasets knows."""

_SYSTEM = {
    "@eadir",
    "@recycle",
    "#recycle",
    "$recycle.bin",
    "lost+found",
    "system volume information",
}  # what file servers and Windows put beside pictures, in lower case
HEIC = "phones store photographs (HEIC); export them as JPEG"
"""What to do about pictures that Pillow does not open by itself."""

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_LABELS = ("metadata.", "labels.", "captions.", "annotations.")  # beginnings of files of labels


@dataclass
class Found:
    """What lies in a folder.

    Attributes:
        pictures: Files whose names end as a picture's does, in a fixed order.
        files: Other files.
        hidden: Files and folders that are hidden, or a system's; nobody looked into those.
        empty: Folders without a picture in or below them.
        loops: Links to a folder that they lie in.
        splits: Pictures that belong to another part of the set than training.
    """

    pictures: list[Path] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    loops: list[Path] = field(default_factory=list)
    splits: list[Path] = field(default_factory=list)


def find(folder: Path) -> Found:
    """Look into a folder and all below it.

    Args:
        folder: Its path.

    Returns:
        What is there.

    Raises:
        ValueError: A folder cannot be looked into.
    """
    found = Found()
    _look(folder, found, above=())
    return found


def _look(folder: Path, found: Found, above: tuple[Path, ...]) -> int:
    """Sort what lies in a folder and below into `found`; give the number of its pictures."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ValueError(f"{folder} cannot be looked into: {error}") from error
    above, count = (*above, folder.resolve()), 0
    for path in entries:
        if path.name.startswith((".", "__")) or path.name.lower() in _SYSTEM:
            found.hidden.append(path)
        elif path.is_dir() and path.resolve() in above:
            found.loops.append(path)
        elif path.is_dir():
            inside = _look(path, found, above)
            count += inside
            if not inside:
                # Of empty folders in an empty folder the outermost alone is told.
                found.empty = [e for e in found.empty if path not in e.parents] + [path]
        elif path.suffix.lower() in picture_suffixes() and (path.is_file() or path.is_symlink()):
            found.pictures.append(path)  # links to nowhere too: they will be named as torn
            count += 1
        else:
            found.files.append(path)
    return count


def training_part(folder: Path, found: Found) -> Path:
    """Leave to one side what belongs to other parts of a set than training.

    Args:
        folder: What was looked into.
        found: What is there; pictures of other parts move to its `splits`.

    Returns:
        The folder whose pictures count, which is one for training, if it lies beside another.

    Raises:
        ValueError: There are parts of a set, and it cannot be told which is to be learned from.
    """
    tops = {path.relative_to(folder).parts[0] for path in found.pictures if path.parent != folder}
    train = [top for top in sorted(tops) if top.lower() in TRAIN]
    parts = train + [top for top in sorted(tops) if top.lower() in OTHER_SPLITS]
    if len(parts) < 2:
        return folder
    loose = {path.name for path in found.pictures if path.parent == folder}
    beside = sorted(tops - set(parts)) + sorted(loose)
    if len(train) != 1 or beside:
        raise ValueError(
            f"{folder} holds the parts of a set ({named(parts)}), but "
            + (f"{named(beside)} beside them." if beside else "not one that is for training.")
            + " Give the path of the part to learn from as source."
        )
    root = folder / train[0]
    found.splits = [path for path in found.pictures if root not in path.parents]
    found.pictures = [path for path in found.pictures if root in path.parents]
    return root


def check_depth(root: Path, found: Found) -> None:
    """Complain where there are no pictures, or where some lie deeper than others.

    Args:
        root: The folder whose pictures count.
        found: What is there.

    Raises:
        ValueError: It is so; an example for each depth is named.
    """
    if not found.pictures:
        raise ValueError(no_pictures(root, found))
    by_depth = {len(path.parts): path.relative_to(root).as_posix() for path in found.pictures[::-1]}
    if len(by_depth) > 1:
        raise ValueError(
            f"{root} holds pictures at different depths: {named(by_depth.values())}. The folder "
            "that a picture lies in is its label, so put all of them equally deep: into one "
            "sub-folder for each label, or all into the folder itself."
        )


def no_pictures(folder: Path, found: Found) -> str:
    """What is said of a folder without a picture.

    Args:
        folder: What was looked into.
        found: What is there.

    Returns:
        What counts as a picture, what to do, and what lies there in place of some.
    """
    there = bool(found.files or found.hidden or found.empty or found.loops or found.splits)
    rest = "; ".join(left_out(folder, found)) if there else "nothing is in it"
    heic = any(path.suffix.lower() in (".heic", ".heif") for path in found.files)
    return (
        f"{folder} holds no pictures, nor do its sub-folders. Files whose names end in .jpg, "
        ".png or another of Pillow's suffixes count: put some into it, or give the folder that "
        f"has them{f'; {HEIC}' * heic}. ({rest})"
    )


def label_of(path: Path, root: Path) -> str:
    """The label of a picture: its folder's name. Two ways to store one "é" are one name.

    Args:
        path: The picture.
        root: The folder whose pictures count.

    Returns:
        Such as ``"rose"``.
    """
    parent = root.resolve() if path.parent == root else path.parent
    return unicodedata.normalize("NFC", readable(parent.name or "pictures"))


def in_order(names: set[str]) -> list[str]:
    """Labels in alphabetical order; numbers, if all are, in that of the numbers.

    Args:
        names: The labels.

    Returns:
        All of them.
    """
    if all(_NUMBER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def labels_of(pictures: Sequence[Path], root: Path) -> tuple[list[str], list[int]]:
    """The labels of pictures.

    Args:
        pictures: Their files.
        root: The folder whose pictures count.

    Returns:
        The names of all labels, in order, and the number of each picture's.
    """
    each = [label_of(path, root) for path in pictures]
    names = in_order(set(each))
    number_of = {name: number for number, name in enumerate(names)}
    return names, [number_of[name] for name in each]


def left_out(folder: Path, found: Found) -> list[str]:
    """One note that names all that lies in the folder and is not loaded.

    Args:
        folder: What was looked into.
        found: What is there.

    Returns:
        Part of a sentence.
    """
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for path in found.files:
        labels = path.name.lower().startswith(_LABELS)
        kind = "with labels or captions, not used" if labels else path.suffix.lower() or "no suffix"
        by_suffix[kind].append(short(path, folder))
    groups = [("file", kind, some) for kind, some in sorted(by_suffix.items())]
    for noun, what, paths in (
        ("file or folder", "hidden or a system's", found.hidden),
        ("folder", "without pictures", found.empty),
        ("link", "to a folder above", found.loops),
        ("picture", "of other parts of the set", found.splits),
    ):
        groups += [(noun, what, [short(path, folder) for path in paths])] if paths else []
    parts = [f"{number(len(s), noun)} {what} ({named(sorted(s))})" for noun, what, s in groups]
    return ["left out: " + ", ".join(parts)] if parts else ["nothing left out"]


def short(path: Path, folder: Path) -> str:
    """A path as it is told, from the folder on.

    Args:
        path: A file in the folder.
        folder: What was looked into.

    Returns:
        Such as ``"rose/1.jpg"``.
    """
    return path.relative_to(folder).as_posix()


def why_unreadable(path: Path, error: Exception) -> str:
    """Say why a picture file could not be read.

    Args:
        path: The file.
        error: What Pillow's reader raised.

    Returns:
        The reason, and what to do where it is known.
    """
    if path.is_symlink() and not path.exists():
        return f"a link to {path.readlink()}, which is not there"
    if path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, Image.DecompressionBombError):
        return f"enormous ({error}); scale it down, if you trust it"
    if not isinstance(error, UnidentifiedImageError):
        return str(error)
    with path.open("rb") as file:
        start = file.read(32)
    if start[4:8] == b"ftyp":
        return f"it is {start[8:12].decode('ascii', 'replace')} inside, as {HEIC}"
    return f"there is no picture in it that Pillow knows; it begins with {start[:16]!r}"
