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
NO_ADDRESS = "--no-address-yet--"
COLAB = "https://colab.research.google.com/github/"
SVG = "https://colab.research.google.com/assets/colab-badge.svg"
WAITS = "a button once the course has an address (make stamp)"
BUTTON = re.compile(
    rf"\[!\[(?P<label>[^\]]+)\]\({re.escape(SVG)}\)\]"
    rf"\({re.escape(COLAB)}[\w.-]+/[\w.-]+/blob/[\w.-]+/(?P<file>[\w./-]+)\)"
)
PLACE = re.compile(
    rf"<!-- (?P<label>[\w ]+): (?P<file>[\w./-]+), {re.escape(WAITS)} -->"
)


def badge(label: str, file: str, url: str, branch: str) -> str:
    """The button that opens a file in Colab.

    Without an address it would lead nowhere: then only a comment keeps
    its place, which no page shows.
    """
    if NO_ADDRESS in url:
        return f"<!-- {label}: {file}, {WAITS} -->"
    repository = url.removeprefix("https://github.com/")
    return f"[![{label}]({SVG})]({COLAB}{repository}/blob/{branch}/{file})"


def stamped(text: str, url: str, branch: str) -> str:
    """The text with the course's address in badges and setup cells."""
    for place in (BUTTON, PLACE):
        text = place.sub(
            lambda m: badge(m["label"], m["file"], url, branch), text
        )
    text = re.sub(rf"git\+{HOST}(?=[\"'\s\\])", f"git+{url}", text)
    clone = re.compile(rf"^(git clone )(ADDRESS|{HOST})(?= )", re.M)
    text = clone.sub(
        rf"\g<1>{'ADDRESS' if NO_ADDRESS in url else url}", text
    )
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
