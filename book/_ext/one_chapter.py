"""Build one chapter of the book and open it: ``make chapter N=3``.

The pages around it are left out, so that links to them lead nowhere.
"""

import subprocess
import sys
import webbrowser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main(chapter: Path) -> int:
    """Build the page of a notebook; 0 where it was built."""
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    config = ["--config", str(ROOT / "_config.yml")]
    done = subprocess.run(
        [jupyter_book, "build", chapter, *config], check=False
    )
    name = "-".join(chapter.relative_to(ROOT).with_suffix("").parts)
    page = ROOT / "_build/_page" / name / "html" / f"{chapter.stem}.html"
    if done.returncode == 0:
        print(f"The chapter is at {page}")
        webbrowser.open(page.as_uri())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
