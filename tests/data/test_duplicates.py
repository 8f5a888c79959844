"""Copies are found, different pictures are not, and a split keeps copies together."""

from io import BytesIO

import datasets
import numpy as np
import pytest
from PIL import Image

from course_utils.data import (
    KINDS,
    draw_many,
    find_duplicates,
    hold_out,
    hold_out_groups,
    leaked_share,
)


def as_dataset(pictures, labels, names):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    rows = {"image": list(pictures), "label": list(labels)}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def saved_anew(picture, quality):
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def butterflies():
    return draw_many("butterflies", 120, 64)[0]


@pytest.fixture(scope="module")
def sprites():
    """Sprites of which no two are one drawing in nearly the same colours."""
    pictures, labels = draw_many("sprites", 240, 16)
    flat = pictures.reshape(240, -1).astype(float)
    apart = np.abs(flat[:, None] - flat).mean(axis=2)
    np.fill_diagonal(apart, 255)
    keep = apart.min(axis=1) > 8
    assert keep.sum() > 100
    return pictures[keep], labels[keep]


def test_different_pictures_have_no_copies(butterflies, sprites):
    assert find_duplicates(butterflies) == []
    assert find_duplicates(draw_many("flowers", 120, 64)[0]) == []
    assert find_duplicates(sprites[0]) == []


def test_repeats_are_found_wherever_they_are(sprites):
    pictures, _ = sprites
    rows = [0, 1, 2, 1, 3, 0, 1]
    for threshold in (0, 5.0):
        assert find_duplicates(pictures[rows], threshold) == [[0, 5], [1, 3, 6]]


def test_repeats_are_found_across_blocks():
    """More pictures than are compared at a time, each of noise, and a copy of a few."""
    noise = np.random.default_rng(0).integers(0, 256, (2_500, 16, 16, 3), dtype=np.uint8)
    for first, copy in ((3, 1_200), (1_023, 1_024), (1_500, 2_499)):
        noise[copy] = noise[first]
        noise[copy, 8, 8] ^= 255  # not the same bytes, so that distances have to find it
    assert find_duplicates(noise) == [[3, 1_200], [1_023, 1_024], [1_500, 2_499]]
    assert find_duplicates(noise, threshold=0) == []


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_pictures_saved_anew_as_jpeg_are_copies_of_their_own_original(butterflies, quality):
    copies = [saved_anew(picture, quality) for picture in butterflies[:40]]
    found = find_duplicates(np.concatenate([butterflies, copies]))
    assert found == [[k, 120 + k] for k in range(40)]


def test_one_changed_pixel_makes_no_other_sprite(sprites):
    pictures, _ = sprites
    changed = pictures[:30].copy()
    for k, picture in enumerate(changed):
        picture[(7 * k) % 16, (5 * k) % 16] ^= 255
    found = find_duplicates(np.concatenate([pictures, changed]))
    assert found == [[k, len(pictures) + k] for k in range(30)]
    assert find_duplicates(np.concatenate([pictures, changed]), threshold=0) == []


def test_one_picture_at_two_sizes_is_a_near_copy_and_not_an_exact_one(butterflies):
    small = [np.asarray(Image.fromarray(p).resize((32, 32), 4)) for p in butterflies[:3]]
    both = as_dataset([*butterflies[:3], *small], [0] * 6, ["a"])
    assert find_duplicates(both) == [[0, 3], [1, 4], [2, 5]]
    assert find_duplicates(both, threshold=0) == []


def test_the_same_bytes_in_another_shape_are_another_picture():
    wide = np.random.default_rng(0).integers(0, 256, (8, 32, 3), dtype=np.uint8)
    assert find_duplicates(as_dataset([wide, wide.reshape(32, 8, 3)], [0, 0], ["a"]), 0) == []


def test_copies_of_copies_share_a_group():
    """A picture that fades in steps below the threshold; its ends are far apart."""
    steps = [np.full((16, 16, 3), 100 + 4 * k, np.uint8) for k in range(10)]
    assert find_duplicates(np.stack([*steps[::-1], steps[0] + 100])) == [list(range(10))]


def test_a_pair_that_comes_after_a_thousand_others_is_found():
    fading = [np.full((16, 16, 3), 60 + k % 3, np.uint8) for k in range(60)]
    fading = [
        np.concatenate([f[:-1], np.full((1, 16, 3), k, np.uint8)]) for k, f in enumerate(fading)
    ]
    late = [np.full((16, 16, 3), value, np.uint8) for value in (200, 202)]
    groups = find_duplicates(np.stack([*fading, *late]), 30)
    assert groups == [list(range(60)), [60, 61]]


def test_the_threshold_is_the_first_distance_that_is_no_copy():
    black, white = (np.full((16, 16, 3), value, np.uint8) for value in (0, 255))
    assert find_duplicates(np.stack([black, white]), 255) == []
    assert find_duplicates(np.stack([black, white - 1]), 255) == [[0, 1]]
    assert find_duplicates(np.stack([black, black + 1]), 1) == []
    assert find_duplicates(np.stack([black, black + 1]), 1.01) == [[0, 1]]
    speck = black.copy()
    speck[0, 0] = 255  # one cell, forgiven: the distance is 0
    assert find_duplicates(np.stack([black, speck]), 0.5) == [[0, 1]]
    assert find_duplicates(np.stack([black, speck]), 0) == []


def test_the_refusals_say_what_to_give():
    with pytest.raises(ValueError, match="uint8") as error:
        find_duplicates(np.zeros((3, 16, 16, 4), np.uint8))
    assert str(error.value) == (
        "pictures are uint8 of shape (3, 16, 16, 4); give uint8 of shape (N, H, W, 3), or a data "
        "set."
    )
    with pytest.raises(ValueError, match="list") as error:
        find_duplicates([1])
    assert str(error.value) == (
        "pictures is a list without an 'image' column; give a data set as load_images gives, or "
        "uint8 of shape (N, H, W, 3)."
    )


def test_sets_too_small_for_copies_have_none(butterflies):
    assert find_duplicates(butterflies[:0]) == find_duplicates(butterflies[:1]) == []


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        (np.zeros((3, 16, 16, 3)), "float64"),
        (np.zeros((3, 16, 16), np.uint8), r"\(3, 16, 16\)"),
        ([1, 2], "list without an 'image' column"),
    ],
)
def test_what_is_no_set_of_pictures_is_refused(pictures, told):
    with pytest.raises(ValueError, match=told):
        find_duplicates(pictures)


@pytest.mark.parametrize("threshold", ["5", None, [1]])
def test_a_threshold_that_is_no_number_is_refused(threshold):
    with pytest.raises(ValueError, match=r"^threshold is .*; it is a distance between 0 and 255"):
        find_duplicates(np.zeros((2, 8, 8, 3), np.uint8), threshold)


@pytest.mark.parametrize("threshold", [-1, 256, float("nan")])
def test_thresholds_that_cannot_be_are_refused(butterflies, threshold):
    with pytest.raises(ValueError, match=f"threshold is {threshold}"):
        find_duplicates(butterflies[:2], threshold)


# Splitting


@pytest.fixture(scope="module")
def repeated(sprites):
    """Each sprite five times, shuffled: what a careless collection looks like."""
    pictures, labels = sprites
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(100), 5))
    return as_dataset(pictures[rows], labels[rows], KINDS["sprites"])


def test_a_careless_split_leaks_and_a_split_by_groups_does_not(repeated):
    groups = find_duplicates(repeated)
    assert sorted(map(len, groups)) == [5] * 100
    careless = leaked_share(*hold_out(repeated, 100))
    assert careless > 0.95
    learn, judge = hold_out_groups(repeated, groups, 100)
    assert leaked_share(learn, judge) == 0
    assert 75 <= len(judge) <= 100
    assert len(learn) + len(judge) == 500


def test_the_leak_is_the_share_of_held_out_pictures_with_a_copy(sprites):
    pictures = sprites[0]
    learn = as_dataset(pictures[:20], [0] * 20, ["a"])
    judge = as_dataset(pictures[[0, 30, 31, 30]], [0] * 4, ["a"])
    assert leaked_share(learn, judge) == 0.25  # two copies among the judges are no leak
    with pytest.raises(
        ValueError, match=r"^There are no held-out pictures; hold some out first\.$"
    ):
        leaked_share(learn, judge.select([]))


def test_the_leak_is_counted_as_near_as_it_is_asked_for(sprites):
    picture = sprites[0][0]
    nearly = np.clip(picture.astype(int) + 10, 0, 255).astype(np.uint8)
    learn, judge = as_dataset([picture], [0], ["a"]), as_dataset([nearly], [0], ["a"])
    assert leaked_share(learn, judge) == leaked_share(learn, judge, 0) == 0
    assert leaked_share(learn, judge, 11) == 1


def marked(labels, names=("a", "b")):
    dataset = as_dataset(np.zeros((len(labels), 4, 4, 3), np.uint8), labels, names)
    return dataset.add_column("row", list(range(len(labels))))


def test_a_split_without_copies_holds_out_the_exact_number_and_keeps_shares():
    dataset = marked([0] * 60 + [1] * 37)
    learn, judge = hold_out_groups(dataset, [], 31, seed=3)
    assert sorted(learn["row"][:] + judge["row"][:]) == list(range(97))
    assert len(judge) == 31
    assert judge["label"][:].count(0) in (19, 20)
    assert judge["row"][:] == hold_out_groups(dataset, [], 31, seed=3)[1]["row"][:]
    assert judge["row"][:] != hold_out_groups(dataset, [], 31, seed=4)[1]["row"][:]


def test_groups_stay_whole_even_across_labels():
    dataset = marked([0, 1] * 20)
    groups = [[0, 1, 2], [7, 30], [39, 4]]
    for seed in range(20):
        judge = set(hold_out_groups(dataset, groups, 20, seed)[1]["row"])
        assert len(judge) <= 20
        for group in groups:
            assert judge.issuperset(group) or judge.isdisjoint(group)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_split_that_leaves_a_side_without_a_label_is_refused(count):
    with pytest.raises(ValueError, match=f"count is {count}.*smallest of 5"):
        hold_out_groups(marked([0] * 10), [range(5), range(5, 10)], count)
    with pytest.raises(ValueError, match="1 groups of copies"):
        hold_out_groups(marked([0] * 10), [range(10)], 5)
    with pytest.raises(ValueError, match="1 groups of copies"):
        hold_out_groups(marked([0] * 10), [range(10)], 10)  # all of it is one group


@pytest.mark.parametrize(
    ("groups", "row"), [([[0, 1], [1, 2]], 1), ([[0, 10]], 10), ([[3, -1]], -1), ([[5, 6, 6]], 6)]
)
def test_groups_of_another_set_are_refused(groups, row):
    says = (
        rf"^row {row} of the groups is there twice or is none of the 10 rows; give the groups that "
        r"find_duplicates found in this data set\.$"
    )
    with pytest.raises(ValueError, match=says):
        hold_out_groups(marked([0] * 10), groups, 5)


def test_of_two_groups_one_can_be_held_out():
    for seed in range(4):
        learn, judge = hold_out_groups(marked([0] * 6), [range(3), range(3, 6)], 3, seed)
        assert len(learn) == len(judge) == 3
    with pytest.raises(
        ValueError,
        match=r"^count is 2, which leaves 2 pictures of 'a' to hold out\. It comes in 2 groups of "
        r"copies, the smallest of 3, and both sides need one: choose another count\.$",
    ):
        hold_out_groups(marked([0] * 6), [range(3), range(3, 6)], 2)


def test_without_a_seed_the_split_is_that_of_seed_0():
    for how in (lambda d, *s: hold_out(d, 10, *s), lambda d, *s: hold_out_groups(d, [], 10, *s)):
        first, same, other = (
            how(marked([0, 1] * 20), *seed)[1]["row"][:] for seed in ((), (0,), (1,))
        )
        assert first == same != other
