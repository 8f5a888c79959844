"""Pictures from a folder, an array, the Hub or the course all become the same tensors."""

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.data import DataUnavailableError, draw_many, load_tensors
from course_utils.data.anywhere import advised_size
from tests.refusals import refusal

PICTURES, LABELS = draw_many("sprites", 10, 16)
WORDS = np.array(["hero", "monster", "food", "spell", "potion"])


def put(folder, count=10):
    for k in range(count):
        (folder / WORDS[LABELS[k]]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(PICTURES[k]).save(folder / WORDS[LABELS[k]] / f"{k}.png")


def in_order(data):
    """The pictures in an order that does not depend on where they came from."""
    rows = sorted(range(len(data)), key=lambda k: data.images[k].numpy().tobytes())
    return data.images[rows], [data.names[data.labels[k]] for k in rows]


def test_a_folder_and_an_array_give_the_same(tmp_path, capsys):
    put(tmp_path / "mine")
    np.savez(tmp_path / "mine.npz", images=PICTURES, labels=LABELS, classes=WORDS)
    np.save(tmp_path / "mine.npy", PICTURES)
    np.save(tmp_path / "mine_labels.npy", WORDS[LABELS])
    loaded = [load_tensors(tmp_path / f"mine{end}", 16) for end in ("", ".npz", ".npy")]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("mine")[1].split(" ")[0] for line in lines] == [":", ".npz:", ".npy:"]
    wanted = in_order(loaded[0])
    assert set(wanted[1]) == set(WORDS)
    for data in loaded:
        images, words = in_order(data)
        assert torch.equal(images, wanted[0])
        assert words == wanted[1]


def test_a_set_of_the_course_is_called_by_its_name(capsys):
    assert load_tensors("digits", 8).images.shape == (1_797, 1, 8, 8)
    assert capsys.readouterr().out.startswith("digits, bundled with scikit-learn: 1,797 pic")


def test_a_set_on_the_hub_is_found_by_its_columns(tmp_path, monkeypatch, capsys):
    features = {"photo": datasets.Image(), "kind": datasets.ClassLabel(names=list(WORDS))}
    features |= {"index": datasets.Value("int64")}
    rows = {"photo": list(PICTURES), "kind": list(LABELS), "index": list(range(10))}
    there = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: there)
    data = load_tensors("somebody/sprites", 16)
    assert data.names == tuple(WORDS)
    assert torch.equal(data.labels, torch.from_numpy(LABELS))
    assert torch.equal(data.images, torch.from_numpy(PICTURES).permute(0, 3, 1, 2))
    told = capsys.readouterr().out
    assert told.startswith("sprites, somebody/sprites on the Hub, split train: 10 pictures of 5")
    assert told.endswith("; left out: other splits, columns index\n")


@pytest.mark.parametrize("where", [None, 5, ["digits"]])
def test_what_is_no_path_is_refused_by_its_value(where):
    with pytest.raises(TypeError, match=r"^where is .*; it must be a path"):
        load_tensors(where, 16)


def test_what_is_not_on_the_hub_is_told_so(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataUnavailableError, match="'nobody/nothing' could not be loaded"):
        load_tensors("nobody/nothing", 16)


@pytest.mark.parametrize("where", ["nothing", "a/b/c", "./nothing/here"])
def test_what_is_nowhere_is_told_with_what_there_could_be(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    told = refusal(lambda: load_tensors(where, 16))
    assert told.startswith(f"{where!r} is no folder of pictures, no .npy or .npz file, and no set")
    assert "digits, sprites, butterflies, flowers" in told
    assert str(tmp_path) in told


def test_a_mistyped_path_is_told_beside_what_the_hub_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    told = refusal(lambda: load_tensors("my/pics", 16), DataUnavailableError)
    assert told.startswith(
        f"There is no folder or file {tmp_path / 'my' / 'pics'}, and 'my/pics' could not be loaded "
        "from the Hugging Face Hub: "
    )


@pytest.mark.parametrize(
    ("name", "says"), [("a.zip", "Unpack it, and give"), ("a.png", "Give the folder that it lies")]
)
def test_another_kind_of_file_is_told_with_what_to_do(tmp_path, name, says):
    (tmp_path / name).touch()
    told = refusal(lambda: load_tensors(tmp_path / name, 16))
    assert f"{tmp_path / name}. It is another kind of file. {says}" in told


def test_arrays_of_many_channels_keep_them_all(tmp_path, capsys):
    many = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 5), dtype=np.uint8)
    np.save(tmp_path / "maps.npy", many)
    data = load_tensors(tmp_path / "maps.npy")
    assert torch.equal(data.images, torch.from_numpy(many).permute(0, 3, 1, 2))
    assert "6 pictures; 1 class: 0 0 (6); 30×20 pixels; 5 channels; not" in capsys.readouterr().out
    half = load_tensors(tmp_path / "maps.npy", (10, 15), fit="squash").images
    for k in range(5):  # each as it would be alone
        np.save(tmp_path / "one.npy", many[..., k])
        alone = load_tensors(tmp_path / "one.npy", (10, 15), fit="squash").images
        assert torch.equal(half[:, k : k + 1], alone)
    assert refusal(lambda: load_tensors(tmp_path / "maps.npy", channels=3)) == (
        "channels is 3, and the pictures have 5. Leave it out to keep all of them, or choose yours "
        "before you save them: pictures[..., :3]."
    )


def test_channels_of_arrays_can_be_chosen_between_grey_and_colour(tmp_path):
    np.save(tmp_path / "a.npy", PICTURES)
    np.save(tmp_path / "b.npy", PICTURES[..., 0])
    assert load_tensors(tmp_path / "a.npy", channels=1).images.shape == (10, 1, 16, 16)
    assert load_tensors(tmp_path / "b.npy", channels=3).images.shape == (10, 3, 16, 16)
    assert load_tensors(tmp_path / "b.npy").images.shape == (10, 1, 16, 16)


def test_see_through_pictures_of_a_folder_lie_on_the_colour(tmp_path, capsys):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    Image.new("LA", (4, 4), (255, 0)).save(tmp_path / "b.png")
    data = load_tensors(tmp_path, 4, background="#ffcc00")
    assert data.images[:, :, 0, 0].tolist() == [[255, 204, 0]] * 2
    assert "2 see-through, laid on #ffcc00 (a.png, b.png)" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="brightest value"):
        assert load_tensors(tmp_path, 4, background="black", channels=1).images.max() == 0


def test_a_see_through_grey_of_16_bits_lies_on_the_colour(tmp_path):
    deep = Image.fromarray(np.array([[0, 65_535], [0, 65_535]], np.uint16))
    deep.info["transparency"] = 65_535
    from course_utils.data.plain import to_plain

    assert np.asarray(to_plain(deep, "#ffcc00"))[:, 1].tolist() == [[255, 204, 0]] * 2
    assert np.asarray(to_plain(deep, "#070707")).tolist() == [[0, 7], [0, 7]]


def test_a_turned_photograph_is_upright(tmp_path):
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right: what was left is at the top
    Image.fromarray(wide).save(tmp_path / "a.jpg", exif=exif, quality=95)
    data = load_tensors(tmp_path, (40, 20))
    assert data.images[0, :, :15].min() > 240
    assert data.images[0, :, 25:].max() < 15
    # Its own size, which nobody has named, is that of the upright one.
    assert torch.equal(load_tensors(tmp_path).images, data.images)


@pytest.mark.parametrize(
    ("sizes", "size"),
    [
        ([(28, 28)] * 3, 28),
        ([(40, 32)] * 3, (32, 40)),
        ([(40, 40)], 40),
        ([(41, 41)], 32),
        ([(4032, 3024), (3024, 4032)], 32),
        ([(20, 40), (24, 24), (500, 500)], 16),
    ],
)
def test_a_size_is_advised_where_none_is_named(sizes, size):
    assert advised_size(sizes) == size


def test_an_archive_of_arrays_is_refused_where_it_cannot_be_understood(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, first=PICTURES, second=PICTURES)
    told = refusal(lambda: load_tensors(path))
    assert f"{path} holds first uint8 (10, 16, 16, 3), second uint8 (10, 16, 16, 3); it" in told
    assert "numpy.savez('mine.npz', images=…, labels=…)" in told
    np.savez(path, images=PICTURES, labels=LABELS[:4])
    assert f"'labels' in {path} holds int64 of shape (4,); for 10" in refusal(
        lambda: load_tensors(path)
    )
    np.savez(path, images=PICTURES, labels=LABELS, classes=WORDS[:3])
    assert "goes up to 4, and the file names 3 classes (hero, monster, food)" in refusal(
        lambda: load_tensors(path)
    )
    path.write_bytes(path.read_bytes()[:200])
    assert f"{path} cannot be read as arrays: " in refusal(lambda: load_tensors(path))
    np.savez(path, labels=LABELS)
    assert f"{path} holds labels int64 (10,); it cannot be told" in refusal(
        lambda: load_tensors(path)
    )


def test_an_archive_names_what_it_has_besides(tmp_path, capsys):
    path = tmp_path / "a.npz"
    np.savez(path, pictures=PICTURES, y=WORDS[LABELS], note=np.array("mine"), split=LABELS)
    data = load_tensors(path)
    assert data.names == tuple(sorted(WORDS))
    assert capsys.readouterr().out.endswith(
        "labels from its array 'y'; in it and not used: note, split\n"
    )
