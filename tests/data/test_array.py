"""An array of pictures is loaded with its labels, or refused with lines that mend it."""

import pickle
import warnings

import numpy as np
import pytest

from course_utils.data import draw_many, load_images
from course_utils.data.array import read_arrays
from tests.refusals import refusal

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (6, 12, 10, 3), dtype=np.uint8)
COLOUR[0, 0, 0], COLOUR[0, 0, 1] = 0, 255  # the whole range


def load(folder, array, labels=None):
    np.save(folder / "mine.npy", array)
    if labels is not None:
        np.save(folder / "mine_labels.npy", labels)
    return load_images("sprites", source=folder / "mine.npy")


def pixels(dataset):
    return np.stack([np.asarray(image) for image in dataset["image"]])


def test_an_array_of_sprites_with_labels_beside_it(tmp_path):
    pictures, labels = draw_many("sprites", 12, 16)
    loaded = load(tmp_path, pictures)
    assert loaded["label"][:] == [0] * 12  # no labels given
    assert loaded.features["label"].names == ["0"]
    one_column = labels[:, None]
    for stored in (labels, labels.astype(float), np.eye(5)[labels], one_column):
        loaded = load(tmp_path, pictures, stored)
        assert loaded.column_names == ["image", "label"]
        assert loaded["label"][:] == labels.tolist()
        assert loaded.features["label"].names == ["0", "1", "2", "3", "4"]
    np.testing.assert_array_equal(pixels(loaded), pictures)


def test_words_are_labels_too(tmp_path):
    loaded = load(tmp_path, COLOUR, np.array(["dog", "cat", "dog", "eel", "cat", "dog"]))
    assert loaded.features["label"].names == ["cat", "dog", "eel"]
    assert loaded["label"][:] == [1, 0, 1, 2, 0, 1]


@pytest.mark.parametrize("labels", [[1, 2, 3, 1, 2, 3], [[1], [2], [3], [1], [2], [3]]])
def test_labels_from_one_on_make_no_empty_class(tmp_path, capsys, labels):
    loaded = load(tmp_path, COLOUR, np.array(labels))
    assert loaded.features["label"].names == ["1", "2", "3"]
    assert loaded["label"][:] == [0, 1, 2, 0, 1, 2]
    assert "3 classes: 0 1 (2), 1 2 (2), 2 3 (2)" in capsys.readouterr().out


def test_columns_of_ones_and_zeros_that_are_empty_make_no_class(tmp_path):
    loaded = load(tmp_path, COLOUR, np.eye(12)[[9, 10, 2, 2, 2, 2]])
    assert loaded.features["label"].names == ["2", "9", "10"]


@pytest.mark.parametrize("shape", [(30, 28, 28), (30, 28, 28, 1), (9, 4, 4)])
def test_grey_pictures_are_loaded_as_mnist_comes(tmp_path, capsys, shape):
    grey = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    loaded = load(tmp_path, grey)
    assert loaded[0]["image"].mode == "L"
    np.testing.assert_array_equal(pixels(loaded), grey.reshape(shape[:3]))
    printed = capsys.readouterr().out
    assert f"{shape[0]} grey pictures; 1 class" in printed
    assert "no mine_labels.npy" in printed
    assert printed.count("\n") == 1


def follow(error, pictures):
    """Do literally what the error says."""
    lines = [line.strip() for line in str(error).splitlines()[1:]]
    assert lines
    names = {"pictures": pictures}
    exec("\n".join(lines), names)
    return names["pictures"]


FLOAT = COLOUR / 255
SEEN = np.dstack([COLOUR[0], np.full(COLOUR.shape[1:3], 255, np.uint8)])[None]


@pytest.mark.parametrize(
    ("array", "told", "becomes"),
    [
        (COLOUR.astype(np.uint16) * 257, "/ 257", COLOUR),
        (COLOUR.astype(np.uint16) * 16, "12 bits", COLOUR),
        (COLOUR.astype(np.int64), "fit already", COLOUR),
        (COLOUR.astype(np.float32), "fit already", COLOUR),
        (FLOAT, r"\* 255", COLOUR),
        (FLOAT.astype(np.float32) * 2 - 1, "from -1 to 1", COLOUR),
        (COLOUR.astype(np.int16) * 4 - 510, "from lowest to highest", COLOUR),
        ((COLOUR.astype(int) - 128).astype(np.int8), "from lowest to highest", COLOUR),
        (COLOUR > 127, r"\* 255", (COLOUR > 127) * 255),
        (COLOUR.transpose(0, 3, 1, 2), "transpose", COLOUR),
        (FLOAT.transpose(0, 3, 1, 2), "transpose", COLOUR),
        (COLOUR[..., :1].transpose(0, 3, 1, 2), "transpose", COLOUR[..., 0]),
        (COLOUR[0], r"\[None\]", COLOUR[:1]),
        (FLOAT[0], r"\[None\]", COLOUR[:1]),
        (COLOUR[:, :10, :, 0].reshape(6, 100), "reshape", COLOUR[:, :10, :, 0]),
        (SEEN, "white", COLOUR[:1]),
        (SEEN.transpose(0, 3, 1, 2) / 255, "white", COLOUR[:1]),
        (SEEN.astype(np.uint16) * 257, "white", COLOUR[:1]),
        (SEEN[..., [0, 3]], "white", COLOUR[:1, ..., 0]),
        (SEEN[0], r"\[None\][\s\S]*on white", COLOUR[:1]),
    ],
)
def test_advice_followed_literally_gives_the_pictures(tmp_path, array, told, becomes):
    with pytest.raises(ValueError, match=told) as error:
        load(tmp_path, array)
    assert str(array.dtype) in str(error.value)
    assert str(array.shape) in str(error.value)
    mended = follow(error.value, array)
    np.testing.assert_allclose(pixels(load(tmp_path, mended)).astype(int), becomes, atol=1)


def test_advice_lays_see_through_parts_on_white(tmp_path):
    clear = SEEN.copy()
    clear[0, :3, :, 3] = 0
    clear[0, 3:6, :, 3] = 51  # a fifth
    with pytest.raises(ValueError, match="white") as error:
        load(tmp_path, clear)
    seen = pixels(load(tmp_path, follow(error.value, clear)))[0]
    assert (seen[:3] == 255).all()
    np.testing.assert_allclose(seen[3:6], 204 + COLOUR[0, 3:6] / 5, atol=0.6)
    np.testing.assert_array_equal(seen[6:], COLOUR[0, 6:])


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((3, 16, 16, 5), np.uint8), "Bring the axes"),
        (np.zeros((3, 16, 16, 16), np.uint8), "Bring the axes"),
        (np.zeros(7, np.uint8), "Bring the axes"),
        (np.uint8(3), "This is a single number: save the array of the pictures."),
        (np.zeros((), bool), "This is a single number"),
        (np.full((3, 16, 16, 3), np.nan), "NaN or infinite"),
        (np.array([0.0, np.inf]), "NaN or infinite"),
        (np.zeros((0, 16, 16, 3), np.uint8), "no pictures"),
        (np.array([{"a": 1}]), "cannot be read"),
        (np.array(["text"]), "not one array of numbers"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path, array, told):
    with pytest.raises(ValueError, match=told):
        load(tmp_path, array)


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(4),
        np.array([0, 1, -1]),
        np.array([0, 1, 0.5]),
        np.array([0, 1, np.inf]),
        np.array([0, 1, np.nan]),
        np.array([0, 1, 1e300]),
        np.array([0, 1, 2.0**64]),
        np.array([[1, 2], [1, 0], [0, 1]]),
        np.array([["a", "b"]] * 3),
        np.array(3),
        np.arange(3)[None],
        np.ones((3, 2)),
        np.zeros((3, 2)),
    ],
)
def test_labels_that_do_not_fit_the_pictures_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match=r"mine_labels.npy holds .* 3 whole numbers"):
        load(tmp_path, np.zeros((3, 16, 16, 3), np.uint8), labels)


def test_yes_and_no_are_labels_too(tmp_path):
    loaded = load(tmp_path, COLOUR, np.array([True, False, True, True, True, True]))
    assert loaded.features["label"].names == ["0", "1"]
    assert loaded["label"][:] == [1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((2, 6, 4), "one picture is a set of one"),
        ((2, 3, 8, 5), "channels last"),
        ((2, 4, 8, 8), "channels last"),
        ((2, 3, 8, 4), "on white"),
        ((2, 5, 8, 8), "Bring the axes"),
        ((2, 5, 8, 5), "Bring the axes"),
        ((2, 16), "Bring the axes"),
        ((2, 25), r"reshape\(-1, 5, 5\)"),
    ],
)
def test_layouts_at_their_bounds(tmp_path, shape, told):
    with pytest.raises(ValueError, match=told):
        load(tmp_path, np.full(shape, 200, np.uint8))


@pytest.mark.parametrize(
    ("shape", "channels_last"),
    [
        ((20, 3, 16, 16), (20, 16, 16, 3)),
        ((20, 1, 16, 16), (20, 16, 16)),
        ((20, 3, 8, 12), (20, 8, 12, 3)),
        ((20, 4, 5, 5), (20, 5, 5, 4)),
        ((20, 16, 8, 8), (20, 8, 8, 16)),
        ((20, 5, 40, 40), (20, 40, 40, 5)),
    ],
)
def test_pictures_in_pytorchs_order_are_refused_though_their_width_could_be_channels(
    tmp_path, shape, channels_last
):
    array = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "mine.npy", array)
    told = refusal(lambda: read_arrays(tmp_path / "mine.npy"))
    step = told.partition("save them anew:\n")[2].splitlines()[0].strip()
    assert step == "pictures = pictures.transpose(0, 2, 3, 1)  # channels last"
    np.save(tmp_path / "mine.npy", array.transpose(0, 2, 3, 1))
    assert read_arrays(tmp_path / "mine.npy").pictures.shape == channels_last


@pytest.mark.parametrize("shape", [(48, 64, 5), (64, 16, 4), (64, 256, 16), (20, 20, 5)])
def test_one_picture_of_many_channels_is_no_set_of_grey_ones(tmp_path, shape):
    np.save(tmp_path / "mine.npy", np.full(shape, 200, np.uint8))
    told = refusal(lambda: read_arrays(tmp_path / "mine.npy"))
    assert "    pictures = pictures[None]  # one picture is a set of one" in told


@pytest.mark.parametrize(
    "shape",
    [
        (5, 4, 4, 16),
        (9, 6, 12, 5),
        (9, 12, 12, 12),
        (9, 5, 12, 16),
        (9, 17, 16, 16),
        (9, 12, 4, 4),
        (9, 5, 5, 16),
        (1797, 8, 8),
        (1000, 32, 8),
        (60, 14, 12),
        (19, 20, 5),
        (68, 68, 17),
        (16, 65, 16),
    ],
)
def test_what_can_be_pictures_as_it_is_stays_so(tmp_path, shape):
    np.save(tmp_path / "mine.npy", np.full(shape, 200, np.uint8))
    assert read_arrays(tmp_path / "mine.npy").pictures.shape == shape


def test_five_columns_are_a_picture_and_no_channels(tmp_path):
    assert load(tmp_path, np.full((2, 6, 5), 200, np.uint8))[0]["image"].size == (5, 6)


def test_large_labels_keep_their_names(tmp_path):
    large = np.array([2**63, 0, 0, 0, 0, 5], np.uint64)
    for stored in (large, large.astype(float)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            names = load(tmp_path, COLOUR, stored).features["label"].names
        assert names == ["0", "5", str(2**63)]


def test_a_link_to_labels_that_are_gone_is_named(tmp_path):
    (tmp_path / "mine_labels.npy").symlink_to(tmp_path / "gone.npy")
    with pytest.raises(ValueError, match=r"mine_labels\.npy cannot be read as an array: .*No such"):
        load(tmp_path, COLOUR)


@pytest.mark.parametrize("end", ["npy", "npz"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            b"nope, 1, 2, 3, 4",
            "it is no file of NumPy's, as numpy.save writes them; it begins with "
            "b'nope, 1, 2, 3, 4'.",
        ),
        (
            pickle.dumps([1]),
            "it is no file of NumPy's, as numpy.save writes them; it begins with "
            f"{pickle.dumps([1])[:16]!r}.",
        ),
        (
            None,
            "it holds objects of Python's, which are not loaded. Save numbers, or words as str.",
        ),
    ],
)
def test_nobody_is_told_to_run_what_is_in_a_file(tmp_path, end, content, says):
    path = tmp_path / f"pickle.{end}"
    if content is not None:
        path.write_bytes(content)
    elif end == "npy":
        np.save(path, np.array([{"a": 1}, None]))
    else:
        np.savez(path, images=COLOUR, labels=np.array([1, "a", None], object))
    arrays = "arrays" if end == "npz" else "an array"
    assert refusal(lambda: read_arrays(path)) == f"{path} cannot be read as {arrays}: {says}"


def test_an_array_that_is_called_an_archive_is_told_its_name(tmp_path):
    path = tmp_path / "mine.npz"
    with path.open("wb") as file:
        np.save(file, COLOUR)
    assert refusal(lambda: read_arrays(path)) == (
        f"{path} cannot be read as arrays: it is a single array. Give its name the end .npy."
    )


def test_words_may_be_stored_as_bytes(tmp_path):
    words = np.array(["dog", "caf\u00e9", "dog", "dog", "dog", "dog"])
    loaded = load(tmp_path, COLOUR, np.char.encode(words, "utf-8"))
    assert loaded.features["label"].names == ["caf\u00e9", "dog"]
    loaded = load(tmp_path, COLOUR, np.array([b"\xff", b"a", b"a", b"a", b"a", b"a"]))
    assert loaded.features["label"].names == [r"\xff", "a"]


def test_what_is_neither_numbers_nor_words_is_no_label(tmp_path):
    days = np.arange(6).astype("datetime64[D]")
    with pytest.raises(ValueError, match=r"mine_labels\.npy is not one array of numbers or words,"):
        load(tmp_path, COLOUR, days)
    with pytest.raises(ValueError, match=r"mine\.npy is not one array of numbers, as"):
        load(tmp_path, days)


def test_odd_names_are_told_in_one_line(tmp_path, capsys):
    words = np.array(["x\ny", "", "a", "a", "a", "a"])
    np.save(tmp_path / "a\nb.npy", COLOUR)
    np.save(tmp_path / "a\nb_labels.npy", words)
    load_images("sprites", source=tmp_path / "a\nb.npy")
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert "3 classes: 0 '' (1), 1 a (4), 2 x\\ny (1)" in printed
    assert "labels from a\\nb_labels.npy" in printed


def test_labels_of_another_name_are_named_as_not_used(tmp_path, capsys):
    for name in ("labels.npy", "mine.csv", "captions.json", "y_train.npy"):
        (tmp_path / name).touch()
    for name in ("yours.npy", "yours_labels.npy", "notes.txt"):  # of another set, or of none
        (tmp_path / name).touch()
    load(tmp_path, COLOUR, np.arange(6))
    printed = capsys.readouterr().out
    assert "labels from mine_labels.npy" in printed
    assert "not used: captions.json, labels.npy, mine.csv and 1 more" in printed
    assert "yours" not in printed
    assert "notes" not in printed


@pytest.mark.parametrize(
    "name",
    [
        "Labels.txt",
        "my_targets.csv",
        "caption.json",
        "classes.txt",
        "METADATA.csv",
        "annotations.x",
        "y.npy",
        "y_train.npy",
        "y-1.npy",
        "mine.txt",
        "mine_y.npy",
        "mine-2.csv",
    ],
)
def test_every_name_that_looks_like_labels_is_named(tmp_path, capsys, name):
    (tmp_path / name).touch()
    (tmp_path / "labels_folder").mkdir()
    load(tmp_path, COLOUR)
    assert capsys.readouterr().out.endswith(f"; beside it and not used: {name}\n")


@pytest.mark.parametrize("name", ["yellow.npy", "mines.csv", "other_labels.npy", "notes.txt"])
def test_other_names_are_not(tmp_path, capsys, name):
    np.save(tmp_path / "other.npy", COLOUR)
    if not (tmp_path / name).exists():
        (tmp_path / name).touch()
    load(tmp_path, COLOUR)
    assert capsys.readouterr().out.endswith("; no mine_labels.npy\n")


def test_the_whole_line_of_an_array(tmp_path, capsys):
    load(tmp_path, COLOUR, np.array([0, 0, 1, 1, 1, 1]))
    assert capsys.readouterr().out == (
        f"{tmp_path / 'mine.npy'}: 6 colour pictures; 2 classes: 0 0 (2), 1 1 (4); 10×12 pixels; "
        "not square, which prepare() crops, pads or squashes; labels from mine_labels.npy\n"
    )


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (
            np.full((2, 4, 4, 3), 300, np.uint16),
            "holds uint16 of shape (2, 4, 4, 3), values 300 to 300; pictures are uint8, 0 to 255, "
            "of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save "
            "them anew:\n    pictures = (pictures / 1023 * 255).round().astype('uint8')  # 10 bits",
        ),
        (
            np.full((2, 4, 4, 3), 0.5),
            "holds float64 of shape (2, 4, 4, 3), values 0.5 to 0.5; pictures are uint8, 0 to 255, "
            "of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save "
            "them anew:\n    pictures = (pictures * 255).round().astype('uint8')  # from 0 to 1",
        ),
        (
            np.full((2, 3, 8, 8), 1, np.uint8),
            "holds uint8 of shape (2, 3, 8, 8), values 1 to 1; pictures are uint8, 0 to 255, of "
            "shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save them "
            "anew:\n    pictures = pictures.transpose(0, 2, 3, 1)  # channels last",
        ),
        (
            np.full((2, 64), 9, np.uint8),
            "holds uint8 of shape (2, 64), values 9 to 9; pictures are uint8, 0 to 255, of shape "
            "(N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save them anew:"
            "\n    pictures = pictures.reshape(-1, 8, 8)  # rows of pixels are grey pictures",
        ),
        (
            np.full((5, 4, 3), 9, np.uint8),
            "holds uint8 of shape (5, 4, 3), values 9 to 9; pictures are uint8, 0 to 255, of shape "
            "(N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save them anew:"
            "\n    pictures = pictures[None]  # one picture is a set of one",
        ),
        (
            np.full((2, 65), 9, np.uint8),
            "holds uint8 of shape (2, 65), values 9 to 9; pictures are uint8, 0 to 255, of shape "
            "(N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Bring the axes into that order.",
        ),
        (
            np.full((2, 4, 4, 3), np.nan),
            "holds float64 of shape (2, 4, 4, 3), values nan to nan; pictures are uint8, 0 to 255, "
            "of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Some values are NaN or "
            "infinite: find out where those come from.",
        ),
        (
            np.full((2, 4, 4, 4), 9.0),
            "holds float64 of shape (2, 4, 4, 4), values 9.0 to 9.0; pictures are uint8, 0 to 255, "
            "of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save "
            "them anew:\n    pictures = pictures.round().astype('uint8')  # the values fit already"
            "\n    pictures = 255 - (255.0 - pictures[..., :-1]) * pictures[..., -1:] / 255  # on "
            "white\n    pictures = pictures.round().astype('uint8')",
        ),
        (
            np.full((2, 4, 4, 3), -5),
            "holds int64 of shape (2, 4, 4, 3), values -5 to -5; pictures are uint8, 0 to 255, "
            "of shape (N, H, W, 3), or grey (N, H, W) or (N, H, W, 1). Do this to them, and save "
            "them anew:\n    pictures = ((pictures - -5.0) / 1.0 * 255).round().astype('uint8')  "
            "# from lowest to highest",
        ),
        (np.zeros((0, 4, 4), np.uint8), "holds no pictures: its shape is (0, 4, 4)."),
        (np.array(["a"]), "is not one array of numbers, as numpy.save writes it."),
    ],
)
def test_a_refusal_to_the_letter(tmp_path, array, says):
    assert refusal(lambda: load(tmp_path, array)) == f"{tmp_path / 'mine.npy'} {says}"


def test_a_refusal_of_labels_to_the_letter(tmp_path):
    assert refusal(lambda: load(tmp_path, COLOUR, np.arange(4))) == (
        f"{tmp_path / 'mine_labels.npy'} holds int64 of shape (4,); for 6 pictures it must hold 6 "
        "whole numbers from 0 or words, or 6 rows with a single 1 and else zeros."
    )


@pytest.mark.parametrize(
    ("highest", "bits"),
    [
        (255, 0),
        (256, 10),
        (1023, 10),
        (1024, 12),
        (4095, 12),
        (4096, 14),
        (16383, 14),
        (16384, 16),
        (65535, 16),
    ],
)
def test_the_depth_is_the_least_that_holds_the_values(tmp_path, highest, bits):
    deep = np.zeros((2, 4, 4, 3), np.uint16)
    deep[0, 0, 0] = highest
    with pytest.raises(ValueError, match=f"# {bits} bits" if bits else "fit already"):
        load(tmp_path, deep)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (-1, 1, "from -1 to 1"),
        (-0.1, 0, "from -1 to 1"),
        (-1, 1.1, "from lowest to highest"),
        (-1.1, 1, "from lowest to highest"),
        (0, 1, "from 0 to 1"),
        (0, 1.1, "fit already"),
        (0, 255, "fit already"),
        (-1, 255, "from lowest to highest"),
        (0, 65536, "from lowest"),
    ],
)
def test_the_range_decides_what_is_advised(tmp_path, low, high, told):
    values = np.full((2, 4, 4, 3), low, np.float64)
    values[0] = high
    with pytest.raises(ValueError, match=f"# (the values )?{told}"):
        load(tmp_path, values)


def test_dark_arrays_are_warned_of_and_others_are_not(tmp_path):
    with pytest.warns(UserWarning, match=r"of the pictures in .*mine\.npy is 15 of 255"):
        load(tmp_path, COLOUR // 16 - COLOUR // 255)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path, COLOUR)


def test_what_is_cropped_of_an_array_is_said(tmp_path, capsys):
    load(tmp_path, COLOUR)
    assert (
        "10×12 pixels; not square, which prepare() crops, pads or squashes"
        in capsys.readouterr().out
    )
    load(tmp_path, COLOUR[:, :10])
    assert "not square" not in capsys.readouterr().out
