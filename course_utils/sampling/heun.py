"""Heun's method from scratch: look where a step leads, then take the mean of both directions."""

from typing import Any

import numpy as np
import torch
from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.noise.schedules import inference_timesteps
from course_utils.noise.targets import predicted_x0_and_noise
from course_utils.sampling.base import StepOutput
from course_utils.sampling.sigmas import SigmaScheduler, rates_of
from course_utils.validate import check_count, check_same_shape


class HeunDiscreteScheduler(SigmaScheduler):
    """Two looks for each step but the last, with arguments of ``diffusers.HeunDiscreteScheduler``.

    It counts pictures as x0 + σ noise: sampling starts from noise times `init_noise_sigma`, and
    the network is shown `scale_model_input` of a sample. Of n steps, the last has one look, so
    the network is asked 2n - 1 times. It differs from diffusers' where that would go wrong in
    silence: settings and timesteps that can't be are refused. Exponential and beta spacing and
    the schedule ``exp`` are left out.

    Args:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1.
        beta_schedule: One of `schedules.SCHEDULES`.
        trained_betas: T betas of your own, in place of the three before.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        use_karras_sigmas: Space the levels as `karras_sigmas` does, between the ends of the path.
        clip_sample: Keep each guess of the clean picture in ± `clip_sample_range`.
        clip_sample_range: For `clip_sample`.
        timestep_spacing: Which timesteps sampling visits, one of `schedules.SPACINGS`.
        steps_offset: Added to each timestep of the ``leading`` spacing.
        rescale_betas_zero_snr: Leave nothing of the picture at t = T-1 (arXiv 2305.08891).
        sigma_min: The least noisy level of `use_karras_sigmas`; None for the path's own.
        sigma_max: The noisiest level, likewise.

    Raises:
        TypeError: An option does not exist, or a number is not whole.
        ValueError: An option's value is unknown or out of range, or two do not go together.

    Example:
        >>> from course_utils.sampling import HeunDiscreteScheduler
        >>> scheduler = HeunDiscreteScheduler(timestep_spacing="trailing")
        >>> scheduler.set_timesteps(3)
        >>> scheduler.timesteps.tolist()  # each but the first is asked for twice
        [999.0, 666.0, 666.0, 332.0, 332.0]

    Source:
        Karras et al. 2022, arXiv 2206.00364, Algorithm 1.

    Chapter: 8, "Look before you step".
    """

    order = 2  # two looks of the network for each step
    _first_look: tuple[Tensor, Tensor, float] | None  # sample, dx/dσ and σ, in mid-step

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        prediction_type: str = "epsilon",
        use_karras_sigmas: bool = False,
        clip_sample: bool = False,
        clip_sample_range: float = 1.0,
        timestep_spacing: str = "linspace",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
    ) -> None:
        self._prepare_levels()

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Half a step: go where the first look points, or, after the second look, correct that.

        Args:
            model_output: The network's answer for `sample`, scaled, at `timestep`, (batch, ...).
            timestep: The element of `timesteps` whose turn it is.
            sample: x0 + σ noise, same shape.
            return_dict: False for a plain tuple of the two.

        Returns:
            `StepOutput`.

        Raises:
            ValueError: The timestep is out of turn, or the shapes differ.

        Source:
            arXiv 2206.00364, Algorithm 1, the lines named beside the lines.
        """
        level = self._level(timestep)
        sigma = self._sigmas[level]
        x0, direction = self._look(model_output, sample, sigma)  # lines 4 and 7
        if self._first_look is None:
            start, sigma_next = sample, self._sigmas[level + 1]
            if sigma_next > 0:
                self._first_look = sample, direction, sigma
            self._at = level + 1
        else:
            start, before, sigma_before = self._first_look
            check_same_shape("sample", sample, "the step's first sample", start)
            direction = (before + direction) / 2  # line 8: the mean of both ends
            sigma, sigma_next, self._first_look = sigma_before, sigma, None
        prev_sample = start + (sigma_next - sigma) * direction  # lines 5 and 8
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)

    def _look(self, model_output: Tensor, sample: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """The clean picture as the network sees it, and dx/dσ = (x - x0)/σ, which is the noise."""
        check_same_shape("model_output", model_output, "sample", sample)
        kind, (signal_rate, noise_rate) = self.config.prediction_type, rates_of(sigma)
        x0, noise = predicted_x0_and_noise(
            kind, model_output, sample * signal_rate, signal_rate, noise_rate
        )
        if not self.config.clip_sample:
            return x0, noise
        limit = self.config.clip_sample_range
        x0 = x0.clamp(-limit, limit)
        return x0, (sample - x0) / sigma

    @property
    def init_noise_sigma(self) -> float:  # type: ignore[override]
        """How strong the noise is that sampling starts from."""
        most = self._sigmas[0]
        leading = self.config.timestep_spacing == "leading"  # starts before all is noise
        return (most**2 + 1) ** 0.5 if leading else most

    def scale_model_input(self, sample: Tensor, timestep: Any = None) -> Tensor:
        """What the network is shown: the sample, shrunk to the variance of its training.

        Args:
            sample: x0 + σ noise, any shape.
            timestep: The element of `timesteps` whose turn it is.

        Returns:
            The sample times √ᾱ = 1/√(σ²+1), same shape.

        Raises:
            ValueError: The timestep is out of turn.
        """
        signal_rate, _ = rates_of(self._sigmas[self._level(timestep)])
        return sample * signal_rate

    def add_noise(
        self, original_samples: Tensor, noise: Tensor, timesteps: Tensor | float
    ) -> Tensor:
        """Mix pictures with noise as this scheduler counts it, x0 + σ noise.

        Args:
            original_samples: Clean pictures x0 scaled to [-1, 1], floating point, (batch, ...).
            noise: Standard normal, same shape.
            timesteps: As in ``DDPMScheduler.add_noise``; or of the path, which has broken ones.

        Returns:
            Shape of `original_samples`, at least float32.

        Raises:
            TypeError: As in ``DDPMScheduler.add_noise``.
            ValueError: As in ``DDPMScheduler.add_noise``.
        """
        signal_rate, _ = self.rates(timesteps, original_samples)
        return super().add_noise(original_samples, noise, timesteps) / signal_rate

    def _path_in(self, num_inference_steps: int) -> Tensor:
        """So many steps, spaced as the config says; linspace does not round here."""
        spacing, total = self.config.timestep_spacing, self.config.num_train_timesteps
        if spacing == "linspace":
            n = check_count("num_inference_steps", num_inference_steps, most=total)
            return torch.linspace(0, total - 1, n, dtype=torch.float64).flip(0)
        return inference_timesteps(spacing, total, num_inference_steps, self.config.steps_offset)

    def _widest(self, sigmas: np.ndarray) -> tuple[float, float]:
        return sigmas[-1], sigmas[0]

    def _told(self, timesteps: Tensor) -> Tensor:
        return timesteps.float()  # a network takes broken timesteps as well

    def _calls(self, timesteps: Tensor) -> Tensor:
        """Every timestep but the first twice: it ends one step and begins the next."""
        return torch.cat([timesteps[:1], timesteps[1:].repeat_interleave(2)])

    def _forget(self) -> None:
        self._first_look = None
