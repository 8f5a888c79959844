"""A folder of your own pictures as a data set, whatever they were saved as.

The folder's layout is that of ``datasets``' *imagefolder*: labels are the names of the folders
that the pictures lie in. Nothing is left out in silence; where *imagefolder* would drop labels
without a word, as for pictures at different depths, there is an error.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.data.plain import Opened, open_picture, picture_suffixes
from course_utils.data.summary import (
    classes,
    folder_notes,
    named,
    number,
    readable,
    warn_if_dark,
)

if TYPE_CHECKING:
    from datasets import Dataset

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


def load_folder(folder: Path, background: str = "white") -> "Dataset":
    """Open a folder of pictures, one sub-folder for each label.

    Args:
        folder: Holds either sub-folders of pictures, whose names become the labels, or pictures,
            which then all get the one label 0. The sub-folders may lie in further ones, all
            equally deep; then the lowest gives the label. Of ``train`` beside ``test`` or the
            like, ``train`` is taken. Labels stand in alphabetical order, in that of the numbers
            if all of them are numbers. Those that differ in case alone are two labels, and named.
        background: The colour that see-through parts are laid on.

    Returns:
        A data set with the columns ``image`` (mode ``"L"`` or ``"RGB"``) and ``label``.
        16-bit pictures are divided by 257; films give their first frame; EXIF orientation is
        followed. ``info.description`` is a line that
        tells all that, and what was left out: hidden and system folders, files that Pillow does
        not open, ``metadata.csv`` and the like, other parts of the set.

    Raises:
        ValueError: There are no pictures, or they lie at different depths, or some cannot be
            read (torn, empty, a link to nowhere); those are named.

    Source:
        The folder layout of ``datasets``' *imagefolder*.

    Chapter: 1, "Your own pictures".
    """
    from datasets import ClassLabel, Dataset, DatasetInfo, Features, Image

    found = Found()
    _look(folder, found, above=())
    root = _training(folder, found)
    _check_depth(root, found)
    opened = _open(found.pictures, background)
    each = [_label(path, root) for path in found.pictures]
    names = _in_order(set(each))
    labels = [names.index(name) for name in each]
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    said = [classes(names, labels), *_alike(names), *_merged(root, found.pictures)]
    said += folder_notes([_short(path, folder) for path in found.pictures], opened, background)
    said += _left_out(folder, found)
    total = len(found.pictures) + len(found.files) + len(found.splits)
    total += sum(path.is_file() for path in found.hidden)
    line = f"{readable(str(folder))}: {number(len(opened), 'picture')} of {number(total, 'file')}; "
    deep = [picture.brightest for picture in opened if picture.deep]
    if deep:
        warn_if_dark(max(deep), f"the pictures of 16 bits or more in {folder}")
    else:
        warn_if_dark(max(picture.brightest for picture in opened), f"the pictures in {folder}")
    return Dataset.from_dict(
        {"image": [picture.stored for picture in opened], "label": labels},
        info=DatasetInfo(description=line + "; ".join(said), features=features),
    )


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


def _training(folder: Path, found: Found) -> Path:
    """The folder whose pictures count: a folder for training, if there is one beside another."""
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


def _check_depth(root: Path, found: Found) -> None:
    """Complain where there are no pictures, or where some lie deeper than others."""
    if not found.pictures:
        raise ValueError(
            f"{root} holds no pictures, nor do its sub-folders. Files whose names end in .jpg, "
            f".png or another of Pillow's suffixes count. {'; '.join(_left_out(root, found))}"
        )
    by_depth = {len(path.parts): path.relative_to(root).as_posix() for path in found.pictures[::-1]}
    if len(by_depth) > 1:
        raise ValueError(
            f"{root} holds pictures at different depths: {named(by_depth.values())}. The folder "
            "that a picture lies in is its label, so put all of them equally deep: into one "
            "sub-folder for each label, or all into the folder itself."
        )


def _open(files: list[Path], background: str) -> list[Opened]:
    """Read all files, or name those that cannot be read."""
    opened, broken = [], []
    for path in files:
        try:
            opened.append(open_picture(path, background))
        except Exception as error:  # Pillow's readers raise what they like at torn files
            said = "the file is empty" if _is_empty(path) else error
            broken.append(f"  {readable(str(path))}: {said}")
    if broken:
        listing = "\n".join(broken[:10] + [f"  … and {len(broken) - 10} more"] * (len(broken) > 10))
        raise ValueError(
            f"{len(broken)} of {len(files)} pictures cannot be read; mend or remove:\n{listing}"
        )
    return opened


def _is_empty(path: Path) -> bool:
    """Whether a file is there and holds nothing."""
    return path.exists() and path.stat().st_size == 0


def _label(path: Path, root: Path) -> str:
    """The label of a picture: its folder's name. Two ways to store one "é" are one name."""
    parent = root.resolve() if path.parent == root else path.parent
    return unicodedata.normalize("NFC", readable(parent.name or "pictures"))


def _in_order(names: set[str]) -> list[str]:
    """Labels in alphabetical order; numbers, if all are, in that of the numbers."""
    if all(_NUMBER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _alike(names: list[str]) -> list[str]:
    """A note on labels that a person would hardly tell apart, such as "Cat" and "cat "."""
    each = Counter(name.strip().casefold() for name in names)
    alike = [repr(name) for name in names if each[name.strip().casefold()] > 1]
    return [f"differ in case or spaces alone, and are kept apart: {named(alike)}"] * bool(alike)


def _merged(root: Path, pictures: list[Path]) -> list[str]:
    """A note on labels that come from several folders, and on folders that give no label."""
    folders = sorted({path.parent for path in pictures})
    twice = [name for name, k in Counter(_label(f / "x", root) for f in folders).items() if k > 1]
    above = sorted({f.parent.relative_to(root).as_posix() for f in folders if f != root} - {"."})
    notes = [f"put together from several folders: {named(sorted(twice))}"] if twice else []
    return notes + ([f"folders above the labels not used: {named(above)}"] if above else [])


def _left_out(folder: Path, found: Found) -> list[str]:
    """One note that names all that lies in the folder and is not loaded."""
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for path in found.files:
        labels = path.name.lower().startswith(_LABELS)
        kind = "with labels or captions, not used" if labels else path.suffix.lower() or "no suffix"
        by_suffix[kind].append(_short(path, folder))
    groups = [("file", kind, some) for kind, some in sorted(by_suffix.items())]
    for noun, what, paths in (
        ("file or folder", "hidden or a system's", found.hidden),
        ("folder", "without pictures", found.empty),
        ("link", "to a folder above", found.loops),
        ("picture", "of other parts of the set", found.splits),
    ):
        groups += [(noun, what, [_short(path, folder) for path in paths])] if paths else []
    parts = [f"{number(len(s), noun)} {what} ({named(sorted(s))})" for noun, what, s in groups]
    return ["left out: " + ", ".join(parts)] if parts else ["nothing left out"]


def _short(path: Path, folder: Path) -> str:
    """A path as it is told, from the folder on."""
    return path.relative_to(folder).as_posix()
