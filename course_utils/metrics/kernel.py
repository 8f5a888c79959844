"""The kernel distance: how far apart two sets lie, without a bell curve and without a bias."""

import numpy as np
from torch import Tensor

from course_utils.metrics.features import Features, as_features
from course_utils.validate import check_count


def kernel_distance(
    a: Features,
    b: Features,
    subset_size: int | None = None,
    num_subsets: int = 100,
    seed: int = 0,
) -> tuple[float, float]:
    """The squared distance of two sets under a cubic kernel, right on average for any number.

    With Inception's features this is the "KID".

    Args:
        a: Features of one set, shape (N, D), N >= 2.
        b: Features of the other, shape (M, D), M >= 2.
        subset_size: None to compare all with all. Else subsets of this many are drawn from each
            set, as is usual where there are very many.
        num_subsets: How many of those.
        seed: Decides which.

    Returns:
        The distance, and its deviation. Over all pairs that is its standard error, found by
        leaving out one picture at a time (for sets that are alike up to 1.5 times too large);
        over subsets their spread. Sets that are alike have a distance around 0, as often below as
        above.

    Raises:
        ValueError: A set has fewer than two pictures or fewer than a subset, or the features do
            not fit each other.

    Source:
        Bińkowski et al. 2018, arXiv 1801.01401, section 4; Gretton et al. 2012, lemma 6.

    Chapter: 6, "How far apart are two clouds of points?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import kernel_distance
        >>> a, b = torch.randn(2, 200, 8, generator=torch.Generator().manual_seed(0))
        >>> mean, deviation = kernel_distance(a, b + 1)
        >>> mean > 10 * deviation
        True
    """
    a, b = as_features(a=a, b=b)
    fewest, wanted = min(len(a), len(b)), 2 if subset_size is None else max(2, subset_size)
    if fewest < wanted:
        raise ValueError(
            f"The smaller set holds {fewest} pictures; the kernel distance wants {wanted}."
        )
    if subset_size is None:
        return _unbiased(a, b)
    size = check_count("subset_size", subset_size)
    chance = np.random.RandomState(seed)  # torch-fidelity's, so that the subsets are the same
    found = []
    for _ in range(check_count("num_subsets", num_subsets)):
        mine, theirs = (chance.choice(len(x), size, replace=False) for x in (a, b))
        found.append(_unbiased(a[mine], b[theirs])[0])
    return float(np.mean(found)), float(np.std(found))


def cubic_kernel(a: Tensor, b: Tensor) -> Tensor:
    """How alike each feature vector of one set is to each of the other.

    Args:
        a: Shape (N, D).
        b: Shape (M, D).

    Returns:
        Shape (N, M).

    Source:
        Bińkowski et al. 2018, arXiv 1801.01401, section 4: (x·y / D + 1)³.
    """
    return (a @ b.T / a.shape[1] + 1) ** 3


def _unbiased(a: Tensor, b: Tensor) -> tuple[float, float]:
    """The distance over all pairs, no picture paired with itself, and its standard error."""
    n, m = len(a), len(b)
    aa, ab, bb = cubic_kernel(a, a), cubic_kernel(a, b), cubic_kernel(b, b)
    aa.fill_diagonal_(0)
    bb.fill_diagonal_(0)
    within_a, within_b = aa.sum() / (n * (n - 1)), bb.sum() / (m * (m - 1))
    across = ab.mean()
    distance = within_a + within_b - 2 * across
    if min(n, m) < 3:
        return float(distance), float("nan")  # nothing is left when one is left out
    # The distance without picture i, for every i: what i adds to each sum is taken off.
    less_a = (aa.sum() - 2 * aa.sum(1)) / ((n - 1) * (n - 2))
    less_a = less_a + within_b - 2 * (ab.sum() - ab.sum(1)) / ((n - 1) * m)
    less_b = (bb.sum() - 2 * bb.sum(1)) / ((m - 1) * (m - 2))
    less_b = less_b + within_a - 2 * (ab.sum() - ab.sum(0)) / (n * (m - 1))
    variance = sum((len(k) - 1) * k.var(correction=0) for k in (less_a, less_b))
    return float(distance), float(variance) ** 0.5
