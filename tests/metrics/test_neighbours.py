"""Drawn or copied: the nearest picture is found, and copies are told from drawings."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import prc_features_to_metric

from course_utils.data import ImageTensors
from course_utils.metrics import copy_score, density_coverage, nearest, precision_recall
from tests.metrics.test_frechet import clouds


def pictures(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return ImageTensors(images, torch.zeros(count, dtype=torch.int64), ("one",))


def test_the_nearest_of_a_copy_is_itself_at_no_distance():
    among = pictures(20, 0)
    images, _ = among.batch([3, 17])
    distance, found = nearest(images, among)
    assert distance.max() < 1e-7
    assert torch.equal(found, images)


def test_the_distance_is_a_root_mean_square():
    among = pictures(1, 0)
    images, _ = among.batch([0])
    images[0, 0, 0, 0] += 0.3  # one of 48 numbers
    distance, _ = nearest(images, among)
    assert distance.item() == pytest.approx(0.3 / 48**0.5)
    assert nearest(torch.full((1, 3, 4, 4), 1.0), whole(0))[0].item() == 2.0  # black from white


def whole(value):
    images = torch.full((1, 3, 4, 4), value, dtype=torch.uint8)
    return ImageTensors(images, torch.zeros(1, dtype=torch.int64), ("one",))


def test_who_copies_scores_one_and_who_draws_one_half():
    learned, unseen = pictures(400, 1), pictures(400, 2)
    copies, _ = learned.batch(range(400))
    assert copy_score(copies, learned, unseen) == 1
    fresh, _ = pictures(400, 3).batch(range(400))
    assert abs(copy_score(fresh, learned, unseen) - 0.5) < 3 * 0.025  # three deviations
    others, _ = unseen.batch(range(400))
    assert copy_score(others, learned, unseen) == 0


def test_unequal_sets_are_refused():
    """With more to choose from, the nearest is nearer: the score would be moved by that alone."""
    images, _ = pictures(5, 3).batch(range(5))
    with pytest.raises(ValueError, match="There are 10 learned and 11 unseen pictures"):
        copy_score(images, pictures(10, 1), pictures(11, 2))


def test_pictures_of_another_shape_or_none_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\), and those to search \(5, 3, 4, 4\)"):
        nearest(torch.zeros(2, 3, 8, 8), pictures(5, 0))
    with pytest.raises(ValueError, match="above 0"):
        nearest(torch.zeros(2, 3, 4, 4), pictures(0, 0))


@pytest.mark.parametrize("seed", range(3))
def test_precision_and_recall_are_torch_fidelitys(seed):
    drawn, real = (torch.from_numpy(x) for x in clouds(seed=seed, shift=0.2, stretch=0.8))
    theirs = prc_features_to_metric(drawn, real, verbose=False, save_cpu_ram=False)
    precision, recall = precision_recall(drawn, real)
    assert precision == pytest.approx(theirs["precision"], abs=1e-6)  # theirs are single floats
    assert recall == pytest.approx(theirs["recall"], abs=1e-6)
    assert precision != recall


@pytest.mark.parametrize("seed", range(3))
def test_all_four_are_those_of_prdc(seed, capsys):
    drawn, real = clouds(seed=seed, shift=0.2, stretch=0.8)
    theirs = compute_prdc(real, drawn, nearest_k=4)
    ours = (*precision_recall(drawn, real, k=4), *density_coverage(drawn, real, k=4))
    expected = [theirs[name] for name in ("precision", "recall", "density", "coverage")]
    assert ours == pytest.approx(expected, abs=1e-12)


def test_a_set_that_was_copied_covers_all_and_one_picture_covers_little():
    real, _ = clouds()
    assert precision_recall(real, real) == (1, 1)
    assert density_coverage(real, real)[1] == 1
    one = np.repeat(real[:1], 50, axis=0)
    precision, recall = precision_recall(one, real)
    assert precision == 1
    assert recall == 1 / len(real)  # the ball of copies has no size
    assert density_coverage(one, real)[1] < 0.1


def test_without_enough_neighbours_they_are_refused():
    drawn, real = clouds()
    with pytest.raises(ValueError, match=r"real holds 3 pictures, of which none has 3 neighbours"):
        precision_recall(drawn, real[:3])
    with pytest.raises(ValueError, match="drawn holds 2"):
        precision_recall(drawn[:2], real)
    with pytest.raises(ValueError, match=r"real holds 5 .* give at least 6"):
        density_coverage(drawn, real[:5])
