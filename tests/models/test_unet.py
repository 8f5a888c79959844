"""The U-Net as a whole: its shape, its settings, and what it refuses."""

import pytest
import torch

from benchmarks.unet import PlainAttention
from course_utils.models import (
    Attention,
    UNet,
)
from tests.models.small import SMALL, network, pictures


@pytest.mark.parametrize(
    ("hidden_dims", "count"),
    [
        ((128, 256, 512, 1024), 133_417_219),
        ((32, 64, 128, 256), 8_523_331),
        ((16, 32, 64, 128), 2_192_419),
    ],
)
def test_has_the_number_of_parameters_of_the_original(hidden_dims, count):
    with torch.device("meta"):
        model = UNet(hidden_dims=hidden_dims)
    assert sum(p.numel() for p in model.parameters()) == count == model.num_parameters()


def test_a_head_less_costs_its_four_maps_at_each_attention():
    """Queries, keys, values and the way back: 4 × 32 values a channel, in three places."""
    four, one = (network(heads=heads).num_parameters() for heads in (4, 1))
    assert four - one == 3 * 4 * 32 * (24 + 32 + 16)


def test_the_default_is_the_original():
    with torch.device("meta"):
        assert UNet().num_parameters() == 133_417_219


def test_attention_is_where_the_original_has_it():
    model = network()
    where = [name for name, part in model.named_modules() if isinstance(part, Attention)]
    assert where == ["down_blocks.2.attention", "mid_block.attention", "up_blocks.2.attention"]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_attention_on_the_way_up_is_at_the_level_that_was_asked_for(level):
    """Level 0 sees all 16 × 16 places, each level below a quarter of them."""
    model, seen = network(attention_level=level), []
    (attending,) = [part for part in model.up_blocks if isinstance(part.attention, Attention)]
    attending.attention.register_forward_hook(lambda part, inputs, out: seen.append(out.shape))
    assert model(pictures(1, 3, 16, 16), 5).sample.shape == (1, 3, 16, 16)
    assert [shape[2:] for shape in seen] == [(16 // 2**level,) * 2]
    assert UNet.from_config(model.config).config.attention_level == level


def test_equals_the_straightforward_version():
    model = network().double()
    x, t = pictures(2, 3, 16, 16).double(), torch.tensor([3, 900])
    ours = model(x, t).sample
    for part in model.modules():
        if isinstance(part, Attention):
            part.__class__ = PlainAttention
    torch.testing.assert_close(model(x, t).sample, ours)


def test_uses_every_skip_once_and_in_order():
    model, taken = network(), []
    for level in model.up_blocks:
        level.register_forward_pre_hook(lambda _, inputs: taken.extend(inputs[1]))
    kept = []
    for level in model.down_blocks:
        level.register_forward_hook(lambda _, inputs, out: kept.extend(out[1]))
    model(pictures(1, 3, 16, 16), 5)
    assert len(kept) == 6
    assert all(a is b for a, b in zip(taken, reversed(kept), strict=True))


def test_every_weight_learns():
    model = network()
    model(pictures(2, 3, 16, 16), torch.tensor([3, 900])).sample.square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("t", [7, torch.tensor(7), torch.tensor([7]), torch.tensor([7, 7])])
def test_takes_timesteps_in_every_form(t):
    model, x = network(), pictures(2, 3, 16, 24)
    out = model(x, t)
    assert out.sample is out["sample"]
    assert out.sample.shape == x.shape
    one_by_one = torch.cat([model(picture, 7).sample for picture in x.split(1)])
    torch.testing.assert_close(out.sample, one_by_one, rtol=0, atol=1e-5)


def test_each_picture_has_its_own_noise_level():
    model, x = network(), pictures(1, 3, 16, 16).expand(2, -1, -1, -1)
    early, late = model(x, torch.tensor([3, 900])).sample
    assert (early - late).abs().max() > 1e-3
    torch.testing.assert_close(late, model(x[:1], 900).sample[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("t", [torch.tensor([True, False]), 7j])
def test_refuses_timesteps_that_are_no_numbers(t):
    with pytest.raises(TypeError, match=r"timestep is torch\.\w+; .*int or float"):
        network()(pictures(2, 3, 16, 16), t)


@pytest.mark.parametrize("shape", [(3,), (2, 1), (0,)])
def test_refuses_timesteps_of_the_wrong_length(shape):
    with pytest.raises(ValueError, match="one for all 2 pictures or one for each"):
        network()(pictures(2, 3, 16, 16), torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (3, 16, 16)])
def test_refuses_other_channels(shape):
    with pytest.raises(ValueError, match=r"takes \(N, 3, H, W\)"):
        network()(pictures(*shape), 5)


@pytest.mark.parametrize("size", [(18, 16), (16, 30)])
def test_refuses_sizes_that_cannot_be_halved(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*multiples of 4"):
        network()(pictures(1, 3, *size), 5)


def test_refuses_labels():
    with pytest.raises(ValueError, match="knows no classes"):
        network()(pictures(1, 3, 16, 16), 5, class_labels=torch.tensor([1]))


def test_classes_are_added_to_the_time_embedding():
    model, x, t = network(num_class_embeds=3), pictures(2, 3, 16, 16), torch.tensor([5, 900])
    labels = torch.tensor([2, 0])
    seen = []
    model.mid_block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    out = model(x, t, class_labels=labels).sample
    torch.testing.assert_close(
        seen[0], model.time_embedding(t) + model.class_embedding.weight[labels]
    )
    plain = network()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "class" not in k})
    assert (plain(x, t).sample - out).abs().max() > 1e-3
    one = model(x, t, class_labels=torch.tensor(2)).sample  # one for both
    torch.testing.assert_close(one[0], out[0], rtol=0, atol=1e-5)


def test_classes_cost_a_table_and_leave_the_other_first_weights_as_they_are():
    with_classes, without = network(num_class_embeds=3), network()
    assert with_classes.num_parameters() - without.num_parameters() == 3 * 4 * SMALL[0]
    rest = with_classes.state_dict()
    assert all(torch.equal(rest[name], value) for name, value in without.state_dict().items())
    assert with_classes.config.num_class_embeds == 3
    assert without.config.num_class_embeds is None


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (None, ValueError, "class_labels are missing: this network knows 3 classes"),
        (torch.tensor([0, 3]), ValueError, "class_labels hold 3; they run from 0 to 2"),
        (torch.tensor([-1, 0]), ValueError, "class_labels hold -1"),
        (torch.tensor([0, 1, 2]), ValueError, r"class_labels has shape \(3,\); give one"),
        (torch.tensor([[0], [1]]), ValueError, r"class_labels has shape \(2, 1\)"),
        (torch.tensor([0.0, 1.0]), TypeError, r"class_labels are torch\.float32.*use integers"),
        (torch.tensor([True, False]), TypeError, r"class_labels are torch\.bool"),
    ],
)
def test_refuses_labels_that_name_no_class(labels, error, message):
    with pytest.raises(error, match=message):
        network(num_class_embeds=3)(pictures(2, 3, 16, 16), 5, class_labels=labels)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"heads": 0}, "heads is 0"),
        ({"hidden_dims": (8,)}, "two or more multiples of 8"),
        ({"hidden_dims": (8, 12)}, "two or more multiples of 8"),
        ({"hidden_dims": (0, 8)}, "two or more multiples of 8"),
        ({"image_size": 18}, "image_size is 18"),
        ({"image_size": 0}, "image_size is 0"),
        ({"num_class_embeds": 0}, "num_class_embeds is 0"),
        ({"attention_level": 3}, r"attention_level is 3; this network has 3 levels, .* to 2\."),
        ({"attention_level": -1}, "attention_level is -1"),
    ],
)
def test_refuses_settings_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        network(**wrong)
