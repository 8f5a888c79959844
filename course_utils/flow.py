"""Flow matching from scratch: straight paths from noise to picture. Chapter 02_schedulers."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from course_utils.scheduler_base import Scheduler, StepOutput, check_same_shape
from course_utils.schedules import check_count


@dataclass(frozen=True)
class FlowMatchConfig:
    """The one option of `FlowMatchEulerScheduler`. Chapter: 02_schedulers.

    Attributes:
        num_train_timesteps: T, the timestep that is all noise.
        prediction_type: Always ``flow_prediction``, for `training_target`.
    """

    num_train_timesteps: int = 1000
    prediction_type: str = field(default="flow_prediction", init=False)

    def __post_init__(self) -> None:
        check_count("num_train_timesteps", self.num_train_timesteps)


class FlowMatchEulerScheduler(Scheduler):
    """Straight paths from noise to picture, walked in equal steps.

    x_σ = (1-σ) x0 + σ noise with σ = timestep / T, so time runs from picture to noise as it does
    in DDPM; the papers' t is 1-σ. The network predicts the velocity noise - x0. Between training
    and sampling, timesteps may be any numbers in [0, T].

    Args:
        num_train_timesteps: T, the timestep that is all noise.

    Source:
        arXiv 2210.02747, equations (20)-(23) with σ_min = 0; arXiv 2209.03003, equation (1).
        Chapter: 02_schedulers.
    """

    _velocity = "flow_prediction"

    def __init__(self, num_train_timesteps: int = 1000) -> None:
        self.config = FlowMatchConfig(num_train_timesteps)
        self.timesteps = torch.arange(num_train_timesteps, 0, -1, dtype=torch.float32)

    def set_timesteps(
        self, num_inference_steps: int, device: torch.device | str | None = None
    ) -> None:
        """Lay out the path of a sampling run in `timesteps`: evenly from T down to 1, then 0.

        Args:
            num_inference_steps: How many steps, 1 … T.
            device: Where `timesteps` goes. On the CPU (None), no step waits for a GPU.

        Raises:
            TypeError: The number is not whole.
            ValueError: The number is not in 1 … T.

        Source:
            arXiv 2209.03003, section 2. Chapter: 02_schedulers.
        """
        total = self.config.num_train_timesteps
        count = check_count("num_inference_steps", num_inference_steps, total)
        self._walk(torch.linspace(total, 1, count, dtype=torch.float64).float(), 0, device)

    @property
    def _last(self) -> int:
        return self.config.num_train_timesteps

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        sigma = timesteps.to(device, dtype) / self.config.num_train_timesteps
        return torch.stack([1 - sigma, sigma])

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, generator: Any = None
    ) -> StepOutput:
        """Follow the velocity from one timestep of the list to the next.

        Args:
            model_output: The predicted velocity noise - x0, shape (batch, ...).
            timestep: An element of `timesteps`.
            sample: x_σ, same shape.
            generator: Not used, for nothing is random here; pipelines pass it.

        Returns:
            `StepOutput`.

        Raises:
            ValueError: `set_timesteps` was not called, the timestep is not in its list, or the
                shapes differ.

        Source:
            arXiv 2209.03003, section 2: Euler's method on dx = v dσ. Chapter: 02_schedulers.
        """
        check_same_shape("model_output", model_output, "sample", sample)
        t, T = float(timestep), self.config.num_train_timesteps
        prev_sample = sample + (self._next(t) - t) / T * model_output
        return StepOutput(prev_sample, sample - t / T * model_output)
