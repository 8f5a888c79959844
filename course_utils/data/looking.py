"""What is in a folder of pictures, before a minute is spent on it. Nothing in it is changed.

`load_folder` refuses what it cannot read, and names it. Here everything is looked at to the end,
and all that is wrong is told at once.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from course_utils.data.anywhere import advised_size
from course_utils.data.duplicates import THRESHOLD, Compared
from course_utils.data.fit import Fit, Size, check_fit, check_size
from course_utils.data.folder import label_notes
from course_utils.data.found import (
    Found,
    check_depth,
    find,
    labels_of,
    left_out,
    no_pictures,
    short,
    training_part,
    why_unreadable,
)
from course_utils.data.load import way_out
from course_utils.data.mirror import Mirror, try_mirror
from course_utils.data.plain import Seen, read_picture, upright_size
from course_utils.data.stored import SUFFIXES
from course_utils.data.summary import readable
from course_utils.data.tensors import ImageTensors, fit_all
from course_utils.files import spelled_out
from course_utils.screen import shell_line

NEARER = 0.75
"""A picture may stand on its side if a quarter turn brings it this much nearer to the others."""

ENOUGH = 30
"""With fewer pictures nobody can tell how the others stand."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found in a folder.

    Attributes:
        folder: Its path.
        names: The files that could be read, as they are told, such as ``"rose/1.jpg"``.
        seen: What each of these is.
        data: All of these as the network will see them, with their labels.
        fit: How they were brought to their size.
        background: The colour that see-through parts were laid on, and that padded.
        unreadable: The other pictures, by the name of the file, and why they cannot be read.
        refused: Why `load_tensors` will not open the folder as it is, besides those.
        label_notes: What is to be known of the labels, such as that two differ in case alone.
        left_out: What else lies there, in words.
        copies: Groups of rows that show the same picture, or nearly.
        sideways: Rows that a quarter turn brings nearer to all others.
        mirror: What mirroring would do.
    """

    folder: Path
    names: tuple[str, ...]
    seen: tuple[Seen, ...]
    data: ImageTensors
    fit: Fit
    background: str
    unreadable: dict[str, str]
    refused: tuple[str, ...]
    label_notes: tuple[str, ...]
    left_out: str
    copies: list[list[int]]
    sideways: list[int]
    mirror: Mirror

    @property
    def by_label(self) -> dict[str, int]:
        """How many pictures there are of each label."""
        count = Counter(self.data.labels.tolist())
        return {name: count[k] for k, name in enumerate(self.data.names)}

    @property
    def superfluous(self) -> list[int]:
        """Rows that can go, so that each picture is there once."""
        return [row for group in self.copies for row in group[1:]]


def look(
    folder: str | os.PathLike[str],
    image_size: Size | None = None,
    *,
    fit: Fit = "crop",
    background: str = "white",
    progress: Callable[[list[Path]], Iterable[Path]] | None = None,
) -> Look:
    """Look at all pictures in a folder.

    Args:
        folder: With a sub-folder for each label, or with all pictures in it.
        image_size: Side of the pictures as the network will see them, or height and width. None
            takes what `advised_size` gives.
        fit: What is done with pictures of other proportions: crop, pad or squash.
        background: The colour that see-through parts are laid on, and that pads.
        progress: What wraps the list of files, such as ``tqdm``.

    Returns:
        What was found.

    Raises:
        ValueError: There is no such folder, or no picture in it that can be read.

    Example:
        >>> from pathlib import Path
        >>> from course_utils.data import draw, look
        >>> Path("mine").mkdir()
        >>> for seed, name in enumerate("abc"):
        ...     draw("flowers", 0, seed, 40).save(f"mine/{name}.png")
        >>> draw("flowers", 0, 2, 40).save("mine/copy.png")
        >>> Path("mine/torn.png").touch()
        >>> found = look("mine", 32)
        >>> found.data.images.shape, found.copies, found.unreadable
        (torch.Size([4, 3, 32, 32]), [[2, 3]], {'torn.png': 'the file is empty'})
    """
    check_fit(fit, background)
    path = spelled_out("folder", folder)
    if not path.is_dir():
        raise ValueError(_no_folder(path))
    found, root, refused = _found(path)
    size = check_size("image_size", image_size or _advised(found.pictures))
    opened = _Opened(path, found, background)
    files = progress(found.pictures) if progress else found.pictures
    images = fit_all(opened.each(files), size, None, fit, background)
    names, labels = labels_of(opened.files, root)
    data = ImageTensors(images, torch.tensor(labels), tuple(names), flip=False)
    return Look(
        folder=path,
        names=tuple(readable(short(file, path)) for file in opened.files),
        seen=tuple(opened.seen),
        data=data,
        fit=fit,
        background=background,
        unreadable=opened.unreadable,
        refused=tuple(refused),
        label_notes=tuple(label_notes(names, root, opened.files)),
        left_out="; ".join(left_out(path, found)),
        copies=opened.compared.groups(THRESHOLD),
        sideways=_sideways(np.stack(opened.compared.cells)),
        mirror=try_mirror(data),
    )


class _Opened:
    """The pictures of a folder, one after the other, and what is noted on the way."""

    def __init__(self, folder: Path, found: Found, background: str) -> None:
        self.folder, self.found, self.background = folder, found, background
        self.compared = Compared()
        self.files: list[Path] = []
        self.seen: list[Seen] = []
        self.unreadable: dict[str, str] = {}

    def each(self, files: Iterable[Path]) -> Iterator[Image.Image]:
        """All that can be read."""
        for file in files:
            try:
                plain, about = read_picture(file, self.background)
            except Exception as error:  # Pillow's readers raise what they like at torn files
                name = readable(short(file, self.folder))
                self.unreadable[name] = readable(why_unreadable(file, error))
                continue
            self.files.append(file)
            self.seen.append(about)
            self.compared.add(plain.convert("RGB"))
            yield plain
        if not self.files:
            raise ValueError(_nothing(self.folder, self.found, self.unreadable))


def _found(path: Path) -> tuple[Found, Path, list[str]]:
    """What is there, the folder whose pictures count, and what `load_folder` will refuse."""
    found, root, refused = find(path), path, []
    try:
        root = training_part(path, found)
        if found.pictures:
            check_depth(root, found)
    except ValueError as error:
        refused.append(str(error))
    return found, root, refused


def _advised(files: list[Path]) -> Size:
    """A size for the pictures, from the beginnings of the files; those that are torn are passed."""
    sizes = []
    for file in files:
        try:
            sizes.append(upright_size(file))
        except Exception:  # Pillow's readers raise what they like; it is told later, with the name
            continue
    return advised_size(sizes) if sizes else 1


def _no_folder(path: Path) -> str:
    """What is said of a path that leads to something else, or nowhere."""
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return (
            f"{path} is an array, and look wants a folder of pictures. train takes the array as "
            f"it is: {shell_line('train', path)}"
        )
    says = f"{path} is no folder of pictures; it was looked for at {path.absolute()}."
    return says + f" It is another kind of file.{way_out(path)}" * path.exists()


def _nothing(path: Path, found: Found, unreadable: dict[str, str]) -> str:
    """What is said where there is nothing to be seen."""
    if not unreadable:
        return no_pictures(path, found)
    first = [f"  {name}: {why}" for name, why in list(unreadable.items())[:10]]
    return "\n".join([f"None of the {len(unreadable):,} pictures in {path} can be read:", *first])


def _sideways(cells: np.ndarray) -> list[int]:
    """Rows that come much nearer to the others by a quarter turn.

    Args:
        cells: Average colours, uint8 of shape (N, 16, 16, 3).

    Returns:
        The rows.
    """
    if len(cells) < ENOUGH:
        return []
    upright = torch.from_numpy(cells).float()
    known = upright.flatten(1)

    def nearest(turns: int) -> torch.Tensor:
        turned = torch.rot90(upright, turns, dims=(1, 2)).flatten(1)
        distances = torch.cdist(turned, known)
        distances.fill_diagonal_(float("inf"))  # nobody is a neighbour of its own
        few = distances.topk(3, largest=False).values  # a second one on its side is no witness
        return few[:, -1]

    turned = torch.minimum(nearest(1), nearest(3))
    return torch.nonzero(turned < NEARER * nearest(0)).flatten().tolist()
