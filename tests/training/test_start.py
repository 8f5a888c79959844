"""What a network keeps that begins with the weights of another one."""

import pytest
import torch

from course_utils.data import ImageTensors
from course_utils.models import UNet
from course_utils.sampling import open_network
from course_utils.sampling.opening import Opened
from course_utils.training import plan
from course_utils.training.start import started


def of(names, channels=3, side=16):
    images = torch.zeros(len(names), channels, side, side, dtype=torch.uint8)
    return ImageTensors(images, torch.arange(len(names)), tuple(names))


@pytest.fixture(scope="module")
def sprites():
    return open_network("sprites-16")


@torch.inference_mode()
def answers(model, labels, side=16):
    torch.manual_seed(0)
    noisy = torch.randn(len(labels), 3, side, side)
    return model(noisy, torch.tensor(300), class_labels=torch.tensor(labels)).sample


def test_a_label_of_the_same_name_keeps_what_was_learned(sprites):
    new = started(sprites, of(["teapot", sprites.labels[3], sprites.labels[0]])).eval()
    blank = sprites.no_label
    wanted = answers(sprites.model, [1, 3, 0, blank])  # a teapot takes the first place that is free
    assert torch.equal(answers(new, [0, 1, 2, 3]), wanted)


def test_new_labels_begin_with_rows_that_differ_more_of_them_than_were_learned(sprites):
    names = [f"thing {k}" for k in range(2 * len(sprites.labels))]
    new, again = (started(sprites, of(names)).class_embedding.weight for _ in range(2))
    assert torch.equal(new, again)
    learned = sprites.model.class_embedding.weight
    assert torch.equal(new[: len(sprites.labels)], learned[:-1])
    apart = torch.pdist(new.detach())
    assert apart.min() > 0.5 * torch.pdist(learned.detach()).min()


def test_the_trained_network_stays_as_it_is(sprites):
    before = {name: value.clone() for name, value in sprites.model.state_dict().items()}
    new = started(sprites, of(["teapot", "kettle"]))
    with torch.no_grad():
        for parameter in new.parameters():
            parameter.add_(1.0)
    for name, value in sprites.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_pictures_of_another_size_get_the_same_weights(sprites):
    new = started(sprites, of(["teapot"], side=32)).eval()
    assert new.config.sample_size == 32
    assert answers(new, [0], side=32).shape == (1, 3, 32, 32)
    for name, value in new.state_dict().items():
        if "class_embedding" not in name:
            assert torch.equal(value, sprites.model.state_dict()[name]), name


def test_a_network_without_labels_gets_them_and_begins_as_it_was_for_no_label():
    torch.manual_seed(3)
    plain = UNet(in_channels=3, hidden_dims=(8, 16), image_size=16, heads=1).eval()
    opened = Opened("plain", plain, None, (), "")
    assert started(opened, of(["one"])).config.num_class_embeds is None
    new = started(opened, of(["one", "two"])).eval()
    torch.manual_seed(0)
    noisy = torch.randn(1, 3, 16, 16).expand(3, -1, -1, -1)
    with torch.inference_mode():
        wanted = plain(noisy, 300).sample
        one, two, blank = new(noisy, 300, class_labels=torch.tensor([0, 1, 2])).sample
    assert torch.equal(blank, wanted[2])
    assert not torch.allclose(one, two, atol=1e-3)


def test_other_channels_are_refused(sprites):
    with pytest.raises(ValueError, match=r"draws pictures of 3 channels, and yours have 1"):
        started(sprites, of(["one"], channels=1))


def test_a_network_of_which_nobody_knows_what_it_predicts_is_refused():
    plain = UNet(in_channels=3, hidden_dims=(8, 16), image_size=16, heads=1)
    with pytest.raises(ValueError, match="plain has no scheduler beside it"):
        plan(
            of(["one"]), None, num_steps=2, mirror=False, start=Opened("plain", plain, None, (), "")
        )
