"""Drawn pictures are drawn once, kept whole, and anew after any change."""

import time

import numpy as np
import pytest

from course_utils import files
from course_utils.data import draw_many, drawing, load_images
from course_utils.data.drawn import load_drawn


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


@pytest.fixture
def strokes(monkeypatch):
    """How many pictures were really drawn."""
    drawn_so_far = []

    def counting(*what):
        drawn_so_far.append(what)
        return original(*what)

    original = drawing.draw
    monkeypatch.setattr(drawing, "draw", counting)
    return drawn_so_far


def pixels(dataset):
    return np.stack([np.asarray(image) for image in dataset["image"]])


def test_pictures_are_drawn_once(strokes, cache):
    first = load_drawn("sprites", 25)
    assert len(strokes) == 25
    second = load_drawn("sprites", 25)
    assert len(strokes) == 25
    truth, labels = draw_many("sprites", 25, 16)
    for dataset in (first, second):
        np.testing.assert_array_equal(pixels(dataset), truth)
        assert dataset["label"][:] == labels.tolist()
        assert dataset.features == first.features
    assert len(list(cache.iterdir())) == 1


def test_pictures_go_on_where_others_end(strokes):
    """Sets that have no picture in common, of one numbering."""
    whole, rest = load_drawn("sprites", 40), load_drawn("sprites", 25, first=15)
    assert len(strokes) == 40 + 25
    np.testing.assert_array_equal(pixels(rest), pixels(whole)[15:])
    assert rest["label"][:] == whole["label"][15:]
    for first in (-1, 0.5, 10**9):
        with pytest.raises(ValueError, match=f"first is {first}; pictures have the numbers 0 to"):
            load_drawn("sprites", 25, first=first)


def test_family_number_and_size_are_kept_apart(strokes, cache):
    for what in (("sprites", 10), ("sprites", 11), ("sprites", 10, 32), ("flowers", 10, 32)):
        load_drawn(*what)
    assert len(strokes) == 10 + 11 + 10 + 10
    assert len(list(cache.iterdir())) == 4
    assert load_drawn("sprites", 10)[0]["image"].size == (16, 16)
    assert load_drawn("sprites", 10, 32)[0]["image"].size == (32, 32)
    assert len(strokes) == 41


def test_changed_drawing_code_draws_anew(strokes, monkeypatch, tmp_path):
    load_drawn("sprites", 10)
    (tmp_path / "__init__.py").write_text("# another state of the code")
    monkeypatch.setattr(drawing, "__file__", str(tmp_path / "__init__.py"))
    load_drawn("sprites", 10)
    assert len(strokes) == 20


def test_another_layout_of_the_files_draws_anew(strokes, monkeypatch):
    load_drawn("sprites", 10)
    monkeypatch.setattr("course_utils.data.drawn._LAYOUT", b"another")
    load_drawn("sprites", 10)
    assert len(strokes) == 20


def test_a_file_of_another_number_is_not_taken_for_it(strokes, cache):
    load_drawn("sprites", 10)
    (ten,) = cache.iterdir()
    ten.rename(cache / ten.name.replace("-10-", "-12-"))
    assert len(load_drawn("sprites", 12)) == 12
    assert len(strokes) == 22


def test_photographs_are_drawn_at_64_pixels_if_nothing_is_said():
    for family in ("butterflies", "flowers"):
        assert load_drawn(family, 9)[0]["image"].size == (64, 64)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "short", "foreign"])
def test_a_torn_file_is_noticed_and_drawn_anew(strokes, cache, damage):
    load_drawn("sprites", 10)
    (file,) = cache.iterdir()
    whole = bytearray(file.read_bytes())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    torn = {"cut": whole[:-100], "flip": flipped, "empty": b"", "short": whole[:20]}
    file.write_bytes(torn.get(damage, b"something else" * 100))
    again = load_drawn("sprites", 10)
    assert len(strokes) == 20
    assert load_drawn("sprites", 10)["label"][:] == again["label"][:]
    assert len(strokes) == 20  # the file was mended
    np.testing.assert_array_equal(pixels(again), draw_many("sprites", 10, 16)[0])


def test_a_write_that_fails_midway_leaves_nothing_behind(monkeypatch, cache):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left.*COURSE_CACHE"):
        dataset = load_drawn("sprites", 10)
    np.testing.assert_array_equal(pixels(dataset), draw_many("sprites", 10, 16)[0])
    assert list(cache.iterdir()) == []


def test_refusals_to_the_letter():
    for count in (4, 1_000_001, 10.5, None):
        with pytest.raises(ValueError, match="count") as error:
            load_drawn("sprites", count)
        told = f"count is {count!r}; ask for 5 (one a kind) to 1,000,000 sprites."
        assert str(error.value) == told
    for first in (-1, 1_000_000_000, 0.5):
        with pytest.raises(ValueError, match="first") as error:
            load_drawn("sprites", 5, first=first)
        assert (
            str(error.value) == f"first is {first!r}; pictures have the numbers 0 to 999,999,999."
        )


def test_what_is_no_whole_number_is_refused_at_once():
    """``0.5 in range(10**9)`` takes a minute."""
    started = time.process_time()
    for first in (0.5, "3", None, True, np.float64(3)):
        with pytest.raises(ValueError, match="first is"):
            load_drawn("sprites", 5, first=first)
    for count in (10.5, "9", True):
        with pytest.raises(ValueError, match="count is"):
            load_drawn("sprites", count)
    assert len(load_drawn("sprites", np.int64(5), first=np.int64(123_456_789))) == 5
    assert time.process_time() - started < 10


def test_the_highest_number_can_be_drawn():
    assert len(load_drawn("sprites", 5, first=999_999_999)) == 5


def test_a_cache_that_cannot_be_is_told_and_the_pictures_come_all_the_same(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="could not be kept") as told:
        assert len(load_images("sprites", count=10)) == 10
    assert told[0].filename == __file__  # the line of the caller
    assert str(told[0].message).endswith(
        "they will be drawn again next time. Set COURSE_CACHE to a folder that can be written."
    )
