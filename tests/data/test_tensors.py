"""Pictures are split without overlap and become batches, decoded once, in [-1, 1]."""

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.data import (
    ImageTensors,
    find_duplicates,
    hold_out,
    hold_out_groups,
    load_images,
    prepare,
)
from tests.refusals import refusal


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def test_hold_out_splits_without_overlap_and_keeps_shares(digits):
    marked = digits.add_column("row", list(range(len(digits))))
    train, held = hold_out(marked, 600, seed=0)
    assert len(held) == 600
    assert set(train["row"]) | set(held["row"]) == set(range(1_797))
    assert not set(train["row"]) & set(held["row"])
    share = np.bincount(held["label"][:]) / np.bincount(digits["label"][:])
    np.testing.assert_allclose(share, 600 / 1_797, atol=0.01)


def test_hold_out_repeats_by_seed(digits):
    same = [hold_out(digits, 600, seed=s)[1]["label"][:] for s in (1, 1, 2)]
    assert same[0] == same[1]
    assert same[0] != same[2]


@pytest.mark.parametrize("count", [0, 9, 1_797])
def test_hold_out_refuses_a_part_without_pictures(digits, count):
    with pytest.raises(ValueError, match=f"count is {count}"):
        hold_out(digits, count)


def labelled(*sizes):
    names = [f"kind {k}" for k in range(len(sizes))]
    labels = [k for k, size in enumerate(sizes) for _ in range(size)]
    features = datasets.Features({"label": datasets.ClassLabel(names=names)})
    return datasets.Dataset.from_dict({"label": labels}, features=features)


@pytest.mark.parametrize(
    ("sizes", "count", "told"),
    [
        ((50, 2), 4, "share of 'kind 1' is 0.2"),
        ((50, 2), 48, "share of 'kind 1' is 1.8"),  # of 4 to learn from, none would be left
        ((50, 1), 10, "one picture of 'kind 1'"),
    ],
)
def test_hold_out_names_a_label_too_small_for_both_parts(sizes, count, told):
    with pytest.raises(ValueError, match=told):
        hold_out(labelled(*sizes), count)


@pytest.mark.parametrize("count", [14, 26, 38])
def test_hold_out_has_every_label_in_both_parts_whatever_the_seed(count):
    for seed in range(20):
        for part in hold_out(labelled(50, 2), count, seed):
            assert set(part["label"]) == {0, 1}


def test_hold_out_asks_nothing_of_a_label_without_pictures():
    learn, judge = hold_out(labelled(10, 0, 10), 2)
    assert (len(learn), judge["label"][:]) == (18, [0, 2]) or judge["label"][:] == [2, 0]


def split(how, dataset, count, seed=0):
    return how(dataset, *([[]] if how is hold_out_groups else []), count, seed)


@pytest.mark.parametrize("how", [hold_out, hold_out_groups])
def test_a_split_wants_whole_numbers(digits, how):
    for wrong in (20.0, 20.5, "20", None, True):
        with pytest.raises(TypeError, match=f"^count is {wrong!r}, which is not a whole number"):
            split(how, digits, wrong)
    for wrong in (0.5, None, "1"):
        with pytest.raises(TypeError, match=f"^seed is {wrong!r}, which is not a whole number"):
            split(how, digits, 20, wrong)
    with pytest.raises(ValueError, match=r"^seed is -1; use 0 or more"):
        split(how, digits, 20, -1)
    assert len(split(how, digits, np.int64(20), np.int64(1))[1]) == 20


@pytest.mark.parametrize("how", [hold_out, hold_out_groups])
def test_a_split_without_labels_is_refused(digits, how):
    with pytest.raises(ValueError, match=r"no column 'label', only \['image'\]"):
        split(how, digits.remove_columns("label"), 20)


def test_prepare_keeps_bytes_when_nothing_has_to_change(digits):
    tensors = prepare(digits.select(range(50)), image_size=8, channels=1)
    assert tensors.images.dtype == torch.uint8
    assert tensors.images.shape == (50, 1, 8, 8)
    assert tensors.labels.tolist() == digits["label"][:50]
    for row in (0, 49):
        np.testing.assert_array_equal(tensors.images[row, 0], np.asarray(digits[row]["image"]))


def test_prepare_crops_the_middle_and_resizes():
    """A wide picture: black, a white square in the middle, black. What is left is white."""
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    rows = {"image": [Image.fromarray(wide)], "label": [0]}
    tensors = prepare(_dataset(rows), image_size=10)
    assert tensors.images.shape == (1, 3, 10, 10)
    assert (tensors.images == 255).all()


def _dataset(rows, names=("a",)):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


@pytest.mark.parametrize(
    ("size", "channels", "match"), [(0, 1, "image_size is 0"), (8, 2, "channels is 2")]
)
def test_prepare_refuses_what_cannot_be(digits, size, channels, match):
    with pytest.raises(ValueError, match=match):
        prepare(digits.select(range(2)), size, channels)


@pytest.mark.parametrize("size", ["8", 8.0, 8.5, None, True])
def test_prepare_refuses_a_size_that_is_no_whole_number(digits, size):
    with pytest.raises(TypeError, match=f"^image_size is {size!r}, which is not a whole number"):
        prepare(digits.select(range(2)), size, 1)


def test_prepare_takes_a_size_that_numpy_counted(digits):
    assert prepare(digits.select(range(2)), np.int64(4), 1).images.shape == (2, 1, 4, 4)


@pytest.mark.parametrize("channels", ["3", True, 2, 4])
def test_prepare_refuses_channels_by_value(digits, channels):
    says = f"^channels is {channels!r}; use 1 for grey or 3 for RGB.$"
    with pytest.raises(ValueError, match=says):
        prepare(digits.select(range(2)), 8, channels)


def test_prepare_does_not_take_any_word_for_a_yes(digits):
    with pytest.raises(TypeError, match=r"^flip is 'no'; it must be True or False\.$"):
        prepare(digits.select(range(2)), 8, 1, flip="no")


@pytest.mark.parametrize("wrong", ["a folder", [1, 2], {"image": 1}])
def test_prepare_refuses_what_is_no_data_set(wrong):
    says = rf"dataset is a {type(wrong).__name__} with the columns \{{\}}; it must have"
    with pytest.raises(ValueError, match=says):
        prepare(wrong, 8)


def test_prepare_wants_labels_with_names_and_pictures_that_are_pictures():
    rows = {"image": [Image.new("RGB", (8, 8))], "label": [3]}
    named = _dataset({"image": rows["image"], "label": [0]})
    numbers = named.cast_column("label", datasets.Value("int64"))
    for wrong in (numbers, named.remove_columns("label"), named.rename_column("image", "picture")):
        with pytest.raises(ValueError, match=r"dataset is a Dataset with the columns .*as load_im"):
            prepare(wrong, 8)
    mended = numbers.class_encode_column("label")  # as the message advises
    assert prepare(mended, 8).names == ("0",)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (None, r"row 1 cannot be used: there is none \(None\)"),
        ({"path": None, "bytes": b"torn"}, "row 1 cannot be used: cannot identify"),
        (Image.new("F", (8, 8)), "row 1 cannot be used: floating-point pixels"),
    ],
)
def test_a_picture_that_cannot_be_used_is_named_by_its_row(bad, says):
    dataset = _dataset({"image": [Image.new("RGB", (8, 8)), bad], "label": [0, 0]})
    with pytest.raises(ValueError, match=says):
        prepare(dataset, 8)
    with pytest.raises(ValueError, match=says):
        find_duplicates(dataset)


def test_the_row_is_counted_however_far_it_is():
    pictures = [Image.new("L", (8, 8))] * 3
    with pytest.raises(ValueError, match="row 3 cannot be used"):
        prepare(_dataset({"image": [*pictures, None], "label": [0] * 4}), 8)


def test_a_picture_that_cannot_be_used_to_the_letter():
    dataset = _dataset({"image": [None], "label": [0]})
    assert refusal(lambda: prepare(dataset, 8)) == (
        "The picture in row 0 cannot be used: there is none (None). Mend it or leave the row out."
    )
    assert refusal(lambda: prepare([], 8)) == (
        "dataset is a list with the columns {}; it must have a column 'image' of pictures and a "
        "column 'label' of named classes, as load_images gives. Of labels without names "
        "dataset.class_encode_column('label') makes some with."
    )


def test_prepare_resizes_the_middle_smoothly():
    ramp = np.add.outer(np.arange(30) * 5, np.arange(20) * 4).astype(np.uint8)
    picture = Image.fromarray(np.dstack([ramp, ramp[::-1], ramp[:, ::-1]]))
    made = prepare(_dataset({"image": [picture], "label": [0]}), 7).images[0]
    middle = picture.crop((0, 5, 20, 25)).resize((7, 7), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(made.permute(1, 2, 0).numpy(), np.asarray(middle))
    grey = prepare(_dataset({"image": [picture], "label": [0]}), 20, channels=1).images[0, 0]
    np.testing.assert_array_equal(grey.numpy(), np.asarray(picture.convert("L"))[5:25])


def test_prepare_hands_on_labels_names_and_whether_to_flip(digits):
    made = prepare(digits.select([3, 5]), 8, 1, flip=True)
    assert (made.flip, len(made), made.names) == (True, 2, tuple("0123456789"))
    assert made.labels.tolist() == digits["label"][:][3:6:2]
    assert made.labels.dtype == torch.int64
    assert prepare(digits.select([3]), 8).flip is False
    assert prepare(digits.select([3]), 8).images.shape == (1, 3, 8, 8)


@pytest.mark.parametrize("count", [1, 9, 1_788, 1_797])
def test_hold_out_tells_between_which_counts_it_can_choose(digits, count):
    assert refusal(lambda: hold_out(digits, count)) == (
        f"count is {count}; with 1797 pictures of 10 labels it must lie between 10 and 1787."
    )
    assert len(hold_out(digits, 10)[1]) == 10
    assert len(hold_out(digits, 1_787)[0]) == 10


def test_hold_out_refusals_to_the_letter():
    few = _dataset({"image": [Image.new("L", (2, 2))] * 3, "label": [0, 0, 1]}, ["a", "b"])
    assert refusal(lambda: hold_out(few.select([0, 1, 2, 0]), 2)) == (
        "There is one picture of 'b', and both parts need one: add more of them, or leave them out."
    )
    rare = _dataset({"image": [Image.new("L", (2, 2))] * 52, "label": [0] * 50 + [1] * 2}, "ab")
    assert refusal(lambda: hold_out(rare, 4)) == (
        "count is 4, and the share of 'b' is 0.2 of those: its 2 pictures among 52 are too few "
        "for both parts. Choose another count, add pictures of it, or leave it out."
    )


def test_prepare_refuses_an_empty_set(digits):
    with pytest.raises(ValueError, match=r"^The data set is empty; there is no picture to prep"):
        prepare(digits.select([]), 8, 1)


def test_batch_is_scaled_to_minus_one_and_one():
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    tensors = ImageTensors(ramp, torch.tensor([0]), ("a",))
    x0, labels = tensors.batch([0, 0])
    assert x0.dtype == torch.float32
    assert labels.tolist() == [0, 0]
    expected = torch.linspace(-1, 1, 256).view(1, 16, 16)
    torch.testing.assert_close(x0[1], expected, atol=1e-6, rtol=0)


def test_flip_mirrors_about_half_and_only_where_asked():
    ramp = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).repeat(400, 1, 1, 1)
    labels = torch.zeros(400, dtype=torch.int64)
    still = ImageTensors(ramp, labels, ("a",)).batch(range(400))[0]
    assert (still == still[0]).all()

    flipping = ImageTensors(ramp, labels, ("a",), flip=True)
    x0 = flipping.batch(range(400), torch.Generator().manual_seed(0))[0]
    mirrored = (x0[:, 0, 0, 0] > x0[:, 0, 0, 3]).float().mean()
    assert 0.4 < mirrored < 0.6
    again = flipping.batch(range(400), torch.Generator().manual_seed(0))[0]
    assert torch.equal(x0, again)
