"""What can 30, 300 and 3,000 pictures give? Chapter 9's albums from three seeds.

The small network of the page's albums learns from as many flowers of three kinds, and as many
others lie in the drawer. Each run has the page's updates and draws the same seeds. Their copy
score says whether they repeat the album; the kernel distance to flowers of neither set, in the
main components of their pixels, says how far they are from new ones. What has been measured is
kept in a file, so that a run goes on where it was stopped. From the repository's root:

    python -m benchmarks.albums [--kept FILE]
"""

import argparse
import os
import statistics
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.recipes import Kept
from course_utils.data import KINDS, ImageTensors, draw
from course_utils.metrics import copy_score, extractor, kernel_distance
from course_utils.sampling import Opened, draw_pictures
from course_utils.training import plan

KINDS_USED = ("daisy", "sunflower", "tulip")
SIZE, WIDTH, BATCH = 16, 16, 16
NUMBERS, UPDATES, SEEDS = (30, 300, 3_000), 600, (0, 1, 2)
DRAWN, STEPS = 300, 20

LEARNED, UNSEEN, OTHERS = 1_000, 100_000, 200_000
"""The number of the first flower that is learned from, lies in the drawer, is of neither."""


@cache
def album(count: int, first: int) -> ImageTensors:
    """Flowers of the three kinds in turn."""
    pictures, labels = [], []
    for k in range(count):
        label = KINDS["flowers"].index(KINDS_USED[k % 3])
        pictures.append(np.asarray(draw("flowers", label, first + k, SIZE)))
        labels.append(k % 3)
    images = torch.tensor(np.stack(pictures)).permute(0, 3, 1, 2)
    return ImageTensors(images, torch.tensor(labels), KINDS_USED)


def scores(images: torch.Tensor, number: int) -> dict[str, float]:
    """How near some pictures are to the album, to the drawer, and to new flowers."""
    others = album(DRAWN, OTHERS)
    eye = extractor("pixels", others)
    real = eye(others.batch(range(DRAWN))[0])
    distance, _ = kernel_distance(eye(images), real)
    copied = copy_score(images, album(number, LEARNED), album(number, UNSEEN))
    return {"copy_score": copied, "distance": distance}


def measured(number: int, seed: int) -> dict[str, float]:
    """Train on an album, draw, and judge."""
    chosen = plan(
        album(number, LEARNED),
        None,
        name="album",
        num_steps=UPDATES,
        batch_size=BATCH,
        seed=seed,
        width=WIDTH,
        mirror=False,
    )
    run = chosen.train(progress=False)
    made = Opened("album", run.ema_model, chosen.noise_scheduler, KINDS_USED, "")
    drawn = draw_pictures(made, range(DRAWN), num_inference_steps=STEPS, batch_size=100)
    return scores(drawn.images, number)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kept", type=Path, help="where what is measured is kept")
    kept = Kept(parser.parse_args().kept)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread of {os.cpu_count()}")
    print(
        f"batches of {BATCH}, {DRAWN} pictures drawn, DDIM-{STEPS}; mean ± deviation, each seed\n"
    )
    print(f"{'pictures':>8}{'updates':>9}{'each seen':>11}   {'copy score':35}{'distance':>14}")
    for number in NUMBERS:
        runs = [
            kept.look_up(f"{number} {UPDATES} {seed}", partial(measured, number, seed))
            for seed in SEEDS
        ]
        copied, apart = ([run[name] for run in runs] for name in ("copy_score", "distance"))
        each = ", ".join(f"{score:.2f}" for score in copied)
        told = f"{statistics.mean(copied):.2f} ± {statistics.stdev(copied):.2f} ({each})"
        far = f"{statistics.mean(apart):.2f} ± {statistics.stdev(apart):.2f}"
        seen = UPDATES * BATCH / number
        print(f"{number:8,}{UPDATES:9,}{seen:11,.0f}   {told:35}{far:>14}", flush=True)
    fresh = album(DRAWN, OTHERS + DRAWN).batch(range(DRAWN))[0]
    for number in NUMBERS:
        floor = kept.look_up(f"real {number}", partial(scores, fresh, number))
        print(
            f"{number:8,}{'real':>9}{'':11}   {floor['copy_score']:<35.2f}{floor['distance']:14.2f}"
        )


if __name__ == "__main__":
    main()
