"""The setup call seeds everything, and says what the run uses."""

import random
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch

from course_utils import finish_chapter, start_chapter
from course_utils.chapter import peak_memory, seed_everything


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_start_chapter_prints_what_it_uses(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "laptop")
    chapter = start_chapter(data="digits", source="bundled", seed=3)
    printed = capsys.readouterr().out
    device = "cuda" if torch.cuda.is_available() else chapter.device
    for fact in ("laptop", device, "digits", "bundled", "3", torch.__version__.split("+")[0]):
        assert fact in printed
    assert (chapter.data, chapter.source, chapter.seed) == ("digits", "bundled", 3)


def test_the_same_seed_gives_the_same_numbers():
    start_chapter("digits", "bundled", seed=7)
    first = draw()
    start_chapter("digits", "bundled", seed=7)
    assert draw() == first
    start_chapter("digits", "bundled", seed=8)
    second = draw()
    assert all(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_impossible_seed_is_refused(seed):
    with pytest.raises(ValueError, match=str(seed)):
        seed_everything(seed)


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_seed_that_is_no_whole_number_is_named(seed):
    with pytest.raises(TypeError, match=f"^seed is {seed!r}, which is not a whole number"):
        start_chapter("digits", "bundled", seed)


def test_a_budget_that_no_chapter_has_is_told_in_its_first_cell(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "overnight")
    with pytest.raises(ValueError, match=r"COURSE_BUDGET is 'overnight', which is for python -m"):
        start_chapter("digits", "bundled")


def test_start_chapter_sets_the_figure_style():
    mpl.rcdefaults()
    start_chapter("digits", "bundled")
    assert mpl.rcParams["image.interpolation"] == "nearest"
    assert mpl.rcParams["figure.dpi"] == 144


def test_finish_chapter_reports_time_and_memory(capsys):
    chapter = start_chapter("digits", "bundled")
    capsys.readouterr()
    finish_chapter(chapter)
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["time"].startswith("0.0 minutes")
    assert 0.1 < float(lines["memory"].split()[0]) < 16


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(4, ""), (5.9, ""), (6.1, "busy, or are slower"), (2.1, ""), (1.9, "faster")],
)
def test_finish_chapter_says_when_a_promise_was_missed_by_half(minutes, said, capsys, monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "laptop")
    chapter = start_chapter("digits", "bundled")
    monkeypatch.setattr(
        "course_utils.chapter.time.monotonic", lambda: chapter.started + 60 * minutes
    )
    capsys.readouterr()
    finish_chapter(replace(chapter, device="cpu"), promised=4)
    words = capsys.readouterr().out.split("promised 4 minutes on two idle cores: ")
    assert said in words[-1] if said else len(words) == 1


@pytest.mark.parametrize(
    ("budget", "device"), [("smoke", "cpu"), ("full", "cpu"), ("laptop", "cuda")]
)
def test_a_promise_holds_for_the_laptop_alone(budget, device, capsys):
    chapter = replace(
        start_chapter("digits", "bundled"), budget=budget, device=device, started=-1e6
    )
    finish_chapter(chapter, promised=4)
    assert "promised" not in capsys.readouterr().out


def test_peak_memory_sees_a_large_array():
    before = peak_memory()
    big = np.ones(before // 8 + 40_000_000)  # larger than anything held so far
    assert peak_memory() - before > 200_000_000
    del big
