"""What this book needs of Sphinx beyond its settings.

* MathJax comes out of an installed package into the book, so that a page
  needs no network.
* The cache of executed notebooks is kept apart for each budget and each
  state of the code: left alone, it would know neither and go stale.
* The theme's launch scripts are put on a page once, not twice.
* Previews of a link, in chats and elsewhere, get a title and a picture.
"""

import hashlib
import shutil
from html import escape
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from course_utils import current_budget

ROOT = Path(__file__).resolve().parents[2]
NO_ADDRESS = "--no-address-yet--"
MATHJAX_PARTS = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2")


def choose_cache(app: Sphinx, config: Config) -> None:
    """Keep executed notebooks by budget, code and installed versions."""
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes())
    for file in sorted((ROOT / "course_utils").rglob("*.py")):
        digest.update(file.read_bytes())
    name = f"{current_budget()}-{digest.hexdigest()[:12]}"
    config.nb_execution_cache_path = str(
        ROOT / "_build" / ".jupyter_cache" / name
    )


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy the one script and the fonts that the pages load."""
    if exception is not None or app.builder.format != "html":
        return
    files = distribution("sphinx-mathjax-offline").files or []
    script = next(file for file in files if file.name == MATHJAX_PARTS[0])
    source = Path(str(script.locate())).parent
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        copy = (
            shutil.copytree if (source / part).is_dir() else shutil.copyfile
        )
        copy(
            source / part,
            target / part,
            **({"dirs_exist_ok": True} if copy is shutil.copytree else {}),
        )


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
    address = app.config.html_theme_options.get("repository_url", "")
    if not address or NO_ADDRESS in address:
        return
    branch = app.config.html_theme_options.get("repository_branch", "main")
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
    """Register the four with Sphinx."""
    app.connect("html-page-context", add_preview)
    app.connect("config-inited", choose_cache, priority=1)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
