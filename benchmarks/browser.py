"""What does a step cost in the browser, and what does a page load?

Every network of the gallery draws sixteen pictures in Chromium, as the playground does, and in
PyTorch with one thread. The two take turns, and the quickest of a few rounds counts, since a
browser shares its core with everything else. From the repository's root:

    python -m benchmarks.browser
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from course_utils.models import gallery
from course_utils.sampling import quick_scheduler, sample
from course_utils.share.web import PARTS, drawable, write_parts
from tests.conftest import chromium, find_chromium, serving
from tests.share.page import COUNT, PAGE, apart, by_python, draw, in_turn, opened, pictures

ROUNDS = 4
HOW = {"seed": 7, "steps": 8}


def by_torch(artist: Any) -> float:
    """Milliseconds of a step for sixteen pictures."""
    began = time.perf_counter()
    sample(
        artist.model,
        quick_scheduler(artist.noise_scheduler),
        seeds=range(COUNT),
        class_labels=in_turn(artist),
        num_inference_steps=HOW["steps"],
        progress=False,
    )
    return (time.perf_counter() - began) / HOW["steps"] * 1e3


def by_browser(tab: Any) -> float:
    """Milliseconds of a step for sixteen pictures, as the page says them."""
    draw(tab)
    return float(tab.locator(".course-playground").get_attribute("data-milliseconds"))


def difference(artist: Any, tab: Any) -> int:
    """The largest difference of a pixel that the browser has drawn, of 255."""
    labels = in_turn(artist)
    wanted = by_python(artist.model, artist.noise_scheduler, labels=labels, **HOW)
    return apart(pictures(tab), wanted)


def megabytes(folder: Path, asked: list[str]) -> float:
    """What a page was sent."""
    files = {folder / urlsplit(address).path.lstrip("/") for address in asked}
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def compare(browser: Any, address: str, folder: Path) -> None:
    """Print a line for each network."""
    print(
        f"{'':16}{'PyTorch':>9}{'browser':>9}{'ratio':>7}{'apart':>7}{'MB before':>11}{'after':>7}"
    )
    for name in gallery.names():
        artist = gallery.load(name)
        tab, asked, _ = opened(browser, address, network=name, **HOW)
        before = megabytes(folder, asked)
        times = [(by_torch(artist), by_browser(tab)) for _ in range(1 + ROUNDS)][1:]
        torch_ms, browser_ms = (min(column) for column in zip(*times, strict=True))
        print(f"{name:16}{torch_ms:9.0f}{browser_ms:9.0f}{browser_ms / torch_ms:7.1f}", end="")
        print(
            f"{difference(artist, tab):7}{before:11.2f}{megabytes(folder, asked):7.2f}", flush=True
        )
        tab.context.close()


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as where, chromium(find_chromium()) as browser:
        folder = Path(where)
        write_parts(folder / PARTS, [drawable(gallery.FOLDER / name) for name in gallery.names()])
        (folder / "index.html").write_text(PAGE)
        print(
            f"torch {torch.__version__}, one thread of {os.cpu_count()}, Chromium", browser.version
        )
        print(f"milliseconds a step for {COUNT} pictures, DDIM, the best of {ROUNDS} rounds;")
        print("apart: the largest difference of a pixel from Python's, of 255")
        print("MB: what the page was sent before and after Draw\n")
        with serving(folder) as address:
            compare(browser, address, folder)


if __name__ == "__main__":
    main()
