"""DDPM and DDIM from scratch: taking noise away step by step.

Both have diffusers' calling convention, so that each stands in for diffusers' own in a
`DDPMPipeline` or a training loop. Symbols as in `course_utils.scheduler_base`. Taught in chapter
02_schedulers.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from course_utils import schedules
from course_utils.parameterisation import predicted_x0_and_noise
from course_utils.scheduler_base import Scheduler, StepOutput, check_same_shape

Generators = torch.Generator | Sequence[torch.Generator] | None


@dataclass(frozen=True)
class DDPMConfig:
    """The options of `DDPMScheduler`, checked. Chapter: 02_schedulers.

    Attributes:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1. The defaults are made for T = 1000: a small T with them leaves
            much of the picture in the last noise level (36 % of its amplitude with T = 200).
        beta_schedule: One of `schedules.SCHEDULES`.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        timestep_spacing: Which timesteps sampling visits, one of `schedules.SPACINGS`.
        clip_sample: Keep each guess of the clean picture in [-1, 1]; for data in that range.
        rescale_betas_zero_snr: Leave nothing of the picture at t = T-1 (arXiv 2305.08891).

    Raises:
        ValueError: A name is unknown, a number is out of range, or a network that predicts the
            noise is combined with zero terminal SNR.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"
    timestep_spacing: str = "leading"
    clip_sample: bool = True
    rescale_betas_zero_snr: bool = False

    def __post_init__(self) -> None:
        schedules.check_count("num_train_timesteps", self.num_train_timesteps)
        schedules.check_choice("beta_schedule", self.beta_schedule, schedules.SCHEDULES)
        schedules.check_choice("timestep_spacing", self.timestep_spacing, schedules.SPACINGS)
        known = schedules.PREDICTION_TYPES
        schedules.check_choice("prediction_type", self.prediction_type, known)
        if self.rescale_betas_zero_snr and self.prediction_type == "epsilon":
            raise ValueError(
                "rescale_betas_zero_snr=True leaves no picture at the last timestep, and from "
                "prediction_type='epsilon' x0 is found by dividing by what is left, 0. "
                "Use prediction_type='v_prediction' (arXiv 2305.08891, section 3.2) or 'sample'."
            )


@dataclass(frozen=True)
class DDIMConfig(DDPMConfig):
    """`DDPMConfig` and one more option. Chapter: 02_schedulers.

    Attributes:
        eta: In [0, 1]: 0 adds no noise while sampling, 1 as much as DDPM does.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_eta(self.eta)


class _DiffusionScheduler(Scheduler):
    """The forward process that DDPM and DDIM share (arXiv 2006.11239, section 2)."""

    def __init__(self, config: DDPMConfig) -> None:
        self.config = config
        self.betas = schedules.betas(
            config.beta_schedule, config.num_train_timesteps, config.beta_start, config.beta_end
        )
        if config.rescale_betas_zero_snr:
            self.betas = schedules.rescale_zero_terminal_snr(self.betas)
        alpha_bar = schedules.alphas_cumprod(self.betas, torch.float64)
        self.alphas_cumprod = alpha_bar.float()
        self.timesteps = torch.arange(config.num_train_timesteps - 1, -1, -1)
        # ᾱ as Python's own numbers: float64, and no step waits for a device. The entry after
        # the last stands for t = -1, the clean picture.
        self._alpha_bars = [*alpha_bar.tolist(), 1.0]
        self._rates = {
            (torch.device("cpu"), torch.float64): torch.stack([alpha_bar, 1 - alpha_bar]).sqrt()
        }

    def set_timesteps(
        self, num_inference_steps: int, device: torch.device | str | None = None
    ) -> None:
        """Lay out the path of a sampling run in `timesteps`, spaced as the config says.

        Args:
            num_inference_steps: How many steps, 1 … T.
            device: Where `timesteps` goes. On the CPU (None), no step waits for a GPU.

        Raises:
            TypeError: The number is not whole.
            ValueError: The number is not in 1 … T.

        Source:
            arXiv 2305.08891, Table 2. Chapter: 02_schedulers.
        """
        spacing, total = self.config.timestep_spacing, self.config.num_train_timesteps
        self._walk(schedules.inference_timesteps(spacing, total, num_inference_steps), -1, device)

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        if timesteps.dtype.is_floating_point or timesteps.dtype is torch.bool:
            raise TypeError(
                f"timesteps are {timesteps.dtype}; they count noise levels: use integers."
            )
        if (device, dtype) not in self._rates:
            exact = self._rates[torch.device("cpu"), torch.float64]
            self._rates[device, dtype] = exact.to(device, dtype)
        return self._rates[device, dtype][:, timesteps]

    def _prepare(self, model_output: Tensor, timestep: Any, sample: Tensor) -> tuple[float, float]:
        """Check a step's arguments and find ᾱ of its timestep and of the next in the list."""
        check_same_shape("model_output", model_output, "sample", sample)
        t = _whole("timestep", timestep)
        following = self._next(t)
        return self._alpha_bars[t], self._alpha_bars[following]

    def _predict(
        self, model_output: Tensor, sample: Tensor, alpha_bar: float
    ) -> tuple[Tensor, Tensor]:
        kind = self.config.prediction_type
        x0, noise = predicted_x0_and_noise(
            kind, model_output, sample, sqrt(alpha_bar), sqrt(1 - alpha_bar)
        )
        return (x0.clamp(-1, 1) if self.config.clip_sample else x0), noise


class DDPMScheduler(_DiffusionScheduler):
    """Ancestral sampling: guess the picture, step back, add a little fresh noise.

    Args:
        num_train_timesteps: T, the number of noise levels.
        options: The other fields of `DDPMConfig`, by name; readable as `scheduler.config.<name>`.

    Raises:
        TypeError: An option does not exist.
        ValueError: An option's value is unknown or out of range.

    Source:
        arXiv 2006.11239, Algorithms 1 and 2. Chapter: 02_schedulers.
    """

    config: DDPMConfig

    def __init__(self, num_train_timesteps: int = 1000, **options: Any) -> None:
        super().__init__(DDPMConfig(num_train_timesteps, **options))

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, generator: Generators = None
    ) -> StepOutput:
        """Go from x_t to the next timestep of the list.

        Args:
            model_output: The network's answer for `sample` at `timestep`, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_t, same shape.
            generator: Where the fresh noise comes from; a list has one per picture.

        Returns:
            `StepOutput`. The last step adds no noise; it returns the guess itself.

        Raises:
            TypeError: The timestep is not a whole number.
            ValueError: `set_timesteps` was not called, the timestep is not in its list, or the
                shapes differ.

        Source:
            arXiv 2006.11239, equations (6), (7) and (15). Chapter: 02_schedulers.
        """
        alpha_bar, alpha_bar_prev = self._prepare(model_output, timestep, sample)
        x0, _ = self._predict(model_output, sample, alpha_bar)
        alpha = alpha_bar / alpha_bar_prev  # of the whole stride, which may skip timesteps
        beta, remaining = 1 - alpha, (1 - alpha_bar_prev) / (1 - alpha_bar)
        mean = sqrt(alpha_bar_prev) * beta / (1 - alpha_bar) * x0 + sqrt(alpha) * remaining * sample
        if remaining > 0:
            mean = mean + sqrt(remaining * beta) * _randn_like(sample, generator)
        return StepOutput(mean, x0)


class DDIMScheduler(_DiffusionScheduler):
    """Sampling in few steps, with as much fresh noise as `eta` asks for.

    Args:
        num_train_timesteps: T, the number of noise levels.
        options: The other fields of `DDIMConfig`, by name; readable as `scheduler.config.<name>`.

    Raises:
        TypeError: An option does not exist.
        ValueError: An option's value is unknown or out of range.

    Source:
        arXiv 2010.02502, sections 4.1 and 4.2. Chapter: 02_schedulers.
    """

    config: DDIMConfig

    def __init__(self, num_train_timesteps: int = 1000, **options: Any) -> None:
        super().__init__(DDIMConfig(num_train_timesteps, **options))

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        eta: float | None = None,
        use_clipped_model_output: bool = False,
        generator: Generators = None,
    ) -> StepOutput:
        """Go from x_t to the next timestep of the list.

        Args:
            model_output: The network's answer for `sample` at `timestep`, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_t, same shape.
            eta: In [0, 1]; None takes the config's.
            use_clipped_model_output: Find the noise anew from the clipped guess, so that the two
                still make up the sample. False, as in diffusers, keeps the network's noise.
            generator: Where the fresh noise comes from; a list has one per picture.

        Returns:
            `StepOutput`. The last step adds no noise; it returns the guess itself.

        Raises:
            TypeError: The timestep is not a whole number.
            ValueError: `set_timesteps` was not called, the timestep is not in its list, the
                shapes differ, or eta is outside [0, 1].

        Source:
            arXiv 2010.02502, equations (9), (12) and (16). Chapter: 02_schedulers.
        """
        eta = self.config.eta if eta is None else _check_eta(eta)
        alpha_bar, alpha_bar_prev = self._prepare(model_output, timestep, sample)
        x0, noise = self._predict(model_output, sample, alpha_bar)
        if use_clipped_model_output:
            noise = (sample - sqrt(alpha_bar) * x0) / sqrt(1 - alpha_bar)
        remaining = (1 - alpha_bar_prev) / (1 - alpha_bar)
        variance = eta**2 * remaining * (1 - alpha_bar / alpha_bar_prev)  # σ² of (16)
        direction = sqrt(max(1 - alpha_bar_prev - variance, 0.0)) * noise
        prev_sample = sqrt(alpha_bar_prev) * x0 + direction
        if variance > 0:
            prev_sample = prev_sample + sqrt(variance) * _randn_like(sample, generator)
        return StepOutput(prev_sample, x0)


def _randn_like(sample: Tensor, generator: Generators) -> Tensor:
    """Standard normal noise from the generator's own device, or from one generator a picture."""
    if isinstance(generator, Sequence):
        if len(generator) != len(sample):
            raise ValueError(
                f"{len(generator)} generators for {len(sample)} pictures: give all one."
            )
        pairs = zip(sample.split(1), generator, strict=True)
        return torch.cat([_randn_like(picture, own) for picture, own in pairs])
    device = sample.device if generator is None else generator.device
    noise = torch.randn(sample.shape, generator=generator, device=device, dtype=sample.dtype)
    return noise.to(sample.device)


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, which is not a whole number: use an int.") from None


def _check_eta(eta: float) -> float:
    if not 0 <= eta <= 1:
        raise ValueError(f"eta is {eta}; use 0 (no fresh noise) to 1 (as much as DDPM).")
    return eta
