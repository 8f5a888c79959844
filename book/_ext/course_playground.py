"""The playground: where the networks of the gallery draw in the page.

* The directive ``playground`` marks the place. What stands in it is for
  readers whose browser cannot draw; the script takes its place.
* A comment ``<!-- panel: network=sprites-16&steps=5 with steps seed -->``
  in a notebook's Markdown becomes a small one: what it begins with, as an
  address of the playground says it, and the choices that it offers. Where
  no book is built, as in Colab, it stays a comment.
* The directive ``playground-sizes`` is a table of what a page loads.
* Scripts, runtime and networks, as `course_utils.share.web` writes them
  for anybody's page, go into ``_static``. Nothing of them is committed.
"""

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import torch
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from course_utils.files import fingerprint, write_whole
from course_utils.models import gallery
from course_utils.share import onnx
from course_utils.share.runtime import sizes
from course_utils.share.web import PARTS, Drawable, drawable, write_parts

ROOT = Path(__file__).resolve().parents[2]
CLASS = "course-playground"
KEPT = ROOT / "_build" / ".onnx"
PANEL = re.compile(
    r"<!-- panel: (?P<choices>\S+) with (?P<fields>[\w ]+) -->"
)
LARGE = "book/playground"
NEAR = """
const near = new IntersectionObserver((seen) => {
  if (!seen.some((entry) => entry.isIntersecting)) return;
  near.disconnect();
  import("%(script)s");
}, { rootMargin: "900px" });
const panels = document.querySelectorAll(".%(class)s");
panels.forEach((panel) => near.observe(panel));
"""
WITHOUT = (
    "Here a network of the gallery would draw. It needs scripts, "
    "WebAssembly and a page that comes from a server and was not opened "
    "as a file: make serve is one."
)


@cache
def networks() -> tuple[Drawable, ...]:
    """The gallery's networks; their files are kept from build to build."""
    return tuple(network(gallery.FOLDER / n) for n in gallery.names())


def network(folder: Path) -> Drawable:
    """One of them, exported if it or the exporter is new."""
    about = torch.__version__.encode()
    parts = [*sorted(folder.iterdir()), Path(onnx.__file__)]
    file = KEPT / f"{folder.name}-{fingerprint(about, *parts)[:16]}.onnx"
    known = file.read_bytes() if file.is_file() else None
    found = drawable(folder, known=known)
    if known is None:
        write_whole(file, found.content)
    return found


class playground(nodes.General, nodes.Element):
    """The place; its children are for those who cannot draw there."""


def visit_playground(self: Any, node: playground) -> None:
    """Open it, with what the page begins with."""
    told = dict(node["told"])
    if "choices" in told and LARGE in self.builder.env.found_docs:
        here = self.builder.current_docname
        told["more"] = self.builder.get_relative_uri(here, LARGE)
    data = " ".join(f'data-{k}="{escape(v)}"' for k, v in told.items())
    self.body.append(f'<div class="{CLASS}" {data}>\n')


def depart_playground(self: Any, node: playground) -> None:
    """Close it."""
    self.body.append("</div>\n")


class Playground(SphinxDirective):
    """``{playground}``: a place to draw in, with words for the others."""

    has_content = True
    option_spec = {"network": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """The place around what was written in it."""
        node = playground(told={"network": self.options["network"]})
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def place_panels(app: Sphinx, doctree: nodes.document) -> None:
    """Put a panel where a notebook's comment asks for one."""
    for comment in list(doctree.findall(nodes.raw)):
        found = PANEL.fullmatch(comment.astext().strip())
        if found:
            words = nodes.paragraph(WITHOUT, WITHOUT)
            comment.replace_self(
                playground("", words, told=found.groupdict())
            )


RUNTIME_NAMES = {
    "wasm": "ONNX Runtime",
    "webgpu": "ONNX Runtime for the graphics processor, in its place",
}


class Sizes(SphinxDirective):
    """``{playground-sizes}``: what a page loads, in bytes."""

    def run(self) -> list[nodes.Node]:
        """The table."""
        rows = [("what", "numbers in it", "megabytes")]
        for found in networks():
            count = sum(p.numel() for p in found.opened.model.parameters())
            size = f"{len(found.content) / 1e6:.1f}"
            rows.append((found.opened.name, f"{count:,}", size))
        for processor, total in sizes().items():
            name = RUNTIME_NAMES[processor]
            rows.append((name, "", f"{total / 1e6:.1f}"))
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|---|--:|--:|")
        node = nodes.Element()
        self.state.nested_parse(StringList(lines), 0, node)
        return node.children


def add_scripts(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Load script and style where a page has such a place.

    The style at once; the script when a reader comes near, since chapters
    are long and most panels stand far down.
    """
    if f'class="{CLASS}"' in context.get("body", ""):
        app.env.has_playground = True  # type: ignore[attr-defined]
        app.add_css_file(f"{PARTS}/playground.css")
        script = context["pathto"](f"_static/{PARTS}/playground.js", 1)
        body = NEAR % {"class": CLASS, "script": script}
        app.add_js_file(None, body=body, type="module")


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """Put what the pages load into the book, if one of them loads it."""
    asked = getattr(app.env, "has_playground", False)
    if exception is None and app.builder.format == "html" and asked:
        write_parts(Path(app.outdir) / "_static" / PARTS, networks())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the files with Sphinx."""
    html = (visit_playground, depart_playground)
    app.add_node(playground, html=html)
    app.add_directive("playground", Playground)
    app.add_directive("playground-sizes", Sizes)
    app.connect("doctree-read", place_panels)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_files, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
