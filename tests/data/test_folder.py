"""A folder of pictures is loaded as it lies there; what is left out is said, by name."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils.data import load_images
from course_utils.data.folder import load_folder
from course_utils.data.found import label_of
from tests.refusals import refusal

GREY = np.tile(np.linspace(0, 255, 16).round().astype(np.uint8), (16, 1))


def put(folder, *names, size=(16, 16)):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GREY).resize(size).convert("RGB").save(folder / name)


def said(folder):
    return load_folder(folder).info.description


def labelled(folder):
    """The label of each picture, in words."""
    dataset = load_folder(folder)
    names = dataset.features["label"].names
    return [names[label] for label in dataset["label"]]


def test_subfolders_become_labels_in_alphabetical_order(tmp_path, capsys):
    put(tmp_path, *(f"{label}/{k}.png" for label in ("wolf", "ant") for k in range(3)))
    dataset = load_images("digits", source=tmp_path)
    assert dataset.features["label"].names == ["ant", "wolf"]
    assert dataset["label"][:] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(np.asarray(dataset[0]["image"])[..., 0], GREY)
    assert capsys.readouterr().out == (
        f"{tmp_path}: 6 pictures of 6 files; 2 classes: 0 ant (3), 1 wolf (3); 16×16 pixels; "
        "nothing left out\n"
    )


def test_pictures_without_subfolders_get_one_label(tmp_path):
    put(tmp_path, "b.PNG", "a.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    dataset = load_folder(tmp_path)
    assert dataset["label"][:] == [0, 0]
    assert dataset.features["label"].names == [tmp_path.name]
    assert "2 pictures of 3 files" in dataset.info.description
    assert "left out: 1 file .txt (notes.txt)" in dataset.info.description


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints", "@eaDir", "__MACOSX", ".Trash", "$RECYCLE.BIN", "lost+found"]
)
def test_hidden_and_system_folders_are_ignored_and_said(tmp_path, name):
    put(tmp_path, "cat/1.png", "dog/1.png", f"{name}/1.png", f"cat/{name}/1.png", "dog/._1.png")
    assert labelled(tmp_path) == ["cat", "dog"]
    told = ", ".join(sorted([name, f"cat/{name}", "dog/._1.png"]))
    assert f"3 files or folders hidden or a system's ({told})" in said(tmp_path)


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".avif", ".ppm", ".TGA", ".jp2", ".apng"])
def test_all_that_pillow_opens_is_opened(tmp_path, suffix):
    if suffix not in set(Image.registered_extensions()) | {".JPE", ".TGA"}:
        pytest.skip(f"this Pillow was built without {suffix}")
    put(tmp_path, f"a{suffix}")
    assert len(load_folder(tmp_path)) == 1


def test_what_pillow_does_not_open_is_named(tmp_path):
    put(tmp_path, "cat/1.png")
    for k in range(5):
        (tmp_path / "cat" / f"{k}.HEIC").touch()
    (tmp_path / "film.mpg").touch()
    (tmp_path / "README").touch()
    line = said(tmp_path)
    assert "5 files .heic (cat/0.HEIC, cat/1.HEIC, cat/2.HEIC and 2 more)" in line
    assert "1 file .mpg (film.mpg), 1 file no suffix (README)" in line
    assert "1 picture of 8 files" in line


def test_a_class_without_pictures_is_named(tmp_path):
    put(tmp_path, "cat/1.png")
    (tmp_path / "dog" / "old").mkdir(parents=True)
    (tmp_path / "eel").mkdir()
    (tmp_path / "eel" / "1.heic").touch()
    assert labelled(tmp_path) == ["cat"]
    assert "2 folders without pictures (dog, eel)" in said(tmp_path)


@pytest.mark.parametrize(
    "names",
    [("rose/a.png", "rose/more/b.png"), ("cat/1.png", "sub/dog/2.png"), ("1.png", "a/2.png")],
)
def test_pictures_at_different_depths_are_named_in_an_error(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(ValueError, match="different depths") as error:
        load_folder(tmp_path)
    assert all(name in str(error.value) for name in names)


def test_labels_are_the_folders_right_above_the_pictures(tmp_path):
    put(tmp_path, "2023/cat/1.png", "2024/cat/1.png", "2024/dog/2.png")
    assert labelled(tmp_path) == ["cat", "cat", "dog"]
    line = said(tmp_path)
    assert "put together from several folders: cat" in line
    assert "folders above the labels not used: 2023, 2024" in line


@pytest.mark.parametrize("other", ["test", "Validation", "dev"])
def test_of_a_set_in_parts_the_one_for_training_is_loaded(tmp_path, other):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", f"{other}/cat/1.png", f"{other}/eel/1.png")
    assert labelled(tmp_path) == ["cat", "dog"]
    line = said(tmp_path)
    assert "2 pictures of 4 files; 2 classes: 0 cat (1), 1 dog (1)" in line
    assert (
        f"left out: 2 pictures of other parts of the set ({other}/cat/1.png, {other}/eel/1.png)"
        in line
    )


def test_parts_of_a_set_are_no_classes(tmp_path):
    put(tmp_path, "train/1.png", "test/1.png")
    assert labelled(tmp_path) == ["train"]
    assert "1 picture of other parts of the set (test/1.png)" in said(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("train/cat/1.png", "test/cat/1.png", "extra/cat/1.png"),
        ("train/1.png", "test/1.png", "1.png"),
        ("val/cat/1.png", "test/cat/1.png"),
        ("train/1.png", "training/1.png"),
    ],
)
def test_parts_of_a_set_beside_something_else_are_an_error(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(ValueError, match=r"parts of a set.*Give the path of the part"):
        load_folder(tmp_path)


def test_a_train_among_other_things_is_a_class(tmp_path):
    put(tmp_path, "car/1.png", "train/1.png")
    assert labelled(tmp_path) == ["car", "train"]


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "labels.npy", "captions.txt"])
def test_files_of_labels_are_named_as_not_used(tmp_path, name):
    put(tmp_path, "1.png", "2.png")
    (tmp_path / name).touch()
    assert f"1 file with labels or captions, not used ({name})" in said(tmp_path)


def test_numbers_stand_in_their_own_order_and_the_mapping_is_printed(tmp_path):
    put(tmp_path, *(f"{k}/a.png" for k in range(12)))
    assert load_folder(tmp_path).features["label"].names == [str(k) for k in range(12)]
    each = ", ".join(f"{k} {k} (1)" for k in range(12))
    assert f"12 classes: {each};" in said(tmp_path)
    put(tmp_path, "ten/a.png")  # no longer all numbers
    assert load_folder(tmp_path).features["label"].names[:4] == ["0", "1", "10", "11"]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["10", "-1", "2", "1"], ["-1", "1", "2", "10"]),
        (["10.5", "9.5", "9"], ["9", "9.5", "10.5"]),
        (["1", "01", "2"], ["01", "1", "2"]),
        (["1e3", "2"], ["1e3", "2"]),
        (["2", "1", "10", "-"], ["-", "1", "10", "2"]),
    ],
)
def test_numbers_below_zero_and_with_a_point_are_numbers_too(tmp_path, names, order):
    put(tmp_path, *(f"{name}/a.png" for name in names))
    assert load_folder(tmp_path).features["label"].names == order


def test_labels_that_differ_in_case_or_spaces_alone_are_named(tmp_path):
    put(tmp_path, "Cat/1.png", "cat/2.png", "dog/1.png")
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("this file system knows one case only")
    line = said(tmp_path)
    assert "3 classes: 0 Cat (1), 1 cat (1), 2 dog (1); differ in case or spaces alone" in line
    assert "and are kept apart: 'Cat', 'cat';" in line
    put(tmp_path / "other", "cat/1.png", " cat/2.png")
    assert "kept apart: ' cat', 'cat';" in said(tmp_path / "other")
    put(tmp_path / "third", "cat/1.png", "dog/2.png")
    assert "kept apart" not in said(tmp_path / "third")


def test_of_very_many_classes_the_first_and_the_last_are_printed(tmp_path):
    put(tmp_path, *(f"{k}/a.png" for k in range(30)))
    assert "30 classes: 0 0 (1)," in said(tmp_path)
    assert "11 11 (1), …, 29 29 (1)" in said(tmp_path)


def test_very_small_and_very_long_pictures_are_loaded_and_named(tmp_path):
    put(tmp_path, "dot.png", size=(1, 1))
    put(tmp_path, "line.png", size=(4_096, 1))
    put(tmp_path, "strip.png", size=(80, 10))
    put(tmp_path, "usual.png", size=(79, 10))
    line = said(tmp_path)
    assert "1×1 to 4,096×1 pixels" in line
    assert "3 not square, which prepare() crops, pads or squashes" in line
    assert "3 very small or very long (dot.png, line.png, strip.png), loaded all the same" in line


def test_a_folder_without_pictures_says_what_counts_and_what_is_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.heic").touch()
    with pytest.raises(ValueError, match="no pictures") as error:
        load_folder(tmp_path)
    assert ".png" in str(error.value)
    assert "a/1.heic" in str(error.value)


def test_refusals_to_the_letter(tmp_path):
    put(tmp_path / "deep", "rose/a.png", "rose/more/b.png")
    assert refusal(lambda: load_folder(tmp_path / "deep")) == (
        f"{tmp_path / 'deep'} holds pictures at different depths: rose/more/b.png, rose/a.png. The "
        "folder that a picture lies in is its label, so put all of them equally deep: into one "
        "sub-folder for each label, or all into the folder itself."
    )
    (tmp_path / "none" / "a").mkdir(parents=True)
    assert refusal(lambda: load_folder(tmp_path / "none")) == (
        f"{tmp_path / 'none'} holds no pictures, nor do its sub-folders. Files whose names end in "
        ".jpg, .png or another of Pillow's suffixes count: put some into it, or give the folder "
        "that has them. (left out: 1 folder without pictures (a))"
    )
    (tmp_path / "none" / "a" / "1.HEIC").touch()
    assert "has them; phones store photographs (HEIC); export them as JPEG. (left out: 1" in (
        refusal(lambda: load_folder(tmp_path / "none"))
    )
    put(tmp_path / "parts", "train/1.png", "test/1.png", "b/1.png", "a.png")
    assert refusal(lambda: load_folder(tmp_path / "parts")) == (
        f"{tmp_path / 'parts'} holds the parts of a set (train, test), but b, a.png beside them. "
        "Give the path of the part to learn from as source."
    )
    put(tmp_path / "halves", "val/1.png", "test/1.png")
    assert refusal(lambda: load_folder(tmp_path / "halves")) == (
        f"{tmp_path / 'halves'} holds the parts of a set (test, val), but not one that is for "
        "training. Give the path of the part to learn from as source."
    )


def test_the_whole_line_of_a_folder(tmp_path):
    put(tmp_path, "2024/cat/1.png", "2025/cat/1.png", "2025/dog/1.png", size=(16, 8))
    for name in ("notes.txt", "more.TXT", "README", "labels.csv", "Captions.json"):
        (tmp_path / name).touch()
    for name in (".git", "empty", "empty/too"):
        (tmp_path / name).mkdir()
    (tmp_path / ".hidden").touch()
    (tmp_path / "back").symlink_to(tmp_path)
    assert said(tmp_path) == (
        f"{tmp_path}: 3 pictures of 9 files; 2 classes: 0 cat (2), 1 dog (1); "
        "put together from several folders: cat; "
        "folders above the labels not used: 2024, 2025; "
        "16×8 pixels; 3 not square, which prepare() crops, pads or squashes; "
        "left out: 2 files .txt (more.TXT, notes.txt), 1 file no suffix (README), "
        "2 files with labels or captions, not used (Captions.json, labels.csv), "
        "2 files or folders hidden or a system's (.git, .hidden), "
        "1 folder without pictures (empty), 1 link to a folder above (back)"
    )


@pytest.mark.parametrize("name", ["train", "Training"])
@pytest.mark.parametrize("other", ["testing", "eval", "evaluation", "valid", "val", "TEST"])
def test_every_name_of_a_part_is_known(tmp_path, name, other):
    put(tmp_path, f"{name}/cat/1.png", f"{other}/cat/1.png")
    assert labelled(tmp_path) == ["cat"]
    assert f"1 picture of other parts of the set ({other}/cat/1.png)" in said(tmp_path)


def test_a_folder_with_pictures_in_some_of_its_folders_is_not_empty(tmp_path):
    put(tmp_path, "2024/cat/1.png")
    (tmp_path / "2024" / "dog").mkdir()
    assert "1 folder without pictures (2024/dog)" in said(tmp_path)


def test_pictures_at_the_very_top_have_a_label_too():
    top = Path(Path.cwd().anchor)
    assert label_of(top / "1.png", top) == "pictures"


def test_pictures_of_the_folder_that_python_runs_in_have_its_name(tmp_path, monkeypatch):
    (tmp_path / "moths").mkdir()
    put(tmp_path / "moths", "1.png")
    monkeypatch.chdir(tmp_path / "moths")
    assert labelled(Path()) == ["moths"]


def test_a_link_to_a_folder_above_ends_the_way(tmp_path):
    put(tmp_path, "cat/1.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    assert labelled(tmp_path) == ["cat"]
    assert "1 link to a folder above (cat/again)" in said(tmp_path)


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path):
    put(tmp_path, "there/1.png")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "cat").symlink_to(tmp_path / "there")
    assert labelled(tmp_path / "here") == ["cat"]


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    put(tmp_path, "cat/1.png", "locked/1.png")
    look = type(tmp_path).iterdir

    def refuse(self):
        if self.name == "locked":
            raise PermissionError(13, "Permission denied")
        return look(self)

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(ValueError, match=r"locked cannot be looked into: .*denied"):
        load_folder(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes on this system")
    put(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    assert "1 file .png (cat/pipe.png)" in said(tmp_path)


def test_two_ways_to_write_one_letter_are_one_class(tmp_path):
    put(tmp_path, "caf\u00e9/1.png", "cafe\u0301/2.png")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system knows one way only")
    assert labelled(tmp_path) == ["caf\u00e9"] * 2
    assert "put together from several folders: caf\u00e9" in said(tmp_path)


def test_names_that_are_no_text_are_loaded_and_told_in_one_line(tmp_path, capsys):
    put(tmp_path, "ok/1.png")
    try:
        (tmp_path / "ok" / "1.png").rename(tmp_path / "ok" / os.fsdecode(b"\xff\n.png"))
    except OSError:
        pytest.skip("this file system takes text only")
    (tmp_path / "ok" / "a\nb").touch()
    dataset = load_images("flowers", source=tmp_path)
    assert dataset[0]["image"].size == (16, 16)
    assert capsys.readouterr().out.count("\n") == 1
