"""A canvas that fills outlines, antialiased, with numpy arithmetic alone."""

import numpy as np

_ROWS = 5  # sample rows in each row of pixels; across a row, coverage is exact
_GRID = 256  # crossings are rounded to this part of a pixel, so that their sums are exact


class Canvas:
    """A picture in the making, ``height`` pixels high and one unit high.

    Coordinates are ``(x, y)`` in units of the picture's height, from its top left corner,
    ``y`` down, whatever the number of pixels: the same strokes give the same picture at
    every size.

    Args:
        height: Rows of pixels.
        width: Columns of pixels.
        colour: What the canvas is filled with, shape ``(3, 1, 1)``, in 0 to 1.
        left: The ``x`` of the left border, in pixels.

    Attributes:
        pixels: The picture, shape ``(3, height, width)``, in 0 to 1.
        x: The middle of each column, shape ``(width,)``.
        y: The middle of each row, shape ``(height, 1)``.
    """

    def __init__(self, height: int, width: int, colour: np.ndarray, left: float = 0.0) -> None:
        self.pixels = np.zeros((3, height, width)) + colour
        self.x = (np.arange(width) + 0.5 + left) / height
        self.y = (np.arange(height)[:, None] + 0.5) / height
        self._left = left

    def cover(self, outlines: np.ndarray) -> np.ndarray:
        """Return the share of each pixel that lies inside any of the outlines.

        Args:
            outlines: Corners, shape ``(V, 2)`` for one outline, ``(P, V, 2)`` for ``P``.

        Returns:
            Shape ``(height, width)``, in 0 to 1.
        """
        mask = np.zeros(self.pixels.shape[1:])
        window, inside = self._cover_window(outlines)
        mask[window] = inside
        return mask

    def _cover_window(self, outlines: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        """Return the rows and columns that outlines lie in, and their cover of just those."""
        size = self.pixels.shape[:0:-1]
        points = outlines.reshape(-1, *outlines.shape[-2:]) * size[1] - (self._left, 0.0)
        flat = points.reshape(-1, 2)
        low = np.clip(np.floor(flat.min(axis=0)), 0, size).astype(int)
        high = np.clip(np.ceil(flat.max(axis=0)) + 1, low, size).astype(int)
        width, height = (high - low).tolist()
        column, row, weight = _crossings(points - low, height, width)
        whole = column.astype(np.int64)
        part = (column - whole) * weight
        at = row // _ROWS * (width + 2) + whole
        marks = np.bincount(at, weight - part, height * (width + 2))
        marks += np.bincount(at + 1, part, height * (width + 2))
        inside = np.cumsum(marks.reshape(height, width + 2), axis=1)[:, :width]
        window = slice(low[1], high[1]), slice(low[0], high[0])
        return window, np.minimum(np.abs(inside) / _ROWS, 1.0)

    def paint(self, mask: np.ndarray | float, colour: np.ndarray) -> None:
        """Lay ``colour``, one or a field ``(3, height, width)``, over the pixels by ``mask``."""
        self.pixels += (colour - self.pixels) * mask

    def fill(self, outlines: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> None:
        """Fill outlines with a colour, or with their part of a field of colours."""
        (rows, columns), inside = self._cover_window(outlines)
        pixels = self.pixels[:, rows, columns]
        part = colour if colour.shape[1:] == (1, 1) else colour[:, rows, columns]
        pixels += (part - pixels) * (inside * opacity)

    def distance(self, x: float, y: float, stretch: float = 1.0) -> np.ndarray:
        """Return how far each pixel lies from a point; ``stretch`` multiplies heights."""
        across, down = self.x - x, (self.y - y) * stretch
        return np.sqrt(across * across + down * down)

    def hairline(self, width: float, pixels: float = 0.6) -> float:
        """Return ``width``, or if that is less, ``pixels`` pixels, so that a line stays seen."""
        return max(width, pixels / self.pixels.shape[1])

    def finish(self) -> np.ndarray:
        """Return the picture as bytes, shape ``(height, width, 3)``."""
        rounded = np.floor(np.clip(self.pixels, 0.0, 1.0) * 255 + 0.5)
        return np.ascontiguousarray(rounded.astype(np.uint8).transpose(1, 2, 0))


def _crossings(
    points: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where outlines cross the sample rows: column, sample row and winding."""
    closed = np.concatenate([points, points[:, :1]], axis=1)
    x, y = closed[..., 0], closed[..., 1] * _ROWS
    x0, y0, x1, y1 = x[:, :-1], y[:, :-1], x[:, 1:], y[:, 1:]
    fall = y1 - y0
    weight = np.sign(fall) * np.sign((x0 * y1 - x1 * y0).sum(axis=1, keepdims=True))
    slope = (x1 - x0) / np.where(fall == 0.0, 1.0, fall)
    first = np.maximum(np.ceil(np.minimum(y0, y1) - 0.5), 0.0)
    last = np.minimum(np.ceil(np.maximum(y0, y1) - 0.5), height * _ROWS)
    count = np.maximum(last - first, 0.0).astype(np.int64).ravel()
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) + (first.ravel().astype(np.int64) - np.cumsum(count) + count)[edge]
    column = (x0 + (0.5 - y0) * slope).ravel()[edge] + row * slope.ravel()[edge]
    column = np.floor(column * _GRID + 0.5) / _GRID
    return np.minimum(np.maximum(column, 0.0), width), row, weight.ravel()[edge]
