"""From numbers to pictures: no byte is lost, nothing wraps, nothing stands on its head."""

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.data import as_scanned, image_grid, to_pil, to_uint8


def test_every_byte_comes_back_as_itself():
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(to_uint8(every.float() / 127.5 - 1), every)


def test_values_outside_are_clamped_and_do_not_wrap():
    assert to_uint8(torch.tensor([-1.5, -1.0, 1.0, 1.5])).tolist() == [0, 0, 255, 255]


def test_halves_are_rounded_not_cut():
    assert to_uint8(torch.tensor([0.6 / 127.5 - 1, 0.4 / 127.5 - 1])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("images", "match"),
    [(torch.zeros(3, dtype=torch.uint8), "uint8"), (torch.tensor([float("nan")]), "NaN")],
)
def test_bytes_and_nan_are_refused(images, match):
    with pytest.raises(ValueError, match=match):
        to_uint8(images)


def test_to_pil_gives_grey_and_colour_the_right_way_up():
    grey = torch.tensor([[-1.0, 1.0]]).view(1, 1, 1, 2)
    (image,) = to_pil(grey)
    assert (image.mode, image.size) == ("L", (2, 1))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [0, 255]
    colour = torch.full((2, 3, 4, 4), -1.0)
    colour[:, 0] = 1
    assert to_pil(colour)[1].getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 2, 8, 8)])
def test_to_pil_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="shape"):
        to_pil(torch.zeros(shape))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize(("count", "size"), [(1, (5, 3)), (4, (10, 6)), (5, (15, 6))])
def test_a_grid_has_every_picture_in_its_place_and_black_where_there_is_none(
    channels, mode, count, size
):
    shades = torch.linspace(-0.5, 1, count).view(-1, 1, 1, 1).expand(-1, channels, 3, 5)
    grid = image_grid(shades)
    assert (grid.mode, grid.size) == (mode, size)
    tiles = np.asarray(grid).reshape(size[1] // 3, 3, size[0] // 5, 5, channels)
    seen = tiles.transpose(0, 2, 1, 3, 4).reshape(-1, 15 * channels)
    expected = [*to_uint8(shades)[:, 0, 0, 0].tolist(), 0][: len(seen)]
    assert (seen == np.array(expected)[:, None]).all()


def test_a_grid_of_no_pictures_is_refused():
    with pytest.raises(
        ValueError, match=r"^There are no pictures to lay out; images has no rows\.$"
    ):
        image_grid(torch.zeros(0, 3, 4, 4))


def test_half_precision_is_scaled_as_precisely_as_floats_are():
    every = torch.linspace(-1, 1, 2_001)
    for dtype in (torch.float16, torch.bfloat16):
        coarse = every.to(dtype)
        assert torch.equal(to_uint8(coarse), to_uint8(coarse.float()))


def test_refusals_to_the_letter():
    with pytest.raises(ValueError, match="int64") as error:
        to_uint8(torch.zeros(3).long())
    assert str(error.value) == "images are torch.int64; this takes floats in [-1, 1]."
    with pytest.raises(ValueError, match="NaN") as error:
        to_uint8(torch.tensor([0.0, float("nan")]))
    assert str(error.value) == "images hold NaN; the network or the scheduler has diverged."
    for shape in ((3, 8, 8), (1, 2, 8, 8), (1, 1, 3, 8, 8)):
        with pytest.raises(ValueError, match="shape") as error:
            to_pil(torch.zeros(shape))
        told = f"images have shape {shape}; expected (N, C, H, W) with C = 1 or 3."
        assert str(error.value) == told


def test_a_scanned_digit_is_framed_by_its_ink_and_counted_in_blocks():
    page = np.full((40, 40), 100, np.uint8)  # grey paper is no ink
    page[10:26, 30:38] = 200  # a stroke twice as high as wide, far from the middle
    stroke = as_scanned(Image.fromarray(page))
    assert stroke.dtype == torch.uint8
    assert stroke.tolist() == [[[0, 0, 255, 255, 255, 255, 0, 0]] * 8]
    page[10:18, 30:38] = np.indices((8, 8)).sum(0) % 2 * 255  # its upper half as a chessboard
    upper = as_scanned(Image.fromarray(page))[0, :4, 2:6].float().mean()
    assert 0.4 < upper / 255 < 0.6
    empty = as_scanned(Image.fromarray(np.zeros((28, 28), np.uint8)))
    assert empty.tolist() == [[[0] * 8] * 8]
