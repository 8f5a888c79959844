"""Pictures become batches.

`load_images` gives a Hugging Face data set of labelled pictures.
`hold_out` keeps some of them back. `prepare` decodes every picture and brings it to one size,
once, into one tensor of bytes, small enough to keep in memory; `ImageTensors.batch` turns any
rows of it into a batch in [-1, 1].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from course_utils.data.fit import Fit, Size, check_fit, check_size, fitted
from course_utils.data.plain import each_plain, is_grey
from course_utils.files import digest

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class ImageTensors:
    """Pictures decoded once, resized once, and kept as bytes.

    Attributes:
        images: uint8, shape (N, C, H, W), 0 to 255.
        labels: int64, shape (N,).
        names: The name of each label.
        flip: Whether `batch` mirrors each picture left to right with a chance of one half.

    Example:
        >>> import torch
        >>> from course_utils.data import ImageTensors
        >>> black = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
        >>> data = ImageTensors(black, torch.tensor([0, 1, 0, 1]), ("cat", "dog"))
        >>> x0, labels = data.batch([1, 2])
        >>> x0.shape, x0.min().item(), labels.tolist()
        (torch.Size([2, 3, 8, 8]), -1.0, [1, 0])
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    flip: bool = False

    def __len__(self) -> int:
        return len(self.images)

    @property
    def digest(self) -> str:
        """One number for the pictures and their labels; another one after any change."""
        return digest({"images": self.images, "labels": self.labels})

    def batch(
        self, rows: Sequence[int] | Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Give some rows as a batch for a network.

        Args:
            rows: Which pictures, each in [0, N).
            generator: Decides which pictures are mirrored, where `flip` is set.

        Returns:
            x0, float32 in [-1, 1], shape (len(rows), C, H, W); labels, int64, (len(rows),).

        Source:
            Ho et al. 2020, arXiv 2006.11239, section 3.3, for the range.

        Chapter: 1, "The data".
        """
        rows = torch.as_tensor(rows)
        x0 = self.images[rows].float() / 127.5 - 1
        if self.flip:
            mirrored = torch.rand(len(rows), generator=generator) < 0.5
            x0 = torch.where(mirrored.view(-1, 1, 1, 1), x0.flip(-1), x0)
        return x0, self.labels[rows]


def prepare(
    dataset: "Dataset",
    image_size: Size,
    channels: int | None = 3,
    flip: bool = False,
    fit: Fit = "crop",
    background: str = "white",
) -> ImageTensors:
    """Decode every picture and bring it to one size, once.

    Args:
        dataset: A data set with ``image`` and ``label`` columns, as `load_images` gives, or
            with pictures of any other kind that `to_plain` takes.
        image_size: Side of the pictures in pixels, at least 1; or height and width.
        channels: 1 for grey, 3 for RGB; None takes grey if all pictures are grey, else RGB.
        flip: Whether batches mirror pictures at random. Right for butterflies, wrong for
            digits: a mirrored 3 is not a 3.
        fit: What is done with pictures of other proportions. ``"crop"`` keeps the middle, and
            loses the two ends that are too long; ``"pad"`` keeps all, and fills up with the
            background; ``"squash"`` bends them.
        background: The colour of padding, and of what is laid below see-through parts: a name,
            or such as ``"#ffcc00"``.

    Returns:
        An `ImageTensors` that takes ``N * channels * height * width`` bytes.

    Raises:
        TypeError: `image_size` is neither a whole number nor two of them, or `flip` is neither
            True nor False.
        ValueError: Another argument cannot be, the data set is empty or has no pictures or no
            named labels, or a picture cannot be used, whose row is named.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> data = prepare(load_images("digits", source="bundled"), image_size=16, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> data.images.shape, data.names[:3]
        (torch.Size([1797, 1, 16, 16]), ('0', '1', '2'))
        >>> wide = prepare(load_images("flowers", count=9, size=64), (32, 48), fit="pad")
        flowers, drawn by the course: 9 pictures of 9 classes: ...
        >>> wide.images.shape
        torch.Size([9, 3, 32, 48])

    Source:
        The preprocessing that the Hugging Face butterflies tutorial does anew in each epoch.

    Chapter: 1, "The data".
    """
    size = check_size("image_size", image_size)
    check_fit(fit, background)
    if isinstance(channels, bool) or channels not in (1, 3, None):
        raise ValueError(f"channels is {channels!r}; use 1 for grey or 3 for RGB.")
    if not isinstance(flip, bool):
        raise TypeError(f"flip is {flip!r}; it must be True or False.")
    _check_columns(dataset)
    images = fit_all(each_plain(dataset, background), size, channels, fit, background)
    labels = torch.tensor(dataset["label"][:], dtype=torch.int64)
    names = tuple(dataset.features["label"].names)
    return ImageTensors(images, labels, names, flip)


def fit_all(
    pictures: Iterable[Image.Image],
    size: tuple[int, int],
    channels: int | None,
    fit: Fit,
    background: str,
) -> Tensor:
    """Bring plain pictures to one size, one after the other.

    Args:
        pictures: In mode ``"L"`` or ``"RGB"``; at least one.
        size: Height and width in pixels.
        channels: 1, 3, or None for 1 if all pictures are grey.
        fit: What is done with other proportions.
        background: The colour of padding.

    Returns:
        Bytes of shape (N, channels, height, width).
    """
    made = []
    coloured = fit == "pad" and not is_grey(background)
    for image in pictures:
        mode = {None: "RGB" if coloured else image.mode, 1: "L", 3: "RGB"}[channels]
        array = np.asarray(fitted(image.convert(mode), size, fit, background))
        made.append(torch.from_numpy(array.reshape(*size, -1).transpose(2, 0, 1).copy()))
    most = max(len(picture) for picture in made)
    return torch.stack([picture.expand(most, -1, -1) for picture in made])


def _check_columns(dataset: "Dataset") -> None:
    """Refuse what has no pictures, or no labels with names."""
    features = getattr(dataset, "features", None) or {}
    kinds = {name: type(features.get(name)).__name__ for name in ("image", "label")}
    if kinds != {"image": "Image", "label": "ClassLabel"}:
        raise ValueError(
            f"dataset is a {type(dataset).__name__} with the columns {dict(features)}; it must "
            "have a column 'image' of pictures and a column 'label' of named classes, as "
            "load_images gives. Of labels without names dataset.class_encode_column('label') "
            "makes some with."
        )
    if len(dataset) == 0:
        raise ValueError("The data set is empty; there is no picture to prepare.")
