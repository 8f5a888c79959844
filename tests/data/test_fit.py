"""Pictures of any shape are brought to the size asked for, in the way asked for."""

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.data import image_grid, load_images, prepare
from course_utils.data.fit import check_fit, check_size, fitted, read_size, told_size
from tests.refusals import refusal


def striped():
    """30 wide and 10 high: a third red, a third green, a third blue."""
    array = np.zeros((10, 30, 3), np.uint8)
    for k in range(3):
        array[:, 10 * k : 10 * k + 10, k] = 255
    return Image.fromarray(array)


def test_crop_keeps_the_middle():
    made = fitted(striped(), (5, 5), "crop", "white")
    assert made.getcolors() == [(25, (0, 255, 0))]


def test_crop_keeps_as_much_as_the_shape_allows():
    """Twice as wide as high: half of each outer third stays."""
    made = np.asarray(fitted(striped(), (10, 20), "crop", "white"))
    np.testing.assert_array_equal(made, np.asarray(striped())[:, 5:25])
    tall = np.asarray(fitted(striped().transpose(Image.Transpose.ROTATE_90), (20, 10), "crop", "0"))
    np.testing.assert_array_equal(tall, np.rot90(np.asarray(striped()))[5:25])


def test_pad_keeps_all_and_fills_up_with_the_colour():
    made = np.asarray(fitted(striped(), (30, 30), "pad", "#ffcc00"))
    np.testing.assert_array_equal(made[10:20], np.asarray(striped()))
    assert (np.concatenate([made[:10], made[20:]]) == (255, 204, 0)).all()
    beside = np.asarray(fitted(striped(), (10, 40), "pad", "white"))
    np.testing.assert_array_equal(beside[:, 5:35], np.asarray(striped()))
    assert (beside[:, :5] == 255).all()


def test_squash_keeps_all_and_bends_it():
    made = np.asarray(fitted(striped(), (10, 15), "squash", "white")).astype(int)
    for k in range(3):
        assert (made[:, 5 * k + 2, k] > 250).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (5, 7), (64, 2)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (13, 17)])
def test_every_picture_gets_just_the_size(fit, size, shape):
    made = fitted(Image.new("L", shape, 128), size, fit, "white")
    assert (made.size, made.mode) == (size[::-1], "L")
    assert {128} <= set(np.asarray(made).ravel().tolist()) <= {128, 255}


@pytest.mark.parametrize(
    ("text", "size"),
    [("32", 32), ("48x32", (32, 48)), (" 48 X 32 ", (32, 48)), ("48×32", (32, 48)), ("8x8", 8)],
)
def test_a_size_is_read_as_a_shell_has_it(text, size):
    assert read_size(text) == size
    assert read_size(told_size(size)) == size


@pytest.mark.parametrize("text", ["", "0", "-3", "48x", "x32", "0x8", "8x0", "4.5", "1x2x3", "big"])
def test_what_is_no_size_is_refused(text):
    assert refusal(lambda: read_size(text)) == (
        f"The size is {text!r}; give the side of a square in pixels, such as 32, or width x "
        "height, such as 48x32."
    )


def test_a_size_is_told_with_the_width_first():
    assert (told_size((32, 48)), told_size(16), told_size([8, 8])) == ("48x32", "16", "8")


def test_sizes_that_cannot_be_are_named():
    assert check_size("n", (np.int64(3), 4)) == (3, 4)
    for wrong, says in [
        ((1, 2, 3), r"^image_size is \(1, 2, 3\); use one whole number, or \(height, width\)"),
        ((8, 8.5), r"^the width of image_size is 8.5, which is not a whole"),
        (("8", 8), r"^the height of image_size is '8', which is not a whole"),
    ]:
        with pytest.raises(TypeError, match=says):
            check_size("image_size", wrong)
    with pytest.raises(ValueError, match="the width of image_size is 0; use at least 1"):
        check_size("image_size", (8, 0))
    assert check_size("image_size", (1_024, 1)) == (1_024, 1)
    for wrong, name in [
        (1_025, "n"),
        ((1_025, 8), "the height of n"),
        ((8, 1_025), "the width of n"),
    ]:
        assert refusal(lambda wrong=wrong: check_size("n", wrong)) == (
            f"{name} is 1025 pixels; use at most 1024. A network computes with all pixels at "
            "once: on a laptop begin with 32."
        )


def test_fits_and_colours_that_are_none_are_named():
    assert refusal(lambda: check_fit("stretch", "white")) == (
        "fit is 'stretch', which is unknown. Use one of crop, pad, squash."
    )
    for wrong in ("wite", "", None, "#12", 5):
        assert refusal(lambda wrong=wrong: check_fit("pad", wrong)) == (
            f"background is {wrong!r}, which is no colour. Use a name such as 'white', or "
            "'#ffcc00'."
        )


def as_dataset(*images):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a"])}
    rows = {"image": list(images), "label": [0] * len(images)}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def test_prepare_makes_pictures_that_are_not_square():
    data = prepare(as_dataset(striped()), (10, 20))
    assert data.images.shape == (1, 3, 10, 20)
    wanted = torch.from_numpy(np.asarray(striped())[:, 5:25].copy()).permute(2, 0, 1)
    assert torch.equal(data.images[0], wanted)
    padded = prepare(as_dataset(striped()), 30, fit="pad", background="blue").images[0]
    assert padded[:, 0, 0].tolist() == [0, 0, 255]
    assert torch.equal(padded[:, 10:20, 5:25], wanted)


def test_prepare_lays_see_through_parts_on_the_colour():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    clear.putpixel((0, 0), (10, 20, 30, 255))
    made = prepare(as_dataset(clear), 4, background="#ffcc00").images[0]
    assert made[:, 0, 0].tolist() == [10, 20, 30]
    assert made[:, 3, 3].tolist() == [255, 204, 0]
    assert prepare(as_dataset(clear), 4).images[0, :, 3, 3].tolist() == [255, 255, 255]


def test_without_channels_pictures_stay_as_they_are():
    grey, red = Image.new("L", (8, 4), 100), Image.new("RGB", (8, 4), (200, 0, 0))
    assert prepare(as_dataset(grey, grey), 4, channels=None).images.shape == (2, 1, 4, 4)
    both = prepare(as_dataset(grey, red), 4, channels=None).images
    assert both.shape == (2, 3, 4, 4)
    assert both[:, :, 0, 0].tolist() == [[100, 100, 100], [200, 0, 0]]
    # A colour beside grey pictures makes them coloured; a grey one does not.
    padded = prepare(as_dataset(grey), 8, channels=None, fit="pad", background="red").images
    assert padded[0, :, 0, 0].tolist() == [255, 0, 0]
    assert padded[0, :, 4, 4].tolist() == [100, 100, 100]
    black = prepare(as_dataset(grey), 8, channels=None, fit="pad", background="black").images
    assert black[0, :, 0, 0].tolist() == [0]


def test_prepare_refuses_what_cannot_be_by_name():
    with pytest.raises(ValueError, match=r"^fit is 'cut', which is unknown"):
        prepare(load_images("digits"), 8, fit="cut")
    with pytest.raises(ValueError, match=r"^background is 'wite', which is no colour"):
        prepare(load_images("digits"), 8, background="wite")


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (5, "RGB")])
def test_grids_show_what_a_screen_can_of_any_channels(channels, mode):
    images = torch.full((4, channels, 3, 5), -1.0)
    images[:, 0] = 1
    grid = image_grid(images)
    assert (grid.size, grid.mode) == ((10, 6), mode)
    assert grid.getpixel((0, 0)) == (255 if mode == "L" else (255, 0, 0))
