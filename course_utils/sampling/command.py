"""Draw from the shell: ``python -m course_utils sample sprites-16 --seeds 0-15 --out mine.png``."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from PIL import Image

from course_utils.data.pixels import image_grid
from course_utils.files import spelled_out
from course_utils.models import gallery
from course_utils.sampling.ddim import quick_scheduler
from course_utils.sampling.loop import sample
from course_utils.screen import tell

WIDTH = 640
"""How wide a sheet may become, in pixels, by enlarging small pictures."""

MOST = 1000
"""So many pictures go onto one sheet, and no more."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Draw with a network of the gallery; one picture for each seed, the same each time."""

    network: Annotated[str, tyro.conf.Positional]
    """Its name, such as sprites-16."""

    out: str
    """The file that gets the sheet of pictures, such as mine.png."""

    seeds: str = "0-15"
    """Whole numbers from 0 up, as in 0-15 or 3,7,20-24."""

    kind: str | None = None
    """The kind to draw, by its name; without it the kinds take turns."""

    num_inference_steps: int = 50
    """How often the network looks at each picture."""


def main(arguments: Sequence[str]) -> int:
    """Draw as the words say, and save the sheet.

    Args:
        arguments: The name of a network and the options.

    Returns:
        0 where the sheet was saved.

    Raises:
        ValueError: There is no such network or kind, or the seeds are none.
        OSError: The sheet cannot be saved where it should.
    """
    options = tyro.cli(Options, prog="python -m course_utils sample", args=list(arguments))
    seeds = read_seeds(options.seeds)
    artist: Any = gallery.load(options.network)  # diffusers' classes, which mypy finds too wide
    out = spelled_out("--out", options.out)
    run = sample(
        artist.model,
        quick_scheduler(artist.noise_scheduler),
        seeds=seeds,
        class_labels=_labels(options.kind, artist, len(seeds)),
        num_inference_steps=options.num_inference_steps,
        progress=sys.stderr.isatty(),
    )
    sheet = image_grid(run.images)
    larger = max(1, WIDTH // sheet.width)  # each pixel becomes a square that can be seen
    sheet = sheet.resize((sheet.width * larger, sheet.height * larger), Image.Resampling.NEAREST)
    sheet.save(out)
    tell(f"{len(seeds)} pictures by {artist.name} ({artist.told}) are in {out}")
    return 0


def read_seeds(text: str) -> list[int]:
    """Understand what stands for some seeds.

    Args:
        text: Numbers and ranges with commas between them, such as ``"3,7,20-24"``.

    Returns:
        The seeds, in that order.

    Raises:
        ValueError: It is something else, or stands for too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not ends:
            raise ValueError(f"--seeds is {text!r}; give whole numbers, as in 0-15 or 3,7,20-24.")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not first <= last < first + MOST:
            raise ValueError(f"--seeds has {part.strip()}; a range goes up, to {MOST} at most.")
        seeds += range(first, last + 1)
    if len(seeds) > MOST:
        raise ValueError(f"--seeds stands for {len(seeds)} pictures; a sheet holds {MOST}.")
    return seeds


def _labels(kind: str | None, artist: gallery.Trained, count: int) -> list[int]:
    """The kind of each picture: the one asked for, or all in turn."""
    if kind is None:
        return [k % len(artist.labels) for k in range(count)]
    if kind not in artist.labels:
        raise ValueError(f"--kind is {kind!r}; {artist.name} draws {', '.join(artist.labels)}.")
    return [artist.labels.index(kind)] * count
