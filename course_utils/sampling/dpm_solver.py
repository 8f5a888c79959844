"""DPM-Solver++ from scratch: guess where the guess is going, from looks that were paid for."""

import math
from typing import Any

from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.sampling.base import Generators, StepOutput
from course_utils.sampling.diffusion import dynamic_threshold
from course_utils.sampling.sigmas import SigmaScheduler, rates_of
from course_utils.validate import check_choice, check_count, check_same_shape


class MultistepScheduler(SigmaScheduler):
    """A step from the guess at this level and those at the levels before.

    Between two levels the exact answer is a mean of all guesses on the way, the later ones
    counting for more (arXiv 2211.01095, equation (8)). First order takes the guess at hand for
    all of them, and is DDIM; second order draws a line through the last two, third order a
    parabola through the last three.
    """

    _longest_short_run = 14  # up to how many steps `lower_order_final` counts
    _seen: list[tuple[float, Tensor]]  # σ and guess, the newest first

    def _prepare_levels(self) -> None:
        config = self.config
        check_count("solver_order", config.solver_order)
        if config.solver_order > 3:
            raise ValueError(f"solver_order is {config.solver_order}; use 1, 2 or 3.")
        super()._prepare_levels()

    def _forget(self) -> None:
        self._seen = []

    def _in_range(self, x0: Tensor) -> Tensor:
        config = self.config
        if config.thresholding:
            return dynamic_threshold(x0, config.dynamic_thresholding_ratio, config.sample_max_value)
        return x0

    def _see(self, x0: Tensor, sigma: float) -> None:
        """Remember a guess, and no more of those before than the order needs."""
        for _, older in self._seen[:1]:
            check_same_shape("sample", x0, "the sample of the step before", older)
        self._seen = [(sigma, x0), *self._seen][: self.config.solver_order]

    def _order_at(self, level: int) -> int:
        """How many guesses this step may use: fewer at the start, and one to the picture."""
        count, left = len(self._steps), len(self._steps) - level
        if left == 1:
            return 1
        careful = self.config.lower_order_final and count <= self._longest_short_run
        return min(len(self._seen), left if careful else count)

    def _advance(self, sample: Tensor, sigma_next: float, order: int) -> Tensor:
        """From the level of the newest guess to the next.

        Source:
            arXiv 2211.01095, equation (9) and Algorithm 2.
        """
        (sigma, x0), *older = self._seen
        if order > 1:  # h and r of Algorithm 2: steps in λ = -log σ
            h = math.log(sigma / sigma_next)
            x0 = x0 + slope_and_bend(h, sigma, x0, older[: order - 1])
        return step_to(sample, x0, sigma, sigma_next)


def step_to(sample: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """Go from σ to σ' as if the guess did not change on the way.

    Args:
        sample: √ᾱ x0 + √(1-ᾱ) noise at σ, any shape.
        x0: The guess, or the mean of the guesses on the way, same shape.
        sigma: Where the sample is, above 0.
        sigma_next: Where it goes, from 0.

    Returns:
        The sample at σ', same shape.

    Source:
        arXiv 2211.01095, equation (9), where e^(-h) is σ'/σ; with one guess, DDIM.
    """
    _, noise_rate = rates_of(sigma)
    signal_next, noise_next = rates_of(sigma_next)
    return noise_next / noise_rate * sample + signal_next * (1 - sigma_next / sigma) * x0


def slope_and_bend(h: float, sigma: float, x0: Tensor, older: list[tuple[float, Tensor]]) -> Tensor:
    """What the mean of the guesses on a step differs from the guess at its start.

    Args:
        h: The length of the step in λ = -log σ.
        sigma: Where the step starts.
        x0: The guess there.
        older: σ and guess at one level before, for a line, or at two, for a parabola.

    Returns:
        To be added to `x0`, same shape.

    Source:
        arXiv 2211.01095, Algorithm 2, for the line: its middle is its mean, nearly. The parabola:
        arXiv 2302.04867, equation (8), for p = 3, of which this is the solution.
    """
    (sigma_1, x0_1), *oldest = older
    r_0 = math.log(sigma_1 / sigma) / h
    slope = (x0 - x0_1) / r_0
    if not oldest:
        return slope / 2
    sigma_2, x0_2 = oldest[0]
    r_1 = math.log(sigma_2 / sigma_1) / h
    bend = (slope - (x0_1 - x0_2) / r_1) / (r_0 + r_1)
    first, second = mean_powers(h, 2)
    return first * (slope + r_0 * bend) + second * bend


def mean_powers(h: float, count: int) -> list[float]:
    """The means of τ, τ², … over a step from 0 to 1, where later places count for more.

    Args:
        h: The length of the step in λ; the weight is e^(h τ).
        count: How many powers, from 1.

    Returns:
        The mean of τ^k for k = 1 … `count`: near 1/2, 1/3, … for short steps, greater for long.

    Source:
        arXiv 2211.01095, equation (8), by parts.
    """
    integral = total = 1 - math.exp(-h)
    means = []
    for power in range(1, count + 1):
        integral = 1 - power / h * integral
        means.append(integral / total)
    return means


class DPMSolverMultistepScheduler(MultistepScheduler):
    """DPM-Solver++ 2M and 3M, with arguments of ``diffusers.DPMSolverMultistepScheduler``.

    One look for each step. Of diffusers' kinds it has ``dpmsolver++`` with ``midpoint``, its
    defaults. It differs from diffusers' where that goes wrong: with solver_order=3 diffusers
    counts the bend of the parabola half and stays of second order; with `use_karras_sigmas` and a
    cosine schedule it tells the network the timestep below instead of the nearest; and settings
    that can't be are refused.

    Args:
        num_train_timesteps: T, the number of noise levels.
        beta_start: β at t = 0.
        beta_end: β at t = T-1.
        beta_schedule: One of `schedules.SCHEDULES`.
        trained_betas: T betas of your own, in place of the three before.
        solver_order: 1 for DDIM, 2 for 2M, 3 for 3M.
        prediction_type: What the network predicts, one of `schedules.PREDICTION_TYPES`.
        thresholding: Scale a guess that is too strong.
        dynamic_thresholding_ratio: For `thresholding`, as in `dynamic_threshold`.
        sample_max_value: For `thresholding`, the largest limit.
        algorithm_type: Always ``dpmsolver++``.
        lower_order_final: Whether runs of under 15 steps end with second and first order.
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
        >>> import torch
        >>> from course_utils.sampling import DPMSolverMultistepScheduler
        >>> scheduler = DPMSolverMultistepScheduler(timestep_spacing="trailing")
        >>> scheduler.set_timesteps(4)
        >>> x = torch.randn(1, 3, 8, 8)
        >>> for t in scheduler.timesteps:
        ...     answer = torch.zeros_like(x)  # a network's
        ...     x = scheduler.step(answer, t, x).prev_sample
        >>> scheduler.timesteps.tolist()
        [999, 749, 499, 249]

    Source:
        Lu et al. 2022, arXiv 2211.01095, Algorithm 2.

    Chapter: 8, "Looks already paid for".
    """

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
        algorithm_type: str = "dpmsolver++",
        lower_order_final: bool = True,
        use_karras_sigmas: bool = False,
        timestep_spacing: str = "linspace",
        steps_offset: int = 0,
        rescale_betas_zero_snr: bool = False,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
    ) -> None:
        check_choice("algorithm_type", algorithm_type, ("dpmsolver++",))
        self._prepare_levels()

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Go from x_t to the next level of the path.

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
            arXiv 2211.01095, Algorithm 2.
        """
        level = self._level(timestep)
        sigma, sigma_next = self._sigmas[level : level + 2]
        x0 = self._guess(model_output, sample, sigma)
        self._see(x0, sigma)
        prev_sample = self._advance(sample, sigma_next, self._order_at(level))
        self._at = level + 1
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)
