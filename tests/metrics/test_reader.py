"""The reader reads real digits and drawn sprites, and is not fooled by noise."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from course_utils.data import KINDS, ImageTensors, draw_many, hold_out, load_images, prepare
from course_utils.metrics import PictureReader


@pytest.fixture(scope="module")
def parts():
    train, held_out = hold_out(load_images("digits"), 600)
    return prepare(train, 16, channels=1), prepare(held_out, 16, channels=1)


def test_reads_real_digits_it_never_saw(parts):
    reading = PictureReader(parts[1]).read(parts[0].images, parts[0].labels)
    assert reading.accuracy > 0.97


def drawn_sprites(count, seed):
    pictures, labels = draw_many("sprites", count, 16, seed=seed)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    return ImageTensors(images, torch.from_numpy(labels), KINDS["sprites"])


def test_reads_sprites_of_other_seeds_in_colour():
    unseen = drawn_sprites(300, seed=2)
    reader = PictureReader(drawn_sprites(600, seed=1))
    assert reader.read(unseen.images, unseen.labels).accuracy > 0.98
    wrong = (unseen.labels + 1) % 5
    assert reader.read(unseen.images, wrong).accuracy < 0.02
    blank = torch.ones_like(unseen.images[:50]).float()
    assert reader.read(blank, unseen.labels[:50]).accuracy == 0.2  # one kind for all of them


def test_equals_scikit_learns_classifier(parts):
    train, held_out = parts
    flat = held_out.images.flatten(1).numpy() / 255
    expected = SVC(C=10.0).fit(flat, held_out.labels).predict(train.images.flatten(1) / 255)
    reading = PictureReader(held_out).read(train.images, train.labels)
    np.testing.assert_array_equal(reading.labels, expected)
    assert reading.accuracy == (expected == train.labels.numpy()).mean()


def test_floats_and_bytes_are_read_alike(parts):
    reader = PictureReader(parts[1])
    x0, labels = parts[0].batch(range(100))
    as_bytes = reader.read(parts[0].images[:100], labels)
    np.testing.assert_array_equal(reader.read(x0, labels).labels, as_bytes.labels)


def test_noise_is_read_right_no_more_often_than_by_chance(parts):
    noise = torch.randn(500, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    wanted = [k % 10 for k in range(500)]
    assert PictureReader(parts[1]).read(noise, wanted).accuracy < 0.2


def test_other_shapes_and_missing_labels_are_refused(parts):
    reader = PictureReader(parts[1])
    with pytest.raises(ValueError, match="16, 16"):
        reader.read(torch.zeros(2, 1, 8, 8), [0, 1])
    with pytest.raises(ValueError, match="1 wanted"):
        reader.read(torch.zeros(2, 1, 16, 16), [0])


def test_a_single_class_is_refused():
    one = ImageTensors(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3).long(), ("a",))
    with pytest.raises(ValueError, match="1 class"):
        PictureReader(one)
