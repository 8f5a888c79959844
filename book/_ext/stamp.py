"""Write the address of the course wherever it has to stand.

The address has one source, ``repository.url`` in ``_config.yml``. Badges,
setup cells and the citation file repeat it; this command, ``make stamp``,
makes them equal. ``--check`` changes nothing and fails where they differ.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
HOST = r"https://github\.com/[\w.-]+/[\w.-]+?"
COLAB = "https://colab.research.google.com/github/"


def stamped(text: str, url: str, branch: str) -> str:
    """The text with the course's address in badges and setup cells."""
    repository = url.removeprefix("https://github.com/")
    badge = re.compile(re.escape(COLAB) + r"[\w.-]+/[\w.-]+/blob/[\w.-]+/")
    text = badge.sub(f"{COLAB}{repository}/blob/{branch}/", text)
    text = re.sub(rf"git\+{HOST}(?=[\"'\s\\])", f"git+{url}", text)
    citation = re.compile(rf"^(repository-code: ){HOST}$", re.M)
    text = citation.sub(rf"\g<1>{url}", text)
    project = re.compile(
        rf'^(\w+ = "){HOST}(/issues|/blob/[\w.-]+/[\w.]+)?"$', re.M
    )
    text = project.sub(rf'\g<1>{url}\g<2>"', text)
    return re.sub(r"(?<=/blob/)[\w.-]+(?=/CHANGELOG)", branch, text)


def files() -> list[Path]:
    """The files in which the address is repeated."""
    notebooks = sorted((ROOT / "book").glob("*.ipynb"))
    others = ("README.md", "CITATION.cff", "pyproject.toml")
    return [*notebooks, *(ROOT / name for name in others)]


def main(check: bool) -> int:
    """Stamp every file, or say which ones differ."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())[
        "repository"
    ]
    stale = []
    for file in files():
        text = file.read_text(encoding="utf-8")
        wanted = stamped(text, config["url"], config["branch"])
        if wanted != text:
            stale.append(file)
            if not check:
                file.write_text(wanted, encoding="utf-8")
    for file in stale:
        print(("differs: " if check else "stamped: ") + file.name)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
