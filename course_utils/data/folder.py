"""A folder of your own pictures as a data set, whatever they were saved as.

The folder's layout is that of ``datasets``' *imagefolder*: labels are the names of the folders
that the pictures lie in. Nothing is left out in silence; where *imagefolder* would drop labels
without a word, as for pictures at different depths, there is an error.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.data.found import (
    check_depth,
    find,
    label_of,
    labels_of,
    left_out,
    short,
    training_part,
    why_unreadable,
)
from course_utils.data.plain import OpenedPicture, open_picture
from course_utils.data.summary import (
    brightest_of,
    classes,
    folder_notes,
    named,
    number,
    readable,
    warn_if_dark,
)

if TYPE_CHECKING:
    from datasets import Dataset


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

    found = find(folder)
    root = training_part(folder, found)
    check_depth(root, found)
    opened = _open(found.pictures, background)
    names, labels = labels_of(found.pictures, root)
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    said = [classes(names, labels), *label_notes(names, root, found.pictures)]
    said += folder_notes([short(path, folder) for path in found.pictures], opened, background)
    said += left_out(folder, found)
    total = len(found.pictures) + len(found.files) + len(found.splits)
    total += sum(path.is_file() for path in found.hidden)
    line = f"{readable(str(folder))}: {number(len(opened), 'picture')} of {number(total, 'file')}; "
    warn_if_dark(*brightest_of(opened, folder))
    return Dataset.from_dict(
        {"image": [picture.stored for picture in opened], "label": labels},
        info=DatasetInfo(description=line + "; ".join(said), features=features),
    )


def _open(files: list[Path], background: str) -> list[OpenedPicture]:
    """Read all files, or name those that cannot be read."""
    opened, broken = [], []
    for path in files:
        try:
            opened.append(open_picture(path, background))
        except Exception as error:  # Pillow's readers raise what they like at torn files
            broken.append(f"  {readable(str(path))}: {why_unreadable(path, error)}")
    if broken:
        listing = "\n".join(broken[:10] + [f"  … and {len(broken) - 10} more"] * (len(broken) > 10))
        raise ValueError(
            f"{len(broken)} of {len(files)} pictures cannot be read; mend or remove:\n{listing}"
        )
    return opened


def label_notes(names: list[str], root: Path, pictures: list[Path]) -> list[str]:
    """What is to be known of the labels besides their names.

    Args:
        names: The labels.
        root: The folder whose pictures count.
        pictures: Their files.

    Returns:
        Notes on labels that differ in case or spaces alone, on those that come from several
        folders, and on folders that give no label.
    """
    same = named(map(repr, alike(names)))
    kept = [f"differ in case or spaces alone, and are kept apart: {same}"] if same else []
    return kept + _merged(root, pictures)


def alike(names: Sequence[str]) -> list[str]:
    """Labels that a person would hardly tell apart, such as "Cat" and "cat ".

    Args:
        names: All labels.

    Returns:
        Those that differ from another one in case or spaces alone.
    """
    each = Counter(name.strip().casefold() for name in names)
    return [name for name in names if each[name.strip().casefold()] > 1]


def _merged(root: Path, pictures: list[Path]) -> list[str]:
    """A note on labels that come from several folders, and on folders that give no label."""
    folders = sorted({path.parent for path in pictures})
    twice = [name for name, k in Counter(label_of(f / "x", root) for f in folders).items() if k > 1]
    above = sorted({f.parent.relative_to(root).as_posix() for f in folders if f != root} - {"."})
    notes = [f"put together from several folders: {named(sorted(twice))}"] if twice else []
    return notes + ([f"folders above the labels not used: {named(above)}"] if above else [])
