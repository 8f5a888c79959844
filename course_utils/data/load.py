"""Where pictures come from: the course itself, the Hub, or you; and never one for another.

Whatever the source, `load_images` gives the same two columns, ``image`` and ``label``.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.data.array import load_array
from course_utils.data.drawn import COUNT, load_drawn
from course_utils.data.folder import load_folder
from course_utils.data.stored import SUFFIXES
from course_utils.data.summary import course_line
from course_utils.screen import tell

if TYPE_CHECKING:
    from datasets import Dataset

OWN_SOURCES = {
    "digits": "bundled",
    "sprites": "drawn",
    "butterflies": "drawn",
    "flowers": "drawn",
}
"""The data sets there are, and the source of each that the course opens if you name none."""

HUB_NAMES = {
    "digits": "ylecun/mnist",
    "butterflies": "huggan/smithsonian_butterflies_subset",
    "flowers": "huggan/flowers-102-categories",
}
"""The repository on the Hub that holds the full-sized set of each name."""


class DataUnavailableError(RuntimeError):
    """The pictures asked for could not be had; the message says what to do about it."""


def load_images(
    name: str,
    source: str | os.PathLike[str] | None = None,
    count: int | None = None,
    size: int | None = None,
    first: int | None = None,
) -> "Dataset":
    """Open a set of labelled pictures, and print one line that says what was opened.

    The line tells how many pictures there are of how many files, which classes have which
    numbers, and what was left out and why.

    Args:
        name: ``"digits"``, ``"sprites"``, ``"butterflies"`` or ``"flowers"``.
        source: ``"bundled"`` (digits): the 1,797 handwritten digits that scikit-learn brings
            along, 8x8 grey. ``"drawn"``: pictures that the course draws, and keeps on disk; the
            digits are grey, white ink on black like the bundled ones and MNIST. ``"hub"`` (all
            but sprites): MNIST's 60,000 training digits, 1,000 butterflies of the Smithsonian,
            8,189 flowers, from the Hugging Face Hub (needs the network once). Or the path of
            your own: a folder of pictures with one sub-folder for each label (`load_folder`),
            or a ``.npy`` file, uint8 (N, H, W, 3) or grey (N, H, W), with its labels in
            ``<name>_labels.npy`` beside it, or a ``.npz`` file of ``images`` and ``labels``
            (`load_array`); ``~`` is your home, and ``./hub`` a folder named as a source is.
            None stands for ``"bundled"`` for digits, ``"drawn"`` for the others.
        count: How many pictures to draw, 1,000 if not given; for drawn ones only.
        size: Their height and width in pixels; for drawn ones only. If not given, digits have
            28, sprites 16, the others 64.
        first: The number of the first drawn picture, 0 if not given. Pictures of other numbers
            are others: 1,000 from 0 and 1,000 from 1,000 have none in common.

    Returns:
        A data set with the columns ``image`` (a Pillow image) and ``label`` (a class index
        whose names are in ``dataset.features["label"].names``), and no others. Where the Hub
        has no labels, every picture has label 0.

    Raises:
        ValueError: The name or the source is unknown, the two do not go together, or your
            folder or file has no usable pictures.
        TypeError: The source is neither a name nor a path.
        DataUnavailableError: The Hub did not give the set. Nothing else is loaded instead.

    Example:
        >>> from course_utils.data import load_images
        >>> sprites = load_images("sprites", source="drawn", count=12, size=16)
        sprites, drawn by the course: 12 pictures of 5 classes: ...
        >>> sprites.column_names, sprites[0]["image"].size
        (['image', 'label'], (16, 16))

    Source:
        Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits" (bundled); LeCun et
        al. 1998, MNIST; the Smithsonian's open collections; Nilsback and Zisserman 2008, Oxford
        flowers (Hub).

    Chapter: 1, "The data".
    """
    if not isinstance(name, str) or name not in OWN_SOURCES:
        raise ValueError(f"There is no data set {name!r}; choose from {sorted(OWN_SOURCES)}.")
    source = OWN_SOURCES[name] if source is None else source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source is {source!r}, which is neither a name nor a path. Give the name of a source, "
            "such as 'hub', or the path of your own pictures as a str or a pathlib.Path."
        )
    if source != "drawn" and (count, size, first) != (None, None, None):
        raise ValueError(
            f"count is {count}, size {size} and first {first}, but only drawn pictures can be had "
            f"in any number and size, and source is {os.fspath(source)!r}. Leave them out; "
            "prepare() resizes."
        )
    if source == "hub":
        dataset, line = _from_hub(name)
    elif source == OWN_SOURCES[name] == "bundled":
        dataset = _bundled_digits()
        line = _line("digits, bundled with scikit-learn", dataset)
    elif source == "drawn":
        dataset = load_drawn(name, COUNT if count is None else count, size, first or 0)
        line = _line(f"{name}, drawn by the course", dataset)
    else:
        dataset = _yours(source, name)
        line = dataset.info.description
    tell(line)
    return dataset


def _line(what: str, dataset: "Dataset", left_out: str = "") -> str:
    """The line for a set of the course's or the Hub's."""
    names = dataset.features["label"].names
    return course_line(what, names, dataset["label"][:], left_out)


def _yours(source: str | os.PathLike[str], name: str) -> "Dataset":
    """The pictures at a path of the reader's."""
    given = os.fspath(source)
    # Path("") would be the folder that Python runs in.
    path = Path(os.path.expanduser(given))  # noqa: PTH111  (Path's raises for an unknown user)
    # os.path's functions say "no" to what can be no path at all; Path's raise.
    if given and os.path.isdir(path):  # noqa: PTH112
        return load_folder(path)
    if path.suffix.lower() in SUFFIXES and os.path.isfile(path):  # noqa: PTH113
        return load_array(path)
    own = sorted({OWN_SOURCES[name], "drawn"})
    known = own + ["hub"] * (name in HUB_NAMES)
    there = given and os.path.exists(path)  # noqa: PTH110
    raise ValueError(
        f"source is {given!r}, which for {name} is neither {' nor '.join(map(repr, known))} "
        f"nor a folder, .npy or .npz file that exists. "
        f"{'It is another kind of file. ' * bool(there)}"
        "Choose one of those, or check the path"
        + (f"; it was looked for at {Path.cwd() / path}." if given else ", which is empty.")
        + way_out(path) * bool(there)
    )


def way_out(path: Path) -> str:
    """How pictures in a file of another kind become a folder.

    Args:
        path: The file.

    Returns:
        A sentence with a space before it.
    """
    if path.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        return " Unpack it, and give the folder."
    return " Give the folder that it lies in."


def _bundled_digits() -> "Dataset":
    """scikit-learn's digits, their 17 grey values spread over 0 to 255."""
    from datasets import ClassLabel, Dataset, Features, Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    arrays = (digits.images * 255 / 16).round().astype("uint8")
    labels = ClassLabel(names=[str(label) for label in digits.target_names])
    return Dataset.from_dict(
        {"image": list(arrays), "label": digits.target},
        features=Features({"image": Image(mode="L"), "label": labels}),
    )


def _from_hub(name: str) -> tuple["Dataset", str]:
    """A set of the Hub that the course knows and its line, or an error that helps."""
    own = OWN_SOURCES[name]
    if name not in HUB_NAMES:
        raise ValueError(
            f"source is 'hub', but there is no set of {name} on the Hub that this course knows. "
            f"Use source={own!r}, or the path of a folder, .npy or .npz file of your own."
        )
    try:
        return load_hub(HUB_NAMES[name], name)
    except DataUnavailableError as error:
        raise DataUnavailableError(
            f"{error} To go on without the Hub, say so in your own line: source={own!r}, or a "
            "folder of pictures."
        ) from error.__cause__


def load_hub(repository: str, name: str | None = None) -> tuple["Dataset", str]:
    """Open the training split of a data set on the Hugging Face Hub.

    Args:
        repository: ``"owner/name"``.
        name: What the pictures are called; None for the second part of that.

    Returns:
        A data set with the columns ``image`` and ``label``, and the line that says what it is.
        The pictures are the column ``image``, or else the first column of pictures; the labels
        ``label``, or else the first column of named classes. Where there are none, every label
        is 0.

    Raises:
        DataUnavailableError: The Hub did not give it, or it has no pictures.
    """
    from datasets import load_dataset

    try:
        dataset = load_dataset(repository, split="train")
    except Exception as error:
        raise DataUnavailableError(
            f"{repository!r} could not be loaded from the Hugging Face Hub: "
            f"{type(error).__name__}: {error}\n"
            "Check the network (python -m course_utils.check says whether the Hub answers) "
            "and that HF_HUB_OFFLINE is not set."
        ) from error
    name = name or repository.split("/")[-1]
    pictures = _columns(dataset, "Image", "image")[:1]
    if not pictures:
        raise DataUnavailableError(
            f"{repository!r} was loaded, but has no column of pictures, only "
            f"{dataset.column_names}."
        )
    columns = pictures + _columns(dataset, "ClassLabel", "label")[:1]
    two = _two_columns(dataset, columns, name)
    others = [c for c in dataset.column_names if c not in columns]
    left_out = f"other splits, columns {', '.join(others)}" if others else "other splits"
    return two, _line(f"{name}, {repository} on the Hub, split train", two, left_out)


def _columns(dataset: "Dataset", kind: str, best: str) -> list[str]:
    """The columns of a kind, that of the best name first."""
    found = [name for name, what in dataset.features.items() if type(what).__name__ == kind]
    return sorted(found, key=lambda name: name != best)


def _two_columns(dataset: "Dataset", columns: list[str], name: str) -> "Dataset":
    """The pictures and their labels alone; where there are none, every label is 0."""
    from datasets import ClassLabel

    two = dataset.select_columns(columns)
    two = two.rename_columns(dict(zip(columns, ("image", "label"), strict=False)))
    if len(columns) == 2:
        return two
    return two.add_column("label", [0] * len(dataset), feature=ClassLabel(names=[name]))
