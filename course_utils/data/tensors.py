"""Pictures become batches.

`load_images` gives a Hugging Face data set of labelled pictures.
`hold_out` keeps some of them back. `prepare` decodes and resizes every picture once into one
tensor of bytes, small enough to keep in memory; `ImageTensors.batch` turns any rows of it
into a batch in [-1, 1].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from course_utils.data.plain import each_plain
from course_utils.files import digest
from course_utils.validate import check_count

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
    dataset: "Dataset", image_size: int, channels: int = 3, flip: bool = False
) -> ImageTensors:
    """Decode every picture, keep the square in its middle, and resize that, once.

    Of a picture that is not square the two ends of the longer side are lost. See-through parts
    are laid on white, as `load_images` does with those of a folder.

    Args:
        dataset: A data set with ``image`` and ``label`` columns, as `load_images` gives, or
            with pictures of any other kind that `to_plain` takes.
        image_size: Side of the pictures in pixels, at least 1.
        channels: 1 for grey, 3 for RGB.
        flip: Whether batches mirror pictures at random. Right for butterflies, wrong for
            digits: a mirrored 3 is not a 3.

    Returns:
        An `ImageTensors` that takes ``N * channels * image_size**2`` bytes.

    Raises:
        TypeError: `image_size` is not a whole number, or `flip` is neither True nor False.
        ValueError: `image_size` or `channels` cannot be, the data set is empty or has no
            pictures or no named labels, or a picture cannot be used, whose row is named.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> data = prepare(load_images("digits", source="bundled"), image_size=16, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> data.images.shape, data.names[:3]
        (torch.Size([1797, 1, 16, 16]), ('0', '1', '2'))

    Source:
        The preprocessing that the Hugging Face butterflies tutorial does anew in each epoch.

    Chapter: 1, "The data".
    """
    size = check_count("image_size", image_size)
    if isinstance(channels, bool) or channels not in (1, 3):
        raise ValueError(f"channels is {channels!r}; use 1 for grey or 3 for RGB.")
    if not isinstance(flip, bool):
        raise TypeError(f"flip is {flip!r}; it must be True or False.")
    _check_columns(dataset)
    pictures = [_square(image, size, channels) for image in each_plain(dataset)]
    labels = torch.tensor(dataset["label"][:], dtype=torch.int64)
    names = tuple(dataset.features["label"].names)
    return ImageTensors(torch.stack(pictures), labels, names, flip)


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


def _square(image: Image.Image, size: int, channels: int) -> Tensor:
    """One picture as uint8 of shape (C, size, size): its central square, resized."""
    from torchvision.transforms.v2 import functional as F

    image = image.convert("L" if channels == 1 else "RGB")
    image = F.center_crop(image, [min(image.size)])
    image = F.resize(image, [size, size], F.InterpolationMode.BICUBIC, antialias=True)
    return F.pil_to_tensor(image)
