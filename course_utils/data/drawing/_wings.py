"""The wings of a butterfly: outlines of each family, and how a coat is painted on one."""

from dataclasses import dataclass, field

import numpy as np

from course_utils.data.drawing._canvas import Canvas
from course_utils.data.drawing._shapes import CIRCLE, Dice, discs, fade, mix, smooth, stroke

_STEPS = 8  # points on the outline from one corner to the next

# Nine corners each, outwards from the body (x) and down from the thorax (y). Forewing: root,
# leading edge (2), apex, outer edge (2), hind corner, trailing edge, root.
FOREWINGS = {
    "swallowtail": "2,-5 16,-21 31,-31 43,-34 44,-27 39,-13 34,0 18,3 2,4",
    "monarch": "2,-5 17,-22 33,-30 44,-31 44,-23 38,-10 34,2 18,4 2,4",
    "morpho": "2,-5 15,-22 31,-33 43,-34 45,-23 42,-8 37,6 19,6 2,5",
    "white": "2,-5 14,-21 28,-31 38,-32 41,-24 39,-9 35,5 18,5 2,4",
    "peacock": "2,-5 16,-22 31,-30 42,-30 39,-21 40,-9 34,3 18,5 2,4",
    "glasswing": "2,-4 18,-18 34,-25 45,-24 46,-17 40,-8 33,1 18,4 2,3",
    "hairstreak": "2,-5 14,-20 27,-30 39,-34 39,-26 35,-12 30,2 17,5 2,4",
    "birdwing": "2,-5 17,-21 34,-32 46,-35 46,-27 38,-15 29,-1 15,2 2,3",
}
# Hindwing: root, upper edge, shoulder, outer edge (2), tail, bottom, inner corner, inner edge.
HINDWINGS = {
    "swallowtail": "1,-1 14,-4 27,-1 33,7 30,17 24,25 15,28 6,25 1,11",
    "monarch": "1,-1 14,-3 27,1 34,9 33,19 26,26 16,29 7,26 1,12",
    "morpho": "1,-1 15,-2 29,3 36,12 35,22 28,30 18,33 8,29 1,12",
    "white": "1,-1 14,-3 27,2 33,11 33,21 26,29 16,31 7,27 1,12",
    "peacock": "1,-1 14,-3 28,1 35,10 33,20 27,27 16,29 7,26 1,12",
    "glasswing": "1,-1 14,-2 26,0 32,6 31,14 25,20 16,23 7,20 1,9",
    "hairstreak": "1,-1 14,-2 25,2 31,10 31,20 24,28 15,32 6,29 1,12",
    "birdwing": "1,-1 12,-4 23,0 29,9 27,20 21,28 13,30 5,25 1,11",
}


@dataclass(frozen=True)
class Wing:
    """One wing: its outline ``(V, 2)``, where it is rooted, and its outer edge's corners."""

    outline: np.ndarray
    root: np.ndarray
    edge: tuple[int, int]

    def inset(self, keep: float) -> np.ndarray:
        """Return the outline shrunk towards the root to the share ``keep``."""
        return self.root + (self.outline - self.root) * keep

    def along(self, places: np.ndarray, keep: float) -> np.ndarray:
        """Return points at ``places`` (0 to 1) on the outer edge, drawn in towards the root."""
        first, last = self.edge
        index = np.round((first + (last - first) * np.asarray(places)) * _STEPS).astype(int)
        return self.inset(keep)[index]

    def costa(self) -> np.ndarray:
        """Return the leading edge, from root to the start of the outer edge."""
        return self.outline[: self.edge[0] * _STEPS + 1]


@dataclass(frozen=True)
class Coat:
    """How a wing is painted, from the base outwards; lengths are shares of the wing.

    Attributes:
        base: Colour at the root.
        main: Colour of the rest.
        border: Colour of the outer edge.
        border_keep: Where the border starts, 1 for none.
        veins: Colour and width of the veins, None for none.
        bands: Start, end and colour of bands that run beside the border.
        dots: Rows of dots: how many, where, radius, colour.
        tip: Radius and colour of a dark wing tip, None for none.
        bars: How many bars hang from the leading edge, their width and colour, None for none.
        eyes: Eyespots: place on the edge, where, radius, and colours from ring to pupil.
        glass: How much of the card shines through, 0 to 1.
    """

    base: np.ndarray
    main: np.ndarray
    border: np.ndarray
    border_keep: float = 0.86
    veins: tuple[np.ndarray, float] | None = None
    bands: list[tuple[float, float, np.ndarray]] = field(default_factory=list)
    dots: list[tuple[int, float, float, np.ndarray]] = field(default_factory=list)
    tip: tuple[float, np.ndarray] | None = None
    bars: tuple[int, float, np.ndarray] | None = None
    eyes: list[tuple[float, float, float, list[np.ndarray]]] = field(default_factory=list)
    glass: float = 0.0


def make_wing(kind: str, fore: bool, dice: Dice, scallop: float = 0.0) -> Wing:
    """Return the forewing or hindwing of a family, its corners moved a little by chance."""
    text = (FOREWINGS if fore else HINDWINGS)[kind]
    corners = np.array([[float(part) for part in pair.split(",")] for pair in text.split()]) / 100
    corners[1:8] += np.stack([dice.spread(7, 0.013), dice.spread(7, 0.013)], axis=-1)
    corners *= (dice.between(0.94, 1.04), dice.between(0.92, 1.12))
    corners[:, 0] *= min(1.0, 0.465 / corners[:, 0].max())
    edge = (3, 6) if fore else (2, 7)
    outline, root = smooth(corners, _STEPS), np.array([0.0, 0.0])
    first, last = edge[0] * _STEPS, edge[1] * _STEPS
    wave = (np.arange(last - first + 1) % 5) / 2.5 - 1
    outline[first : last + 1] *= 1 - scallop * (wave * wave)[:, None]
    outline[:, 0] = np.maximum(outline[:, 0], 0.006)
    return Wing(outline, root, edge)


def paint_wing(canvas: Canvas, wing: Wing, coat: Coat) -> None:
    """Paint a wing from the ground colour up to its eyespots."""
    mask = canvas.cover(wing.outline)
    shade = fade(0.0, 0.65, canvas.distance(*wing.root))
    canvas.paint(mask * (1 - coat.glass), mix(coat.base, coat.main, shade))
    for start, end, colour in coat.bands:
        ring = np.maximum(canvas.cover(wing.inset(end)) - canvas.cover(wing.inset(start)), 0.0)
        canvas.paint(ring, colour)
    if coat.bars:
        canvas.paint(mask * canvas.cover(_bars(wing, *coat.bars[:2])), coat.bars[2])
    if coat.tip:
        radius, colour = coat.tip
        apex = wing.along(np.array([0.1]), 1.0)[0]
        canvas.paint(mask * fade(radius, radius * 0.8, canvas.distance(*apex)), colour)
    _paint_edges(canvas, wing, coat, mask)
    _paint_marks(canvas, wing, coat)


def _paint_edges(canvas: Canvas, wing: Wing, coat: Coat, mask: np.ndarray) -> None:
    if coat.veins:
        colour, width = coat.veins
        canvas.paint(mask * canvas.cover(_veins(wing, canvas.hairline(width, 0.25))), colour)
    if coat.border_keep < 1:
        canvas.paint(mask * (1 - canvas.cover(wing.inset(coat.border_keep))), coat.border)
    line = stroke(wing.costa(), canvas.hairline(0.012, 0.4))
    canvas.paint(mask * canvas.cover(line), coat.border)


def _paint_marks(canvas: Canvas, wing: Wing, coat: Coat) -> None:
    for count, keep, radius, colour in coat.dots:
        places = (np.arange(count) + 0.5) / count
        canvas.fill(discs(wing.along(places, keep), canvas.hairline(radius, 0.35)), colour)
    for place, keep, radius, rings in coat.eyes:
        _paint_eye(canvas, wing.along(np.array([place]), keep)[0], radius, rings)


def _veins(wing: Wing, width: float) -> np.ndarray:
    places = np.linspace(0.02, 0.98, 7)
    tips, middle = wing.along(places, 1.0), wing.along(places, 0.48)
    middle = 0.7 * middle + 0.3 * np.round(middle.mean(axis=0), 6)
    root = np.broadcast_to(wing.root, (2, 2))
    starts = np.concatenate([middle, root, middle[:-1]])
    ends = np.concatenate([tips, middle[[0, -1]], middle[1:]])
    return stroke(np.stack([starts, ends], axis=1), width)


def _bars(wing: Wing, count: int, width: float) -> np.ndarray:
    costa = wing.costa()
    top = costa[np.linspace(0.3 * len(costa), 0.88 * len(costa), count).astype(int)]
    foot = top + np.linspace([-0.02, 0.26], [-0.05, 0.13], count)
    line = np.stack([top, (top + foot) / 2, foot], axis=1)
    return stroke(line, np.array([width * 1.4, width, 0.002]))


def _paint_eye(canvas: Canvas, centre: np.ndarray, radius: float, rings: list[np.ndarray]) -> None:
    shares = np.linspace(1.0, 0.42, len(rings))
    for colour, share in zip(rings, shares, strict=True):
        canvas.fill(centre + CIRCLE * radius * share, colour)
    glint = centre + np.array([0.18, -0.2]) * radius
    canvas.fill(glint + CIRCLE * radius * 0.22, np.ones((3, 1, 1)))
