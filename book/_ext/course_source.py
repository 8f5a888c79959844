"""The pages of source code, with links back to where the reference is.

Sphinx's viewcode puts all that a file holds where the first of it was
documented. In our reference some of a file stands under the folder's face,
and the rest under the file's own name.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

BACK = re.compile(
    r'(<div class="viewcode-block" id="([\w.]+)">\s*'
    r'<a class="viewcode-back" href="([^"#]+)#)([\w.]+)"'
)


def leave_out_what_has_no_source(
    app: Sphinx,
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The list of modules would lead to pages that nobody makes."""
    modules = getattr(app.env, "_viewcode_modules", {})
    for name in [name for name, entry in modules.items() if not entry]:
        del modules[name]
    return iter(())


def lead_back(app: Sphinx, exception: Exception | None) -> None:
    """Point each link at the name under which the reference has it."""
    if exception is not None or app.builder.format != "html":
        return
    text = cache(lambda page: page.read_text(encoding="utf-8"))
    folder = Path(app.outdir) / "_modules"
    for page in folder.rglob("*.html"):
        module = ".".join(page.relative_to(folder).with_suffix("").parts)
        face = module.rpartition(".")[0]

        def back(link: re.Match[str]) -> str:
            start, name, address, anchor = link.groups()
            there = text((page.parent / address).resolve())  # noqa: B023
            ways = (anchor, f"{face}.{name}", f"{module}.{name}")  # noqa: B023
            known = [way for way in ways if f'id="{way}"' in there]
            return f'{start}{[*known, anchor][0]}"'

        page.write_text(BACK.sub(back, text(page)), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both with Sphinx."""
    app.connect(
        "html-collect-pages", leave_out_what_has_no_source, priority=400
    )
    app.connect("build-finished", lead_back, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
