"""Drawing from the shell: what it leaves, and what it says when it cannot."""

import json
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

from course_utils.__main__ import main
from course_utils.models import gallery
from course_utils.sampling import Opened, draw_pictures
from course_utils.sampling.seeds import read_seeds
from tests.conftest import ROOT
from tests.share.small import saved, small_network


def drawn(out, *words, network="sprites-16"):
    assert main(["sample", str(network), "--steps", "2", "--out", str(out), *words]) == 0
    return np.asarray(Image.open(out).convert("RGB")) if out.suffix == ".png" else None


def test_a_sheet_is_drawn_and_is_the_same_the_second_time(tmp_path, capsys):
    first = drawn(tmp_path / "a.png", "--seeds", "0-3")
    assert "4 pictures by sprites-16 (10,000 updates on" in capsys.readouterr().out
    assert first.std() > 10
    assert 320 <= first.shape[1] <= 640, "small pictures are enlarged"
    assert (first[::20, ::20].repeat(20, 0).repeat(20, 1) == first).all(), "to whole squares"
    assert (first == drawn(tmp_path / "b.png", "--seeds", "0-3")).all()
    assert (first != drawn(tmp_path / "c.png", "--seeds", "4-7")).any()


def test_a_picture_is_a_matter_of_its_seed_alone(tmp_path):
    """In whatever batches, and whoever else is drawn; only the last bit of a rounding may differ,
    since other shapes are summed up in another order."""
    options = ["--guidance", "2"]
    drawn(tmp_path / "all", "--seeds", "0-4", "--batch-size", "5", *options)
    drawn(tmp_path / "few", "--seeds", "3,1", "--batch-size", "1", *options)
    for name in ("pictures/seed-0003.png", "pictures/seed-0001.png"):
        one, same = (np.asarray(Image.open(tmp_path / f / name)) for f in ("all", "few"))
        assert abs(one.astype(int) - same).max() <= 1


def test_a_kind_that_is_asked_for_is_drawn(tmp_path):
    turns = drawn(tmp_path / "a.png", "--seeds", "1")
    _, second, *_, last = gallery.load("sprites-16").labels
    assert (turns == drawn(tmp_path / "b.png", "--seeds", "1", "--label", second)).all()
    assert (turns == drawn(tmp_path / "b.png", "--seeds", "1", "--label", "1")).all()
    assert (turns != drawn(tmp_path / "c.png", "--seeds", "1", "--label", last)).any()
    assert (turns != drawn(tmp_path / "d.png", "--seeds", "1", "--label", "none")).any()
    two = drawn(tmp_path / "e.png", "--seeds", "1", "--label", last, "--label", second)
    assert (turns == two).all(), "they take turns by seed"


def test_a_folder_gets_each_picture_the_sheet_the_film_and_how(tmp_path, capsys):
    out = tmp_path / "mine"
    drawn(out, "--seeds", "2,7", "--solver", "dpm", "--guidance", "3")
    names = {"drawn.json", "pictures", "sheet.png", "film.gif"}
    assert names <= {path.name for path in out.iterdir()} <= names | {"film.mp4"}
    assert Image.open(out / "pictures/seed-0007.png").size == (16, 16)
    with Image.open(out / "film.gif") as film:
        assert film.n_frames == 3, "noise, and two steps"
        film.seek(2)
        end = np.asarray(film.convert("RGB"), int)
    sheet = np.asarray(Image.open(out / "sheet.png"), int)
    assert abs(end - sheet).mean() < 8, "the film ends in the pictures, but for its few colours"
    how = json.loads((out / "drawn.json").read_text())
    assert (how["solver"], how["guidance"], how["kinds"]) == ("dpm", 3, ["food", "food"])
    (out / "pictures/seed-0005.png").write_bytes(b"mine")
    drawn(out, "--seeds", "3")  # takes the place of what was drawn here before, and of that alone
    left = {path.name for path in out.glob("pictures/*")}
    assert left == {"seed-0003.png", "seed-0005.png"}


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path, capsys):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    words = ["sample", "sprites-16", "--seeds", "0", "--steps", "1", "--out"]
    assert main([*words, str(tmp_path)]) == 1
    assert "files that were not drawn by this command" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "holiday.jpg")]) == 1
    assert "which is a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


FFMPEG = """#!{python}
import sys
size = sys.argv[sys.argv.index("-s") + 1]
content = sys.stdin.buffer.read()
if "{fails}" == "yes":
    sys.exit("Unknown encoder")
open(sys.argv[-1], "w").write(f"{{size}} {{len(content)}} {{sys.argv}}")
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """A program of this name that writes down what it was given."""

    def have(fails="no"):
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin" / "ffmpeg"
        program.write_text(FFMPEG.format(python=sys.executable, fails=fails))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    return have


@pytest.mark.skipif(os.name != "posix", reason="the program is a script")
def test_where_ffmpeg_is_there_is_a_film_for_telephones(tmp_path, ffmpeg, capsys):
    ffmpeg()
    drawn(tmp_path / "mine", "--seeds", "0-1")
    size, count, _ = (tmp_path / "mine" / "film.mp4").read_text().split(maxsplit=2)
    width, height = map(int, size.split("x"))
    assert (width, height) == Image.open(tmp_path / "mine" / "sheet.png").size
    assert int(count) == (3 + 24) * width * height * 3
    assert "no film.mp4" not in capsys.readouterr().out
    drawn(tmp_path / "one.mp4", "--seeds", "0")
    drawn(tmp_path / "one.mp4", "--seeds", "0")  # its own, by the comment that it was given


@pytest.mark.skipif(os.name != "posix", reason="the program is a script")
def test_a_film_that_cannot_be_made_is_told(tmp_path, ffmpeg, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    drawn(tmp_path / "mine", "--seeds", "0")
    assert "no film.mp4: ffmpeg is not on this machine" in capsys.readouterr().out
    ffmpeg(fails="yes")
    drawn(tmp_path / "mine", "--seeds", "0")
    assert "no film.mp4: ffmpeg failed (Unknown encoder)" in capsys.readouterr().out
    words = ["sample", "sprites-16", "--seeds", "0", "--steps", "1"]
    assert main([*words, "--out", str(tmp_path / "mine.mp4")]) == 1
    assert "Ask for a .gif instead" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "mine"}
    assert not list((tmp_path / "mine").glob("*.mp4"))


def test_a_network_of_your_own_without_labels_draws_pictures_that_are_not_square(tmp_path):
    torch_network = small_network()
    torch_network.register_to_config(sample_size=(16, 24))
    saved(tmp_path / "wide", model=torch_network)
    drawn(tmp_path / "out", "--seeds", "0-1", network=tmp_path / "wide")
    assert Image.open(tmp_path / "out/pictures/seed-0000.png").size == (24, 16)
    how = json.loads((tmp_path / "out" / "drawn.json").read_text())
    assert how["kinds"] == []


def kinds_of(names, *labels, classes=3):
    """What a network with some kinds, and maybe no label, draws from seed 0 for each label."""
    opened = gallery.load("sprites-16")
    opened = Opened(
        "pets", small_network(num_class_embeds=classes), opened.noise_scheduler, names, ""
    )
    options = {"num_inference_steps": 1}
    return [draw_pictures(opened, [0], labels=[label], **options).kinds[0] for label in labels]


def test_kinds_called_by_numbers_are_asked_for_by_those_alone():
    assert kinds_of(("3", "7"), "3", "7", "none") == [0, 1, 2]
    for label in ("0", "1", "2"):
        with pytest.raises(ValueError, match=f"^label is '{label}'; pets draws 3, 7.$"):
            kinds_of(("3", "7"), label)
    assert kinds_of(("cat", "dog"), "cat", "1", "2", "none") == [0, 1, 2, 2]
    assert kinds_of((), "0", "2") == [0, 2]


def test_a_kind_called_none_does_not_hide_no_label():
    with pytest.raises(ValueError, match=r"Give 1 for the kind, 2 for no label\.$"):
        kinds_of(("cat", "none"), "none")
    assert kinds_of(("cat", "none"), "cat", "1", "2") == [0, 1, 2]
    with pytest.raises(ValueError, match=r"Rename it in the card\.json"):
        kinds_of(("7", "none"), "none")
    assert kinds_of(("cat", "dog", "none"), "none") == [2], "where there is no other"


@pytest.mark.parametrize("name", ["ddim", "ddpm", "heun", "dpm", "unipc"])
def test_every_solver_draws(tmp_path, name):
    assert drawn(tmp_path / "a.png", "--seeds", "0", "--solver", name).std() > 5


def test_seeds_are_numbers_and_ranges():
    assert read_seeds("0-3") == [0, 1, 2, 3]
    assert read_seeds("3, 7,20-22") == [3, 7, 20, 21, 22]


@pytest.mark.parametrize("text", ["", "a", "-1", "3-1", "0-1000", "0-999,1000", "1.5", "3,3"])
def test_other_seeds_are_refused(text):
    with pytest.raises(ValueError, match="--seeds"):
        read_seeds(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody", "--out", "a.png"], "nobody"),
        (["sprites-16", "--out", "a.png", "--label", "dragon"], "dragon"),
        (["sprites-16", "--out", "no/folder/a.png", "--steps", "1"], "no/folder"),
        (["sprites-16", "--out", "a.png", "--batch-size", "0"], "batch_size is 0"),
        (["plain", "--out", "a.png", "--label", "rose"], "was taught no labels"),
        (["plain", "--out", "a.png", "--guidance", "2"], "guidance is 2, but plain tells of no"),
    ],
)
def test_what_cannot_be_is_told(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if words[0] == "plain":
        saved(tmp_path / "plain")
    before = sorted(tmp_path.rglob("*"))
    assert main(["sample", *words, "--seeds", "0"]) == 1
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_readme_draws_with_a_command_that_is_understood(tmp_path):
    text = (ROOT / "README.md").read_text()
    (words,) = re.findall(r"course_utils (sample .+?) --out sprites\.png$", text, re.M)
    out = tmp_path / "sprites.png"
    for _ in range(2):  # the second takes the place of the first
        assert main([*words.split(), "--steps", "1", "--out", str(out)]) == 0
    assert out.stat().st_size > 1000
    for name in re.findall(r"`(\w+-\d+)`", text):
        assert name in gallery.names()
