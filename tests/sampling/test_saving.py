"""What drawing leaves on disk: what is in the way is told first, and nothing of others is lost."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.__main__ import main
from course_utils.data import to_pil
from course_utils.sampling import command, draw_pictures, open_network, saving
from tests.share.small import bytes_of, saved, small_network

NOTE = json.dumps({"seeds": "0-1"})


def sampled(out, *words, network="sprites-16"):
    words = ("--seeds", "0-1", *words)
    return main(["sample", str(network), "--steps", "1", "--out", str(out), *words])


@pytest.fixture
def never(monkeypatch):
    """Makes a test fail that draws, or opens a network, before it looks where to."""

    def draw(*_, **__):
        raise AssertionError("something was done before")

    monkeypatch.setattr(command, "draw_pictures", draw)
    monkeypatch.setattr(command, "open_network", draw)


def test_what_was_drawn_before_stays_where_new_pictures_cannot_be_made(tmp_path, monkeypatch):
    assert sampled(tmp_path / "mine") == 0
    before = bytes_of(tmp_path)
    assert "mine/pictures/seed-0001.png" in before

    def fail(frames):
        raise ValueError("no film")

    monkeypatch.setattr(saving, "gif", fail)
    assert sampled(tmp_path / "mine", "--label", "none") == 1
    assert bytes_of(tmp_path) == before


def test_a_film_of_an_earlier_time_does_not_stay_beside_other_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "drawn.json").write_text(NOTE)
    (tmp_path / "mine" / "film.mp4").write_bytes(b"earlier")
    assert sampled(tmp_path / "mine") == 0
    assert not (tmp_path / "mine" / "film.mp4").exists()


@pytest.mark.parametrize(("channels", "shown"), [(2, "one"), (4, "three"), (5, "three")])
def test_pictures_of_other_channels_are_kept_as_arrays(tmp_path, channels, shown, capsys):
    model = small_network(in_channels=channels, out_channels=channels)
    with torch.no_grad():
        model.conv_out.weight.mul_(9)  # so that channels differ
    folder = saved(tmp_path / "many", model=model)
    assert sampled(tmp_path / "out", network=folder) == 0
    assert f"of {channels} channels a sheet or film shows {shown}" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out" / "pictures").iterdir()}
    assert names == {"seed-0000.npy", "seed-0001.npy"}
    kept = np.load(tmp_path / "out/pictures/seed-0001.npy")
    assert (kept.shape, kept.dtype) == ((16, 16, channels), np.uint8)
    images = draw_pictures(open_network(folder), [0, 1], num_inference_steps=1).images
    first = np.stack([np.asarray(to_pil(images[1:, k : k + 1])[0]) for k in range(channels)], -1)
    assert np.abs(kept.astype(int) - first).max() <= 1
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.mode == ("RGB" if channels > 3 else "L")
    assert sampled(tmp_path / "out", "--seeds", "1", network=folder) == 0
    assert [path.name for path in (tmp_path / "out/pictures").iterdir()] == ["seed-0001.npy"]
    assert sampled(tmp_path / "out.gif", network=folder) == 0


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_a_file_of_ones_own_stays_and_a_drawn_one_is_drawn_again(tmp_path, name, capsys):
    out = tmp_path / name
    Image.new("RGB", (8, 8), "red").save(out)
    before = out.read_bytes()
    assert sampled(out) == 1
    assert "a file that was not drawn by this command. Choose another" in capsys.readouterr().err
    assert out.read_bytes() == before
    out.unlink()
    assert sampled(out) == 0
    first = out.read_bytes()
    assert sampled(out, "--label", "none") == 0
    assert out.read_bytes() != first


def test_a_picture_of_ones_own_among_drawn_ones_stays(tmp_path, capsys):
    assert sampled(tmp_path / "mine") == 0
    mine = tmp_path / "mine/pictures/seed-0005.png"
    mine.write_bytes(b"mine")
    before = bytes_of(tmp_path)
    assert sampled(tmp_path / "mine", "--seeds", "4-6") == 1
    assert f"{mine} was not drawn by this command" in capsys.readouterr().err
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    "note",
    ["[]", '{"se', "{}", '{"seeds": "x"}', '{"seeds": 3}', '{"seeds": "1", "saved_as": "/x"}'],
)
def test_a_damaged_note_is_told_before_anything_is_drawn(tmp_path, note, never, capsys):
    (tmp_path / "drawn.json").write_text(note)
    assert sampled(tmp_path) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path / 'drawn.json'} is damaged" in told
    assert "--seeds" not in told


def test_a_note_of_an_earlier_time_that_has_a_seed_twice_is_understood(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "drawn.json").write_text('{"seeds": "3,3"}')
    (tmp_path / "pictures/seed-0003.png").write_bytes(b"drawn")
    assert sampled(tmp_path) == 0
    assert not (tmp_path / "pictures/seed-0003.png").exists()


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("notes.txt", "--out is notes.txt, which is a file; name a folder"),
        ("notes.txt/x", "--out is notes.txt/x, and notes.txt is a file; name a folder"),
        ("folder.png", "--out is folder.png, which is a folder"),
        ("x.jpg", "--out is x.jpg, and the files that can be drawn are .png, .gif, .mp4"),
        ("x.WEBM", "--out is x.WEBM, and the files"),
        ("x.mp4", "x.mp4 cannot be made: ffmpeg is not on this machine. Ask for a .gif instead."),
    ],
)
def test_what_is_in_the_way_is_told_before_anything_is_drawn(
    tmp_path, out, told, never, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder.png").mkdir()
    assert sampled(out) == 1
    assert told in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "notes.txt"]
