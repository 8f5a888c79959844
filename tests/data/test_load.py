"""Pictures come from the place that was asked for, with the same columns, and never another's."""

import os
import re
import subprocess
import sys

import datasets
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from course_utils.data import KINDS, DataUnavailableError, draw_many, hold_out, load_images, prepare
from course_utils.data.load import HUB_NAMES, OWN_SOURCES
from tests.conftest import ROOT
from tests.refusals import refusal


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def test_bundled_digits_are_scikit_learns(digits):
    truth = load_digits()
    assert len(digits) == 1_797
    assert digits.features["label"].names == [str(k) for k in range(10)]
    assert digits["label"][:] == truth.target.tolist()
    for row in (0, 100, 1796):
        image = digits[row]["image"]
        assert image.mode == "L"
        recovered = np.asarray(image).astype(float) * 16 / 255
        np.testing.assert_allclose(recovered, truth.images[row], atol=8 / 255)


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'cats'.*digits"):
        load_images("cats")


@pytest.mark.parametrize("source", ["Hub", "no/such/folder"])
def test_unknown_source_is_an_error_and_never_other_data(source):
    with pytest.raises(ValueError, match=f"'{source}'"):
        load_images("digits", source=source)


def test_unreachable_hub_says_what_to_do(monkeypatch):
    monkeypatch.setitem(HUB_NAMES, "digits", "nobody/no-such-data-set")
    with pytest.raises(DataUnavailableError, match="nobody/no-such-data-set") as error:
        load_images("digits", source="hub")
    cause = type(error.value.__cause__).__name__
    assert f"could not be loaded from the Hugging Face Hub: {cause}: " in str(error.value)
    assert str(error.value).endswith(
        "\nCheck the network (python -m course_utils.check says whether the Hub answers) and that "
        "HF_HUB_OFFLINE is not set. To go on without the Hub, say so in your own line: "
        "source='bundled', or a folder of pictures."
    )


def test_hub_path_reads_a_repository_of_mnists_own_shape(monkeypatch, tmp_path, capsys):
    """The real `load_dataset`, on parquet files laid out as ylecun/mnist lays them out."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=[str(k) for k in range(10)]),
        }
    )
    arrays = np.arange(20 * 28 * 28, dtype=np.uint32).reshape(20, 28, 28).astype(np.uint8)
    images = [Image.fromarray(array) for array in arrays]
    rows = {"image": images, "label": [k % 10 for k in range(20)]}
    folder = tmp_path / "mnist"
    folder.mkdir()
    table = datasets.Dataset.from_dict(rows, features=features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    table.select(range(3)).to_parquet(folder / "test-00000-of-00001.parquet")
    monkeypatch.setitem(HUB_NAMES, "digits", str(folder))

    loaded = load_images("digits", source="hub")
    assert len(loaded) == 20  # the training split, not the test split
    np.testing.assert_array_equal(np.asarray(loaded[7]["image"]), arrays[7])
    assert loaded["label"][:] == rows["label"]
    assert capsys.readouterr().out.endswith("; left out: other splits\n")


# Butterflies' columns on the Hub; all but the picture are text, many of them empty.
SPECIMEN = [
    *("image_url", "image_alt", "id", "name", "scientific_name", "gender", "taxonomy", "region"),
    *("locality", "date", "usnm_no", "guid", "edan_url", "source", "stage", "image"),
    *("image_hash", "sim_score"),
]


def photographs(count):
    """Pictures of noise, wider than high, as a photograph is."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 40, 60, 3), dtype=np.uint8)
    return [Image.fromarray(array) for array in pixels]


def on_the_hub(monkeypatch, folder, name, columns, count=12, parts=1):
    """A repository with a training split in one or more parquet files, as the Hub has it."""
    images = photographs(count)
    rows = {c: [None if k % 3 else f"{c} {k}" for k in range(count)] for c in columns}
    rows["image"] = images
    features = {column: datasets.Value("string") for column in columns}
    features = datasets.Features(features | {"image": datasets.Image()})
    table = datasets.Dataset.from_dict(rows, features=features)
    repository = folder / name
    (repository / "data").mkdir(parents=True)
    for part in range(parts):
        file = repository / "data" / f"train-{part:05}-of-{parts:05}.parquet"
        table.shard(parts, part, contiguous=True).to_parquet(file)
    monkeypatch.setitem(HUB_NAMES, name, str(repository))
    return images


@pytest.mark.parametrize(
    ("name", "columns", "parts"), [("butterflies", SPECIMEN, 1), ("flowers", ["image"], 2)]
)
def test_hub_path_reads_pictures_without_labels(monkeypatch, tmp_path, name, columns, parts):
    images = on_the_hub(monkeypatch, tmp_path, name, columns, parts=parts)
    loaded = load_images(name, source="hub")
    assert loaded.column_names == ["image", "label"]
    assert loaded.features["label"] == datasets.ClassLabel(names=[name])
    assert loaded["label"][:] == [0] * 12
    for row in (0, 5, 11):
        np.testing.assert_array_equal(np.asarray(loaded[row]["image"]), np.asarray(images[row]))


def test_hub_pictures_go_all_the_way_to_a_batch(monkeypatch, tmp_path):
    on_the_hub(monkeypatch, tmp_path, "butterflies", SPECIMEN)
    learn, judge = hold_out(load_images("butterflies", source="hub"), 4)
    x0, labels = prepare(learn, 32).batch(range(8))
    assert x0.shape == (8, 3, 32, 32)
    assert labels.tolist() == [0] * 8
    assert len(judge) == 4


def test_a_repository_that_lost_its_pictures_is_an_error(monkeypatch, tmp_path):
    on_the_hub(monkeypatch, tmp_path, "flowers", ["image", "text"])
    table = datasets.load_dataset(HUB_NAMES["flowers"], split="train").remove_columns("image")
    other = tmp_path / "other"
    other.mkdir()
    table.to_parquet(other / "train-00000-of-00001.parquet")
    monkeypatch.setitem(HUB_NAMES, "flowers", str(other))
    with pytest.raises(DataUnavailableError, match=r"no column of pictures, only \['text'\]"):
        load_images("flowers", source="hub")


def test_digits_are_drawn_on_request_as_the_bundled_ones_are_grey(digits):
    pictures, labels = draw_many("digits", 20, 28)
    drawn = load_images("digits", source="drawn", count=20)
    assert drawn.features["label"] == digits.features["label"]
    assert drawn["label"][:] == labels.tolist()
    assert all(image.mode == "L" for image in drawn["image"])
    np.testing.assert_array_equal([np.asarray(image) for image in drawn["image"]], pictures)
    later = load_images("digits", source="drawn", count=10, size=16, first=10)
    assert later[0]["image"].size == (16, 16)
    for dataset in (digits, drawn):  # white ink on black
        assert np.mean([np.asarray(image)[:, 0].mean() for image in dataset["image"]]) < 8
        assert np.mean([np.asarray(image).max() for image in dataset["image"]]) > 240


@pytest.mark.parametrize("name", ["sprites", "butterflies", "flowers"])
def test_without_a_source_pictures_are_the_drawn_ones(name):
    pictures, labels = draw_many(name, 16, 32)
    loaded = load_images(name, count=16, size=32)
    assert loaded.column_names == ["image", "label"]
    assert loaded.features["label"].names == list(KINDS[name])
    assert loaded["label"][:] == labels.tolist()
    assert all(image.mode == "RGB" for image in loaded["image"])
    np.testing.assert_array_equal([np.asarray(image) for image in loaded["image"]], pictures)
    assert loaded["image"][3] == load_images(name, "drawn", count=16, size=32)["image"][3]


def test_every_name_has_a_source_of_its_own_and_the_hub_knows_all_but_sprites():
    assert OWN_SOURCES["digits"] == "bundled"
    assert set(OWN_SOURCES) == {"digits", *KINDS}
    assert set(HUB_NAMES) == set(OWN_SOURCES) - {"sprites"}


def test_sprites_of_the_hub_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"no set of sprites.*'drawn'.*\.npy"):
        load_images("sprites", source="hub")


@pytest.mark.parametrize(("name", "source"), [("sprites", "bundled"), ("digits", "draw")])
def test_sources_of_other_names_are_refused(name, source):
    with pytest.raises(ValueError, match=f"'{source}', which for {name} is neither"):
        load_images(name, source=source)


@pytest.mark.parametrize("source", [None, "bundled", "hub", "somewhere"])
def test_only_drawn_pictures_have_a_number_and_a_size_to_choose(source):
    with pytest.raises(ValueError, match="size 32 and first None, but only drawn"):
        load_images("digits", source=source, size=32)


def test_no_pictures_and_too_few_for_all_kinds_are_refused():
    for count in (0, 4, 2_000_000, 10.5):
        with pytest.raises(ValueError, match=f"count is {count}"):
            load_images("sprites", count=count)
    with pytest.raises(ValueError, match="size is 20"):
        load_images("sprites", size=20)


def test_a_folder_serves_every_name(tmp_path):
    for label in ("red admiral", "brimstone"):
        (tmp_path / label).mkdir()
        photographs(1)[0].save(tmp_path / label / "1.png")
    loaded = load_images("butterflies", source=tmp_path)
    assert loaded.features["label"].names == ["brimstone", "red admiral"]
    with pytest.raises(
        ValueError, match=r"sprites is neither 'drawn' nor a folder, .npy or .npz file"
    ):
        load_images("sprites", source=tmp_path / "none.npy")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (("digits",), "digits, bundled with scikit-learn: 1,797 pictures of 10 classes: 0 0 (178)"),
        (("sprites", "drawn", 12), "sprites, drawn by the course: 12 pictures of 5 classes: 0 "),
    ],
)
def test_one_line_says_which_set_was_loaded(capsys, asked, line):
    load_images(*asked)
    printed = capsys.readouterr().out
    assert printed.startswith(line)
    assert printed.count("\n") == 1


def test_the_line_for_the_hub_names_what_was_left_out(monkeypatch, tmp_path, capsys):
    on_the_hub(monkeypatch, tmp_path, "butterflies", ["name", "image"])
    load_images("butterflies", source="hub")
    printed = capsys.readouterr().out
    assert "split train: 12 pictures of 1 class: 0 butterflies (12)" in printed
    assert printed.endswith("left out: other splits, columns name\n")


def test_labels_of_the_hub_that_are_mere_numbers_are_named_as_left_out(
    monkeypatch, tmp_path, capsys
):
    on_the_hub(monkeypatch, tmp_path, "flowers", ["label", "image"])
    assert load_images("flowers", source="hub")["label"][:] == [0] * 12
    assert "columns label" in capsys.readouterr().out


def test_a_path_of_nothing_is_not_the_folder_that_python_runs_in(monkeypatch, tmp_path):
    photographs(1)[0].save(tmp_path / "1.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"source is ''.*which is empty"):
        load_images("flowers", source="")
    assert load_images("flowers", source=".").features["label"].names == [tmp_path.name]


@pytest.mark.parametrize("source", [5, True, b"here", ["here"]])
def test_a_source_that_is_no_path_is_refused_by_its_value(source):
    says = f"source is {source!r}, which is neither a name nor a path"
    with pytest.raises(TypeError, match=re.escape(says)):
        load_images("flowers", source=source)


@pytest.mark.parametrize("source", ["a\0b", "long" * 1000, "long" * 1000 + ".npy", " "])
def test_a_path_that_cannot_be_is_one_that_is_not_there(source):
    with pytest.raises(ValueError, match=r"^source is .*check the path; it was looked for at"):
        load_images("flowers", source=source)


@pytest.mark.parametrize("name", [None, ["digits"], "Digits", 3])
def test_a_name_of_another_kind_is_unknown(name):
    with pytest.raises(ValueError, match=re.escape(f"There is no data set {name!r}")):
        load_images(name)


SHOW = """
import sys
from course_utils.data import load_images
load_images("flowers", source=sys.argv[1])
"""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_the_line_is_printed_wherever_it_goes(tmp_path, encoding):
    """On a terminal of C's locale, or into a file on Windows, there are few letters."""
    (tmp_path / "\u65e5\u672c").mkdir()
    photographs(1)[0].save(tmp_path / "\u65e5\u672c" / "1.png")
    done = subprocess.run(
        [sys.executable, "-c", SHOW, tmp_path],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    line = done.stdout.decode(encoding)
    assert line.count("\n") == 1
    assert ("0 \u65e5\u672c (1)" if encoding == "utf-8" else r"0 \u65e5\u672c (1)") in line


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    photographs(1)[0].save(tmp_path / "1.png")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", str(tmp_path), 1))
    assert len(load_images("flowers", source="~")) == 1


@pytest.mark.parametrize(("name", "told"), [("a.zip", "Unpack"), ("a.png", "Give the folder")])
def test_another_kind_of_file_is_refused_with_what_to_do(tmp_path, name, told):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"another kind of file.*{told}"):
        load_images("flowers", source=tmp_path / name)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".gz", ".TGZ", ".7z", ".rar"])
def test_an_archive_is_to_be_unpacked(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    path.touch()
    assert refusal(lambda: load_images("flowers", source=path)) == (
        f"source is {str(path)!r}, which for flowers is neither 'drawn' nor 'hub' nor a folder, "
        ".npy or .npz file that exists. It is another kind of file. Choose one of those, or check "
        f"the path; it was looked for at {path}. Unpack it, and give the folder."
    )


def test_refusals_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refusal(lambda: load_images("sprites", source="nowhere")) == (
        "source is 'nowhere', which for sprites is neither 'drawn' nor a folder, .npy or .npz "
        f"file that exists. Choose one of those, or check the path; it was looked for at "
        f"{tmp_path / 'nowhere'}."
    )
    assert refusal(lambda: load_images("digits", source="")) == (
        "source is '', which for digits is neither 'bundled' nor 'drawn' nor 'hub' nor a folder, "
        ".npy or .npz file that exists. Choose one of those, or check the path, which is empty."
    )
    with pytest.raises(ValueError, match="no data set") as error:
        load_images("faces")
    known = "['butterflies', 'digits', 'flowers', 'sprites']"
    assert str(error.value) == f"There is no data set 'faces'; choose from {known}."
    assert refusal(lambda: load_images("sprites", source="hub")) == (
        "source is 'hub', but there is no set of sprites on the Hub that this course knows. Use "
        "source='drawn', or the path of a folder, .npy or .npz file of your own."
    )
    assert refusal(lambda: load_images("digits", source=tmp_path, count=3)) == (
        f"count is 3, size None and first None, but only drawn pictures can be had in any number "
        f"and size, and source is {str(tmp_path)!r}. Leave them out; prepare() resizes."
    )


def test_the_line_of_the_digits(capsys):
    load_images("digits")
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    each = ", ".join(f"{k} {k} ({count})" for k, count in enumerate(counts))
    line = f"digits, bundled with scikit-learn: 1,797 pictures of 10 classes: {each}\n"
    assert capsys.readouterr().out == line


def test_number_and_first_number_go_to_those_who_draw():
    ten = load_images("sprites", count=10)
    rest = load_images("sprites", count=5, first=5)
    for k in range(5):
        np.testing.assert_array_equal(np.asarray(rest[k]["image"]), np.asarray(ten[5 + k]["image"]))
    assert len(load_images("sprites")) == 1_000
    with pytest.raises(TypeError, match="source is 3") as error:
        load_images("sprites", source=3)
    assert str(error.value) == (
        "source is 3, which is neither a name nor a path. Give the name of a source, such as "
        "'hub', or the path of your own pictures as a str or a pathlib.Path."
    )
