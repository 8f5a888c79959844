"""UniPC from scratch: once the next look is in, take the last step again with it."""

import math
from typing import Any

import numpy as np
from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.sampling.base import Generators, StepOutput
from course_utils.sampling.dpm_solver import MultistepScheduler, mean_powers, step_to


class UniPCMultistepScheduler(MultistepScheduler):
    """DPM-Solver++, and each step corrected, with arguments of diffusers' class of this name.

    One look for each step. The network's answer at the end of a step, which the next step needs
    anyway, also tells how good that step was: it is taken again with it, and the next step goes
    on from there. Of diffusers' kinds it has ``bh2`` with the guess of the picture, its defaults.
    It differs from diffusers' where that goes wrong in silence: the last step, to the picture, is
    of first order whatever `lower_order_final` says, for all else is no number there; a path
    begins at its first level, though the network be told the same timestep at the second.

    Args:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1.
        beta_schedule: One of `schedules.SCHEDULES`.
        trained_betas: T betas of your own, in place of the three before.
        solver_order: 1, 2 or 3, the order of the step; its correction makes one more of it.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        thresholding: Scale a guess that is too strong.
        dynamic_thresholding_ratio: For `thresholding`, as in `dynamic_threshold`.
        sample_max_value: For `thresholding`, the largest limit.
        lower_order_final: Whether a run ends with second and first order.
        use_karras_sigmas: Space the levels as `karras_sigmas` does.
        timestep_spacing: Which timesteps sampling visits, one of `schedules.SPACINGS`.
        steps_offset: Added to each timestep of the ``leading`` spacing.
        rescale_betas_zero_snr: Leave nothing of the picture at t = T-1 (arXiv 2305.08891).
        sigma_min: The least noisy level of `use_karras_sigmas`; None for that of t = 0.
        sigma_max: The noisiest level; None for that of t = T-1.

    Raises:
        TypeError: An option does not exist, or a number is not whole.
        ValueError: An option's value is unknown or out of range, or two do not go together.

    Example:
        >>> from course_utils.sampling import UniPCMultistepScheduler
        >>> scheduler = UniPCMultistepScheduler(use_karras_sigmas=True, sigma_max=80.0)
        >>> scheduler.set_timesteps(4)
        >>> [round(sigma, 2) for sigma in scheduler.sigmas.tolist()]
        [80.0, 11.61, 0.8, 0.01, 0.0]

    Source:
        Zhao et al. 2023, arXiv 2302.04867, Algorithms 1 and 2.

    Chapter: 8, "Looks already paid for".
    """

    _longest_short_run = 1000**3  # every run counts as short
    _last_step: tuple[Tensor, int] | None  # where it began, and its order

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Any = None,
        solver_order: int = 2,
        prediction_type: str = "epsilon",
        thresholding: bool = False,
        dynamic_thresholding_ratio: float = 0.995,
        sample_max_value: float = 1.0,
        lower_order_final: bool = True,
        use_karras_sigmas: bool = False,
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
        generator: Generators = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Correct the step that led here, then go to the next level of the path.

        Args:
            model_output: The network's answer for `sample` at `timestep`, shape (batch, ...).
            timestep: The element of `timesteps` whose turn it is.
            sample: x_t, same shape.
            generator: Not used, for nothing is random here; pipelines pass it.
            return_dict: False for a plain tuple of the two.

        Returns:
            `StepOutput`.

        Raises:
            ValueError: The timestep is out of turn, or the shapes differ.

        Source:
            arXiv 2302.04867, Algorithm 1.
        """
        level = self._level(timestep)
        sigma, sigma_next = self._sigmas[level : level + 2]
        x0 = self._guess(model_output, sample, sigma)
        if self._last_step is not None:
            sample = self._corrected(x0, sigma, *self._last_step)
        self._see(x0, sigma)
        order = self._order_at(level)
        self._last_step = sample, order
        prev_sample = self._advance(sample, sigma_next, order)
        self._at = level + 1
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)

    def _forget(self) -> None:
        super()._forget()
        self._last_step = None

    def _corrected(self, x0_new: Tensor, sigma_new: float, start: Tensor, order: int) -> Tensor:
        """The step from `start`, with the guess at its end besides those it was made from.

        Source:
            arXiv 2302.04867, Algorithm 1 and equation (5); the weights are those of Theorem 3.1.
        """
        (sigma, x0), *older = self._seen
        h = math.log(sigma / sigma_new)
        known = [*older[: order - 1], (sigma_new, x0_new)]
        places = np.array([math.log(sigma / other) / h for other, _ in known])  # 1 is the end
        if order == 1:
            weights = np.array([0.5])
        else:  # the curve through all of them has the mean that its powers have
            powers = places ** np.arange(order)[:, None]
            weights = np.linalg.solve(powers, mean_powers(h, order))
        mean = x0
        for weight, place, (_, guess) in zip(weights, places, known, strict=True):
            mean = mean + float(weight / place) * (guess - x0)
        return step_to(start, mean, sigma, sigma_new)
