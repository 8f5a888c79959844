"""How a network is told the noise level: a timestep as a vector. Taught in chapter 05_flowers."""

import math

import torch
from torch import Tensor, nn


def sinusoidal_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """Spread each timestep over many sines and cosines, from fast to slow.

    Args:
        timesteps: Noise levels, whole numbers or not, shape (N,).
        dim: How many values for each, even and at least 4.

    Returns:
        Shape (N, dim), float32, each in [-1, 1]. First sin(ω_i t) for all i, then cos(ω_i t),
        with ω_i = 10000^(-i / (dim/2 - 1)) for i = 0 … dim/2 - 1.

    Raises:
        ValueError: `dim` is odd or below 4.

    Example:
        >>> import torch
        >>> from course_utils.models import sinusoidal_embedding
        >>> sinusoidal_embedding(torch.tensor([0]), dim=4).tolist()
        [[0.0, 0.0, 1.0, 1.0]]

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

    Example:
        >>> import torch
        >>> from course_utils.models import TimeEmbedding
        >>> TimeEmbedding(64)(torch.tensor([0, 500, 999])).shape
        torch.Size([3, 256])

    Source:
        Ho et al. 2020, arXiv 2006.11239, appendix B.

    Chapter: 5, "How does it know the noise level?".
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        wide = 4 * dim
        self.layers = nn.Sequential(nn.Linear(dim, wide), nn.SiLU(), nn.Linear(wide, wide))

    def forward(self, timesteps: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Embed.

        Args:
            timesteps: Noise levels, whole numbers or not, shape (N,).
            dtype: What the layers calculate in. Their weights may be stored in another type.

        Returns:
            Shape (N, 4 * dim).

        Chapter: 5, "How does it know the noise level?".
        """
        # In half precision timestep 999 would be 1000: the waves first, then the narrower type.
        embedding = sinusoidal_embedding(timesteps, self.dim)
        return self.layers(embedding.to(dtype))
