"""What the command ``look`` says, writes and returns."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from course_utils.__main__ import main
from course_utils.data import draw_many


def butterflies(folder, count, name="{:02}.png"):
    folder.mkdir(parents=True)
    for k, pixels in enumerate(draw_many("butterflies", count=count, size=24)[0]):
        Image.fromarray(pixels).save(folder / name.format(k))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "wings"
    butterflies(folder / "many", 40)
    butterflies(folder / "few", 2, "few-{}.png")  # which are among the many, too
    return folder


def run(folder, out, *options):
    return main(["look", str(folder), "--output", str(out), "--minutes", "0.1", *options])


def test_a_report_a_page_and_a_file_of_facts(good, tmp_path, capsys):
    assert run(good, tmp_path / "out", "--image-size", "16") == 0
    said = capsys.readouterr().out
    assert re.search(r"pictures +42 \(42 PNG\)", said)
    assert "few (2), many (40)" in said
    assert re.search(r"copies +2 pictures more than once", said)
    assert "few: 2 pictures beside 40 of another label" in said
    assert re.search(r"updates of \d+ in 0.1 minutes, [\d.]+ s each", said)
    facts = json.loads((tmp_path / "out" / "looked.json").read_text())
    assert facts["labels"] == {"few": 2, "many": 40}
    assert facts["seen_at"] == [3, 16, 16]
    assert len(facts["copies"]) == 2
    page = (tmp_path / "out" / "looked.html").read_text()
    assert "As the network will see them, at 16 pixels" in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # all is in the file
    assert page.count("<img") == page.count("alt=") == 2 + 2 * 2  # a sheet each, and the copies


def test_the_command_that_is_advised_is_understood(good, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(good, tmp_path / "out", "--image-size", "16x24", "--fit", "pad") == 0
    advised = next(
        line for line in capsys.readouterr().out.splitlines() if " course_utils train " in line
    )
    words = advised.split()[3:]
    assert words[:2] == ["train", str(good)]
    few = ["--num-steps", "2", "--eval-inference-steps", "1"]
    kept = words[: words.index("--minutes")] + words[words.index("--minutes") + 2 :]
    assert main([*kept, *few, "--output-dir", "run"]) == 0
    config = json.loads((tmp_path / "run" / "model" / "unet" / "config.json").read_text())
    assert config["sample_size"] == [24, 16]


def test_the_advised_command_is_quoted_and_means_the_folder_and_not_a_recipe(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ("--image-size", "8", "--background", "#abcdef")
    for folder in ("sprites", "my wings"):
        butterflies(tmp_path / folder, 3)
        assert run(folder, tmp_path / "out", *options) == 0
    said = capsys.readouterr().out
    words = [shlex.split(line) for line in said.splitlines() if " course_utils train " in line]
    assert [line[4] for line in words] == ["./sprites", "my wings"]
    for line in words:
        assert line[line.index("--background") + 1] == "#abcdef"


def test_pictures_of_which_cropping_keeps_little_are_told(tmp_path, capsys):
    (tmp_path / "wide").mkdir()
    for k in range(3):
        Image.new("RGB", (90, 30), (k, 90, 90)).save(tmp_path / "wide" / f"{k}.png")
    assert run(tmp_path / "wide", tmp_path / "out", "--image-size", "16") == 0
    said = capsys.readouterr().out
    assert "Cropping keeps 33% of the middle picture: see with --fit pad" in said
    assert "1 picture: few." in said  # the others are copies
    assert run(tmp_path / "wide", tmp_path / "out", "--image-size", "48x16") == 0
    assert "Cropping keeps" not in capsys.readouterr().out


def test_a_folder_that_must_be_mended_is_told_and_no_time_is_promised(good, tmp_path, capsys):
    broken = tmp_path / "wings"
    shutil.copytree(good, broken)
    (broken / "few" / "torn <b>.png").write_bytes(b"\x89PNG")
    assert run(broken, tmp_path / "out") == 1
    said = capsys.readouterr().out
    assert "cannot be read: few/torn <b>.png" in said
    assert "Mend or remove 1 file that cannot be read" in said
    assert "python -m course_utils train" not in said
    page = (tmp_path / "out" / "looked.html").read_text()
    assert "torn &lt;b&gt;.png" in page
    assert "torn <b>" not in page


def test_the_report_is_not_written_among_the_pictures(good, capsys):
    assert run(good, good / "looked") == 1
    assert "Choose another folder" in capsys.readouterr().err
    assert not (good / "looked").exists()


def test_what_training_would_tell_is_told(tmp_path, capsys):
    for k, label in enumerate(("Cat", "cat", "cat ")):
        (tmp_path / "mine" / label).mkdir(parents=True)
        deep = np.full((16, 16 if k else 1), 4_000 + k, np.uint16)
        Image.fromarray(deep).save(tmp_path / "mine" / label / "a.png")
    assert run(tmp_path / "mine", tmp_path / "out", "--image-size", "8") == 0
    said = capsys.readouterr().out
    assert (
        "  label notes  differ in case or spaces alone, and are kept apart: 'Cat', 'cat', 'cat '\n"
        "  odd sizes    1 very small or very long: Cat/a.png\n"
        "  16 bits      3 of 16 bits or more: Cat/a.png, cat/a.png, cat /a.png; values 4,000 to "
        "4,002 of 65,535, divided by 257\n"
    ) in said
    advised = said[: said.index("Train:")]
    assert f"of 16 bits or more in {tmp_path / 'mine'} is 15 of 255. If they should not" in advised
    assert (
        "\n'Cat', 'cat', 'cat ' differ in case or spaces alone: put them into one folder if they "
        "are one label.\n"
    ) in advised


def test_dark_pictures_are_told_and_what_is_as_it_should_be_is_not(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    for light in (1, 255):
        for k in range(5):
            Image.new("L", (16, 16), light).save(tmp_path / "mine" / f"{k}.png")
        assert run(tmp_path / "mine", tmp_path / "out") == 0
        said = capsys.readouterr().out
        assert ("The brightest value of the pictures in" in said) == (light == 1)
        assert "1 picture more than once: 0.png = 1.png = 2.png and 2 more\n" in said
        assert not any(words in said for words in ("label notes", "odd sizes", "16 bits  "))


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_in_the_place_of_the_report_is_told_before_anything_is_measured(
    good, tmp_path, capsys, monkeypatch, below
):
    monkeypatch.setattr("course_utils.share.looked.look", None)
    (tmp_path / "mk.py").write_text("mine")
    out = tmp_path / "mk.py" / below
    assert run(good, out) == 1
    which = f"and {tmp_path / 'mk.py'}" if below else "which"
    assert capsys.readouterr().err == (
        f"FileExistsError: --output is {out}, {which} is a file; name a folder. "
        "Nothing was written.\n"
    )
    assert (tmp_path / "mk.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "\nStopped.\n"),
        (KeyboardInterrupt("Stopped after 3."), 130, "\nStopped after 3.\n"),
        (
            MemoryError("Unable to allocate 12 GiB"),
            1,
            "MemoryError: Unable to allocate 12 GiB\n"
            "The memory does not suffice: take fewer or smaller pictures.\n",
        ),
    ],
)
def test_what_ends_a_command_is_told(good, tmp_path, capsys, monkeypatch, raised, code, says):
    def end(*_, **__):
        raise raised

    monkeypatch.setattr("course_utils.share.looked.look", end)
    assert run(good, tmp_path / "out") == code
    assert capsys.readouterr().err == says


def test_a_name_that_is_no_text_is_told(tmp_path, capsys):
    folder = tmp_path / "odd"
    butterflies(folder, 3)
    with open(bytes(folder) + b"/\xff.png", "wb"):  # noqa: PTH123  (a name in bytes)
        pass
    assert run(folder, tmp_path / "out") == 1
    assert "\\udcff.png" in capsys.readouterr().out
    assert (tmp_path / "out" / "looked.html").is_file()
