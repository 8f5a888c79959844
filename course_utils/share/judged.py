"""The pictures of a folder, judged: a table on the screen, a JSON file and a page to look at.

``python -m course_utils judge FOLDER --real FOLDER`` compares one's own drawn pictures with real
ones, whatever has drawn them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated, Literal

import tyro

from course_utils.data.fit import Fit, read_size
from course_utils.data.pixels import to_pil
from course_utils.files import check_folder, spelled_out, write_whole
from course_utils.metrics import TAUGHT, Judgement, Row, extractor, judge
from course_utils.metrics.elsewhere import LAYERS
from course_utils.metrics.sets import open_pictures
from course_utils.screen import tell
from course_utils.share.page import page, picture, pictures, table

NAMES = ("pixels", *TAUGHT, *LAYERS)

_Name = Literal[*NAMES]  # type: ignore[valid-type]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Judge the pictures of a folder against real ones."""

    folder: tyro.conf.Positional[str]
    """The folder of drawn pictures, such as sample --out has made."""

    real: str
    """A folder of real pictures, best none that the network has learned from."""

    learned: str | None = None
    """A folder of pictures that it has learned from, for the copy score."""

    extractor: Annotated[tuple[_Name, ...], tyro.conf.UseAppendAction] = ()
    """What pictures are compared by; may be given more than once. Without it the pixels, and at
    32 pixels the course's network for all that it draws."""

    image_size: str = "32"
    """Side in pixels to which all pictures are brought, or width x height such as 48x32."""

    fit: Fit = "crop"
    """What is done with pictures of other proportions. crop keeps the middle, pad keeps all and
    fills up, squash bends."""

    channels: Literal[1, 3] = 3
    """1 for grey pictures, 3 for colour."""

    repeats: int = 4
    """How many sets the pictures are dealt out in; their spread is the error bar."""

    output: str = "judged"
    """Where judged.json and judged.html go; those of an earlier time are replaced."""


def main(arguments: Sequence[str]) -> int:
    """Judge as the words say.

    Args:
        arguments: The folder and the options.

    Returns:
        0 where the table was made.

    Raises:
        ValueError: A folder has no pictures, or too few, or they do not fit an extractor.
        FileExistsError: What is to be the output folder is a file.
    """
    options = tyro.cli(Options, prog="python -m course_utils judge", args=list(arguments))
    check_folder("--output", spelled_out("--output", options.output))
    how = read_size(options.image_size), options.channels, options.fit
    drawn = open_pictures("FOLDER", options.folder, *how)
    real = open_pictures("--real", options.real, *how)
    learned = options.learned and open_pictures("--learned", options.learned, *how)
    eyes = [extractor(name, real if name == "pixels" else None) for name in options.extractor]
    found = judge(drawn, real, eyes=eyes or None, learned=learned or None, repeats=options.repeats)
    tell(found.table())
    for path in write_judgement(found, options.output, options.folder, options.real):
        tell(f"written: {path}")
    return 0


def write_judgement(found: Judgement, output: str | Path, drawn: str, real: str) -> list[Path]:
    """Write the numbers as JSON, and a page with them and the nearest neighbours.

    Args:
        found: What `judge` found.
        output: The folder; made if it is not there.
        drawn: What the drawn pictures are called.
        real: What the real ones are called.

    Returns:
        The two files.
    """
    folder = spelled_out("output", output)
    numbers = {"drawn": drawn, "real": real} | found.as_dict()
    files = {
        "judged.json": json.dumps(numbers, indent=1, ensure_ascii=False),
        "judged.html": _page(found, drawn, real),
    }
    for name, text in files.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in files]


def _page(found: Judgement, drawn: str, real: str) -> str:
    """The page; it holds its pictures and asks for nothing from elsewhere."""
    pairs = (
        f"{picture(ours, 'drawn')} {picture(theirs, 'its nearest real picture')}"
        for ours, theirs in zip(to_pil(found.samples), to_pil(found.neighbours), strict=True)
    )
    about = (
        f"{found.repeats} sets of {found.count} pictures from <code>{escape(drawn)}</code>, "
        f"compared with real ones from <code>{escape(real)}</code>. Behind ± stands the standard "
        "deviation from one set to the next. <em>Real</em> is what other real pictures get, "
        "<em>noise</em> what noise gets."
    )
    body = f"""<p>{about}</p>
{table(("measure", "drawn", "real", "noise", "in words"), _lines(found.rows))}
<h2>Drawn, and what is nearest among the real ones</h2>
<p>A pair of equal pictures is a copy, if the network has learned from the real ones.</p>
{pictures(pairs)}"""
    return page(f"Judged: {drawn}", "How good are these pictures?", body)


def _lines(rows: Sequence[Row]) -> str:
    """The table's body, a heading above the measures of each extractor."""
    lines, above = [], ""
    for row in rows:
        told = row.extractor or "compared as pictures"
        if told != above:
            lines.append(f'<tr class="eye"><th colspan="5">{escape(told)}</th></tr>')
            above = told
        numbers = "".join(
            f'<td class="number">{"" if s is None else f"{s.mean:.3g} ± {s.deviation:.1g}"}</td>'
            for s in (row.drawn, row.floor, row.ceiling)
        )
        lines.append(f"<tr><td>{row.measure}</td>{numbers}<td>{row.verdict}</td></tr>")
    return "\n".join(lines)
