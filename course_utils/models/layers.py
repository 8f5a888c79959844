"""The levels of a denoising U-Net and their parts, each small enough to be read at one look.

Shapes: N pictures, C channels, H by W places; attention sees L = H·W places as L tokens. Taught
in chapter 05_flowers, assembled in `course_utils.models.unet`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 8
"""Channels are normalised in this many groups, which must divide each number of channels."""


class ResidualBlock(nn.Module):
    """Two convolutions that see the noise level, added to what came in.

    Args:
        channels_in: Channels a of the map that comes in.
        channels_out: Channels b of the map that goes out, a multiple of `GROUPS`.
        time_dim: Values of the time embedding.

    Example:
        >>> import torch
        >>> from course_utils.models import ResidualBlock
        >>> block = ResidualBlock(8, 16, time_dim=32)
        >>> block(torch.randn(1, 8, 4, 4), torch.randn(1, 32)).shape
        torch.Size([1, 16, 4, 4])

    Source:
        He et al. 2016, arXiv 1512.03385.

    Chapter: 5, "The residual block".
    """

    def __init__(self, channels_in: int, channels_out: int, time_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm1 = nn.GroupNorm(GROUPS, channels_out)
        self.time = nn.Linear(time_dim, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(GROUPS, channels_out)
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform a map.

        Args:
            x: Shape (N, a, H, W).
            time: The embedded noise level of each picture, shape (N, time_dim).

        Returns:
            Shape (N, b, H, W).

        Chapter: 5, "The residual block".
        """
        hidden = F.silu(self.norm1(self.conv1(x)))
        hidden = hidden + self.time(F.silu(time))[:, :, None, None]  # one number a channel
        hidden = F.silu(self.norm2(self.conv2(hidden)))
        return hidden + self.shortcut(x)


class Attention(nn.Module):
    """Every place asks every other, and adds the answer to what it knows.

    Args:
        channels: Channels C of the map.
        heads: How many questions each place asks at once.
        head_dim: Length of each question.

    Example:
        >>> import torch
        >>> from course_utils.models import Attention
        >>> attention, x = Attention(16), torch.randn(1, 16, 4, 4)
        >>> attention(x).shape, attention.weights(x).shape
        (torch.Size([1, 16, 4, 4]), torch.Size([1, 4, 16, 16]))

    Source:
        Vaswani et al. 2017, arXiv 1706.03762, section 3.2.

    Chapter: 5, "Attention".
    """

    def __init__(self, channels: int, heads: int = 4, head_dim: int = 32) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels, bias=False)  # over the channels of each place
        self.to_qkv = nn.Linear(channels, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Let the places of a map speak with each other.

        The fused kernel never holds the L×L weights.

        Args:
            x: Shape (N, C, H, W).

        Returns:
            Shape (N, C, H, W).

        Source:
            PyTorch's ``scaled_dot_product_attention``.

        Chapter: 5, "Attention".
        """
        queries, keys, values = self.queries_keys_values(x)
        heard = F.scaled_dot_product_attention(queries, keys, values)
        tokens = self.to_out(heard.transpose(1, 2).flatten(2))  # heads side by side
        return x + tokens.transpose(1, 2).unflatten(2, x.shape[2:])

    def queries_keys_values(self, x: Tensor) -> Tensor:
        """What each place asks, what it offers, and what it says when asked.

        Args:
            x: Shape (N, C, H, W).

        Returns:
            Queries, keys and values, contiguous, shape (3, N, heads, L, head_dim).

        Chapter: 5, "Attention".
        """
        tokens = self.norm(x.flatten(2).transpose(1, 2))  # (N, L, C)
        parted = self.to_qkv(tokens).unflatten(2, (3, self.heads, -1))
        return parted.permute(2, 0, 3, 1, 4).contiguous()

    def weights(self, x: Tensor) -> Tensor:
        """How much each place listens to each other, to look at; `forward` never holds this.

        Args:
            x: Shape (N, C, H, W).

        Returns:
            Shape (N, heads, L, L), each at least 0; the last axis sums to 1.

        Source:
            Equation (1).

        Chapter: 5, "Attention".
        """
        queries, keys, _ = self.queries_keys_values(x)
        return (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(dim=-1)


class DownLevel(nn.Module):
    """A level of the contracting path: two blocks, both results kept, then smaller.

    Args:
        channels: Channels h of this level.
        channels_next: Channels of the next.
        time_dim: Values of the time embedding.
        last: Whether it is the lowest, with attention and its size kept; others stack 2×2 places.
        heads: Of the attention.

    Example:
        >>> import torch
        >>> from course_utils.models import DownLevel
        >>> level = DownLevel(8, 16, time_dim=32, last=False)
        >>> smaller, skips = level(torch.randn(1, 8, 16, 16), torch.randn(1, 32))
        >>> smaller.shape, len(skips)
        (torch.Size([1, 16, 8, 8]), 2)

    Source:
        Ronneberger et al. 2015, arXiv 1505.04597, figure 1.

    Chapter: 5, "Levels".
    """

    def __init__(
        self, channels: int, channels_next: int, time_dim: int, last: bool, heads: int = 4
    ) -> None:
        super().__init__()
        self.block1 = ResidualBlock(channels, channels, time_dim)
        self.block2 = ResidualBlock(channels, channels, time_dim)
        self.attention = Attention(channels, heads) if last else nn.Identity()
        halve = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, channels_next, 1))
        self.shrink = nn.Conv2d(channels, channels_next, 3, padding=1) if last else halve

    def forward(self, x: Tensor, time: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Go one level down.

        Args:
            x: Shape (N, h, H, W), H and W even.
            time: Shape (N, time_dim).

        Returns:
            The smaller map, shape (N, channels_next, H/2, W/2), or (…, H, W) at the last level;
            and the two maps kept for the way up, each (N, h, H, W).

        Chapter: 5, "Levels".
        """
        first = self.block1(x, time)
        second = self.attention(self.block2(first, time))
        return self.shrink(second), (first, second)


class Middle(nn.Module):
    """The bottom of the U, where the map is smallest: block, attention, block.

    Args:
        channels: Channels C of the map.
        time_dim: Values of the time embedding.
        heads: Of the attention.

    Example:
        >>> import torch
        >>> from course_utils.models import Middle
        >>> Middle(16, time_dim=32)(torch.randn(1, 16, 4, 4), torch.randn(1, 32)).shape
        torch.Size([1, 16, 4, 4])

    Source:
        Ho et al. 2020, arXiv 2006.11239, appendix B.

    Chapter: 5, "Levels".
    """

    def __init__(self, channels: int, time_dim: int, heads: int = 4) -> None:
        super().__init__()
        self.block1 = ResidualBlock(channels, channels, time_dim)
        self.attention = Attention(channels, heads)
        self.block2 = ResidualBlock(channels, channels, time_dim)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Transform the smallest map.

        Args:
            x: Shape (N, C, H, W).
            time: Shape (N, time_dim).

        Returns:
            Shape (N, C, H, W).

        Chapter: 5, "Levels".
        """
        return self.block2(self.attention(self.block1(x, time)), time)


class UpLevel(nn.Module):
    """A level of the expanding path: two blocks, each with a kept map beside it, then larger.

    Args:
        channels_in: Channels of the map from below.
        channels: Channels h of this level: of the kept maps, and of what goes out.
        time_dim: Values of the time embedding.
        last: Whether this is the topmost level, which keeps its size.
        heads: Of the attention.
        attention: Whether it has attention; None only where it is the topmost.

    Example:
        >>> import torch
        >>> from course_utils.models import UpLevel
        >>> level, skips = UpLevel(16, 8, time_dim=32, last=False), [torch.randn(1, 8, 4, 4)] * 2
        >>> level(torch.randn(1, 16, 4, 4), skips, torch.randn(1, 32)).shape
        torch.Size([1, 8, 8, 8])

    Source:
        Ronneberger et al. 2015, arXiv 1505.04597, figure 1.

    Chapter: 5, "Levels".
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        time_dim: int,
        last: bool,
        heads: int = 4,
        attention: bool | None = None,
    ) -> None:
        super().__init__()
        attends = last if attention is None else attention
        self.block1 = ResidualBlock(channels_in + channels, channels_in, time_dim)
        self.block2 = ResidualBlock(channels_in + channels, channels_in, time_dim)
        self.attention = Attention(channels_in, heads) if attends else nn.Identity()
        larger = nn.Identity() if last else nn.Upsample(scale_factor=2)  # each place four times
        self.grow = nn.Sequential(larger, nn.Conv2d(channels_in, channels, 3, padding=1))

    def forward(self, x: Tensor, skips: Sequence[Tensor], time: Tensor) -> Tensor:
        """Go one level up.

        Args:
            x: Shape (N, channels_in, H, W).
            skips: The two maps kept on the way down, last one first, each (N, h, H, W).
            time: Shape (N, time_dim).

        Returns:
            Shape (N, h, 2H, 2W), or (N, h, H, W) at the last level.

        Chapter: 5, "Levels".
        """
        x = self.block1(torch.cat([x, skips[0]], dim=1), time)
        x = self.block2(torch.cat([x, skips[1]], dim=1), time)
        return self.grow(self.attention(x))
