"""Flow matching from scratch: straight paths from noise to picture."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import SchedulerMixin as SchedulerMixin  # looked for beside a class that is loaded
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from course_utils.models.base import count_given
from course_utils.sampling.base import Generators, Scheduler, StepOutput
from course_utils.validate import check_choice, check_count, check_same_shape


class FlowMatchEulerScheduler(Scheduler):
    """Straight paths from noise to picture, walked in equal steps.

    x_σ = (1-σ) x0 + σ noise with σ = timestep / T, so time runs from picture to noise as it does
    in DDPM; the papers' t is 1-σ. The network predicts the velocity noise - x0. Between training
    and sampling, timesteps may be any numbers in [0, T]. Its equal in diffusers is
    ``FlowMatchEulerDiscreteScheduler`` with no shift.

    Args:
        num_train_timesteps: T, the timestep that is all noise.
        prediction_type: Always ``flow_prediction``, for `training_target`.

    Raises:
        TypeError: T is not a whole number.
        ValueError: T is below 1, or the prediction type is another.

    Example:
        >>> from course_utils.sampling import FlowMatchEulerScheduler
        >>> scheduler = FlowMatchEulerScheduler()
        >>> scheduler.set_timesteps(4)
        >>> scheduler.timesteps.tolist()
        [1000.0, 667.0, 334.0, 1.0]

    Source:
        arXiv 2210.02747, equations (20)-(23) with σ_min = 0; arXiv 2209.03003, equation (1).
    """

    _velocity = "flow_prediction"
    _compatibles = ["FlowMatchEulerDiscreteScheduler"]  # noqa: RUF012  (diffusers' name)

    @register_to_config
    def __init__(
        self, num_train_timesteps: int = 1000, prediction_type: str = "flow_prediction"
    ) -> None:
        count_given(self)
        check_count("num_train_timesteps", num_train_timesteps)
        check_choice("prediction_type", prediction_type, (self._velocity,))
        self._walk(torch.arange(num_train_timesteps, 0, -1, dtype=torch.float32))

    def _path_in(self, num_inference_steps: int) -> Tensor:
        """Evenly from T down to 1, and from there to the picture at 0."""
        total = self.config.num_train_timesteps
        count = check_count("num_inference_steps", num_inference_steps, total)
        return torch.linspace(total, 1, count, dtype=torch.float64).float()

    def _path_through(self, timesteps: Sequence[float]) -> Tensor:
        total = self.config.num_train_timesteps
        path = torch.as_tensor(timesteps, dtype=torch.float32)
        falling = len(path) > 0 and bool((path.diff() < 0).all())
        if not falling or path[0] > total or path[-1] <= 0:
            raise ValueError(
                f"timesteps are {timesteps}; they must fall from {total} or less and end above 0."
            )
        return path

    @property
    def _last(self) -> int:
        return self.config.num_train_timesteps

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        sigma = timesteps.to(device, dtype) / self.config.num_train_timesteps
        return torch.stack([1 - sigma, sigma])

    def step(
        self,
        model_output: Tensor,
        timestep: Any,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> StepOutput | tuple[Tensor, Tensor]:
        """Follow the velocity from one timestep of the path to the next.

        Args:
            model_output: The predicted velocity noise - x0, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_σ, same shape.
            generator: Not used, for nothing is random here; pipelines pass it.
            return_dict: False for a plain tuple of the two.

        Returns:
            `StepOutput`.

        Raises:
            ValueError: The timestep is not in the path, or the shapes differ.

        Source:
            arXiv 2209.03003, section 2: Euler's method on dx = v dσ.
        """
        check_same_shape("model_output", model_output, "sample", sample)
        sigma = float(timestep) / self.config.num_train_timesteps
        following = self._next(float(timestep))
        sigma_next = (following or 0.0) / self.config.num_train_timesteps  # 0 is the picture
        prev_sample = sample + (sigma_next - sigma) * model_output  # Euler's step
        x0 = sample - sigma * model_output  # the same line, followed to its end
        return StepOutput(prev_sample, x0) if return_dict else (prev_sample, x0)
