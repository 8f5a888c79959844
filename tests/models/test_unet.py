"""The U-Net and each of its parts, against formulas written out and PyTorch's own layers."""

import math

import pytest
import torch
from diffusers import DDPMPipeline, UNet2DModel
from torch import nn
from torch.nn import functional as F

from benchmarks.unet import PlainAttention
from course_utils.data import ImageTensors
from course_utils.models import (
    Attention,
    DownLevel,
    ResidualBlock,
    TimeEmbedding,
    UNet,
    UpLevel,
    sinusoidal_embedding,
)
from course_utils.sampling import DDIMScheduler, DDPMScheduler, sample
from course_utils.training import TrainingConfig, check_fit, train

SMALL = (8, 16, 24, 32)


def network(**changes):
    torch.manual_seed(0)
    return UNet(**({"hidden_dims": SMALL, "image_size": 16} | changes))


def pictures(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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


def test_embedding_is_its_formula():
    timesteps = torch.tensor([0, 1, 37, 999])
    found = sinusoidal_embedding(timesteps, 128)
    for row, t in enumerate(timesteps.tolist()):
        for i in (0, 1, 31, 63):
            angle = t * 10_000 ** (-i / 63)
            assert found[row, i] == pytest.approx(math.sin(angle), abs=1e-4)
            assert found[row, 64 + i] == pytest.approx(math.cos(angle), abs=1e-4)
    assert found.shape == (4, 128)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("dim", [7, 2, 0])
def test_embedding_refuses_what_it_cannot_halve(dim):
    with pytest.raises(ValueError, match=f"dim is {dim}"):
        sinusoidal_embedding(torch.tensor([1]), dim)


def test_time_embedding_is_two_layers_on_the_sines():
    torch.manual_seed(0)
    part = TimeEmbedding(16)
    first, _, second = part.layers
    hidden = F.silu(sinusoidal_embedding(torch.tensor([3, 700]), 16) @ first.weight.T + first.bias)
    torch.testing.assert_close(part(torch.tensor([3, 700])), hidden @ second.weight.T + second.bias)


def group_norm(x, weight, bias, groups=8):
    """Written out: mean and variance over each group of channels and all its places."""
    parted = x.unflatten(1, (groups, -1))
    mean = parted.mean((2, 3, 4), keepdim=True)
    variance = parted.var((2, 3, 4), keepdim=True, correction=0)
    normed = ((parted - mean) / (variance + 1e-5).sqrt()).flatten(1, 2)
    return normed * weight[:, None, None] + bias[:, None, None]


@pytest.mark.parametrize("channels", [(16, 24), (24, 24)])
def test_residual_block_is_its_recipe(channels):
    torch.manual_seed(0)
    block = ResidualBlock(*channels, time_dim=12).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    x, time = pictures(2, channels[0], 4, 6).double(), pictures(2, 12).double()

    def half(x, conv, norm):
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        normed = group_norm(x, norm.weight, norm.bias)
        return normed * normed.sigmoid()

    activated = time * time.sigmoid()
    hidden = half(x, block.conv1, block.norm1)
    hidden = hidden + (activated @ block.time.weight.T + block.time.bias)[:, :, None, None]
    hidden = half(hidden, block.conv2, block.norm2)
    if channels[0] == channels[1]:
        assert not list(block.shortcut.parameters())
        expected = hidden + x
    else:
        expected = hidden + F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
    torch.testing.assert_close(block(x, time), expected)


def attention(channels=24, **options):
    torch.manual_seed(0)
    part = Attention(channels, **options)
    nn.init.normal_(part.norm.weight, 1.0, 0.2)
    return part.double()


def test_attention_is_the_softmax_formula_written_out():
    part, x = attention(), pictures(2, 24, 4, 6).double()
    tokens = x.flatten(2).mT
    centred = tokens - tokens.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * part.norm.weight
    queries, keys, values = (normed @ part.to_qkv.weight.T).chunk(3, dim=-1)
    heard = []
    for head in range(4):
        own = slice(32 * head, 32 * head + 32)
        scores = queries[..., own] @ keys[..., own].mT / math.sqrt(32)
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        torch.testing.assert_close(part.weights(x)[:, head], weights)
        heard.append(weights @ values[..., own])
    expected = torch.cat(heard, -1) @ part.to_out.weight.T + part.to_out.bias
    torch.testing.assert_close(part(x), x + expected.mT.unflatten(2, (4, 6)), rtol=0, atol=1e-10)


def test_attention_is_multihead_attention_of_torch():
    """PyTorch's own layer wants heads times their length to be the channels."""
    part, x = attention(64, heads=4, head_dim=16), pictures(2, 64, 4, 6).double()
    theirs = nn.MultiheadAttention(64, 4, bias=False, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(part.to_qkv.weight)
        theirs.out_proj.weight.copy_(part.to_out.weight)
    tokens = F.layer_norm(x.flatten(2).mT, (64,), part.norm.weight)
    heard, weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
    expected = x + (heard + part.to_out.bias).mT.unflatten(2, (4, 6))
    torch.testing.assert_close(part(x), expected)
    torch.testing.assert_close(part.weights(x), weights)


def test_attention_hands_over_what_the_fused_kernel_takes(monkeypatch):
    layouts, fused = [], F.scaled_dot_product_attention

    def look(*qkv):
        layouts.extend((part.shape, part.is_contiguous()) for part in qkv)
        return fused(*qkv)

    monkeypatch.setattr(F, "scaled_dot_product_attention", look)
    attention()(pictures(2, 24, 4, 6).double())
    assert layouts == [((2, 4, 24, 32), True)] * 3


def test_levels_halve_and_double_except_the_last():
    torch.manual_seed(0)
    time, x = pictures(2, 8), pictures(2, 16, 8, 12)
    for last, size in ((False, (4, 6)), (True, (8, 12))):
        out, kept = DownLevel(16, 24, 8, last)(x, time)
        assert out.shape == (2, 24, *size)
        assert [k.shape for k in kept] == [x.shape] * 2
    below = pictures(2, 24, 8, 12)
    for last, size in ((False, (16, 24)), (True, (8, 12))):
        assert UpLevel(24, 16, 8, last)(below, (x, x), time).shape == (2, 16, *size)


def test_a_level_up_listens_to_both_kept_maps():
    torch.manual_seed(0)
    kept = [pictures(1, 16, 4, 4, seed=k).requires_grad_() for k in (2, 3)]
    level = UpLevel(24, 16, 8, last=True)
    level(pictures(1, 24, 4, 4), kept, pictures(1, 8)).square().sum().backward()
    assert all(k.grad.abs().min() > 0 for k in kept)


def test_halving_keeps_every_number():
    """Two by two places become channels; nothing is averaged away."""
    level = DownLevel(8, 8, 8, last=False)
    x = pictures(1, 8, 4, 4)
    packed = level.shrink[0](x)
    assert packed.shape == (1, 32, 2, 2)
    assert sorted(packed.flatten().tolist()) == sorted(x.flatten().tolist())
    assert packed[0, :4, 0, 0].tolist() == x[0, 0, :2, :2].flatten().tolist()


def test_attention_is_where_the_original_has_it():
    model = network()
    where = [name for name, part in model.named_modules() if isinstance(part, Attention)]
    assert where == ["down_blocks.2.attention", "mid_block.attention", "up_blocks.2.attention"]


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


@pytest.mark.parametrize("t", [7.0, torch.tensor(7.0), torch.tensor([True, False]), 0.5])
def test_refuses_timesteps_that_do_not_count(t):
    with pytest.raises(TypeError, match=r"timesteps are torch\.\w+.* use integers"):
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
    ],
)
def test_refuses_settings_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        network(**wrong)


def test_config_speaks_the_language_of_diffusers():
    ours = network(in_channels=1, hidden_dims=(16, 24, 32)).config
    theirs = UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(16, 24),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=8,
    ).config
    for name in ("in_channels", "out_channels", "sample_size", "num_class_embeds"):
        assert ours[name] == getattr(ours, name) == theirs[name], name
    assert tuple(ours.block_out_channels) == tuple(theirs.block_out_channels)
    tensors = ImageTensors(torch.zeros(1, 1, 18, 18, dtype=torch.uint8), torch.zeros(1), ("a",))
    check_fit(network(in_channels=1, hidden_dims=(16, 24, 32)), tensors)  # halved once
    with pytest.raises(ValueError, match="multiples of 4"):
        check_fit(network(in_channels=1), tensors)


def test_saves_and_loads_bit_by_bit(tmp_path):
    model, x = network().eval(), pictures(2, 3, 16, 16)
    model.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"config.json", "diffusion_pytorch_model.safetensors"}
    again = UNet.from_pretrained(tmp_path)
    ours, theirs = model.state_dict(), again.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    torch.testing.assert_close(again(x, 5).sample, model(x, 5).sample, rtol=0, atol=1e-6)
    assert tuple(again.config.hidden_dims) == SMALL
    assert again.config.sample_size == 16


def test_fits_a_pipeline_and_comes_back_from_disk(tmp_path):
    pipeline = DDPMPipeline(unet=network(), scheduler=DDPMScheduler(20))
    pipeline.set_progress_bar_config(disable=True)

    def draw(pipeline):
        seed = torch.Generator().manual_seed(3)
        return pipeline(2, seed, num_inference_steps=4, output_type="np").images

    before = draw(pipeline)
    assert before.shape == (2, 16, 16, 3)
    pipeline.unet.save_pretrained(tmp_path)
    pipeline.unet = UNet.from_pretrained(tmp_path)
    assert abs(draw(pipeline) - before).max() < 1e-5


def test_trains_and_samples_with_the_package():
    rows = torch.arange(16)
    colours = (rows[:, None] * 16 + torch.tensor([0, 5, 10])).view(16, 3, 1, 1) % 256
    images = colours.expand(-1, -1, 8, 8).to(torch.uint8)
    data = ImageTensors(images, torch.zeros(16, dtype=torch.int64), ("plain",))
    model, scheduler = network(image_size=8), DDIMScheduler(1000)
    config = TrainingConfig(num_steps=60, batch_size=16, num_warmup_steps=5, ema_decay=0.9)
    run = train(config, model, scheduler, data, progress=False)
    assert sum(run.losses[-10:]) < 0.7 * sum(run.losses[:10])
    made = sample(run.ema_model, scheduler, seeds=[1, 2], num_inference_steps=3, progress=False)
    assert made.images.shape == (2, 3, 8, 8)
