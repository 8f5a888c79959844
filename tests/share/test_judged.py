"""Two folders are judged from the shell: the table, the numbers and the page agree."""

import base64
import json
import re
import shutil
from io import BytesIO

import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

from course_utils.__main__ import main
from course_utils.data import load_images, prepare, to_pil


def save(folder, images):
    folder.mkdir()
    for k, picture in enumerate(to_pil(images)):
        picture.save(folder / f"{k:03}.png")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Real sprites, others of them, and the others blurred."""
    base = tmp_path_factory.mktemp("judged <b>")
    data = prepare(load_images("sprites", "drawn", count=320, first=730_000), 16)
    images, _ = data.batch(range(320))
    save(base / "real", images[:160])
    save(base / "others", images[160:])
    save(base / "blurred", torch.nn.functional.avg_pool2d(images[160:], 3, 1, 1))
    return base


def judged(folders, name, tmp_path, *more):
    words = [str(folders / name), "--real", str(folders / "real"), "--output", str(tmp_path)]
    words += ["--image-size", "16", "--repeats", "2", "--extractor", "sprites-16", *more]
    assert main(["judge", *words]) == 0
    return json.loads((tmp_path / "judged.json").read_text(encoding="utf-8"))


def test_table_numbers_and_page_say_the_same(folders, tmp_path, capsys):
    numbers = judged(folders, "blurred", tmp_path)
    told = capsys.readouterr().out
    assert (numbers["count"], numbers["repeats"]) == (80, 2)
    assert numbers["drawn"] == str(folders / "blurred")
    page = BeautifulSoup((tmp_path / "judged.html").read_text(encoding="utf-8"), "html.parser")
    lines = {
        tr.td.text: [td.text for td in tr.find_all("td")] for tr in page.select("tbody tr:has(td)")
    }
    assert list(lines) == [row["measure"] for row in numbers["rows"]]
    for row in numbers["rows"]:
        assert lines[row["measure"]][-1] == row["verdict"]
        if row["drawn"] is not None:
            shown = f"{row['drawn']['mean']:.3g} ± {row['drawn']['deviation']:.1g}"
            assert lines[row["measure"]][1] == shown
            assert shown in told
    assert len(page.select(".pictures li")) == 16
    assert not re.search(r"(src|href)=\"(?!data:)", str(page))  # asks for nothing
    assert page.b is None  # a folder's name is no markup
    kernel = next(row for row in numbers["rows"] if row["measure"] == "kernel distance")
    assert "of the way to noise" in kernel["verdict"]
    assert kernel["extractor"].startswith("sprites-16@")
    other = judged(folders, "others", tmp_path)  # replaces what was there
    assert other["rows"][2]["drawn"]["mean"] < kernel["drawn"]["mean"] / 5


def test_the_pictures_of_the_page_are_those_of_the_folder(folders, tmp_path):
    judged(folders, "others", tmp_path, "--learned", str(folders / "real"))
    page = BeautifulSoup((tmp_path / "judged.html").read_text(encoding="utf-8"), "html.parser")
    stored = {Image.open(p).convert("RGB").tobytes() for p in (folders / "others").iterdir()}
    images = page.select(".pictures img[alt=drawn]")
    assert len(images) == 16
    for image in images:
        shown = Image.open(BytesIO(base64.b64decode(image["src"].split(",")[1])))
        assert (shown.size, image["width"]) == ((16, 16), "96")
        assert shown.tobytes() in stored
    measures = [tr.td.text for tr in page.select("tbody tr:has(td)")]
    assert "copy score" in measures


def test_what_sample_has_left_is_judged_by_each_picture_alone(folders, tmp_path, capsys):
    (tmp_path / "drawn").mkdir()
    shutil.copytree(folders / "others", tmp_path / "drawn" / "pictures")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "drawn" / "sheet.png")
    (tmp_path / "drawn" / "drawn.json").write_text('{"seeds": "0-159"}')
    found = judged(tmp_path, "drawn", tmp_path / "one", "--real", str(folders / "real"))
    assert found["rows"] == judged(folders, "others", tmp_path / "other")["rows"]


def test_pictures_that_are_not_square_and_the_way_they_are_fitted(folders, tmp_path):
    seen = {}
    for fit in ("crop", "squash"):
        words = [str(folders / "others"), "--real", str(folders / "real"), "--repeats", "2"]
        words += ["--image-size", "16x8", "--fit", fit, "--output", str(tmp_path / fit)]
        assert main(["judge", *words]) == 0
        page = (tmp_path / fit / "judged.html").read_text(encoding="utf-8")
        image = BeautifulSoup(page, "html.parser").select_one(".pictures img[alt=drawn]")
        seen[fit] = Image.open(BytesIO(base64.b64decode(image["src"].split(",")[1])))
        assert seen[fit].width == 2 * seen[fit].height
    assert seen["crop"].tobytes() != seen["squash"].tobytes()


def test_a_file_in_place_of_the_output_is_told_before_anything_is_measured(folders, capsys):
    file = folders / "others" / "000.png"
    for output in (file, file / "below"):
        words = [str(folders / "nothing"), "--real", str(folders / "real"), "--output", str(output)]
        assert main(["judge", *words]) == 1
        told = capsys.readouterr().err
        assert f"--output is {output}, " in told
        assert "name a folder" in told


def test_what_cannot_be_is_told_in_a_line(folders, capsys):
    assert main(["judge", str(folders / "others"), "--real", str(folders / "nothing")]) == 1
    assert "--real is" in capsys.readouterr().err
    words = [str(folders / "others"), "--real", str(folders / "real"), "--image-size", "4x"]
    assert main(["judge", *words]) == 1
    assert "The size is '4x'" in capsys.readouterr().err
    assert (
        main(
            [
                "judge",
                str(folders / "others"),
                "--real",
                str(folders / "real"),
                "--extractor",
                "digits-28",
            ]
        )
        == 1
    )
    assert "digits-28@" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["judge", str(folders / "others")])
    assert "--real" in capsys.readouterr().err
