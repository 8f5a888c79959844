"""What every scheduler here has: mixing pictures with noise, and walking down the timesteps.

Symbols: `x0` the picture, scaled to [-1, 1]; `noise` a standard normal of the same shape; `sample`
the noisy picture x_t; `alpha_bar` ᾱ_t, the share of the picture's variance in it.

Saving, loading and ``config`` are diffusers' own (`SchedulerMixin`, `ConfigMixin`), so that a
scheduler of ours stands wherever one of theirs does, in a pipeline or in a training loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from diffusers import ConfigMixin, SchedulerMixin
from diffusers.schedulers.scheduling_utils import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from torch import Tensor

from course_utils.noise.process import checked_timesteps
from course_utils.noise.targets import training_target
from course_utils.validate import check_same_shape

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where fresh noise comes from, one generator for all pictures or one for each."""


class SamplingScheduler(Protocol):
    """What sampling asks of a scheduler, ours or diffusers'."""

    timesteps: Tensor

    @property
    def config(self) -> Any:
        """Settings by name."""

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Lay out the path of a sampling run."""

    def step(self, model_output: Tensor, timestep: Any, sample: Tensor) -> Any:
        """Go one timestep further; the answer has ``prev_sample``."""


@dataclass
class StepOutput(BaseOutput):
    """What one sampling step returns, by name or, as `output[0]`, by place.

    Attributes:
        prev_sample: The picture at the next, less noisy timestep, shape and dtype of the sample.
        pred_original_sample: The clean picture as guessed at this step, same shape.
    """

    prev_sample: Tensor
    pred_original_sample: Tensor


class Scheduler(SchedulerMixin, ConfigMixin):
    """The common part: a scheduler of its own kind adds ``step``, its rates and its path.

    ``_rates_at`` says how much picture and how much noise there is at a timestep, ``_last`` what
    the noisiest timestep is, ``_path_in`` and ``_path_through`` which timesteps sampling visits.
    """

    order = 1  # one look of the network for each step
    _compatibles = [e.name for e in KarrasDiffusionSchedulers]  # noqa: RUF012  (diffusers' name)
    _velocity = "v_prediction"
    config: Any
    timesteps: Tensor
    num_inference_steps: int | None = None
    init_noise_sigma = 1.0  # how strong the noise is that sampling starts from

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The two rates at checked timesteps of shape (1,) or (batch,): shape (2, 1 or batch)."""
        raise NotImplementedError

    def _path_in(self, num_inference_steps: int) -> Tensor:
        """The timesteps of a path of so many steps, the noisiest first."""
        raise NotImplementedError

    def _path_through(self, timesteps: Sequence[float]) -> Tensor:
        """The timesteps of a path of the caller's, checked."""
        raise NotImplementedError

    @property
    def _last(self) -> int:
        return self.config.num_train_timesteps - 1

    def __len__(self) -> int:
        return self.config.num_train_timesteps

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """What the network is shown of a sample: here, the sample itself.

        Args:
            sample: x_t, any shape.
            timestep: Not used; other schedulers scale by it.

        Returns:
            `sample`.
        """
        return sample

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        timesteps: Sequence[float] | None = None,
    ) -> None:
        """Lay out the path of a sampling run in `timesteps`. Before, it is all T of them.

        Args:
            num_inference_steps: How many steps, 1 … T, spread as the scheduler spreads them.
            device: Where `timesteps` goes. On the CPU (None), no step waits for a GPU.
            timesteps: The path itself, in place of a number: falling, from T or less. Whole
                numbers below T, but for flow matching, which takes any in (0, T].

        Raises:
            TypeError: A number is not whole.
            ValueError: Both or neither were given, or a number is out of range or order.
        """
        if timesteps is not None and num_inference_steps is None:
            path = self._path_through(timesteps)
        elif num_inference_steps is not None and timesteps is None:
            path = self._path_in(num_inference_steps)
        else:
            raise ValueError(
                f"num_inference_steps is {num_inference_steps} and timesteps is {timesteps}; "
                "give one of the two."
            )
        self._walk(path, device)
        self.num_inference_steps = len(path)

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
            arXiv 2006.11239, equation (4).
        """
        t = checked_timesteps(timesteps, like, self._last)
        dtype = torch.promote_types(like.dtype, torch.float32)
        # As a list, even of one: a single number as an index would make a GPU wait.
        both = self._rates_at(t.reshape(-1).to(like.device), like.device, dtype)
        signal_rate, noise_rate = both.reshape(2, -1, *[1] * (like.ndim - 1))
        return signal_rate, noise_rate

    def add_noise(
        self, original_samples: Tensor, noise: Tensor, timesteps: Tensor | float
    ) -> Tensor:
        """Mix pictures with noise, each at its own timestep: from x_0 to x_t in one jump.

        Args:
            original_samples: Clean pictures x0 scaled to [-1, 1], floating point, (batch, ...).
            noise: Standard normal, same shape.
            timesteps: One for all or one per picture, shape () or (batch,), whole numbers in
                [0, T); flow matching takes any numbers in [0, T]. Timesteps on the CPU are
                checked without making a GPU wait.

        Returns:
            signal_rate * x0 + noise_rate * noise, shape of `original_samples`. Half precision
            comes back as float32: in bfloat16 the little noise of small t would be lost.

        Raises:
            TypeError: The pictures are not floating point, or the timesteps not whole numbers.
            ValueError: The shapes do not fit, or a timestep is out of range.

        Source:
            arXiv 2006.11239, equation (4). Flow matching: arXiv 2210.02747, equation (22), with
            time turned round.
        """
        check_same_shape("noise", noise, "original_samples", original_samples)
        signal_rate, noise_rate = self.rates(timesteps, original_samples)
        return signal_rate * original_samples + noise_rate * noise

    def get_velocity(self, sample: Tensor, noise: Tensor, timesteps: Tensor | float) -> Tensor:
        """The target for a network that predicts the velocity.

        Args:
            sample: Clean pictures x0 (diffusers' name for them), as in `add_noise`.
            noise: As in `add_noise`.
            timesteps: As in `add_noise`.

        Returns:
            signal_rate * noise - noise_rate * x0, or noise - x0 in flow matching; shape of
            `sample`, at least float32.

        Raises:
            TypeError: As in `add_noise`.
            ValueError: As in `add_noise`.

        Source:
            arXiv 2202.00512, section 4. Flow matching: arXiv 2209.03003, equation (1).
        """
        check_same_shape("noise", noise, "sample", sample)
        return training_target(self._velocity, sample, noise, *self.rates(timesteps, sample))

    def previous_timestep(self, timestep: Tensor | float) -> Tensor:
        """The timestep that follows on the way from noise to picture.

        Args:
            timestep: An element of `timesteps`.

        Returns:
            The next element of `timesteps`, shape (); -1 after the last, which is the picture.

        Raises:
            ValueError: The timestep is not in the list.
        """
        following = self._next(torch.as_tensor(timestep).item())
        return torch.tensor(-1 if following is None else following)

    def _walk(self, timesteps: Tensor, device: torch.device | str | None = None) -> None:
        """Remember the list, and for each of its timesteps the one that follows; None at the end.

        A list that keeps a timestep twice has no single follower, and none of ours does.
        """
        listed = timesteps.tolist()
        self._following = dict(zip(listed, [*listed[1:], None], strict=True))
        self.timesteps = timesteps.to(device)

    def _next(self, timestep: float) -> float | None:
        """The timestep after this one: from the list, never by a stride. None is the picture."""
        if timestep not in self._following:
            total = self.config.num_train_timesteps
            known = f"not among this run's {len(self._following)}"
            raise ValueError(
                f"timestep {timestep} is {known if 0 <= timestep < total else 'outside [0, T)'}, "
                f"T={total}; pass the values of scheduler.timesteps, one after the other."
            )
        return self._following[timestep]
