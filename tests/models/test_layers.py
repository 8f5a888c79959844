"""The parts of the U-Net, against formulas written out and PyTorch's own layers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.models import (
    Attention,
    DownLevel,
    ResidualBlock,
    TimeEmbedding,
    UpLevel,
    sinusoidal_embedding,
)
from tests.models.small import pictures


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
