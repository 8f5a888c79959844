"""Copies in a set of pictures: find them, and keep them on one side of a split.

A picture that is learnt from must not judge the result as well: a network that has only
learnt it by heart would look as if it had understood. Files that were collected, cropped or
multiplied hold many pictures twice, as the same bytes or saved anew and a little different.
"""

from collections.abc import Iterator
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from course_utils.data.plain import each_plain
from course_utils.files import fingerprint

if TYPE_CHECKING:
    from datasets import Dataset

CELLS = 16
"""Pictures are compared as grids of this many by this many average colours."""

FORGIVEN = 2
"""How many cells, those that differ most, are left out, so that a speck does not count."""

THRESHOLD = 5.0
"""Below this distance, in grey levels of 255, two pictures count as copies."""

_BLOCK = 1024  # pictures that are compared with all others at a time


def find_duplicates(
    pictures: "Dataset | np.ndarray", threshold: float = THRESHOLD
) -> list[list[int]]:
    """Find the pictures that are there more than once, exactly or nearly.

    Each picture is reduced to 16 by 16 average colours. The distance of two is the root of
    the mean squared difference of those, without the two cells that differ most. So a JPEG
    saved anew (distance 2 to 5) and a sprite with one pixel changed (0) are copies, while two
    different butterflies of one kind (6 and more) are not. Copies of copies share a group.

    Args:
        pictures: A data set with an ``image`` column, or uint8 of shape (N, H, W, 3).
        threshold: The distance below which two are copies, in grey levels, 0 to 255. 0 asks
            for exact copies only: the same size and the same pixels.

    Returns:
        Groups of two or more rows, each in rising order, by their first row. A row that is
        in none of them has no copy.

    Raises:
        ValueError: `threshold` is negative or not a number, or `pictures` is something else.

    Example:
        >>> import numpy as np
        >>> from course_utils.data import draw_many, find_duplicates
        >>> pictures, _ = draw_many("flowers", count=4, size=32)
        >>> find_duplicates(np.concatenate([pictures, pictures[:1]]))
        [[0, 4]]

    Source:
        The idea of comparing reduced pictures is that of the "average hash"
        family.

    Chapter: the page "The pictures", "Is every picture there once?".
    """
    if not isinstance(threshold, Real) or not 0 <= threshold <= 255:
        raise ValueError(f"threshold is {threshold!r}; it is a distance between 0 and 255.")
    compared = Compared()
    for image in _each(pictures):
        compared.add(image)
    return compared.groups(threshold)


class Compared:
    """Pictures that are compared with each other, reduced to what a comparison needs.

    Attributes:
        cells: The 16 by 16 average colours of each picture, uint8 of shape (16, 16, 3).
    """

    def __init__(self) -> None:
        self.cells: list[np.ndarray] = []
        self._first_of: dict[str, int] = {}
        self._same: list[tuple[int, int]] = []

    def add(self, image: Image.Image) -> None:
        """Take one more picture.

        Args:
            image: In mode ``"RGB"``.
        """
        row = len(self.cells)
        known = fingerprint(str(image.size).encode(), image.tobytes())
        first = self._first_of.setdefault(known, row)
        if first < row:
            self._same.append((first, row))
        self.cells.append(np.asarray(image.resize((CELLS, CELLS), Image.Resampling.BOX)))

    def groups(self, threshold: float) -> list[list[int]]:
        """The pictures that are there more than once.

        Args:
            threshold: As `find_duplicates` takes it.

        Returns:
            Groups of rows, as `find_duplicates` gives them.
        """
        pairs = list(self._same)
        unique = sorted(set(self._first_of.values()))
        if threshold > 0 and len(unique) > 1:
            cells = np.stack([self.cells[row] for row in unique]).reshape(len(unique), -1, 3)
            pairs += [(unique[a], unique[b]) for a, b in _near(cells, threshold)]
        return _groups(pairs, len(self.cells))


def _groups(pairs: list[tuple[int, int]], count: int) -> list[list[int]]:
    """Pairs of rows as groups: who shares a partner shares a group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not pairs:
        return []
    edges = coo_array((np.ones(len(pairs), bool), np.array(pairs).T), shape=(count, count))
    groups: dict[int, list[int]] = {}
    for row, group in enumerate(connected_components(edges, directed=False)[1].tolist()):
        groups.setdefault(group, []).append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def _each(pictures: "Dataset | np.ndarray") -> Iterator[Image.Image]:
    """Each picture in RGB, decoded one at a time."""
    if isinstance(pictures, np.ndarray):
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
            raise ValueError(
                f"pictures are {pictures.dtype} of shape {pictures.shape}; "
                "give uint8 of shape (N, H, W, 3), or a data set."
            )
        yield from (Image.fromarray(array) for array in pictures)
    elif "image" in getattr(pictures, "column_names", []):
        yield from (image.convert("RGB") for image in each_plain(pictures))
    else:
        raise ValueError(
            f"pictures is a {type(pictures).__name__} without an 'image' column; give a data "
            "set as load_images gives, or uint8 of shape (N, H, W, 3)."
        )


def _near(cells: np.ndarray, threshold: float) -> Iterator[tuple[int, int]]:
    """The pairs of reduced pictures, shape (N, cells, 3), that lie below the threshold."""
    flat = cells.reshape(len(cells), -1).astype(np.float32) / 255
    square = (flat * flat).sum(axis=1)
    # No pair further apart than this can come below the threshold by forgiving some cells.
    kept = cells.shape[1] - FORGIVEN
    reach = ((threshold / 255) ** 2 * kept + FORGIVEN) * 3 + 1e-3
    for start in range(0, len(flat), _BLOCK):
        block = slice(start, start + _BLOCK)
        gaps = square[block, None] + square[start:] - 2 * flat[block] @ flat[start:].T
        rows, others = np.nonzero(np.triu(gaps < reach, 1))
        for at in range(0, len(rows), _BLOCK):
            a, b = rows[at : at + _BLOCK] + start, others[at : at + _BLOCK] + start
            apart = (cells[a].astype(np.float32) - cells[b]) ** 2
            smallest = np.sort(apart.mean(axis=2), axis=1)[:, :kept]
            found = np.sqrt(smallest.mean(axis=1)) < threshold
            yield from zip(a[found].tolist(), b[found].tolist(), strict=True)
