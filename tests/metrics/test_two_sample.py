"""The two-sample test: one half for sets alike, and a p-value that keeps its word."""

import numpy as np
import pytest
from scipy.stats import binom

from course_utils.metrics import two_sample_test
from tests.metrics.test_frechet import clouds


def test_sets_far_apart_are_told_and_sets_alike_are_not():
    a, b = clouds(shift=3.0)
    accuracy, p_value = two_sample_test(a, b)
    assert accuracy > 0.95
    assert p_value < 1e-20
    other, _ = clouds(seed=1, count=600)
    accuracy, p_value = two_sample_test(other[:300], other[300:])
    assert abs(accuracy - 0.5) < 3 * 0.5 / 300**0.5
    assert p_value > 1e-3


def test_sets_that_differ_in_their_spread_alone_are_told():
    """A straight line between them would see nothing: their means are equal."""
    chance = np.random.default_rng(0)
    a, b = chance.normal(size=(400, 8)), 2 * chance.normal(size=(400, 8))
    assert two_sample_test(a, b).accuracy > 0.8


def test_the_p_value_is_the_tail_of_the_binomial():
    a, b = clouds(count=40, shift=0.5)
    accuracy, p_value = two_sample_test(a, b)
    tested = 40  # half of 40 and of as many of the 90 others
    assert p_value == pytest.approx(binom.sf(round(accuracy * tested) - 1, tested, 0.5))


def test_under_chance_alone_small_p_values_are_rare():
    """Of 60 tests of equal sets about 3 have a p-value below 0.05; more than 9 are a bug."""
    chance = np.random.default_rng(1)
    found = [
        two_sample_test(chance.normal(size=(60, 4)), chance.normal(size=(60, 4)), seed).p_value
        for seed in range(60)
    ]
    assert sum(p < 0.05 for p in found) <= 9
    assert np.mean(found) > 0.4


def test_the_same_seed_gives_the_same_answer_and_too_few_are_refused():
    a, b = clouds(count=50)
    assert two_sample_test(a, b, seed=3) == two_sample_test(a, b, seed=3)
    with pytest.raises(ValueError, match="holds 3 pictures; to teach and test, give 4"):
        two_sample_test(a[:3], b)
