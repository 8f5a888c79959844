"""A folder that is a web page, in which a network draws: one's own, in the reader's browser.

``python -m course_utils export FOLDER --web OUT`` writes it. Any host that sends files shows it:
GitHub Pages, a static Space, or ``python -m http.server``. The book's page is made of the same
parts. What happens in the page is in ``browser/``: ``sampling.js`` mirrors
`course_utils.sampling`, ``worker.js`` asks the network, ``playground.js`` has the buttons.
"""

import html
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from course_utils.files import check_folder, spelled_out, write_whole
from course_utils.models.base import height_and_width
from course_utils.sampling.opening import Opened, model_of, open_folder
from course_utils.share.onnx import FILE, converted
from course_utils.share.runtime import FILES, LICENCE, SCRIPTS, runtime, sizes

PARTS = "playground"
"""The folder of a page that holds all but the page itself."""

PAGE_SCRIPTS = (
    *("playground.js", "choices.js", "easel.js", "elements.js"),
    *("worker.js", "sampling.js", "generator.js"),
)
STYLE = "playground.css"

MOST_PARAMETERS = 25_000_000
"""Larger networks would be slower than anybody waits, and 50 MB to load."""


@dataclass(frozen=True)
class Drawable:
    """A network as a page takes it.

    Attributes:
        opened: The network and what lay beside it.
        content: The bytes of its ONNX file.
        labels: What its kinds are called.
        no_label: The label that stands for "no label", or None where there is none.
        paper: The colour that its pictures have in the corner, red, green and blue from 0 to 255.
    """

    opened: Opened
    content: bytes
    labels: tuple[str, ...]
    no_label: int | None
    paper: tuple[int, int, int]

    @property
    def settings(self) -> dict[str, Any]:
        """What the page must know to draw; loaded with the network."""
        config: Any = self.opened.model.config
        height, width = height_and_width(config.sample_size)
        return {
            "channels": config.in_channels,
            "height": height,
            "width": width,
            "num_classes": config.num_class_embeds or 0,
            "no_label": self.no_label,
            "scheduler": _levels(self.opened.noise_scheduler),
        }

    @property
    def listed(self) -> dict[str, Any]:
        """What the page must know to show its buttons; part of the page."""
        shape = {k: self.settings[k] for k in ("channels", "height", "width", "no_label")}
        flow = self.settings["scheduler"]["prediction_type"] == "flow_prediction"
        numbers = {"bytes": len(self.content), "flow": flow, "paper": self.paper}
        levels = {"levels": self.settings["scheduler"]["num_train_timesteps"]}
        return {"name": self.opened.name, "labels": self.labels, **shape, **levels, **numbers}


def drawable(
    folder: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    half: bool = True,
    known: bytes | None = None,
) -> Drawable:
    """Prepare a network for a page.

    Args:
        folder: A trained network with its scheduler, see `open_folder`.
        labels: What its kinds are called, in order; one less than it has classes if the last
            stands for "no label". None takes those of its card, or numbers.
        half: Store the weights in half precision.
        known: The bytes of its ONNX file where they were made before; None makes them.

    Returns:
        The network as a page takes it.

    Raises:
        FileNotFoundError: There is no network in the folder.
        ValueError: A page cannot draw with it; the message says why.
    """
    path = model_of(spelled_out("folder", folder))
    opened = open_folder(path)
    named, no_label = _labels(opened, labels)
    _check(opened)
    content = converted(opened.model, half)[0] if known is None else known
    return Drawable(opened, content, named, no_label, _paper(path))


def _labels(opened: Opened, given: Sequence[str] | None) -> tuple[tuple[str, ...], int | None]:
    """The names of the kinds, and the label that stands for none of them."""
    config: Any = opened.model.config
    classes = config.num_class_embeds or 0
    named = tuple(opened.labels if given is None else given)
    if not named:
        return tuple(f"kind {k}" for k in range(classes)), None
    if classes - len(named) not in (0, 1):
        raise ValueError(
            f"labels has {len(named)} names, and the network has {classes or 'no'} classes; give "
            "one for each, or leave out the last if it stands for no label."
        )
    return named, classes - 1 if len(named) == classes - 1 else None


def _check(opened: Opened) -> None:
    """Refuse what a page cannot draw with."""
    config: Any = opened.model.config
    parameters = sum(p.numel() for p in opened.model.parameters())
    if parameters > MOST_PARAMETERS:
        raise ValueError(
            f"{opened.name} has {parameters:,} parameters; a page draws with up to "
            f"{MOST_PARAMETERS:,}, since more take too long to load and to ask."
        )
    if opened.noise_scheduler is None:
        raise ValueError(
            f"{opened.name} has no scheduler_config.json, so that a page could not know its noise "
            "levels. Save the scheduler of its training beside it."
        )
    if getattr(opened.noise_scheduler.config, "thresholding", False):
        raise ValueError(f"{opened.name} samples with thresholding, which the page does not know.")
    if config.in_channels not in (1, 3) or config.in_channels != config.out_channels:
        raise ValueError(
            f"{opened.name} takes {config.in_channels} channels and gives {config.out_channels}; a "
            "page shows pictures of 1 (grey) or 3 (red, green, blue)."
        )


def _levels(scheduler: Any) -> dict[str, Any]:
    """A scheduler's settings, by the names that Python's have."""
    config = scheduler.config
    told = {name: config[name] for name in ("num_train_timesteps", "prediction_type")}
    if config.prediction_type == "flow_prediction":
        return told
    names = ("clip_sample", "clip_sample_range", "variance_type")
    betas = {"trained_betas": scheduler.betas.tolist()}
    return told | {name: config[name] for name in names} | betas


def _paper(folder: Path) -> tuple[int, int, int]:
    """The middle colour in the corner of its samples, on which a scribble begins."""
    file = folder / "samples.png"
    if not file.is_file():
        return 128, 128, 128
    with Image.open(file) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    red, green, blue = (int(value) for value in np.median(pixels[::, 0], axis=0))
    return red, green, blue


def write_parts(goal: Path, networks: Sequence[Drawable]) -> None:
    """Write all that a page loads: scripts, runtime and networks.

    Args:
        goal: The folder for it.
        networks: What the page draws with, at least one.

    Raises:
        ImportError: See `runtime`.
        ExportError: See `runtime`.
        OSError: Something could not be written.
    """
    for name in (*PAGE_SCRIPTS, STYLE):
        write_whole(goal / name, (SCRIPTS / name).read_bytes())
    kept = runtime()
    for name in (*FILES, LICENCE):
        write_whole(goal / "runtime" / name, (kept / name).read_bytes())
    listed = json.dumps([network.listed for network in networks])
    known = {"networks": listed, "runtime_bytes": json.dumps(sizes())}
    text = "".join(f"export const {name} = {value};\n" for name, value in known.items())
    write_whole(goal / "networks.js", text.encode())
    for network in networks:
        own = goal / "networks" / network.opened.name
        write_whole(own / FILE, network.content)
        write_whole(own / "settings.json", json.dumps(network.settings).encode())


def export_page(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    half: bool = True,
) -> Path:
    """Write a folder that is a web page in which a network draws.

    Args:
        folder: A trained network with its scheduler, see `open_folder`.
        out: The folder for the page: new, empty, or an older page of this kind.
        labels: See `drawable`.
        half: Store the weights in half precision, see `course_utils.share.onnx.export`.

    Returns:
        The page, ``index.html`` in `out`.

    Raises:
        FileExistsError: `out` holds something else; nothing was written.
        FileNotFoundError: There is no network in the folder.
        ImportError: A library is missing that only this needs.
        ValueError: A page cannot draw with the network; nothing was written.

    Example:
        >>> from course_utils.models import gallery
        >>> from course_utils.share import export_page
        >>> export_page(gallery.FOLDER / "sprites-16", "my-page").name
        'index.html'

    Source:
        The files of a page: ``course_utils/share/browser``.
    """
    goal = _own(spelled_out("out", out))
    network = drawable(folder, labels=labels, half=half)
    write_parts(goal / PARTS, [network])
    samples = model_of(spelled_out("folder", folder)) / "samples.png"
    if samples.is_file():
        shutil.copyfile(samples, goal / "samples.png")
    write_whole(goal / "index.html", _page(network, samples.is_file()).encode())
    return goal / "index.html"


def _own(goal: Path) -> Path:
    """Refuse to write among files that this has not written; an older page is replaced."""
    check_folder("out", goal)
    ours = {"index.html", "samples.png", PARTS}
    there = {path.name for path in goal.iterdir()} if goal.is_dir() else set()
    made_here = (goal / PARTS / "networks.js").is_file()
    if there & ours and not made_here:
        raise FileExistsError(
            f"{goal} holds {', '.join(sorted(there & ours))}, and is no page of this kind: writing "
            "would replace it. Choose another folder. Nothing was written."
        )
    return goal


def _page(network: Drawable, with_samples: bool) -> str:
    """The page itself: the network's card around the place where it draws."""
    from markdown_it import MarkdownIt

    config: Any = network.opened.model.config
    height, width = height_and_width(config.sample_size)
    parameters = sum(p.numel() for p in network.opened.model.parameters())
    sheet = '<img src="samples.png" alt="Pictures that this network has drawn">'
    text = (SCRIPTS / "page.html").read_text(encoding="utf-8")
    card = re.sub(r"^!\[.*\]\(samples\.png\)$", "", network.opened.card, flags=re.MULTILINE)
    filled = {
        "name": html.escape(network.opened.name),
        "facts": f"{parameters:,} parameters, pictures of {height}×{width} pixels",
        "samples": sheet if with_samples else "",
        "card": MarkdownIt("commonmark", {"html": False}).enable("table").render(card),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: filled[place[1]], text)
