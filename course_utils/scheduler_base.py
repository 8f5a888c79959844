"""What all schedulers share: mixing pictures with noise, and walking down a list of timesteps.

Symbols here and in the schedulers themselves: `x0` the picture, scaled to [-1, 1]; `noise` a
standard normal of the same shape; `sample` the noisy picture x_t; `alpha_bar` ᾱ_t, the share of
the picture's variance in it. Taught in chapter 02_schedulers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from course_utils.parameterisation import training_target


@dataclass
class StepOutput:
    """What one sampling step returns; the fields are diffusers'. Chapter: 02_schedulers.

    Attributes:
        prev_sample: The picture at the next, less noisy timestep, shape and dtype of the sample.
        pred_original_sample: The clean picture as guessed at this step, same shape.
    """

    prev_sample: Tensor
    pred_original_sample: Tensor


class Scheduler:
    """What the three share: mixing picture and noise, and walking down a list of timesteps.

    A scheduler of its own kind says in ``_rates_at`` how much picture and how much noise there
    is at a timestep, and in ``_last`` what the noisiest timestep is.

    Source:
        The common part of diffusers' schedulers. Chapter: 02_schedulers.
    """

    config: Any
    timesteps: Tensor
    num_inference_steps: int | None = None
    _velocity = "v_prediction"

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The two rates at checked timesteps of shape () or (batch,): shape (2,) or (2, batch)."""
        raise NotImplementedError

    @property
    def _last(self) -> int:
        return self.config.num_train_timesteps - 1

    def rates(self, timesteps: Tensor | float, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1-ᾱ_t), or 1-σ and σ, shaped to be multiplied with a batch.

        Args:
            timesteps: As in `add_noise`.
            like: The batch, floating point: gives shape, device and (at least float32) dtype.

        Returns:
            Two tensors of shape (1, 1, ...) or (batch, 1, ...).

        Raises:
            TypeError: As in `add_noise`.
            ValueError: As in `add_noise`.

        Source:
            arXiv 2006.11239, equation (4). Chapter: 02_schedulers.
        """
        t = _checked_timesteps(timesteps, like, self._last)
        dtype = torch.promote_types(like.dtype, torch.float32)
        both = self._rates_at(t.to(like.device), like.device, dtype)
        signal_rate, noise_rate = both.reshape(2, -1, *[1] * (like.ndim - 1))
        return signal_rate, noise_rate

    def add_noise(self, x0: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
        """Mix pictures with noise, each at its own timestep: from x_0 to x_t in one jump.

        Args:
            x0: Clean pictures scaled to [-1, 1], floating point, shape (batch, ...).
            noise: Standard normal, same shape.
            timesteps: One for all or one per picture, shape () or (batch,), whole numbers in
                [0, T); flow matching takes any numbers in [0, T]. Timesteps on the CPU are
                checked without making a GPU wait.

        Returns:
            signal_rate * x0 + noise_rate * noise, shape of `x0`. Half precision comes back as
            float32: in bfloat16 the little noise of small t would be lost.

        Raises:
            TypeError: `x0` is not floating point, or the timesteps are not whole numbers.
            ValueError: The shapes do not fit, or a timestep is out of range.

        Source:
            arXiv 2006.11239, equation (4). Flow matching: arXiv 2210.02747, equation (22), with
            time turned round. Chapter: 02_schedulers.
        """
        check_same_shape("noise", noise, "x0", x0)
        signal_rate, noise_rate = self.rates(timesteps, x0)
        return signal_rate * x0 + noise_rate * noise

    def get_velocity(self, x0: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
        """The target for a network that predicts the velocity.

        Args:
            x0: As in `add_noise`.
            noise: As in `add_noise`.
            timesteps: As in `add_noise`.

        Returns:
            signal_rate * noise - noise_rate * x0, or noise - x0 in flow matching; shape of `x0`,
            at least float32.

        Raises:
            TypeError: As in `add_noise`.
            ValueError: As in `add_noise`.

        Source:
            arXiv 2202.00512, section 4. Flow matching: arXiv 2209.03003, equation (1).
            Chapter: 02_schedulers.
        """
        check_same_shape("noise", noise, "x0", x0)
        return training_target(self._velocity, x0, noise, *self.rates(timesteps, x0))

    def _walk(self, timesteps: Tensor, end: float, device: torch.device | str | None) -> None:
        """Remember the list, and for each of its timesteps the one that follows."""
        listed = timesteps.tolist()
        self._following = dict(zip(listed, [*listed[1:], end], strict=True))
        self.num_inference_steps = len(listed)
        self.timesteps = timesteps.to(device)

    def _next(self, timestep: float) -> float:
        """The timestep after this one: from the list, never by a stride."""
        if self.num_inference_steps is None:
            raise ValueError("step() came before set_timesteps(n): the path is not yet known.")
        if timestep not in self._following:
            total = self.config.num_train_timesteps
            known = f"not among this run's {self.num_inference_steps}"
            raise ValueError(
                f"timestep {timestep} is {known if 0 <= timestep < total else 'outside [0, T)'}, "
                f"T={total}; pass the values of scheduler.timesteps, one after the other."
            )
        return self._following[timestep]


def check_same_shape(name: str, given: Tensor, other: str, wanted: Tensor) -> None:
    """Refuse two tensors of different shapes, which PyTorch might broadcast in silence.

    Args:
        name: What `given` is called; for the message.
        given: One tensor.
        other: What `wanted` is called.
        wanted: The other.

    Raises:
        ValueError: Their shapes differ.

    Source:
        The course's own helper. Chapter: 02_schedulers.
    """
    if given.shape != wanted.shape:
        raise ValueError(
            f"{name} has shape {tuple(given.shape)} and {other} {tuple(wanted.shape)}; "
            "they must be the same."
        )


def _checked_timesteps(timesteps: Tensor | float, like: Tensor, last: int) -> Tensor:
    if not like.is_floating_point():
        raise TypeError(f"x0 is {like.dtype}; scale it to [-1, 1] in floating point first.")
    t = torch.as_tensor(timesteps)
    if t.shape not in ((), (1,), like.shape[:1]):
        raise ValueError(
            f"timesteps have shape {tuple(t.shape)} for a batch of {len(like)}; "
            f"use one for all, shape (), or one each, shape ({len(like)},)."
        )
    _check_range(t, 0, last)
    return t


def _check_range(timesteps: Tensor, low: int, high: int) -> None:
    least, most = (extreme.item() for extreme in timesteps.aminmax())
    if least < low or most > high:
        raise ValueError(
            f"timestep {least if least < low else most} is outside [{low}, {high}]; "
            "draw timesteps in the range of the scheduler's num_train_timesteps."
        )
