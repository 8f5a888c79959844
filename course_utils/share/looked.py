"""A folder of pictures, looked at: a report on the screen, a page to look at and a JSON file.

``python -m course_utils look FOLDER`` tells what is in there, what is wrong with it, how the
network will see it, and what can be trained on it in which time.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
import tyro
from PIL import Image
from tqdm import tqdm

from course_utils.data import Look, image_grid, look, to_pil
from course_utils.data.fit import Fit, read_size, told_size
from course_utils.data.summary import named
from course_utils.files import check_folder, spelled_out, write_whole
from course_utils.screen import tell
from course_utils.share.advice import advice, to_mend, told
from course_utils.share.page import page, picture, pictures, table
from course_utils.training.planning import Plan, plan

SHOWN = 12
"""So many pictures of each label, and so many groups of copies, are on the page."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Tell what is in a folder of pictures before anything is trained on it.

    Nothing in the folder is changed. A report goes to the screen, and looked.html and looked.json
    to the output folder.
    """

    folder: tyro.conf.Positional[str]
    """The folder, with a sub-folder for each label or with all pictures in it."""

    image_size: str | None = None
    """How large the network shall see the pictures, the side of a square such as 32, or width x
    height such as 48x32. Without it, what suits most pictures."""

    fit: Fit = "crop"
    """What is done with pictures of other proportions. crop keeps the middle, pad keeps all and
    fills up, squash bends."""

    background: str = "white"
    """The colour that see-through parts are laid on, and that pads."""

    minutes: float = 20.0
    """For how long one would train; the advice says what fits in."""

    output: str = "looked"
    """Where looked.html and looked.json go; those of an earlier time are replaced."""


def main(arguments: Sequence[str]) -> int:
    """Look as the words say.

    Args:
        arguments: The folder and the options.

    Returns:
        0 where the pictures can be trained on as they are, 1 where something must be mended first.

    Raises:
        ValueError: There is no such folder, or no picture in it that can be read.
        FileExistsError: The output folder is a file.
    """
    options = tyro.cli(Options, prog="python -m course_utils look", args=list(arguments))
    output = spelled_out("--output", options.output)
    folder = spelled_out("the folder", options.folder)
    _check_output(output, folder)
    size = None if options.image_size is None else read_size(options.image_size)
    found = look(
        folder,
        size,
        fit=options.fit,
        background=options.background,
        progress=_bar,
    )
    advised = None
    if not to_mend(found):
        mirror = found.mirror.harmless
        advised = plan(found.data, options.minutes, name=folder.resolve().name, mirror=mirror)
    lines = [*told(found), "", *advice(found, advised)]
    tell("\n".join(lines))
    for path in write_look(found, advised, output):
        tell(f"written: {path}")
    return 1 if to_mend(found) else 0


def _check_output(output: Path, folder: Path) -> None:
    """Refuse, before anything is measured, to write where that cannot be."""
    if output.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"--output is {output}, which lies in {folder}: the contact sheets would be pictures "
            "of the set. Choose another folder."
        )
    check_folder("--output", output)


def _bar(files: list[Path]) -> Iterable[Path]:
    """The files, with a progress bar where somebody watches."""
    return tqdm(files, "looking", disable=not sys.stderr.isatty())


def write_look(found: Look, advised: Plan | None, output: str | Path) -> list[Path]:
    """Write the page and the numbers.

    Args:
        found: What `course_utils.data.look` gave.
        advised: As `advice` takes it.
        output: The folder; made if it is not there.

    Returns:
        The two files.
    """
    folder = spelled_out("output", output)
    files = {
        "looked.json": json.dumps(_as_dict(found, advised), indent=1, ensure_ascii=False),
        "looked.html": _page(found, advised),
    }
    for name, text in files.items():
        write_whole(folder / name, text.encode("utf-8", "backslashreplace"))
    return [folder / name for name in files]


def _as_dict(found: Look, advised: Plan | None) -> dict[str, Any]:
    """The facts as plain values."""
    return {
        "folder": str(found.folder),
        "pictures": [
            {"file": name, "size": list(about.size), "kind": about.kind, "mode": about.mode}
            for name, about in zip(found.names, found.seen, strict=True)
        ],
        "labels": found.by_label,
        "seen_at": list(found.data.images.shape[1:]),
        "fit": found.fit,
        "unreadable": found.unreadable,
        "refused": list(found.refused),
        "left_out": found.left_out,
        "copies": [[found.names[row] for row in group] for group in found.copies],
        "sideways": [found.names[row] for row in found.sideways],
        "mirror": {"share": found.mirror.share, "harmless": found.mirror.harmless},
        "advice": advice(found, advised),
    }


def _page(found: Look, advised: Plan | None) -> str:
    """The page; it holds its pictures and asks for nothing from elsewhere."""
    steps = "\n".join(f"<li>{escape(step)}</li>" for step in advice(found, advised))
    facts = escape("\n".join(told(found)))
    size = told_size(tuple(found.data.images.shape[2:]))
    sheets = pictures(_sheet(found, k, name) for k, name in enumerate(found.data.names))
    parts = [
        f"<h2>What to do</h2><ol>\n{steps}\n</ol>",
        f"<h2>As the network will see them, at {size} pixels</h2>\n{sheets}",
        f"<h2>What is there</h2>\n<pre>{facts}</pre>",
        _groups("There more than once", found, found.copies),
        _groups("Perhaps on their side", found, [[row] for row in found.sideways]),
    ]
    if found.unreadable:
        rows = "\n".join(
            f"<tr><td>{escape(name)}</td><td>{escape(why)}</td></tr>"
            for name, why in found.unreadable.items()
        )
        parts.append(f"<h2>Cannot be read</h2>\n{table(('file', 'why'), rows)}")
    heading = f"What is in {found.folder.name}?"
    return page(f"Looked: {found.folder}", heading, "\n".join(part for part in parts if part))


def _sheet(found: Look, label: int, name: str) -> str:
    """Some pictures of a label, evenly from all that there are."""
    rows = torch.nonzero(found.data.labels == label).flatten()
    some = rows[torch.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).long()]
    grid = image_grid(found.data.batch(some)[0])
    shown = picture(grid, f"{len(some)} pictures of {name}", least=144)
    return f"{shown}<br>{escape(name)}, {len(some)} of {len(rows):,}"


def _groups(title: str, found: Look, groups: Sequence[Sequence[int]]) -> str:
    """Groups of pictures with the names of their files."""
    if not groups:
        return ""
    items = []
    for group in groups[:SHOWN]:
        shown = " ".join(picture(_one(found, row), found.names[row]) for row in group[:4])
        items.append(f"{shown}<br>{escape(named((found.names[row] for row in group), 4))}")
    return f"<h2>{title}: {len(groups):,}</h2>\n{pictures(items)}"


def _one(found: Look, row: int) -> Image.Image:
    """One picture as the network will see it."""
    return to_pil(found.data.batch(torch.tensor([row]))[0])[0]
