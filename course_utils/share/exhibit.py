"""From a finished run to a network of the gallery.

``python -m course_utils exhibit sprites my-run`` judges what the run has made, checkpoint by
checkpoint, halves the precision of its weights, and puts them into the package with a card that
says how they were made and how good they are.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.data import ImageTensors, image_grid, load_images, prepare
from course_utils.data.pixels import png
from course_utils.files import spelled_out, write_whole
from course_utils.metrics import Artist, PictureReader, draw, picture_scores
from course_utils.models.gallery import CARD, FOLDER
from course_utils.screen import shell_line, tell
from course_utils.training import Recipe, recipe
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.config import check_same_run
from course_utils.training.state import averaged_weights

ASKED = 500
"""Pictures that a finished network is judged by."""

ASKED_ON_THE_WAY = 100
"""Pictures that each of its earlier checkpoints is judged by."""

POINTS = 8
"""Checkpoints that are judged, closer together at the beginning, where most is learned."""

STEPS = 50
"""Noise levels visited to draw one."""

_NEVER_LEARNED = 500_000  # the number of the first drawn picture that no recipe reaches


class Judge:
    """Looks at drawn pictures with eyes that no network has been trained by.

    Args:
        chosen: The recipe whose networks are judged.
        count: How many unseen pictures are compared with as many that were learned; twice as
            many more teach the reader.
    """

    def __init__(self, chosen: Recipe, count: int = 2_000) -> None:
        first = _NEVER_LEARNED
        self.unseen = _drawn(chosen, count, first)
        self.learned = _drawn(chosen, count, chosen.first or 0)
        self.unseen_too = _drawn(chosen, ASKED, first + count)
        to_read = _drawn(chosen, 2 * count, first + count + ASKED)
        self.reader = PictureReader(to_read)
        self.kinds = list(to_read.names)

    def score(self, images: Tensor, wanted: Tensor | list[int]) -> dict[str, float]:
        """Judge some pictures.

        Args:
            images: Shape (N, C, H, W), in [-1, 1].
            wanted: The kind that each was to show.

        Returns:
            The shares that are read as asked, and that lie nearer to what was learned; and the
            median distance to the nearest picture that no network has seen.
        """
        return picture_scores(images, wanted, self.unseen, self.learned, self.reader)


def _drawn(chosen: Recipe, count: int, first: int) -> ImageTensors:
    """Some of the pictures that the course can draw, as the recipe prepares them."""
    assert chosen.config.image_size is not None
    images = load_images(chosen.pictures, "drawn", count=count, first=first)
    return prepare(images, chosen.config.image_size, chosen.channels)


def exhibit(name: str, run: str | Path, folder: Path = FOLDER) -> Path:
    """Put what a finished run has learned into the gallery.

    Args:
        name: The recipe of the run, at its overnight budget.
        run: The run's output folder.
        folder: The gallery.

    Returns:
        The folder of the network.

    Raises:
        ValueError: There is no such recipe, or the run is of another one, or is not finished.
    """
    chosen = recipe(name, "overnight")
    found = checkpoints(spelled_out("the run folder", run) / "checkpoints")
    if not found:
        raise ValueError(f"{run} has no checkpoints; train first, with --output-dir {run}.")
    about, tensors = read_checkpoint(found[-1])
    # The numbers that a processor is quick with are its own matter; the card tells them.
    precision = about["config"]["mixed_precision"]
    chosen = replace(chosen, config=replace(chosen.config, mixed_precision=precision))
    check_same_run(about["config"], chosen.config)
    if about["step"] < chosen.config.num_steps:
        raise ValueError(
            f"{run} has made {about['step']} of {chosen.config.num_steps} updates; finish it: "
            + shell_line("train", name, "--budget", "overnight", "--output-dir", run, "--resume")
        )
    judge = Judge(chosen)
    scheduler: Any = chosen.noise_scheduler()
    model: Any = averaged_weights(chosen.model(len(judge.kinds)), tensors)
    goal = folder / f"{name}-{chosen.config.image_size}"
    with tempfile.TemporaryDirectory() as part:
        model.half().save_pretrained(part)
        scheduler.save_pretrained(part)
        for path in Path(part).iterdir():
            write_whole(goal / path.name, path.read_bytes())
    # Judged as it will be used: stored in half precision, calculated in single precision.
    images, wanted = draw(Artist(model.float(), scheduler, judge.kinds), range(ASKED), STEPS)
    write_whole(goal / "samples.png", png(image_grid(images[:64])))
    card = _how_it_was_made(chosen, about, tensors["losses"]) | {
        "parameters": sum(p.numel() for p in model.parameters()),
        "labels": judge.kinds,
        "pictures": {
            "count": chosen.count,
            "first": chosen.first or 0,
            "sha256": seen(judge.learned),
        },
        "scores": {"asked": ASKED, **judge.score(images, wanted)},
        "real": judge.score(*judge.unseen_too.batch(range(ASKED))),
        "on_the_way": [_on_the_way(chosen, judge, path) for path in spread(found)],
    }
    write_whole(goal / CARD, json.dumps(card, indent=1).encode())
    return goal


def seen(learned: ImageTensors) -> str:
    """A name for what a network has learned from; another one after a change of the drawings.

    Args:
        learned: Its pictures, from the first on.

    Returns:
        A SHA-256 digest of the first hundred, as they were prepared.
    """
    return replace(learned, images=learned.images[:100], labels=learned.labels[:100]).digest


def spread(found: Sequence[Path]) -> list[Path]:
    """Some of a run's checkpoints, each about as many times as far on as the one before.

    Args:
        found: All of them, from the first to the last.

    Returns:
        At most `POINTS` of them, the first and the last among them.
    """
    last = len(found) - 1
    places = {round((last + 1) ** (k / (POINTS - 1))) - 1 for k in range(POINTS)}
    return [found[place] for place in sorted(places)]


def _on_the_way(chosen: Recipe, judge: Judge, path: Path) -> dict[str, float]:
    """The scores of a checkpoint, and the hours up to it."""
    about, tensors = read_checkpoint(path)
    model = averaged_weights(chosen.model(len(judge.kinds)), tensors)
    artist = Artist(model, chosen.noise_scheduler(), judge.kinds)
    scores = judge.score(*draw(artist, range(ASKED_ON_THE_WAY), STEPS))
    row = {"step": about["step"], "hours": about["seconds"] / 3600, **scores}
    print(row)
    return row


def _how_it_was_made(chosen: Recipe, about: dict[str, Any], losses: Tensor) -> dict[str, Any]:
    """The recipe, the machine and the losses."""
    precision = chosen.config.mixed_precision
    option = "" if precision == "no" else f" --mixed-precision {precision}"
    return {
        "recipe": chosen.name,
        "command": f"python -m course_utils train {chosen.name} --budget overnight{option}",
        "config": asdict(chosen.config),
        "hours": about["seconds"] / 3600,
        "machine": about["machine"],
        "versions": {name: version(name) for name in ("course-utils", "torch", "diffusers")},
        "losses": [part.mean().item() for part in losses.split(max(1, len(losses) // 100))],
    }


def main(arguments: Sequence[str]) -> int:
    """Put a finished run into the gallery.

    Args:
        arguments: The recipe and the run's folder.

    Returns:
        0 where the network is in the gallery, 2 where the words were not understood.
    """
    if len(arguments) != 2:
        print("usage: python -m course_utils exhibit RECIPE RUN-FOLDER", file=sys.stderr)
        return 2
    name, run = arguments
    tell(f"the network is in {exhibit(name, run)}")
    return 0
