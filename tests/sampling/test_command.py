"""Drawing from the shell: what it leaves, and what it says when it cannot."""

import re

import numpy as np
import pytest
from PIL import Image

from course_utils.__main__ import main
from course_utils.models import gallery
from course_utils.sampling.command import read_seeds
from tests.conftest import ROOT


def drawn(out, *words):
    quick = ["sample", "sprites-16", "--num-inference-steps", "2"]
    assert main([*quick, "--out", str(out), *words]) == 0
    return np.asarray(Image.open(out).convert("RGB"))


def test_a_sheet_is_drawn_and_is_the_same_the_second_time(tmp_path, capsys):
    first = drawn(tmp_path / "a.png", "--seeds", "0-3")
    assert "4 pictures by sprites-16" in capsys.readouterr().out
    assert first.std() > 10
    assert 320 <= first.shape[1] <= 640, "small pictures are enlarged"
    assert (first[::20, ::20].repeat(20, 0).repeat(20, 1) == first).all(), "to whole squares"
    assert (first == drawn(tmp_path / "b.png", "--seeds", "0-3")).all()
    assert (first != drawn(tmp_path / "c.png", "--seeds", "4-7")).any()


def test_a_kind_that_is_asked_for_is_drawn(tmp_path):
    turns = drawn(tmp_path / "a.png", "--seeds", "1")
    first, *_, last = gallery.load("sprites-16").labels
    assert (turns == drawn(tmp_path / "b.png", "--seeds", "1", "--kind", first)).all()
    assert (turns != drawn(tmp_path / "c.png", "--seeds", "1", "--kind", last)).any()


def test_seeds_are_numbers_and_ranges():
    assert read_seeds("0-3") == [0, 1, 2, 3]
    assert read_seeds("3, 7,20-22") == [3, 7, 20, 21, 22]


@pytest.mark.parametrize("text", ["", "a", "-1", "3-1", "0-1000", "0-999,5", "1.5"])
def test_other_seeds_are_refused(text):
    with pytest.raises(ValueError, match="--seeds"):
        read_seeds(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody", "--out", "a.png"], "nobody"),
        (["sprites-16", "--out", "a.png", "--kind", "dragon"], "dragon"),
        (["sprites-16", "--out", "no/folder/a.png", "--num-inference-steps", "1"], "no/folder"),
    ],
)
def test_what_cannot_be_is_told(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sample", *words, "--seeds", "0"]) == 1
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_readme_draws_with_a_command_that_is_understood(tmp_path):
    text = (ROOT / "README.md").read_text()
    (words,) = re.findall(r"course_utils (sample .+?) --out sprites\.png$", text, re.M)
    out = tmp_path / "sprites.png"
    assert main([*words.split(), "--num-inference-steps", "1", "--out", str(out)]) == 0
    assert out.stat().st_size > 1000
    for name in re.findall(r"`(\w+-\d+)`", text):
        assert name in gallery.names()
