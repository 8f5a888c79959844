"""What a picture is compared by: a few numbers that an extractor makes of it.

A distance means nothing without the extractor it was measured with, so each has a name with a
version: the part behind ``@`` changes with whatever the features depend on.
"""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from course_utils.data.pixels import to_uint8
from course_utils.data.tensors import ImageTensors
from course_utils.validate import check_count

Features = Tensor | np.ndarray
"""One row of numbers for each picture, shape (N, D)."""

COMPONENTS = 48
"""Numbers that a picture's pixels are reduced to; a sprite of 16 by 16 pixels has 768."""


class Extractor(Protocol):
    """Whatever makes features of pictures: yours, or one of `extractor`.

    Attributes:
        name: What a distance is told with, its version included.
    """

    @property
    def name(self) -> str:
        """The name, with its version."""

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures of shape (N, C, H, W), in [-1, 1], as features of shape (N, D)."""


def extractor(name: str, real: ImageTensors | None = None) -> Extractor:
    """Open an extractor by its name.

    Args:
        name: ``"pixels"``: the main components of the pixels of `real`. One of
            `course_utils.metrics.TAUGHT`, such as ``"sprites-16"``: the hidden layer of a small
            network that the course has taught the labels of drawn pictures. ``"inception"`` or
            ``"dinov2"``: large networks of others, of the package torch-fidelity, which loads
            their weights from the internet.
        real: The pictures whose components ``"pixels"`` takes; for no other.

    Returns:
        The extractor. Called on pictures of shape (N, C, H, W), in [-1, 1], it gives features of
        shape (N, D); ``name`` is its name with a version.

    Raises:
        ValueError: There is no extractor of this name, or `real` is missing.
        ModuleNotFoundError: torch-fidelity is not installed.
        WeightsUnavailableError: Its weights could not be loaded.

    Chapter: 6, "What do we compare pictures by?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import extractor
        >>> eye = extractor("sprites-16")
        >>> eye.name.split("@")[0], eye(torch.zeros(2, 3, 16, 16)).shape
        ('sprites-16', torch.Size([2, 64]))
    """
    from course_utils.metrics import classifier, elsewhere

    if name == "pixels":
        if real is None:
            raise ValueError("extractor('pixels', real=…) wants the real pictures to start from.")
        return PixelExtractor(real)
    if name in elsewhere.LAYERS:
        return elsewhere.open_extractor(name)
    if name in classifier.TAUGHT:
        return classifier.open_extractor(name)
    known = ", ".join(["pixels", *classifier.TAUGHT, *elsewhere.LAYERS])
    raise ValueError(f"There is no extractor {name!r}; choose from {known}.")


class PixelExtractor:
    """The main components of the pixels: what varies most, and nothing of what it shows.

    Args:
        real: The pictures whose components are taken.
        components: How many, at most as many as there are pictures and numbers in a picture.

    Raises:
        ValueError: There are fewer pictures than components.

    Source:
        Principal component analysis (Pearson 1901), as scikit-learn's ``PCA``, without a sign.
    """

    def __init__(self, real: ImageTensors, components: int = COMPONENTS) -> None:
        components = min(check_count("components", components), real.images[0].numel())
        if len(real) <= components:
            raise ValueError(
                f"There are {len(real)} real pictures; {components} components want more: give at "
                f"least {components + 1}, or take another extractor."
            )
        self.shape = real.images.shape[1:]
        flat = rounded(real.batch(range(len(real)))[0]).flatten(1).double()
        self._mean = flat.mean(0)
        axes = torch.linalg.svd(flat - self._mean, full_matrices=False).Vh
        self._axes = axes[:components].T  # the largest first
        self.name = f"pixels-{components}@{real.digest[:8]}"

    def __call__(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images: Shape (N, C, H, W), in [-1, 1], C, H and W as of the real pictures.

        Returns:
            Shape (N, components), float64.

        Raises:
            ValueError: The pictures have another shape.
        """
        check_shape(self.name, images, self.shape)
        return (rounded(images).flatten(1).double() - self._mean) @ self._axes


def rounded(images: Tensor) -> Tensor:
    """Pictures as they would be read from a file: with 256 levels.

    Args:
        images: Floats in [-1, 1].

    Returns:
        The same, rounded to the nearest of those levels, float32.
    """
    return to_uint8(images).float() / 127.5 - 1


def check_shape(name: str, images: Tensor, shape: torch.Size) -> None:
    """Refuse pictures that an extractor was not made for.

    Args:
        name: The extractor's name.
        images: The pictures.
        shape: Channels, height and width that it takes.

    Raises:
        ValueError: They differ.
    """
    if images.ndim != 4 or images.shape[1:] != shape:
        raise ValueError(
            f"images have the shape {tuple(images.shape)}, and {name} takes "
            f"(N, {', '.join(map(str, shape))}): another channel count or size gives other "
            "features. Prepare the pictures at this size, or choose another extractor."
        )


def as_features(**sets: Features) -> tuple[Tensor, ...]:
    """Features in the precision that the measures calculate in.

    Args:
        sets: Features by the name they have for the caller, each of shape (N, D).

    Returns:
        Each as float64, in the order given.

    Raises:
        ValueError: One is no table of finite numbers, or their widths differ.
    """
    tables = {k: torch.as_tensor(v).detach().cpu().double() for k, v in sets.items()}
    shapes = {name: tuple(table.shape) for name, table in tables.items()}
    if (
        any(table.ndim != 2 for table in tables.values())
        or len({s[-1] for s in shapes.values()}) > 1
    ):
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"Features must have the shape (N, D), with the same D; these: {told}.")
    broken = [name for name, table in tables.items() if not table.isfinite().all()]
    if broken:
        raise ValueError(f"The features {' and '.join(broken)} hold numbers that are not finite.")
    return tuple(tables.values())
