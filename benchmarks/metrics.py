"""Are our measures the libraries', and what do they cost?

The same features, of 1,000 pictures and of 1,000 others, go through each of ours and through a kept
library's. The largest difference over five pairs of sets, relative to the library's number.

    python benchmarks/metrics.py
"""

import contextlib
import io
import platform
import time

import numpy as np
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from course_utils.data import load_images, prepare
from course_utils.metrics import (
    density_coverage,
    extractor,
    frechet_distance,
    frechet_distance_at_infinity,
    kernel_distance,
    precision_recall,
    two_sample_test,
)

COUNT, PAIRS = 1_000, 5


def theirs(a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
    """The libraries' numbers."""
    statistics = [fid_features_to_statistics(x) for x in (a, b)]
    kernel = kid_features_to_metric(
        a, b, kid_subsets=10, kid_subset_size=500, rng_seed=0, verbose=False
    )
    balls = prc_features_to_metric(a, b, verbose=False, save_cpu_ram=False)
    with contextlib.redirect_stdout(io.StringIO()):
        naeem = compute_prdc(b.numpy(), a.numpy(), 5)
    return {
        "Fréchet distance": fid_statistics_to_metric(*statistics, verbose=False)[
            "frechet_inception_distance"
        ],
        "kernel distance": kernel["kernel_inception_distance_mean"],
        "its deviation": kernel["kernel_inception_distance_std"],
        "precision": balls["precision"],
        "recall": balls["recall"],
        "density": naeem["density"],
        "coverage": naeem["coverage"],
    }


def ours(a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
    """The course's, in the same order."""
    kernel = kernel_distance(a, b, subset_size=500, num_subsets=10, seed=0)
    numbers = (frechet_distance(a, b), *kernel, *precision_recall(a, b), *density_coverage(a, b))
    return dict(zip(theirs_order(), numbers, strict=True))


def theirs_order() -> list[str]:
    """Names of the measures."""
    return [
        "Fréchet distance",
        "kernel distance",
        "its deviation",
        "precision",
        "recall",
        "density",
        "coverage",
    ]


def main() -> None:
    """Compare, and print a line for each measure."""
    eye = extractor("sprites-16")
    print(f"{platform.machine()}, torch {torch.__version__}; features of {eye.name}")
    data = prepare(load_images("sprites", "drawn", count=2 * COUNT), 16)
    images = data.batch(range(2 * COUNT))[0]
    started = time.process_time()
    features = eye(images).double()
    print(f"features of {2 * COUNT:,} sprites: {time.process_time() - started:.1f} s of processor")
    worst = dict.fromkeys(theirs_order(), 0.0)
    seconds = {"theirs": 0.0, "ours": 0.0}
    for pair in range(PAIRS):
        order = np.random.default_rng(pair).permutation(2 * COUNT)
        a, b = features[order[:COUNT]] * (1 + pair / 10), features[order[COUNT:]]
        started = time.process_time()
        wanted = theirs(a, b)
        seconds["theirs"] += time.process_time() - started
        started = time.process_time()
        found = ours(a, b)
        seconds["ours"] += time.process_time() - started
        for name, value in wanted.items():
            worst[name] = max(worst[name], abs(found[name] - value) / max(abs(value), 1e-12))
    for name, gap in worst.items():
        print(f"{name:18} largest relative difference {gap:.1e}")
    for measure in (frechet_distance_at_infinity, two_sample_test):
        started = time.process_time()
        measure(a, b)
        print(f"{measure.__name__}: {time.process_time() - started:.1f} s")
    print(
        f"one pair: ours {seconds['ours'] / PAIRS:.1f} s, theirs {seconds['theirs'] / PAIRS:.1f} s"
    )


if __name__ == "__main__":
    main()
