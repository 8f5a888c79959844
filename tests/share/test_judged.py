"""Two folders are judged from the shell: the table, the numbers and the page agree."""

import base64
import json
import re
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
    for image in page.select(".pairs img[alt=drawn]"):
        shown = Image.open(BytesIO(base64.b64decode(image["src"].split(",")[1])))
        assert shown.size == (48, 48)
        assert shown.resize((16, 16), Image.Resampling.NEAREST).tobytes() in stored
    measures = [tr.td.text for tr in page.select("tbody tr:has(td)")]
    assert "copy score" in measures


def test_what_cannot_be_is_told_in_a_line(folders, capsys):
    assert main(["judge", str(folders / "others"), "--real", str(folders / "nothing")]) == 1
    assert "--real is" in capsys.readouterr().err
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
