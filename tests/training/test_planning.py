"""Plans for pictures that nobody has seen: network, batch and updates; where they come from."""

import itertools
import re

import pytest
import torch

from course_utils.data import ImageTensors
from course_utils.data.fit import check_size, read_size
from course_utils.sampling import open_network
from course_utils.training import plan, planning
from course_utils.training.proven import FEW, MANY, USUAL, WIDTHS, proven_network
from tests.trainer import pictures


def sized(height, width, channels=3, names=("cat", "dog")):
    images = torch.zeros(4, channels, height, width, dtype=torch.uint8)
    return ImageTensors(images, torch.arange(4) % len(names), names)


@pytest.fixture
def machine(monkeypatch):
    """A machine on which an update takes as long as the network has channels, times some factor."""

    def takes(factor):
        def timed(chosen):
            width = chosen.model.config.block_out_channels[0]
            return planning.replace(chosen, seconds=factor * width / USUAL)

        monkeypatch.setattr(planning, "_timed", timed)

    return takes


@pytest.mark.parametrize(
    ("side", "batch"),
    [((16, 16), 32), ((28, 28), 16), ((32, 32), 16), ((32, 48), 16), ((64, 64), 8)],
)
def test_smaller_pictures_are_learned_in_larger_batches(side, batch):
    assert plan(sized(*side), None, num_steps=3, mirror=False).config.batch_size == batch


@pytest.mark.parametrize(
    ("side", "widths"),
    [
        ((16, 16), (32, 64, 96)),
        ((32, 32), (32, 64, 96, 96)),
        ((64, 64), (32, 64, 96, 96, 96)),
        ((28, 28), (32, 64, 96)),
        ((32, 48), (32, 64, 96, 96)),
    ],
)
def test_a_network_has_as_many_levels_as_its_pictures_want(side, widths):
    chosen = plan(sized(*side), None, num_steps=3, mirror=False)
    assert chosen.model.config.block_out_channels == widths
    assert chosen.model.config.num_class_embeds == 3  # two kinds, and no label
    assert chosen.config.label_dropout == 0.1
    noise = torch.zeros(1, 3, *side)
    assert chosen.model(noise, 3, class_labels=torch.tensor([2])).sample.shape == noise.shape


def test_pictures_of_one_kind_get_a_network_without_labels():
    chosen = plan(sized(16, 16, names=("cat",)), None, num_steps=3, mirror=False)
    assert chosen.model.config.num_class_embeds is None
    assert chosen.config.label_dropout == 0


@pytest.mark.parametrize("side", [30, 45, 100])
def test_a_side_that_cannot_be_halved_is_told_with_one_that_can(side):
    with pytest.raises(ValueError, match=f"A side of {side} pixels") as told:
        proven_network(side, side, 32)
    good = int(str(told.value).split()[-1].rstrip("."))
    assert proven_network(good, good, 32)["block_out_channels"]


def can_be(height, width):
    try:
        return bool(proven_network(height, width, 32))
    except ValueError:
        return False


def test_of_a_size_that_cannot_be_halved_both_sides_are_told_with_the_nearest_that_can():
    told = re.escape("A size of 49x32 pixels cannot be") + ".*such as 48x32\\.$"
    with pytest.raises(ValueError, match=told):
        proven_network(32, 49, 32)
    for height, width in itertools.product(range(15, 120, 3), range(15, 120, 5)):
        if not can_be(height, width):
            with pytest.raises(ValueError, match="Take") as error:
                proven_network(height, width, 32)
            good = read_size(str(error.value).split()[-1].rstrip("."))
            down, across = check_size("it", good)
            assert can_be(down, across)
            assert abs(down - height) <= height / 4
            assert abs(across - width) <= width / 4


def test_labels_are_dropped_as_often_as_is_asked_for_whatever_a_network_begins_with():
    start, two = open_network("sprites-16"), sized(16, 16)
    for given in ({}, {"label_dropout": 0.3}, {"label_dropout": 0.0}):
        chosen = plan(two, None, num_steps=3, mirror=False, start=start, **given)
        assert chosen.config.label_dropout == given.get("label_dropout", 0.1)


def test_labels_that_there_are_not_cannot_be_dropped_and_no_update_is_timed(machine):
    machine(None)  # no time at all
    with pytest.raises(ValueError, match=r"label_dropout is 0\.3, but the network has no classes"):
        plan(sized(16, 16, names=("cat",)), minutes=1, label_dropout=0.3, mirror=False)


@pytest.mark.parametrize(("channels", "told"), [(1, ", 1 channel;"), (3, ", 3 channels;")])
def test_a_plan_counts_its_channels(channels, told):
    assert told in plan(sized(16, 16, channels), None, num_steps=3, mirror=False).told


@pytest.mark.parametrize("seconds", [0.001, 0.01, 0.1, 1.0, 10.0])
def test_the_network_is_as_wide_as_the_minutes_allow(machine, seconds):
    machine(seconds)
    chosen = plan(sized(16, 16), minutes=10, mirror=False)
    width, updates = chosen.model.config.block_out_channels[0], chosen.config.num_steps
    assert updates * seconds * width / USUAL <= 600
    assert updates * seconds * width / USUAL > 0.9 * 600
    at = WIDTHS.index(width)
    if updates < FEW:
        assert at == 0  # there is no narrower one
    if width > USUAL:
        assert updates >= MANY
    if width >= USUAL and at + 1 < len(WIDTHS):
        assert updates * width / WIDTHS[at + 1] < MANY  # a wider one would have too few
    assert chosen.config.learning_rate == pytest.approx(2e-3 * min(1, USUAL / width))


def test_a_width_that_is_given_stays(machine):
    machine(10.0)
    assert plan(sized(16, 16), 1, width=64, mirror=False).model.config.block_out_channels[0] == 64


def test_grids_and_checkpoints_are_spread_over_the_run():
    chosen = plan(sized(16, 16), None, num_steps=800, save_model_steps=30, mirror=False)
    assert (chosen.config.save_image_steps, chosen.config.save_model_steps) == (100, 30)
    assert chosen.config.num_warmup_steps == 80


def test_pictures_are_mirrored_where_that_is_harmless_or_asked_for():
    generator = torch.Generator().manual_seed(0)
    half = torch.randint(0, 256, (120, 3, 16, 8), generator=generator, dtype=torch.uint8)
    ramp = torch.linspace(0, 255, 16).to(torch.uint8).expand(120, 3, 16, 16).clone()
    ramp[:, :, :, :8] //= 2
    ramp += torch.randint(0, 9, ramp.shape, generator=generator, dtype=torch.uint8)
    alike = torch.cat([half, half.flip(-1)], dim=-1)
    labels = torch.zeros(120, dtype=torch.long)
    told = [
        plan(ImageTensors(images, labels, ("x",)), None, num_steps=2, mirror=mirror).data.flip
        for images, mirror in itertools.product((alike, ramp), (None, True, False))
    ]
    assert told == [True, True, False, False, True, False]


def test_minutes_and_a_number_of_updates_do_not_go_together():
    with pytest.raises(ValueError, match="give one of the two"):
        plan(pictures(), minutes=3, num_steps=10)
