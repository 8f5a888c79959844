"""DDPM from scratch: guess the picture, step back, add a little fresh noise."""

from math import sqrt
from typing import Any

from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.noise.targets import predicted_x0_and_noise
from course_utils.sampling.base import Generators, StepOutput
from course_utils.sampling.diffusion import DiffusionScheduler, fresh_noise
from course_utils.validate import check_choice, check_same_shape

VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log")
"""How much fresh noise a step can add; ``_log`` is another way to calculate the same."""


class DDPMScheduler(DiffusionScheduler):
    """Ancestral sampling, with the arguments of ``diffusers.DDPMScheduler``.

    It differs from diffusers' where that would go wrong in silence: betas outside (0, 1),
    `trained_betas` of another number than T, an unknown `variance_type`, and zero terminal SNR
    for a network that predicts the noise are refused; so are the variances that a network
    learns, since none in this course does. A step takes only timesteps of the path, and the
    last one adds no noise whatever its timestep.

    Args:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1. The defaults are made for T = 1000: a small T with them leaves
            much of the picture in the last noise level (36 % of its amplitude with T = 200).
        beta_schedule: One of `schedules.SCHEDULES`.
        trained_betas: T betas of your own, in place of the three before.
        variance_type: One of `VARIANCES`: the variance of the true way back for one single
            picture (small), or that of the step forward (large).
        clip_sample: Keep each guess of the clean picture in ± `clip_sample_range`.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        thresholding: Scale a guess that is too strong instead of clipping it.
        dynamic_thresholding_ratio: For `thresholding`, as in `dynamic_threshold`.
        clip_sample_range: For `clip_sample`.
        sample_max_value: For `thresholding`, the largest limit.
        timestep_spacing: Which timesteps sampling visits, one of `schedules.SPACINGS`.
        steps_offset: Added to each timestep of the ``leading`` spacing.
        rescale_betas_zero_snr: Leave nothing of the picture at t = T-1 (arXiv 2305.08891).

    Raises:
        TypeError: An option does not exist, or a number is not whole.
        ValueError: An option's value is unknown or out of range, or two do not go together.

    Example:
        >>> import torch
        >>> from course_utils.sampling import DDPMScheduler
        >>> scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
        >>> x0, noise = torch.zeros(1, 3, 8, 8), torch.randn(1, 3, 8, 8)
        >>> scheduler.add_noise(x0, noise, torch.tensor([500])).shape
        torch.Size([1, 3, 8, 8])

    Source:
        arXiv 2006.11239, Algorithms 1 and 2.
    """

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        variance_type: str = "fixed_small",
        clip_sample: bool = True,
        prediction_type: str = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        clip_sample_range: float = 1.0,
        sample_max_value: float = 1.0,
        timestep_spacing: str = "leading",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
    ) -> None:
        if variance_type in ("learned", "learned_range"):
            raise ValueError(
                f"variance_type is {variance_type!r}, for networks that predict a variance beside "
                f"the noise; none in this course does. Use one of {', '.join(VARIANCES)}."
            )
        check_choice("variance_type", variance_type, VARIANCES)
        self._prepare_levels()

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Go from x_t to the next timestep of the path.

        Args:
            model_output: The network's answer for `sample` at `timestep`, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_t, same shape.
            generator: Where the fresh noise comes from; a list has one per picture.
            return_dict: False for a plain tuple of the two.

        Returns:
            `StepOutput`. The last step adds no noise; it returns the guess itself.

        Raises:
            TypeError: The timestep is not a whole number.
            ValueError: The timestep is not in the path, or the shapes differ.

        Source:
            arXiv 2006.11239, the equations named beside the lines.
        """
        check_same_shape("model_output", model_output, "sample", sample)
        alpha_bar, alpha_bar_prev = self._alpha_bars_of(timestep)
        alpha = alpha_bar / alpha_bar_prev  # of the whole stride, which may skip timesteps
        beta = 1 - alpha

        x0, _ = predicted_x0_and_noise(  # (15)
            self.config.prediction_type, model_output, sample, sqrt(alpha_bar), sqrt(1 - alpha_bar)
        )
        x0 = self._in_range(x0)

        of_x0 = sqrt(alpha_bar_prev) * beta / (1 - alpha_bar)  # (7)
        of_sample = sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar)  # (7)
        prev_sample = of_x0 * x0 + of_sample * sample

        if alpha_bar_prev < 1:  # not yet at the picture
            small = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta  # (7), and β itself: section 3.2
            variance = small if self.config.variance_type.startswith("fixed_small") else beta
            prev_sample = prev_sample + sqrt(variance) * fresh_noise(sample, generator)  # (6)
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)
