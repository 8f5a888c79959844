"""Pictures from anywhere, ready for a network: a folder, an array, a set on the Hub, or ours."""

import os
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_utils.data.array import Arrays, read_arrays
from course_utils.data.fit import Fit, Size, check_fit, check_size
from course_utils.data.folder import load_folder
from course_utils.data.load import (
    OWN_SOURCES,
    DataUnavailableError,
    load_hub,
    load_images,
    way_out,
)
from course_utils.data.plain import upright_size
from course_utils.data.stored import SUFFIXES
from course_utils.data.tensors import ImageTensors, fit_all, prepare
from course_utils.files import spelled_out
from course_utils.screen import tell
from course_utils.validate import is_hub_name

if TYPE_CHECKING:
    from datasets import Dataset

LARGEST = 40
"""Pictures with sides of up to so many pixels are taken as they are, if all have one size."""

USUAL = 32
"""The side that is advised for larger ones, which a laptop learns in minutes."""


def load_tensors(
    where: str | os.PathLike[str],
    image_size: Size | None = None,
    *,
    channels: int | None = None,
    fit: Fit = "crop",
    background: str = "white",
    flip: bool = False,
) -> ImageTensors:
    """Open any pictures, bring them to one size, and print a line that says what was opened.

    Args:
        where: A folder of pictures, with or without a sub-folder for each label; a ``.npy`` or
            ``.npz`` file, as `read_arrays` takes it; ``"owner/name"`` of a data set on the
            Hugging Face Hub, whose split ``train`` is taken; or the name of a set of the course.
        image_size: Side of the pictures in pixels; or height and width. None takes the size
            that `advised_size` gives.
        channels: 1 for grey, 3 for RGB; None keeps what the pictures have, which is 1 if all of
            them are grey, and in an array may be more than 3.
        fit: What is done with pictures of other proportions: ``"crop"``, ``"pad"`` or
            ``"squash"``, as for `prepare`.
        background: The colour of padding, and of what is laid below see-through parts.
        flip: Whether batches mirror pictures at random.

    Returns:
        The pictures and their labels.

    Raises:
        ValueError: There is nothing there, or the pictures cannot be used; see `load_images`.
        DataUnavailableError: The Hub did not give the set.

    Example:
        >>> import numpy as np
        >>> from course_utils.data import load_tensors
        >>> maps = np.random.default_rng(0).integers(0, 256, (10, 40, 60, 5), dtype=np.uint8)
        >>> np.savez("maps.npz", images=maps)
        >>> load_tensors("maps.npz", (32, 48), fit="squash").images.shape
        maps.npz: 10 pictures; 1 class: 0 0 (10); 60×40 pixels; 5 channels; not square, ...
        torch.Size([10, 5, 32, 48])
    """
    if image_size is not None:
        check_size("image_size", image_size)
    check_fit(fit, background)
    found = _open(where, background)
    if isinstance(found, Arrays):
        height, width = found.pictures.shape[1:3]
        size = image_size or advised_size([(width, height)])
        images = _fit_arrays(found.pictures, check_size("", size), channels, fit, background)
        return ImageTensors(images, torch.from_numpy(found.labels), tuple(found.names), flip)
    size = image_size or advised_size(list(_sizes(found)))
    return prepare(found, size, channels, flip, fit, background)


def _open(where: str | os.PathLike[str], background: str) -> "Dataset | Arrays":
    """Whatever there is, and a line on the screen."""
    if isinstance(where, str) and where in OWN_SOURCES:
        return load_images(where)
    path = spelled_out("where", where)
    found: Dataset | Arrays
    if os.path.isdir(path):  # noqa: PTH112  (Path's raise for what can be no path)
        found = load_folder(path, background)
    elif path.suffix.lower() in SUFFIXES and os.path.isfile(path):  # noqa: PTH113
        found = read_arrays(path)
    elif not os.path.lexists(path) and is_hub_name(str(where)):
        try:
            found, line = load_hub(str(where))
        except DataUnavailableError as error:
            raise DataUnavailableError(
                f"There is no folder or file {path.absolute()}, and {error}"
            ) from error.__cause__
        tell(line)
        return found
    else:
        raise ValueError(
            f"{str(where)!r} is no folder of pictures, no .npy or .npz file, and no set of the "
            f"course ({', '.join(OWN_SOURCES)}); a data set on the Hub is named owner/name. It "
            f"was looked for at {path.absolute()}."
            + f" It is another kind of file.{way_out(path)}"
            * path.is_file()
        )
    tell(found.line if isinstance(found, Arrays) else found.info.description)
    return found


def advised_size(sizes: Sequence[tuple[int, int]]) -> Size:
    """A size for pictures whose owner names none.

    Args:
        sizes: Width and height of each, at least one.

    Returns:
        Their own size if they all have one and no side is longer than 40 pixels; else 32, or
        16 where the shorter side of half of them has fewer than 32.

    Example:
        >>> from course_utils.data.anywhere import advised_size
        >>> advised_size([(28, 28)]), advised_size([(4032, 3024), (3024, 4032)])
        (28, 32)
    """
    if len(set(sizes)) == 1 and max(sizes[0]) <= LARGEST:
        width, height = sizes[0]
        return width if width == height else (height, width)
    return USUAL if np.median([min(size) for size in sizes]) >= USUAL else USUAL // 2


def _sizes(dataset: "Dataset") -> Iterator[tuple[int, int]]:
    """Width and height of each picture as it is seen, from the beginning of its file."""
    from datasets import Image as Undecoded

    for row in dataset.cast_column("image", Undecoded(decode=False)).select_columns("image"):
        content = row["image"]["bytes"]
        yield upright_size(BytesIO(content) if content else Path(row["image"]["path"]))


def _fit_arrays(
    pictures: np.ndarray,
    size: tuple[int, int],
    channels: int | None,
    fit: Fit,
    background: str,
) -> Tensor:
    """Bring an array of pictures to one size, whatever channels they have."""
    has = 1 if pictures.ndim == 3 else pictures.shape[-1]
    if has in (1, 3) and channels in (None, 1, 3):
        return fit_all((Image.fromarray(p) for p in pictures), size, channels, fit, background)
    if channels not in (None, has):
        raise ValueError(
            f"channels is {channels!r}, and the pictures have {has}. Leave it out to keep all of "
            "them, or choose yours before you save them: pictures[..., :3]."
        )
    # Each channel is a picture of its own; the background is as light in each.
    layers = [
        fit_all((Image.fromarray(p) for p in pictures[..., k]), size, 1, fit, background)
        for k in range(has)
    ]
    return torch.cat(layers, dim=1)
