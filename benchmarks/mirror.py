"""What may be mirrored while a network learns?

`course_utils.data.try_mirror` compares each picture, as it is and mirrored, with all the others:
its two limits stand between the numbers below. A row for each set and number of pictures; the
spread is that of ten random choices of so many.

    python benchmarks/mirror.py [FOLDER-OR-ARRAY …] [--image-size WxH]
"""

import argparse
import contextlib
import io
from statistics import mean, stdev

import torch

from course_utils.data import ImageTensors, load_tensors, prepare, try_mirror
from course_utils.data.drawn import load_drawn
from course_utils.data.fit import read_size, told_size
from course_utils.data.mirror import FAR, LEAST, OFTEN

DRAWN = {"digits": 28, "sprites": 16, "butterflies": 32, "flowers": 32}


def report(name: str, data: ImageTensors) -> None:
    """Print a row for some numbers of pictures."""
    generator = torch.Generator().manual_seed(0)
    for count in (LEAST, 300, 1_000):
        if count > len(data):
            continue
        found = []
        for _ in range(10):
            rows = torch.randperm(len(data), generator=generator)[:count]
            found.append(try_mirror(ImageTensors(data.images[rows], data.labels[rows], data.names)))
        shares, times = [f.share for f in found], [f.further for f in found]
        print(
            f"{name:24} {told_size(tuple(data.images.shape[-2:])):>6} {count:5}   "
            f"{mean(shares):.2f} ± {stdev(shares):.2f}   {mean(times):.2f} ± {stdev(times):.2f}   "
            f"harmless {sum(f.harmless for f in found):2} times of 10",
            flush=True,
        )


def main() -> None:
    """Look at the course's sets, or at those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("where", nargs="*")
    parser.add_argument("--image-size", type=read_size)
    chosen = parser.parse_args()
    print(f"harmless: share at most {OFTEN}, or further at most {FAR}\n")
    print(f"{'set':24} {'size':>6} count   share further   times as far")
    for where in chosen.where:
        with contextlib.redirect_stdout(io.StringIO()):
            data = load_tensors(where, chosen.image_size)
        report(where.split("/")[-1][:24], data)
    if not chosen.where:
        for name, size in DRAWN.items():
            report(name, prepare(load_drawn(name, 2_000, None, 0), size, channels=None))


if __name__ == "__main__":
    main()
