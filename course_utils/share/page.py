"""A page to look at, in one file: it holds its pictures and asks for nothing from elsewhere.

Everything here gives HTML; text from outside becomes safe by `escape`.
"""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from PIL import Image

from course_utils.data.pixels import png

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; background: #fbfbf8; }
table { border-collapse: collapse; width: 100%; }
.wide { overflow-x: auto; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ccc;
  vertical-align: top; overflow-wrap: anywhere; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.eye th { padding-top: 1.2rem; font-family: monospace; }
ul.pictures { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
ul.pictures li { max-width: 14rem; font-size: .8rem; overflow-wrap: anywhere; }
img { image-rendering: pixelated; max-width: 100%; }
pre { overflow-x: auto; }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1c1c1c; } th, td { border-color: #555; } }
"""


def page(title: str, heading: str, body: str) -> str:
    """A whole page.

    Args:
        title: What its tab is called; any text.
        heading: What stands above all; any text.
        body: HTML.

    Returns:
        The page.
    """
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><main><h1>{escape(heading)}</h1>
{body}
</main></body></html>
"""


def table(head: Sequence[str], rows: str) -> str:
    """A table that scrolls sideways where it is too wide.

    Args:
        head: What the columns are called; any text.
        rows: The lines of its body, as HTML.

    Returns:
        The table.
    """
    cells = "".join(f"<th>{escape(column)}</th>" for column in head)
    body = f"<thead><tr>{cells}</tr></thead><tbody>\n{rows}\n</tbody>"
    return f'<div class="wide"><table>{body}</table></div>'


def pictures(items: Iterable[str]) -> str:
    """A list whose items are pictures with a few words.

    Args:
        items: Each as HTML.

    Returns:
        The list.
    """
    return '<ul class="pictures">\n' + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def picture(image: Image.Image, alt: str, least: int = 96) -> str:
    """A picture inside the page, a small one enlarged without smoothing.

    Args:
        image: The picture.
        alt: What it shows; any text.
        least: Its shorter side on the page, in pixels, at least.

    Returns:
        The element.
    """
    times = max(1, -(-least // min(image.size)))
    width, height = (times * side for side in image.size)
    content = base64.b64encode(png(image)).decode()
    return (
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{content}">'
    )
