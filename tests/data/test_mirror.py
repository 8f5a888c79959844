"""Whether mirroring harms is measured: it does digits, and does not what stands either way."""

import numpy as np
import pytest
import torch

from course_utils.data import ImageTensors, draw_many, try_mirror
from course_utils.data.mirror import Mirror


def drawn(family, count, size, seed=0):
    pictures, labels = draw_many(family, count, size, seed)
    images = torch.from_numpy(pictures.reshape(count, size, size, -1)).permute(0, 3, 1, 2)
    return ImageTensors(images, torch.from_numpy(labels), tuple(map(str, range(10))))


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_harmed_and_the_others_are_not(seed):
    found = try_mirror(drawn("digits", 150, 16, seed))
    assert not found.harmless
    assert found.share > 0.7
    assert found.further > 1.15
    for family in ("sprites", "flowers", "butterflies"):
        assert try_mirror(drawn(family, 150, 16, seed)).harmless, family


def test_what_is_its_own_mirror_image_lies_as_far_as_before():
    found = try_mirror(drawn("butterflies", 120, 16))
    assert (found.share, found.further) == (0.5, 1.0)


def test_copies_count_once():
    """With copies nothing would lie nearer than a picture's own copy."""
    data = drawn("flowers", 60, 16)
    twice = ImageTensors(data.images.repeat(2, 1, 1, 1), data.labels.repeat(2), data.names)
    assert try_mirror(twice) == try_mirror(data)


def test_a_few_pictures_tell_nothing_and_many_are_thinned_out():
    assert not Mirror(share=0.5, further=1.0, count=99).harmless
    assert Mirror(share=0.5, further=1.0, count=100).harmless
    assert Mirror(share=0.9, further=1.15, count=100).harmless
    assert not Mirror(share=0.61, further=1.16, count=100).harmless
    one = ImageTensors(torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(5).long(), ("a",))
    assert try_mirror(one) == Mirror(share=0.5, further=1.0, count=1)
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1_200, 1, 4, 6), np.uint8))
    assert try_mirror(ImageTensors(noise, torch.zeros(1_200).long(), ("a",))).count == 1_000
