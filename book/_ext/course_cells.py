"""A place on the page for each cell of a notebook, and a role for links.

``{cell}`02_schedulers#left-assert` `` on a page becomes the link
"chapter 2, left-assert". The style sheet marks the cell where one arrives.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxRole

BOOK = Path(__file__).resolve().parents[1]


@cache
def cell_ids(notebook: str) -> tuple[str, ...]:
    """The ids of a notebook's cells in order; none without a file."""
    path = BOOK / f"{notebook}.ipynb"
    if not path.exists():
        return ()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return tuple(cell["id"] for cell in cells)


def told_as(notebook: str) -> str:
    """How a sentence names a notebook: chapter 2, or the fine print."""
    number = re.match(r"0*(\d+)_", notebook)
    if number:
        return f"chapter {number[1]}"
    return f"the {notebook.replace('_', ' ')}"


def place_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Give each cell of the page an anchor, ``cell-`` and its id."""
    names = cell_ids(app.env.docname.removeprefix("book/"))
    for node in doctree.findall(nodes.container):
        if names and "cell_index" in node:
            node["ids"].append(f"cell-{names[node['cell_index']]}")


class CellRole(SphinxRole):
    """The role itself: a reference that is resolved when all is read."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Write down where it leads, and the words of the link."""
        notebook, _, cell = self.text.partition("#")
        link = addnodes.pending_xref(
            "", reftype="cell", reftarget=self.text, refdoc=self.env.docname
        )
        link += nodes.Text(f"{told_as(notebook)}, ")
        link += nodes.literal("", cell)
        return [link], []


def find_cell(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, _: Any
) -> nodes.reference | None:
    """The link to a cell; nothing, and so a warning, where none is."""
    notebook, _, cell = node["reftarget"].partition("#")
    if node["reftype"] != "cell" or cell not in cell_ids(notebook):
        return None
    page = app.builder.get_relative_uri(node["refdoc"], f"book/{notebook}")
    target = f"{page}#cell-{cell}"
    link = nodes.reference("", "", internal=True, refuri=target)
    link += [child.deepcopy() for child in node.children]
    return link


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the role and the two steps."""
    app.add_role("cell", CellRole())
    app.connect("doctree-read", place_cells)
    app.connect("missing-reference", find_cell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
