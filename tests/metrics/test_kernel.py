"""The kernel distance: the libraries' number, no bias, and an error bar that holds."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import KernelInceptionDistance

from course_utils.metrics import kernel_distance
from tests.metrics.test_frechet import AsTheyCome, clouds


def test_over_all_pairs_it_is_the_sum_written_out():
    a, b = clouds(count=20)

    def mean_over(x, y, skip):
        pairs = [
            (x[i] @ y[j] / 12 + 1) ** 3
            for i in range(len(x))
            for j in range(len(y))
            if not (skip and i == j)
        ]
        return np.mean(pairs)

    expected = mean_over(a, a, True) + mean_over(b, b, True) - 2 * mean_over(a, b, False)
    assert kernel_distance(a, b)[0] == pytest.approx(expected, rel=1e-10)


def test_equals_torch_fidelity_on_the_same_subsets():
    a, b = (torch.from_numpy(x) for x in clouds())
    theirs = kid_features_to_metric(
        a, b, kid_subsets=7, kid_subset_size=100, rng_seed=2020, verbose=False
    )
    mean, deviation = kernel_distance(a, b, subset_size=100, num_subsets=7, seed=2020)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-10)


def test_equals_torchmetrics_on_all_pairs():
    a, b = clouds()
    b = b[:300]
    metric = KernelInceptionDistance(feature=AsTheyCome(), subsets=1, subset_size=300)
    metric.set_dtype(torch.float64)
    for features, real in ((a, True), (b, False)):
        metric.update(torch.from_numpy(features)[:, :, None, None], real=real)
    assert kernel_distance(a, b)[0] == pytest.approx(metric.compute()[0].item(), rel=1e-10)


def test_the_deviation_is_that_of_leaving_out_one_picture():
    a, b = clouds(count=12)
    b = b[:15]
    variance = 0.0
    for which, x in (("a", a), ("b", b)):
        rest = [np.delete(x, k, axis=0) for k in range(len(x))]
        without = [
            kernel_distance(r, b)[0] if which == "a" else kernel_distance(a, r)[0] for r in rest
        ]
        variance += (len(x) - 1) / len(x) * ((without - np.mean(without)) ** 2).sum()
    assert kernel_distance(a, b)[1] == pytest.approx(variance**0.5, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_no_bias_and_an_error_bar_that_says_how_far_it_strays(shift):
    """200 pairs of 40 pictures: the truth is met on average, and the bar is their spread.

    The truth is the mean over very many pairs of single pictures, known for a cubic kernel of
    normal features: E (x·y/D + 1)³ needs the first three moments of x·y.
    """
    width, chance = 8, np.random.default_rng(0)
    found = []
    for _ in range(200):
        a, b = chance.normal(size=(40, width)), chance.normal(size=(40, width)) + shift
        found.append(kernel_distance(a, b))
    means, bars = np.array(found).T
    assert means.mean() == pytest.approx(moments(width, shift), abs=3 * means.std() / 200**0.5)
    # Where nothing differs, leaving out one doubles the variance: the sums are degenerate there.
    assert 0.8 < bars.mean() / means.std() / (1 if shift else 2**0.5) < 1.25


def moments(width, shift):
    """The distance of N(0, 1) and N(shift, 1) in each of ``width`` features, in closed form."""

    def mean_kernel(m, n):
        # For fixed y, x·y is normal; then over y. With s = x·y / D: E (s + 1)³.
        mm, nn, mn = width * m * m, width * n * n, width * m * n
        first = mn
        second = mn**2 + mm + nn + width
        # E (x·y)³ = E [(m·y)³ + 3 (m·y) |y|²], y of mean n.
        my3 = mn**3 + 3 * mn * mm
        myy = mn * (nn + width) + 2 * mn
        third = my3 + 3 * myy
        return third / width**3 + 3 * second / width**2 + 3 * first / width + 1

    return mean_kernel(0, 0) + mean_kernel(shift, shift) - 2 * mean_kernel(0, shift)


def test_too_few_are_refused():
    a, b = clouds()
    with pytest.raises(ValueError, match="holds 1 pictures; the kernel distance wants 2"):
        kernel_distance(a[:1], b)
    with pytest.raises(ValueError, match="wants 301"):
        kernel_distance(a, b, subset_size=301)
    mean, deviation = kernel_distance(a[:2], b)
    assert np.isfinite(mean)
    assert np.isnan(deviation)  # two pictures have no spread to tell
