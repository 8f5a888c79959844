"""DDIM from scratch: sampling in few steps, with as much fresh noise as you ask for."""

import copy
from math import sqrt
from typing import Any

from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.noise.process import NoiseScheduler
from course_utils.noise.targets import predicted_x0_and_noise
from course_utils.sampling.base import Generators, SamplingScheduler, StepOutput
from course_utils.sampling.diffusion import DiffusionScheduler, fresh_noise
from course_utils.validate import check_same_shape


class DDIMScheduler(DiffusionScheduler):
    """Sampling in few steps, with the arguments of ``diffusers.DDIMScheduler``.

    It differs from diffusers' where that would go wrong in silence: betas outside (0, 1),
    `trained_betas` of another number than T, and zero terminal SNR for a network that predicts
    the noise are refused. A step goes to the next timestep of the path; diffusers' goes down by
    T // n, which with other spacings is another one, and so it takes timesteps that are not in
    the path, which this one refuses.

    Args:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1.
        beta_schedule: One of `schedules.SCHEDULES`.
        trained_betas: T betas of your own, in place of the three before.
        clip_sample: Keep each guess of the clean picture in ± `clip_sample_range`.
        set_alpha_to_one: Whether the path ends at the picture. False ends it at the least noisy
            level, t = 0, as some published models were sampled.
        steps_offset: Added to each timestep of the ``leading`` spacing.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        thresholding: Scale a guess that is too strong instead of clipping it.
        dynamic_thresholding_ratio: For `thresholding`, as in `dynamic_threshold`.
        clip_sample_range: For `clip_sample`.
        sample_max_value: For `thresholding`, the largest limit.
        timestep_spacing: Which timesteps sampling visits, one of `schedules.SPACINGS`.
        rescale_betas_zero_snr: Leave nothing of the picture at t = T-1 (arXiv 2305.08891).

    Raises:
        TypeError: An option does not exist, or a number is not whole.
        ValueError: An option's value is unknown or out of range, or two do not go together.

    Example:
        >>> import torch
        >>> from course_utils.sampling import DDIMScheduler
        >>> scheduler = DDIMScheduler(timestep_spacing="trailing")
        >>> scheduler.set_timesteps(4)
        >>> scheduler.timesteps.tolist()
        [999, 749, 499, 249]
        >>> answer, x_t = torch.zeros(1, 3, 8, 8), torch.randn(1, 3, 8, 8)
        >>> scheduler.step(answer, 999, x_t).prev_sample.shape
        torch.Size([1, 3, 8, 8])

    Source:
        arXiv 2010.02502, sections 4.1 and 4.2.
    """

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        clip_sample: bool = True,
        set_alpha_to_one: bool = True,
        steps_offset: int = 0,
        prediction_type: str = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        clip_sample_range: float = 1.0,
        sample_max_value: float = 1.0,
        timestep_spacing: str = "leading",
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        self._prepare_levels()

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        eta: float = 0.0,
        use_clipped_model_output: bool = False,
        generator: Generators = None,
        variance_noise: Tensor | None = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Go from x_t to the next timestep of the path.

        Args:
            model_output: The network's answer for `sample` at `timestep`, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_t, same shape.
            eta: In [0, 1]: 0 adds no fresh noise, 1 as much as DDPM does.
            use_clipped_model_output: Find the noise anew from the clipped guess, so that the two
                still make up the sample. False, as in diffusers, keeps the network's noise.
            generator: Where the fresh noise comes from; a list has one per picture.
            variance_noise: The fresh noise itself, shape of `sample`, in place of a generator.
            return_dict: False for a plain tuple of the two.

        Returns:
            `StepOutput`. The last step adds no noise; it returns the guess itself.

        Raises:
            TypeError: The timestep is not a whole number.
            ValueError: The timestep is not in the path, the shapes differ, eta is outside
                [0, 1], or both a generator and the noise were given.

        Source:
            arXiv 2010.02502, the equations named beside the lines.
        """
        check_same_shape("model_output", model_output, "sample", sample)
        if not 0 <= eta <= 1:
            raise ValueError(f"eta is {eta}; use 0 (no fresh noise) to 1 (as much as DDPM).")
        if generator is not None and variance_noise is not None:
            raise ValueError(
                "generator and variance_noise were both given; the noise has one source."
            )
        least_noisy = 1.0 if self.config.set_alpha_to_one else self._alpha_bars[0]
        alpha_bar, alpha_bar_prev = self._alpha_bars_of(timestep, least_noisy)

        x0, noise = predicted_x0_and_noise(  # (9)
            self.config.prediction_type, model_output, sample, sqrt(alpha_bar), sqrt(1 - alpha_bar)
        )
        x0 = self._in_range(x0)
        if use_clipped_model_output:
            noise = (sample - sqrt(alpha_bar) * x0) / sqrt(1 - alpha_bar)

        remaining = (1 - alpha_bar_prev) / (1 - alpha_bar)
        variance = eta**2 * remaining * (1 - alpha_bar / alpha_bar_prev)  # σ² of (16)
        direction = sqrt(max(1 - alpha_bar_prev - variance, 0.0)) * noise  # (12): "pointing to x_t"
        prev_sample = sqrt(alpha_bar_prev) * x0 + direction  # (12)

        if variance > 0:
            fresh = fresh_noise(sample, generator) if variance_noise is None else variance_noise
            check_same_shape("variance_noise", fresh, "sample", sample)
            prev_sample = prev_sample + sqrt(variance) * fresh  # (12)
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)


def quick_scheduler(noise_scheduler: NoiseScheduler) -> SamplingScheduler:
    """DDIM with the noise levels of a scheduler, so that sampling takes tens of steps.

    Args:
        noise_scheduler: Ours or diffusers'. Flow matching is quick already and is copied.

    Returns:
        A new scheduler that starts at the last noise level and clips no guess. Where a clipped
        guess is put together with the network's own noise, guidance goes astray (chapter 7).

    Example:
        >>> from course_utils.sampling import DDPMScheduler, quick_scheduler
        >>> type(quick_scheduler(DDPMScheduler())).__name__
        'DDIMScheduler'

    Source:
        arXiv 2010.02502; trailing steps: arXiv 2305.08891, section 3.3.
    """
    if noise_scheduler.config.prediction_type == "flow_prediction":
        return copy.deepcopy(noise_scheduler)  # type: ignore[return-value]
    return DDIMScheduler(
        noise_scheduler.config.num_train_timesteps,
        trained_betas=noise_scheduler.betas.tolist(),  # type: ignore[attr-defined]
        prediction_type=noise_scheduler.config.prediction_type,
        timestep_spacing="trailing",
        clip_sample=False,
    )
