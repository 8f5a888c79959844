"""A folder is looked at to the end, whatever is in it, and stays as it was."""

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.ExifTags import Base

from course_utils.data import draw_many, look
from course_utils.files import digest
from course_utils.screen import shell_line
from tests.refusals import refusal

TURNED = 6  # EXIF: to be turned by a quarter


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Butterflies of two sizes, with all that goes wrong with phones and downloads."""
    folder = tmp_path_factory.mktemp("bad") / "mine"
    pictures, _ = draw_many("butterflies", count=44, size=48)
    for k, pixels in enumerate(pictures):
        place = folder / ("swallowtails" if k < 40 else "whites")
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if k % 2:
            image = image.resize((60, 40))
        if k == 7:
            image = image.rotate(90, expand=True)  # on its side, and nothing tells it
        exif = Image.Exif()
        if k == 5:
            exif[Base.Orientation] = TURNED
            image = image.rotate(90, expand=True)  # on its side, and the file tells it
        image.save(place / f"{k:02}.jpg", quality=95, exif=exif)
    Image.fromarray(pictures[4]).save(folder / "whites" / "again.png")
    Image.fromarray(np.dstack([pictures[8], np.full((48, 48), 9, np.uint8)])).save(
        folder / "whites" / "clear.png"
    )
    whole = (folder / "whites" / "41.jpg").read_bytes()
    (folder / "whites" / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "whites" / "empty.gif").touch()
    (folder / "whites" / "phone.jpg").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 20)
    (folder / "whites" / "link.png").symlink_to(folder / "nowhere.png")
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def found(bad):
    return look(bad, 32)


def test_what_can_be_read_is_shown_as_the_network_will_see_it(found):
    assert found.data.images.shape == (46, 3, 32, 32)
    assert found.by_label == {"swallowtails": 40, "whites": 6}
    assert not found.refused


def test_each_file_that_cannot_be_read_is_named_with_the_reason(found):
    why = {name.rpartition("/")[2]: reason for name, reason in found.unreadable.items()}
    assert set(why) == {"torn.jpg", "empty.gif", "phone.jpg", "link.png"}
    assert "truncated" in why["torn.jpg"]
    assert why["empty.gif"] == "the file is empty"
    assert "export them as JPEG" in why["phone.jpg"]
    assert "which is not there" in why["link.png"]
    assert "notes.txt" in found.left_out


def test_a_copy_in_another_format_is_found(found):
    names = [{found.names[row] for row in group} for group in found.copies]
    assert {"swallowtails/04.jpg", "whites/again.png"} in names
    assert [found.names[row] for row in found.superfluous] == ["whites/again.png"]


def test_a_picture_on_its_side_is_found_unless_its_file_tells_how_it_stands(found):
    assert [found.names[row] for row in found.sideways] == ["swallowtails/07.jpg"]
    turned = [name for name, seen in zip(found.names, found.seen, strict=True) if seen.turned]
    assert turned == ["swallowtails/05.jpg"]


def test_few_pictures_tell_nothing_of_how_they_stand(bad, tmp_path):
    for k in (3, 7, 9):
        (tmp_path / f"{k}.jpg").write_bytes((bad / "swallowtails" / f"{k:02}.jpg").read_bytes())
    assert look(tmp_path, 32).sideways == []


def test_nothing_in_the_folder_is_changed(bad):
    def state():
        files = sorted(path for path in bad.rglob("*") if path.is_file())
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = state()
    look(bad, (32, 48), fit="pad", background="pink")
    assert state() == before


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_shape_and_the_fit_are_those_of_training(bad, tmp_path, fit):
    from course_utils.data import load_tensors

    for k in (1, 3):
        (tmp_path / f"{k}.jpg").write_bytes((bad / "swallowtails" / f"{k:02}.jpg").read_bytes())
    seen = look(tmp_path, (24, 32), fit=fit, background="pink").data
    trained = load_tensors(tmp_path, (24, 32), fit=fit, background="pink")
    assert torch.equal(seen.images, trained.images)
    assert digest({"labels": seen.labels}) == digest({"labels": trained.labels})


def test_what_training_refuses_is_told_and_all_is_looked_at(tmp_path):
    pictures, _ = draw_many("sprites", count=3, size=16)
    for where, pixels in zip(("a/1.png", "a/b/2.png", "3.png"), pictures, strict=True):
        (tmp_path / where).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / where)
    found = look(tmp_path)
    assert len(found.names) == 3
    assert len(found.refused) == 1
    assert "different depths" in found.refused[0]
    assert found.data.images.shape[2:] == (16, 16)  # the size that all of them have


def test_a_grey_folder_stays_grey(tmp_path):
    for k in range(2):
        Image.new("L", (8, 8), 40 * k).save(tmp_path / f"{k}.png")
    assert look(tmp_path, 8).data.images.shape == (2, 1, 8, 8)


@pytest.mark.parametrize("torn", [True, False])
def test_a_folder_with_nothing_to_be_seen_is_told(tmp_path, torn):
    (tmp_path / ("a.png" if torn else "a.txt")).touch()
    with pytest.raises(ValueError, match="can be read" if torn else "holds no pictures") as told:
        look(tmp_path)
    assert ("a.png: the file is empty" if torn else ".txt") in str(told.value)


def test_an_empty_folder_is_told_with_what_to_do(tmp_path):
    assert refusal(lambda: look(tmp_path)) == (
        f"{tmp_path} holds no pictures, nor do its sub-folders. Files whose names end in .jpg, "
        ".png or another of Pillow's suffixes count: put some into it, or give the folder that "
        "has them. (nothing is in it)"
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", ""),
        ("mine.zip", " It is another kind of file. Unpack it, and give the folder."),
        ("mine.png", " It is another kind of file. Give the folder that it lies in."),
    ],
)
def test_what_is_no_folder_is_told(tmp_path, name, says):
    if says:
        (tmp_path / name).touch()
    path = tmp_path / name
    assert refusal(lambda: look(path)) == (
        f"{path} is no folder of pictures; it was looked for at {path}.{says}"
    )


@pytest.mark.parametrize("name", ["mine.npy", "a mine.NPZ"])
def test_an_array_is_for_training_alone(tmp_path, name):
    (tmp_path / name).touch()
    assert refusal(lambda: look(tmp_path / name)) == (
        f"{tmp_path / name} is an array, and look wants a folder of pictures. train takes the "
        f"array as it is: {shell_line('train', tmp_path / name)}"
    )


def test_labels_are_told_as_training_tells_them(tmp_path):
    for place in ("2024/dog", "2025/dog", "2025/Dog "):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / place / "a.png")
    assert look(tmp_path, 8).label_notes == (
        "differ in case or spaces alone, and are kept apart: 'Dog ', 'dog'",
        "put together from several folders: dog",
        "folders above the labels not used: 2024, 2025",
    )
