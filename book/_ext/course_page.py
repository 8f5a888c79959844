"""What a page shows besides its text: buttons, folded code, previews.

* Until ``_config.yml`` has the course's address no page leads there: no
  button for Colab, the repository or its issues. With the address they
  appear, and so does what stands in ``{only} address`` on a page.
* A folded cell says what is in it: a solution its number, a figure's code
  that it is code.
* The theme's launch scripts are put on a page once, not twice.
* Previews of a link, in chats and elsewhere, get a title and a picture.
"""

import re
from html import escape
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform

NO_ADDRESS = "--no-address-yet--"
BUTTONS = (
    "use_repository_button",
    "use_issues_button",
    "use_edit_page_button",
)


def has_address(config: Config) -> bool:
    """Whether somebody has written an address into ``_config.yml``."""
    address = config.html_theme_options.get("repository_url", "")
    return bool(address) and NO_ADDRESS not in address


def show_buttons_with_address(app: Sphinx, config: Config) -> None:
    """Take away every button that would lead nowhere."""
    if has_address(config):
        app.tags.add("address")
        return
    options = config.html_theme_options
    options.update(dict.fromkeys(BUTTONS, False))
    for name in ("repository_url", "launch_buttons"):
        options.pop(name, None)


class NameFoldedCells(SphinxPostTransform):
    """Say on each folded cell what it holds, before it is folded."""

    default_priority = 198  # myst-nb folds at 199
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Give the cells of a page their words."""
        for node in self.document.findall(nodes.container):
            if node.get("hide_mode") and "tag_solution" in node["classes"]:
                title = re.match(r"# @title (.+)", node.astext().lstrip())
                words = title[1] if title else "Solution"
                node["prompt_show"] = node["prompt_hide"] = words


def open_fold(self: Any, node: HideCodeCellNode) -> None:
    """Begin a fold. Its words are its label, for screen readers too."""
    classes = " ".join(["admonition", "hide", *node["classes"]])
    shown = "".join(
        f'<p class="{state} admonition-title">{escape(words)}</p>'
        for state, words in (
            ("collapsed", node["prompt_show"]),
            ("expanded", node["prompt_hide"]),
        )
    )
    self.body.append(
        f'<details class="{classes}">\n<summary>{shown}</summary>\n'
    )


def close_fold(self: Any, node: HideCodeCellNode) -> None:
    """End a fold."""
    self.body.append("</details>\n")


def drop_repeated_scripts(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Leave out a script whose body is on the page already."""
    seen: set[str] = set()
    kept = []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in seen:
            kept.append(script)
        seen.add(body)
    context["script_files"] = kept


def add_preview(
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Name title and picture for previews, if the course has an address."""
    if not has_address(app.config) or "title" not in context:
        return  # the index, which nobody sends around, has no title
    options = app.config.html_theme_options
    address = options["repository_url"]
    branch = options.get("repository_branch", "main")
    told = {
        "og:type": "website",
        "og:title": f"{context['title']} · {app.config.project}",
        "og:image": f"{address}/raw/{branch}/book/images/card.png",
        "og:image:alt": "Pictures that networks of this course drew",
    }
    context["metatags"] += "".join(
        f'\n<meta property="{name}" content="{escape(text)}" />'
        for name, text in told.items()
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it with Sphinx."""
    app.setup_extension("myst_nb")
    app.add_node(
        HideCodeCellNode, override=True, html=(open_fold, close_fold)
    )
    app.add_post_transform(NameFoldedCells)
    app.connect("config-inited", show_buttons_with_address, priority=1)
    app.connect("html-page-context", add_preview)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
