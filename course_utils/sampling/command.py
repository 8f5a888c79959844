"""Draw from the shell: ``python -m course_utils sample sprites-16 --seeds 0-15 --out mine.png``."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import tyro

from course_utils.files import spelled_out
from course_utils.models import gallery
from course_utils.sampling.opening import Opened, open_network
from course_utils.sampling.pictures import SOLVERS, draw_pictures
from course_utils.sampling.saving import check_out, is_file, save_file, save_folder
from course_utils.sampling.seeds import read_seeds
from course_utils.screen import tell

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
    """The kind to draw, by its name, or its number unless kinds are called by numbers, or none;
    may be given more than once. Without it all kinds take turns: which one is a matter of the
    seed."""

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
        FileExistsError: There are files in the way that this command has not made.
        OSError: The pictures cannot be saved where they should.
    """
    options = tyro.cli(Options, prog="python -m course_utils sample", args=list(arguments))
    seeds, out = read_seeds(options.seeds), spelled_out("--out", options.out)
    check_out(out, seeds)
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
    channels = drawn.images.shape[1]
    if channels not in (1, 3):
        tell(f"of {channels} channels a sheet or film shows {'three' if channels > 3 else 'one'}")
    if is_file(out):
        save_file(out, drawn)
    else:
        kinds = [_named(opened, kind) for kind in drawn.kinds]
        save_folder(out, drawn, seeds, asdict(options) | {"kinds": kinds})
    cost = ""
    if options.network in gallery.names():
        cost = f" ({gallery.load(options.network).told})"
    tell(f"{len(seeds)} pictures by {opened.name}{cost} are in {out}")
    return 0


def _named(opened: Opened, kind: int) -> str:
    """A kind's name, or its number where it has none."""
    return opened.labels[kind] if kind < len(opened.labels) else str(kind)
