"""A denoising U-Net from scratch. Its parts are in `course_utils.models.layers`.

It can stand wherever diffusers' ``UNet2DModel`` can: it has ``config``, ``save_pretrained`` and
``from_pretrained``, and fits a ``DDPMPipeline``. Taught in chapter 05_flowers.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import FrozenDict, register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from course_utils.models.layers import GROUPS, DownLevel, Middle, ResidualBlock, UpLevel


def sinusoidal_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """Spread each timestep over many sines and cosines, from fast to slow.

    Args:
        timesteps: Indices of noise levels, integers, shape (N,).
        dim: How many values for each, even and at least 4.

    Returns:
        Shape (N, dim), float32, each in [-1, 1]. First sin(ω_i t) for all i, then cos(ω_i t),
        with ω_i = 10000^(-i / (dim/2 - 1)) for i = 0 … dim/2 - 1.

    Raises:
        ValueError: `dim` is odd or below 4.

    Source:
        Vaswani et al. 2017, arXiv 1706.03762, section 3.5, in another order.

    Chapter: 5, "How does it know the noise level?".
    """
    if dim < 4 or dim % 2:
        raise ValueError(f"dim is {dim}; a sine and a cosine each want an even number from 4 up.")
    count = dim // 2
    steps = torch.arange(count, device=timesteps.device, dtype=torch.float32)
    frequencies = torch.exp(-math.log(10_000) / (count - 1) * steps)
    angles = timesteps.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """A timestep as the vector that every residual block gets to see.

    Args:
        dim: Values of the sinusoidal embedding; the result has ``4 * dim``.

    Source:
        Ho et al. 2020, arXiv 2006.11239, appendix B.

    Chapter: 5, "How does it know the noise level?".
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        wide = 4 * dim
        self.layers = nn.Sequential(nn.Linear(dim, wide), nn.SiLU(), nn.Linear(wide, wide))

    def forward(self, timesteps: Tensor) -> Tensor:
        """Embed.

        Args:
            timesteps: Indices of noise levels, integers, shape (N,).

        Returns:
            Shape (N, 4 * dim), in the type of the weights.

        Chapter: 5, "How does it know the noise level?".
        """
        embedding = sinusoidal_embedding(timesteps, self.dim)
        return self.layers(embedding.to(self.layers[0].weight.dtype))


class UNet(ModelMixin, ConfigMixin):
    """A denoising U-Net: a noisy picture and its noise level in, the noise out.

    With the default `hidden_dims` it is, layer by layer, the network of 133,417,219 parameters
    of a well-known book on generative AI. With k entries it has k - 1 levels; the last entry is
    the width of the bottom.

    Args:
        in_channels: Channels of the pictures, in and out: 1 grey, 3 RGB.
        hidden_dims: Channels of each level and of the bottom, at least two, multiples of 8.
        image_size: Side of the pictures in pixels. A note to samplers and pipelines; the network
            takes any height and width that its levels can halve.
        heads: Heads of each attention, of 32 values each; fewer are faster.

    Raises:
        ValueError: A number is out of range.

    Source:
        Ho et al. 2020, arXiv 2006.11239, appendix B, for the idea.

    Chapter: 5, "All together".
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        hidden_dims: Sequence[int] = (128, 256, 512, 1024),
        image_size: int = 64,
        heads: int = 4,
    ) -> None:
        super().__init__()
        _check_settings(in_channels, hidden_dims, image_size, heads)
        self.factor = 2 ** (len(hidden_dims) - 2)
        first, time_dim = hidden_dims[0], 4 * hidden_dims[0]
        levels = list(pairwise(hidden_dims))
        lowest, topmost = levels[-1], levels[0]
        self.time_embedding = TimeEmbedding(first)
        self.conv_in = nn.Conv2d(in_channels, first, 3, padding=1)
        self.down_blocks = nn.ModuleList(
            DownLevel(*level, time_dim, level is lowest, heads) for level in levels
        )
        self.mid_block = Middle(hidden_dims[-1], time_dim, heads)
        self.up_blocks = nn.ModuleList(
            UpLevel(level[1], level[0], time_dim, level is topmost, heads)
            for level in reversed(levels)
        )
        self.head = ResidualBlock(2 * first, first, time_dim)
        self.conv_out = nn.Conv2d(first, in_channels, 1)

    @property
    def config(self) -> FrozenDict:
        """The settings, and the same facts under the names that trainers and pipelines read."""
        own = self._internal_dict
        shared = {
            "out_channels": own["in_channels"],
            "sample_size": own["image_size"],
            "block_out_channels": tuple(own["hidden_dims"][:-1]),  # one for each size of map
            "num_class_embeds": None,
        }
        return FrozenDict({**own, **shared})

    def forward(
        self, sample: Tensor, timesteps: Tensor | int, class_labels: None = None
    ) -> UNet2DOutput:
        """Say what noise is in some pictures.

        Args:
            sample: Noisy pictures, floating point, shape (N, in_channels, H, W); H and W
                multiples of ``2 ** (len(hidden_dims) - 2)``.
            timesteps: Indices of their noise levels: one integer for all, as an int or a tensor
                of shape () or (1,), or one for each, shape (N,).
            class_labels: Only None: this network knows no classes.

        Returns:
            An output whose ``sample``, also ``["sample"]``, has the shape of `sample`.

        Raises:
            TypeError: `timesteps` are not integers.
            ValueError: A shape does not fit, or class labels were given.

        Chapter: 5, "All together".
        """
        self._check_sample(sample)
        if class_labels is not None:
            raise ValueError("class_labels were given, but this network knows no classes.")
        time = self.time_embedding(_one_for_each(timesteps, sample))
        x = stem = self.conv_in(sample)
        skips: list[Tensor] = []
        for level in self.down_blocks:
            x, kept = level(x, time)
            skips.extend(kept)
        x = self.mid_block(x, time)
        for level in self.up_blocks:
            x = level(x, (skips.pop(), skips.pop()), time)
        x = self.head(torch.cat([x, stem], dim=1), time)
        return UNet2DOutput(sample=self.conv_out(x))

    def _check_sample(self, sample: Tensor) -> None:
        channels = self.conv_in.in_channels
        if sample.ndim != 4 or sample.shape[1] != channels:
            raise ValueError(
                f"sample has shape {tuple(sample.shape)}; this network takes (N, {channels}, H, W)."
            )
        height, width = sample.shape[2:]
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"The pictures are {height}x{width}; with {len(self.down_blocks)} levels height "
                f"and width must be multiples of {self.factor}."
            )


def _check_settings(
    in_channels: int, hidden_dims: Sequence[int], image_size: int, heads: int
) -> None:
    if in_channels < 1 or heads < 1:
        raise ValueError(
            f"in_channels is {in_channels} and heads is {heads}; both must be at least 1."
        )
    if len(hidden_dims) < 2 or any(dim < GROUPS or dim % GROUPS for dim in hidden_dims):
        raise ValueError(
            f"hidden_dims is {tuple(hidden_dims)}; use two or more multiples of {GROUPS}, since "
            f"channels are normalised in {GROUPS} groups."
        )
    factor = 2 ** (len(hidden_dims) - 2)
    if image_size < factor or image_size % factor:
        raise ValueError(
            f"image_size is {image_size}; with {len(hidden_dims)} hidden_dims it must be a "
            f"multiple of {factor}."
        )


def _one_for_each(timesteps: Any, sample: Tensor) -> Tensor:
    """Timesteps as integers of shape (N,) beside the pictures."""
    timesteps = torch.as_tensor(timesteps, device=sample.device)
    if timesteps.is_floating_point() or timesteps.is_complex() or timesteps.dtype is torch.bool:
        raise TypeError(
            f"timesteps are {timesteps.dtype}; they are indices of noise levels: use integers."
        )
    if timesteps.ndim > 1 or timesteps.numel() not in (1, len(sample)):
        raise ValueError(
            f"timesteps have shape {tuple(timesteps.shape)}; give one for all {len(sample)} "
            "pictures or one for each."
        )
    return timesteps.reshape(-1).expand(len(sample))
