"""Where executed notebooks are kept between two builds.

The cache is kept apart for each budget and each state of the code: left
alone, it would know neither and go stale.
"""

import hashlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from course_utils import current_budget

ROOT = Path(__file__).resolve().parents[2]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Keep executed notebooks by budget, code and installed versions."""
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes())
    for file in sorted((ROOT / "course_utils").rglob("*.py")):
        digest.update(file.read_bytes())
    name = f"{current_budget()}-{digest.hexdigest()[:12]}"
    config.nb_execution_cache_path = str(
        ROOT / "_build" / ".jupyter_cache" / name
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it with Sphinx."""
    app.connect("config-inited", choose_cache, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
