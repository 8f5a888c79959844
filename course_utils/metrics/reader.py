"""How good are the pictures? An independent reader says what each of them shows.

The reader never meets the network that made the pictures, nor the pictures it learned from:
it is trained on real ones that were held out.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from course_utils.data.pixels import to_uint8
from course_utils.data.tensors import ImageTensors


@dataclass(frozen=True)
class Reading:
    """What the reader made of a batch of pictures.

    Attributes:
        labels: The class it read in each picture, int64, shape (N,).
        wanted: The class each picture was meant to show, int64, shape (N,).
    """

    labels: np.ndarray
    wanted: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of pictures read as the class they were meant to show, in [0, 1]."""
        return float((self.labels == self.wanted).mean())


class PictureReader:
    """A support vector machine that reads from its pixels what a small picture shows.

    Fit for pictures whose subject always stands in the same place, as digits and sprites do.

    Args:
        held_out: Real pictures, grey or colour, that no generator was trained on.

    Raises:
        ValueError: The held-out pictures show fewer than two classes.

    Source:
        scikit-learn's ``SVC`` with a Gaussian kernel, the classic for small digits.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.metrics import PictureReader
        >>> digits = load_images("digits", source="drawn", count=220)
        digits, drawn by the course: 220 pictures of 10 classes: ...
        >>> reader = PictureReader(prepare(digits.select(range(200)), 16, channels=1))
        >>> unseen = prepare(digits.select(range(200, 220)), 16, channels=1)
        >>> reader.read(unseen.images, wanted=unseen.labels).accuracy > 0.5
        True

    Chapter: 1, "How good is it", and 3, "Can I choose what I get?".
    """

    def __init__(self, held_out: ImageTensors) -> None:
        from sklearn.svm import SVC

        classes = held_out.labels.unique()
        if len(classes) < 2:
            raise ValueError(
                f"The held-out pictures show {len(classes)} class; a reader needs two."
            )
        self.shape = held_out.images.shape[1:]
        self._svc = SVC(C=10.0).fit(_pixels(held_out.images), held_out.labels.numpy())

    def read(self, images: Tensor, wanted: Tensor | list[int]) -> Reading:
        """Read the class in each picture.

        Args:
            images: Shape (N, C, H, W), C, H and W as of the held-out pictures: floats in
                [-1, 1], rounded to bytes first as an image file would be, or uint8.
            wanted: The class that each picture is meant to show, N of them.

        Returns:
            A `Reading` with ``labels`` and ``accuracy``.

        Raises:
            ValueError: Pictures of another shape, or not one wanted class for each.

        Source:
            Class-conditional accuracy, as in Ravuri and Vinyals 2019, arXiv 1905.10887, but with
            the classifier trained on real pictures.

        Chapter: 1, "How good is it".
        """
        if images.shape[1:] != self.shape or len(images) != len(wanted):
            raise ValueError(
                f"{len(wanted)} wanted classes and pictures of shape {tuple(images.shape)}; this "
                f"reader takes (N, {', '.join(map(str, self.shape))}) and one class for each."
            )
        if images.is_floating_point():
            images = to_uint8(images)
        return Reading(self._svc.predict(_pixels(images)), np.asarray(wanted))


def _pixels(images: Tensor) -> np.ndarray:
    """Bytes as rows of numbers in [0, 1], one row for each picture."""
    return images.flatten(1).numpy() / 255.0
