"""The Fréchet distance: the libraries' number, the closed form's, and a stable root."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import FrechetInceptionDistance

from course_utils.metrics import frechet_distance, frechet_distance_at_infinity


def clouds(count=300, width=12, seed=0, shift=0.3, stretch=1.5):
    """Two sets of features, correlated, of different means and spreads."""
    chance = np.random.default_rng(seed)
    mixing = chance.normal(size=(width, width))
    a = chance.normal(size=(count, width)) @ mixing
    b = chance.normal(size=(count + 50, width)) @ mixing.T * stretch + shift
    return a, b


def test_equals_the_formula_with_scipys_root():
    a, b = clouds()
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    gap = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = gap + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-10)


def test_equals_torch_fidelity():
    a, b = clouds(seed=1)
    stats = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    theirs = fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(
        theirs, rel=1e-10
    )


class AsTheyCome(torch.nn.Module):
    """Pictures of one pixel a feature, as their features."""

    num_features = 12

    def forward(self, x):
        return x.flatten(1)


def test_equals_torchmetrics():
    a, b = clouds(seed=2)
    metric = FrechetInceptionDistance(
        feature=AsTheyCome(), normalize=False, input_img_size=(12, 1, 1)
    )
    metric.set_dtype(torch.float64)
    for features, real in ((a, True), (b, False)):
        metric.update(torch.from_numpy(features)[:, :, None, None], real=real)
    assert frechet_distance(a, b) == pytest.approx(metric.compute().item(), rel=1e-10)


def test_of_a_set_and_itself_it_is_nothing_even_where_features_repeat():
    a, _ = clouds()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    doubled = np.concatenate([a, a, np.zeros((300, 2))], axis=1)  # a covariance without a rank
    assert frechet_distance(doubled, doubled) == pytest.approx(0, abs=1e-9)
    shifted = doubled + 2.0
    assert frechet_distance(doubled, shifted) == pytest.approx(4 * 26, rel=1e-12)


def test_stays_right_where_the_squared_matrix_loses_half_of_its_digits():
    """Spreads of 1 and 1e-9 side by side: the root of C_a C_b would need numbers of 1e-36."""
    chance = np.random.default_rng(0)
    scale = np.array([1.0, 1e-3, 1e-6, 1e-9])
    a = chance.normal(size=(500, 4))
    a = (a - a.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(a, rowvar=False))).T
    found = frechet_distance(a * scale, 3 * a * scale)
    assert found == pytest.approx(((3 - 1) ** 2 * scale**2).sum(), rel=1e-9)
    only_small = frechet_distance(a * 1e-9, 3 * a * 1e-9)
    assert only_small == pytest.approx(4 * (3 - 1) ** 2 * 1e-18, rel=1e-9)


def test_too_few_pictures_are_refused_and_it_says_how_many_are_wanted():
    a, b = clouds()
    with pytest.raises(
        ValueError, match=r"a holds 12 pictures of 12 features each; .* at least 13"
    ):
        frechet_distance(a[:12], b)
    with pytest.raises(ValueError, match="b holds 5 pictures"):
        frechet_distance(a, b[:5])
    assert frechet_distance(a[:13], b) > 0


def test_what_are_no_features_is_refused():
    a, b = clouds()
    with pytest.raises(ValueError, match=r"a \(300, 12\), b \(350, 11\)"):
        frechet_distance(a, b[:, 1:])
    with pytest.raises(ValueError, match=r"shape \(N, D\)"):
        frechet_distance(a[0], b)
    b[3, 4] = np.nan
    with pytest.raises(ValueError, match="features b hold numbers that are not finite"):
        frechet_distance(a, b)


def truth(width, stretch):
    """Of standard normal features and others ``stretch`` times as wide."""
    return width * (stretch - 1) ** 2


def test_extrapolated_it_is_nearer_to_the_truth_of_infinitely_many():
    """Twelve pairs of sets: the plain distance is too large each time, the other one is not."""
    chance = np.random.default_rng(5)
    plain, beyond = [], []
    for seed in range(12):
        a, b = chance.normal(size=(400, 32)), 1.2 * chance.normal(size=(500, 32))
        plain.append(frechet_distance(a, b))
        beyond.append(frechet_distance_at_infinity(a, b, seed=seed))
    expected = truth(32, 1.2)
    assert min(plain) > expected * 1.5
    assert np.mean(beyond) == pytest.approx(expected, abs=3 * np.std(beyond) / 12**0.5)
    assert abs(np.array(beyond) - expected).max() < abs(np.array(plain) - expected).min()


def test_to_extrapolate_there_must_be_a_smaller_share():
    a, b = clouds()
    with pytest.raises(ValueError, match=r"smaller set holds 25 pictures .* at least 26"):
        frechet_distance_at_infinity(a[:25], b)
    assert frechet_distance_at_infinity(a[:26], b, points=2) == frechet_distance_at_infinity(
        a[:26], b, points=2
    )
