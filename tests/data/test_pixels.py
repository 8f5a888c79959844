"""Numbers become bytes, pictures, and a grid of pictures."""

import numpy as np
import pytest
import torch

from course_utils.data import image_grid, to_pil, to_uint8


def test_bytes_come_back_as_the_same_bytes_and_the_rest_is_clamped():
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(every.float() / 127.5 - 1), every)
    assert to_uint8(torch.tensor([-1.1, 1.1, -9.0])).tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("images", "told"),
    [(torch.zeros(1, dtype=torch.uint8), "uint8"), (torch.tensor([0 / 1, float("nan")]), "NaN")],
)
def test_what_is_no_picture_is_refused(images, told):
    with pytest.raises(ValueError, match=told):
        to_uint8(images)


def test_pictures_have_their_mode_and_size():
    assert [(p.mode, p.size) for p in to_pil(torch.zeros(2, 1, 3, 5))] == [("L", (5, 3))] * 2
    assert to_pil(torch.zeros(1, 3, 3, 5))[0].mode == "RGB"
    with pytest.raises(ValueError, match=r"\(1, 2, 3, 5\)"):
        to_pil(torch.zeros(1, 2, 3, 5))


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
    with pytest.raises(ValueError, match="no pictures"):
        image_grid(torch.zeros(0, 3, 4, 4))
