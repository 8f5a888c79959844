"""A picture and noise, mixed at some noise level: the forward process, for any scheduler."""

from typing import Any, Protocol

import torch
from torch import Tensor


class NoiseScheduler(Protocol):
    """What training asks of a scheduler, ours or diffusers'."""

    @property
    def config(self) -> Any:
        """Settings by name, ``num_train_timesteps`` and ``prediction_type`` among them."""

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Any) -> Tensor:
        """Mix pictures with noise, each at its own timestep."""


class RatedScheduler(NoiseScheduler, Protocol):
    """A scheduler that tells how much picture and how much noise it mixes, as ours do."""

    def rates(self, timesteps: Tensor | float, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1-ᾱ_t), or 1-σ and σ, shaped to be multiplied with a batch."""


def mixing_rates(
    scheduler: NoiseScheduler, timesteps: Tensor, like: Tensor
) -> tuple[Tensor, Tensor]:
    """How much picture and how much noise a scheduler mixes, ours or diffusers'.

    Args:
        scheduler: Has ``rates``, as ours do, or a table ``alphas_cumprod``, as diffusers' do.
        timesteps: One for each picture, shape (batch,), in [0, T).
        like: The batch of pictures, floating point.

    Returns:
        √ᾱ_t and √(1-ᾱ_t), or 1-σ and σ, each of shape (batch, 1, ...).

    Example:
        >>> import torch
        >>> from course_utils.noise import mixing_rates
        >>> from course_utils.sampling import DDPMScheduler
        >>> x0, noise = torch.zeros(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
        >>> signal_rate, noise_rate = mixing_rates(DDPMScheduler(), torch.tensor([0, 999]), like=x0)
        >>> x_t = signal_rate * x0 + noise_rate * noise
        >>> signal_rate.shape
        torch.Size([2, 1, 1, 1])

    Source:
        arXiv 2006.11239, equation (4).
    """
    rates = getattr(scheduler, "rates", None)
    if rates is not None:
        return rates(timesteps, like)
    table = scheduler.alphas_cumprod.to(like.device)  # type: ignore[attr-defined]
    share = table[timesteps].view(-1, *[1] * (like.ndim - 1))
    return share.sqrt(), (1 - share).sqrt()


def checked_timesteps(timesteps: Tensor | float, like: Tensor, last: int) -> Tensor:
    """Timesteps as a tensor, refused where they do not fit a batch of pictures.

    Args:
        timesteps: One for all or one per picture, each in [0, last].
        like: The batch, floating point, shape (batch, ...).
        last: The noisiest timestep.

    Returns:
        Shape (), (1,) or (batch,).

    Raises:
        TypeError: The pictures are not floating point.
        ValueError: The shapes do not fit, or a timestep is out of range.
    """
    if not like.is_floating_point():
        raise TypeError(f"x0 is {like.dtype}; scale it to [-1, 1] in floating point first.")
    t = torch.as_tensor(timesteps)
    if t.shape not in ((), (1,), like.shape[:1]):
        raise ValueError(
            f"timesteps have shape {tuple(t.shape)} for a batch of {len(like)}; "
            f"use one for all, shape (), or one each, shape ({len(like)},)."
        )
    least, most = (extreme.item() for extreme in t.aminmax())
    if least < 0 or most > last:
        raise ValueError(
            f"timestep {least if least < 0 else most} is outside [0, {last}]; "
            "draw timesteps in the range of the scheduler's num_train_timesteps."
        )
    return t
