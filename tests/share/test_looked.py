"""What the command ``look`` says, writes and returns."""

import json
import re
import shlex
import shutil

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


def test_a_name_that_is_no_text_is_told(tmp_path, capsys):
    folder = tmp_path / "odd"
    butterflies(folder, 3)
    with open(bytes(folder) + b"/\xff.png", "wb"):  # noqa: PTH123  (a name in bytes)
        pass
    assert run(folder, tmp_path / "out") == 1
    assert "\\udcff.png" in capsys.readouterr().out
    assert (tmp_path / "out" / "looked.html").is_file()
