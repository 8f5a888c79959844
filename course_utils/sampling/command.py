"""Draw from the shell: ``python -m course_utils sample sprites-16 --seeds 0-15 --out mine.png``."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from course_utils.data.pixels import png, to_pil
from course_utils.files import spelled_out, write_whole
from course_utils.models import gallery
from course_utils.sampling.film import sheet, write_gif, write_mp4
from course_utils.sampling.opening import Opened, open_network
from course_utils.sampling.pictures import SOLVERS, Drawn, draw_pictures
from course_utils.screen import tell

MOST = 1000
"""So many pictures are drawn at once, and no more."""

HOW = "drawn.json"
"""What tells how the pictures of a folder were drawn, and that this command has drawn them."""

_Solver = Literal["ddim", *SOLVERS]  # type: ignore[valid-type]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Draw with a trained network; one picture for each seed, the same each time."""

    network: Annotated[str, tyro.conf.Positional]
    """A name of the gallery, such as sprites-16; the folder of a run, or of any network that
    diffusers has saved; or owner/name on the Hub. A folder called as one of the gallery is
    ./name."""

    out: str
    """The file for the sheet of pictures, such as mine.png, or for a film of them, .gif or .mp4.
    Any other name is that of a folder: the sheet, the film, and in pictures each one by itself."""

    seeds: str = "0-15"
    """Whole numbers from 0 up, as in 0-15 or 3,7,20-24."""

    label: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """The kind to draw, by its name or number, or none; may be given more than once. Without it
    all kinds take turns: which one is a matter of the seed."""

    guidance: float = 1.0
    """How much the label counts, 1 for the network as it is; 2 or 3 give clearer kinds, less
    variety, and take twice the time."""

    steps: int = 50
    """How often the network looks at each picture."""

    solver: _Solver = "ddim"
    """What walks from noise to the picture; dpm and unipc need some 15 steps, ddpm hundreds."""

    batch_size: int = 16
    """How many are drawn together; fewer need less memory, and the pictures stay the same."""


def main(arguments: Sequence[str]) -> int:
    """Draw as the words say, and save the pictures.

    Args:
        arguments: The network and the options.

    Returns:
        0 where they were saved.

    Raises:
        ValueError: There is no such network or kind, or the seeds are none.
        FileExistsError: The folder has files that this command has not made.
        OSError: The pictures cannot be saved where they should.
    """
    options = tyro.cli(Options, prog="python -m course_utils sample", args=list(arguments))
    seeds, out = read_seeds(options.seeds), spelled_out("--out", options.out)
    single = out.suffix.lower() in (".png", ".gif", ".mp4")
    if not single:
        _refuse_strangers(out)
    elif not out.parent.is_dir():
        raise FileNotFoundError(f"--out is {options.out!r}, but there is no folder {out.parent}.")
    opened = open_network(options.network)
    drawn = draw_pictures(
        opened,
        seeds,
        labels=options.label,
        guidance=options.guidance,
        num_inference_steps=options.steps,
        solver_name=options.solver,
        batch_size=options.batch_size,
        film=out.suffix.lower() != ".png",
        progress=sys.stderr.isatty(),
    )
    if single:
        _save(drawn, out)
    else:
        _fill(out, opened, seeds, drawn, options)
    cost = ""
    if options.network in gallery.names():
        cost = f" ({gallery.load(options.network).told})"
    tell(f"{len(seeds)} pictures by {opened.name}{cost} are in {out}")
    return 0


def _save(drawn: Drawn, out: Path) -> None:
    """One file: a sheet or a film."""
    if out.suffix.lower() == ".png":
        write_whole(out, png(sheet(drawn.images)))
    elif out.suffix.lower() == ".gif":
        write_gif(out, [sheet(images) for images in drawn.film])
    else:
        missing = write_mp4(out, [sheet(images) for images in drawn.film])
        if missing:
            raise OSError(f"{out} cannot be made: {missing}. Ask for a .gif instead.")


def _fill(
    folder: Path, opened: Opened, seeds: Sequence[int], drawn: Drawn, options: Options
) -> None:
    """A folder: each picture by itself, the sheet, and the film of the first ones."""
    _take_away_the_last(folder)
    how = asdict(options) | {"kinds": [_named(opened, kind) for kind in drawn.kinds]}
    write_whole(folder / HOW, json.dumps(how, indent=1, ensure_ascii=False).encode())
    for seed, picture in zip(seeds, to_pil(drawn.images), strict=True):
        write_whole(folder / _file_of(seed), png(picture))
    write_whole(folder / "sheet.png", png(sheet(drawn.images)))
    frames = [sheet(images) for images in drawn.film]
    write_gif(folder / "film.gif", frames)
    missing = write_mp4(folder / "film.mp4", frames)
    if missing:
        tell(f"there is a film.gif, but no film.mp4: {missing}")


def _take_away_the_last(folder: Path) -> None:
    """Remove the pictures that this command has drawn here before, as it has noted them."""
    if (folder / HOW).is_file():
        before = json.loads((folder / HOW).read_text(encoding="utf-8"))
        for seed in read_seeds(before["seeds"]):
            (folder / _file_of(seed)).unlink(missing_ok=True)


def _file_of(seed: int) -> str:
    """What the picture of a seed is called."""
    return f"pictures/seed-{seed:04}.png"


def _named(opened: Opened, kind: int) -> str:
    """A kind's name, or its number where it has none."""
    return opened.labels[kind] if kind < len(opened.labels) else str(kind)


def _refuse_strangers(folder: Path) -> None:
    """Refuse to write among files that this command has not made."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"--out is {folder}, which is a file; name a folder, or a .png.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / HOW).is_file():
        raise FileExistsError(
            f"--out is {folder}, a folder with files that were not drawn by this command. Name "
            "another one. Nothing was changed."
        )


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
