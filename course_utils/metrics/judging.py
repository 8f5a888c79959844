"""All measures at once, with an error bar, what real pictures get, and what noise gets."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.data.fit import Size
from course_utils.data.tensors import ImageTensors
from course_utils.metrics.features import Extractor, extractor
from course_utils.metrics.frechet import frechet_distance, frechet_distance_at_infinity
from course_utils.metrics.judgement import Judgement, Row, Spread
from course_utils.metrics.kernel import kernel_distance
from course_utils.metrics.neighbours import (
    copy_score,
    density_coverage,
    nearest,
    precision_recall,
)
from course_utils.metrics.reader import PictureReader
from course_utils.metrics.sets import Drawing, draw, open_pictures, untrained
from course_utils.metrics.two_sample import two_sample_test
from course_utils.validate import check_count

COUNT = 250
"""Pictures in a set that a network is asked for, if no other number is given."""

MEASURES: Mapping[str, Callable[[Tensor, Tensor], float]] = {
    "Fréchet distance": frechet_distance,
    "Fréchet, extrapolated": frechet_distance_at_infinity,
    "kernel distance": lambda drawn, real: kernel_distance(drawn, real)[0],
    "precision": lambda drawn, real: precision_recall(drawn, real)[0],
    "recall": lambda drawn, real: precision_recall(drawn, real)[1],
    "density": lambda drawn, real: density_coverage(drawn, real)[0],
    "coverage": lambda drawn, real: density_coverage(drawn, real)[1],
    "told apart": lambda drawn, real: two_sample_test(drawn, real).accuracy,
}
"""What is measured on the features of drawn pictures and of real ones."""


def picture_scores(
    images: Tensor,
    wanted: Sequence[int] | Tensor | None,
    unseen: ImageTensors,
    learned: ImageTensors | None = None,
    reader: PictureReader | None = None,
) -> dict[str, float]:
    """What is measured on the pictures themselves, without features.

    Args:
        images: Shape (N, C, H, W), in [-1, 1].
        wanted: The kind that each was to show.
        unseen: Real pictures that no network has learned from.
        learned: As many that the network has, for the copy score.
        reader: Says which kind each shows, for the share that is read as asked.

    Returns:
        The shares that are read as asked, and that lie nearer to what was learned, each where
        it can be told; and the median distance to the nearest of the unseen pictures.

    Example:
        >>> import torch
        >>> from course_utils.data import ImageTensors
        >>> from course_utils.metrics import picture_scores
        >>> bytes_ = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
        >>> unseen = ImageTensors(bytes_, torch.tensor([0, 1]), ("black", "white"))
        >>> picture_scores(torch.full((1, 1, 1, 1), 0.5), None, unseen)
        {'distance': 0.5}
    """
    found = {}
    if reader is not None and wanted is not None:
        found["read_as_asked"] = reader.read(images, list(wanted)).accuracy
    if learned is not None:
        found["copy_score"] = copy_score(images, learned, unseen)
    return found | {"distance": nearest(images, unseen)[0].median().item()}


def judge(
    what: Drawing | Tensor | ImageTensors | str | os.PathLike[str],
    real: ImageTensors | str | os.PathLike[str],
    *,
    eyes: Sequence[Extractor] | None = None,
    learned: ImageTensors | str | os.PathLike[str] | None = None,
    count: int | None = None,
    repeats: int = 4,
    num_inference_steps: int = 50,
    batch_size: int = 100,
    image_size: Size = 32,
    progress: bool = True,
) -> Judgement:
    """Judge what a network draws, or the pictures of a folder, against real ones.

    The real pictures are shuffled and dealt out in pairs of sets: one that everything is
    compared with, and one that plays the drawn pictures for the floor. Where the kinds of both
    are known, each keeps its share in every set: the measures stray less, and kernel distances of
    sets that are alike lie a little below 0. With fewer real pictures than that takes, each
    repeat shuffles them anew.

    Args:
        what: A network of the gallery, an `Artist`, pictures of shape (N, C, H, W) in [-1, 1],
            or a folder of pictures.
        real: Real pictures, or a folder of them. Best none that the network has learned from:
            against those a network that copies looks perfect.
        eyes: The extractors; None for the components of the pixels and, where it fits the size,
            the course's network for all that it draws.
        learned: What the network has learned from, for the copy score.
        count: Pictures in a set; None for 250 of a network, or for as many as there are.
        repeats: How many sets, at least 2: their spread is the error bar.
        num_inference_steps: Noise levels visited to draw a picture.
        batch_size: How many are drawn together; counts for the time only.
        image_size: Side in pixels, or height and width, to which pictures of folders are brought.
        progress: Whether to show progress bars.

    Returns:
        The table, and some drawn pictures with their neighbours.

    Raises:
        ValueError: There are too few pictures, or they do not fit each other.

    Source:
        Error bars over sets, and floors of real against real: Naeem et al. 2020, arXiv
        2002.09797, section 4; Chong and Forsyth 2020, arXiv 1911.07023.

    Chapter: 6, "Can we break the measures?".

    Example:
        >>> import torch
        >>> from course_utils.data import ImageTensors
        >>> from course_utils.metrics import judge
        >>> bytes_ = torch.randint(256, (200, 3, 8, 8), dtype=torch.uint8)
        >>> real = ImageTensors(bytes_, torch.zeros(200, dtype=torch.int64), ("noise",))
        >>> found = judge(real.batch(range(200))[0], real, progress=False)
        >>> found.count, found.rows[2].measure
        (50, 'kernel distance')
    """
    real = open_pictures("real", real, image_size)
    if learned is not None:
        learned = open_pictures("learned", learned, image_size)
    if isinstance(what, (str, os.PathLike, ImageTensors)):
        what = open_pictures("what", what, image_size)
    if check_count("repeats", repeats) < 2:
        raise ValueError(f"repeats is {repeats}; an error bar wants at least 2 sets.")
    count = _how_many(what, len(real), count, repeats)
    drawn, wanted, blank = _drawn(
        what, real, count, repeats, num_inference_steps, batch_size, progress
    )
    labels = torch.zeros_like(real.labels) if wanted is None else real.labels
    deal = _deal(labels, count, repeats)
    eyes = _usual_eyes(real) if eyes is None else eyes
    rows = [row for eye in eyes for row in _by_features(eye, drawn, blank, real, deal, progress)]
    rows += _by_pictures(drawn, wanted, blank, real, learned, deal)
    few = drawn[:16]
    return Judgement(count, repeats, tuple(rows), few, nearest(few, real)[1])


def _how_many(what: Any, real: int, count: int | None, repeats: int) -> int:
    """Pictures in a set."""
    there = len(what) if isinstance(what, (Tensor, ImageTensors)) else None
    most = real // 2 if there is None else min(real // 2, there // repeats)
    wanted = count or (min(COUNT, most) if there is None else most)
    if not 6 <= wanted <= most:
        told = "" if there is None else f" and {there} drawn ones"
        raise ValueError(
            f"{repeats} sets of {wanted} pictures cannot be made of {real} real{told}: "
            + _wanting(real, there, max(wanted, 6), repeats)
        )
    return wanted


def _wanting(real: int, there: int | None, least: int, repeats: int) -> str:
    """What it takes to make sets of so many pictures, and what to do."""
    drawn = "" if there is None else f", and all {repeats} sets {least * repeats} drawn ones"
    mend = "Take more pictures" if least == 6 else "Lower count, or take more pictures"
    if there is not None and 2 * least <= there < least * repeats:
        mend += ", or lower repeats (--repeats)"
    return f"a set takes 6 or more; of {least}, it takes {2 * least} real ones{drawn}. {mend}."


def _drawn(
    what: Any,
    real: ImageTensors,
    count: int,
    repeats: int,
    num_inference_steps: int,
    batch_size: int,
    progress: bool,
) -> tuple[Tensor, list[int] | None, Tensor]:
    """The drawn pictures, the kinds they are to show, and as many of an untrained network."""
    if not isinstance(what, (Tensor, ImageTensors)):
        options = {"num_inference_steps": num_inference_steps, "batch_size": batch_size}
        images, wanted = draw(what, range(count * repeats), progress=progress, **options)
        blank, _ = draw(untrained(what), range(count), progress=progress, **options)
        return images, wanted or None, blank
    generator = torch.Generator().manual_seed(0)
    images, labels = (what, None) if isinstance(what, Tensor) else what.batch(range(len(what)))
    noise = torch.randn((count, *images.shape[1:]), generator=generator).clamp(-1, 1)
    alike = isinstance(what, ImageTensors) and what.names == real.names and len(real.names) > 1
    if labels is None or not alike:
        labels = None
        order = torch.randperm(len(images), generator=generator)[: count * repeats]
    else:
        order = _shuffled(labels, generator)[: count * repeats]
    kinds = None if labels is None else labels[order].tolist()
    return images[order], kinds, noise


def _deal(labels: Tensor, count: int, repeats: int) -> list[tuple[Tensor, Tensor]]:
    """For each repeat the rows of two sets of real pictures without a picture in common."""
    generator = torch.Generator().manual_seed(0)
    order = _shuffled(labels, generator)
    pairs = []
    for at in range(repeats):
        if len(labels) >= 2 * count * repeats:
            part = order[2 * count * at : 2 * count * (at + 1)]
        else:
            part = _shuffled(labels, generator)[: 2 * count]
        pairs.append((part[:count], part[count:]))
    return pairs


def _shuffled(labels: Tensor, generator: torch.Generator) -> Tensor:
    """All rows in an order of chance, in which every kind keeps its share all the way."""
    place = torch.empty(len(labels), dtype=torch.float64)
    for kind in labels.unique():
        rows = (labels == kind).nonzero()[:, 0]
        rank = torch.randperm(len(rows), generator=generator)
        place[rows] = (rank + torch.rand(1, generator=generator).double()) / len(rows)
    return place.argsort()


def _usual_eyes(real: ImageTensors) -> list[Extractor]:
    """Pixels, and what the course has taught for all that it draws where the size fits."""
    eyes = [extractor("pixels", real)]
    if real.images.shape[1:] == (3, 32, 32):
        eyes.append(extractor("drawn-32"))
    return eyes


def _by_features(
    eye: Extractor,
    drawn: Tensor,
    blank: Tensor,
    real: ImageTensors,
    deal: list[tuple[Tensor, Tensor]],
    progress: bool,
) -> list[Row]:
    """All measures of features, with one extractor."""
    ours, empty = eye(drawn).split(len(blank)), eye(blank)
    theirs = [tuple(eye(real.batch(rows)[0]) for rows in pair) for pair in deal]
    rows, count, width = [], len(blank), empty.shape[1]
    fewest = {"Fréchet distance": width + 1, "Fréchet, extrapolated": 2 * (width + 1)}
    bar = tqdm(MEASURES.items(), f"judging by {eye.name}", disable=not progress)
    for name, measure in bar:
        row = Row(name, eye.name)
        if count < fewest.get(name, 6):
            rows.append(replace(row, note=f"wants sets of {fewest[name]}, not {count}"))
            continue
        spreads = [
            _spread([measure(made, pair[0]) for made, pair in zip(sets, theirs, strict=True)])
            for sets in (ours, [pair[1] for pair in theirs], [empty] * len(theirs))
        ]
        rows.append(replace(row, drawn=spreads[0], floor=spreads[1], ceiling=spreads[2]))
    return rows


def _by_pictures(
    drawn: Tensor,
    wanted: list[int] | None,
    blank: Tensor,
    real: ImageTensors,
    learned: ImageTensors | None,
    deal: list[tuple[Tensor, Tensor]],
) -> list[Row]:
    """What is measured without features: kinds, copies, distances."""
    count, found = len(blank), []
    for at, (against, others) in enumerate(deal):
        unseen, part = _take(real, against), slice(at * count, (at + 1) * count)
        asked = None if wanted is None else wanted[part]
        reader = PictureReader(unseen) if wanted and len(unseen.labels.unique()) > 1 else None
        known = None
        if learned is not None:
            fewest = min(count, len(learned))
            known, unseen = _take(learned, range(fewest)), _take(unseen, range(fewest))
        sets: list[tuple[Tensor, Any]] = [(drawn[part], asked), real.batch(others), (blank, asked)]
        found.append([picture_scores(x, kinds, unseen, known, reader) for x, kinds in sets])
    rows = []
    for name in found[0][0]:
        spreads = [_spread([scores[k][name] for scores in found]) for k in range(3)]
        drawn_, floor, ceiling = spreads
        rows.append(Row(name.replace("_", " "), None, drawn_, floor, ceiling))
    return rows


def _take(data: ImageTensors, rows: Any) -> ImageTensors:
    """Some of the pictures."""
    rows = torch.as_tensor(rows)
    return replace(data, images=data.images[rows], labels=data.labels[rows])


def _spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation over the sets."""
    return Spread(fmean(values), stdev(values))
