"""What is said of a set of pictures, to the letter."""

import warnings

import pytest

from course_utils.data.plain import Seen
from course_utils.data.summary import (
    classes,
    course_line,
    folder_notes,
    named,
    number,
    readable,
    size_notes,
    warn_if_dark,
)


def test_a_name_is_told_in_one_line_of_letters_that_can_be_printed():
    assert readable("blümchen\n.png") == "blümchen\\n.png"
    assert readable("\x07a\udcffb\u200b") == "\\x07a\\udcffb\\u200b"


def test_a_few_names_are_told_and_the_others_counted():
    assert named(["a", "b", "c"]) == "a, b, c"
    assert named(["a", "b", "c", "d\n"]) == "a, b, c and 1 more"
    assert named(map(str, range(1_002)), most=1) == "0 and 1,001 more"
    assert named([]) == ""
    assert named("abcd", between=" = ") == "a = b = c and 1 more"


def test_nouns_follow_their_number():
    assert number(1, "file or folder") == "1 file or folder"
    assert number(0, "file") == "0 files"
    assert number(1_000, "file or folder") == "1,000 files or folders"


def test_classes_have_their_number_name_and_count():
    assert classes(["cat"], [0] * 1_000) == "1 class: 0 cat (1,000)"
    assert classes(["cat", "eel"], [1, 1]) == "2 classes: 0 cat (0), 1 eel (2)"


def test_of_more_than_24_classes_the_first_and_the_last_are_told():
    names = [f"n{k}" for k in range(25)]
    whole = ", ".join(f"{k} n{k} (1)" for k in range(24))
    assert classes(names[:24], range(24)) == f"24 classes: {whole}"
    first = ", ".join(f"{k} n{k} (1)" for k in range(12))
    assert classes(names, range(25)) == f"25 classes: {first}, …, 24 n24 (1)"


def test_the_line_of_the_courses_own_sets():
    line = "moths, drawn: 3 pictures of 2 classes: 0 a (2), 1 b (1)"
    assert course_line("moths, drawn", ["a", "b"], iter([0, 1, 0])) == line
    with_rest = course_line("moths, drawn", ["a", "b"], [0, 1, 0], "columns name")
    assert with_rest == f"{line}; left out: columns name"


def opened(size=(16, 16), deep=None, **done):
    marks = dict.fromkeys(("film", "turned", "clear"), False) | done
    return Seen(size=size, brightest=255, deep=deep, **marks)


def test_what_was_done_to_the_files_is_told_of_each():
    files = ["a", "b", "c", "d"]
    pictures = [opened(film=True), opened(turned=True), opened(clear=True), opened(clear=True)]
    assert folder_notes(files, pictures) == [
        "1 film or of many pages, the first frame kept (a)",
        "1 turned as the EXIF data say (b)",
        "2 see-through, laid on white (c, d)",
        "16×16 pixels",
    ]


def test_the_range_of_deep_pictures_is_that_of_all_together():
    pictures = [opened(deep=(7, 4_000)), opened(), opened(deep=(16, 65_000))]
    assert folder_notes(["a", "b", "c"], pictures) == [
        "2 of 16 bits or more (a, c), values 7 to 65,000 of 65,535, divided by 257",
        "16×16 pixels",
    ]


def test_the_smallest_and_the_largest_are_those_by_area():
    told = size_notes(["a", "b", "c"], [(30, 9), (16, 20), (16, 18)])
    assert told == ["30×9 to 16×20 pixels", "3 not square, which prepare() crops, pads or squashes"]
    assert size_notes(["a", "b"], [(1_000, 1_000)] * 2) == ["1,000×1,000 pixels"]


def test_small_and_long_pictures_are_named_from_the_bound_on():
    sizes = [(8, 8), (7, 8), (8, 63), (8, 64), (7, 7)]
    told = size_notes(["a", "b", "c", "d", "e"], sizes)
    assert told[-1] == "3 very small or very long (b, d, e), loaded all the same"
    assert told[1] == "3 not square, which prepare() crops, pads or squashes"


def test_dark_pictures_are_warned_of_where_they_are_asked_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_dark(128, "my pictures")
    with pytest.warns(UserWarning, match="127 of 255") as told:
        warn_if_dark(127, "my pictures")
    assert [str(warning.message) for warning in told] == [
        "The brightest value of my pictures is 127 of 255. If they should not be that dark, their "
        "values do not fill the range of their file: scale them up to it (12 bits in a 16-bit "
        "file: times 16), save them, and load them anew."
    ]
    assert told[0].filename == __file__
