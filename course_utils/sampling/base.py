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

from course_utils.models.base import count_given
from course_utils.noise import schedules
from course_utils.noise.process import check_same_shape, checked_timesteps
from course_utils.noise.targets import training_target

Generators = torch.Generator | Sequence[torch.Generator] | None
"""Where fresh noise comes from: one generator for all pictures, or one for each."""


class SamplingScheduler(Protocol):
    """What sampling asks of a scheduler, ours or diffusers'."""

    timesteps: Tensor
    init_noise_sigma: Any

    @property
    def config(self) -> Any:
        """Settings by name."""

    def set_timesteps(self, num_inference_steps: int) -> None:
        """Lay out the path of a sampling run."""

    def scale_model_input(self, sample: Tensor, timestep: Any) -> Tensor:
        """What the network is shown of a sample."""

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
    """The common part: a scheduler of its own kind adds ``set_timesteps``, ``step`` and rates.

    ``_rates_at`` says how much picture and how much noise there is at a timestep, and ``_last``
    what the noisiest timestep is.
    """

    order = 1  # one look of the network for each step
    _compatibles = [e.name for e in KarrasDiffusionSchedulers]  # noqa: RUF012  (diffusers' name)
    _velocity = "v_prediction"
    config: Any
    timesteps: Tensor
    num_inference_steps: int | None = None
    init_noise_sigma = 1.0  # how strong the noise is that sampling starts from

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The two rates at checked timesteps of shape () or (batch,): shape (2,) or (2, batch)."""
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
        both = self._rates_at(t.to(like.device), like.device, dtype)
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


class DiffusionScheduler(Scheduler):
    """The forward process that DDPM and DDIM share.

    Source:
        arXiv 2006.11239, section 2.
    """

    def _prepare_levels(self) -> None:
        """Check the settings, then work out ᾱ of every timestep and lay out the whole path."""
        count_given(self)
        config = self.config
        self._check_config()
        total = config.num_train_timesteps
        if config.trained_betas is None:
            given = config.beta_schedule, total, config.beta_start, config.beta_end
            self.betas = schedules.betas(*given)
        else:
            self.betas = schedules.given_betas(config.trained_betas, total)
        if config.rescale_betas_zero_snr:
            self.betas = schedules.rescale_zero_terminal_snr(self.betas)
        exact = schedules.alphas_cumprod(self.betas, torch.float64)
        self.alphas_cumprod = exact.float()
        # As Python's own numbers ᾱ is float64, and no step waits for a device.
        self._alpha_bars: list[float] = exact.tolist()
        self._rates = {(torch.device("cpu"), torch.float64): torch.stack([exact, 1 - exact]).sqrt()}
        self._walk(torch.arange(total - 1, -1, -1))

    def _check_config(self) -> None:
        """Refuse settings that do not exist or do not go together."""
        config = self.config
        schedules.check_count("num_train_timesteps", config.num_train_timesteps)
        for name, known in (
            ("beta_schedule", schedules.SCHEDULES),
            ("prediction_type", schedules.PREDICTION_TYPES),
            ("timestep_spacing", schedules.SPACINGS),
        ):
            schedules.check_choice(name, config[name], known)
        if config.rescale_betas_zero_snr and config.prediction_type == "epsilon":
            raise ValueError(
                "rescale_betas_zero_snr=True leaves no picture at the last timestep, and from "
                "prediction_type='epsilon' x0 is found by dividing by what is left, 0. "
                "Use prediction_type='v_prediction' (arXiv 2305.08891, section 3.2) or 'sample'."
            )
        for name, low, high in (
            ("dynamic_thresholding_ratio", 0, 1),
            ("clip_sample_range", 0, float("inf")),
            ("sample_max_value", 0, float("inf")),
        ):
            if not low < config[name] <= high:
                raise ValueError(f"{name} is {config[name]}; use a number above 0, at most {high}.")
        schedules.check_whole("steps_offset", config.steps_offset)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        timesteps: Sequence[int] | None = None,
    ) -> None:
        """Lay out the path of a sampling run in `timesteps`. Before, it is all T of them.

        Args:
            num_inference_steps: How many steps, 1 … T, spaced as the config says.
            device: Where `timesteps` goes. On the CPU (None), no step waits for a GPU.
            timesteps: The path itself, in place of a number: whole numbers below T, falling.

        Raises:
            TypeError: A number is not whole.
            ValueError: Both or neither were given, or a number is out of range or order.

        Source:
            arXiv 2305.08891, Table 2.
        """
        config, total = self.config, self.config.num_train_timesteps
        if (num_inference_steps is None) == (timesteps is None):
            raise ValueError(
                f"num_inference_steps is {num_inference_steps} and timesteps is {timesteps}; "
                "give one of the two."
            )
        if timesteps is not None:
            path = schedules.given_timesteps(timesteps, total)
        else:
            path = schedules.inference_timesteps(
                config.timestep_spacing, total, num_inference_steps, config.steps_offset
            )
        self._walk(path, device)
        self.num_inference_steps = len(path)

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        if timesteps.dtype.is_floating_point or timesteps.dtype is torch.bool:
            raise TypeError(
                f"timesteps are {timesteps.dtype}; they count noise levels: use integers."
            )
        if (device, dtype) not in self._rates:
            exact = self._rates[torch.device("cpu"), torch.float64]
            self._rates[device, dtype] = exact.to(device, dtype)
        return self._rates[device, dtype][:, timesteps]

    def _alpha_bars_of(self, timestep: Any, at_picture: float = 1.0) -> tuple[float, float]:
        """ᾱ of a timestep of the path and of the one that follows; `at_picture` after the last."""
        t = schedules.check_whole("timestep", timestep)
        following = self._next(t)
        after = at_picture if following is None else self._alpha_bars[int(following)]
        return self._alpha_bars[t], after

    def _in_range(self, x0: Tensor) -> Tensor:
        """Keep a guess of the picture in the range of pictures, as the config asks."""
        config = self.config
        if config.thresholding:
            return dynamic_threshold(x0, config.dynamic_thresholding_ratio, config.sample_max_value)
        if config.clip_sample:
            return x0.clamp(-config.clip_sample_range, config.clip_sample_range)
        return x0


def dynamic_threshold(x0: Tensor, ratio: float, most: float) -> Tensor:
    """Pull a guess that is far too strong back into [-1, 1] without flattening it.

    Args:
        x0: Guessed pictures, shape (batch, ...).
        ratio: Which share of a picture's values sets its limit, in (0, 1]; 0.995 as a rule.
        most: The largest limit; with 1 or less, this is clipping to [-1, 1].

    Returns:
        Each picture clipped to its limit and divided by it; same shape, in [-1, 1].

    Source:
        arXiv 2205.11487, section 2.3.
    """
    values = x0.flatten(1).abs()
    values = values if values.dtype == torch.float64 else values.float()
    limit = values.quantile(ratio, dim=1).clamp(1, max(1, most))
    limit = limit.to(x0.dtype).view(-1, *[1] * (x0.ndim - 1))
    return x0.clamp(-limit, limit) / limit


def fresh_noise(sample: Tensor, generator: Generators = None) -> Tensor:
    """Standard normal noise for a sample, from its generator's own device.

    Args:
        sample: Gives shape, dtype and device.
        generator: One for all pictures, a list of one for each, or None for PyTorch's own.

    Returns:
        Shape, dtype and device of `sample`.

    Raises:
        ValueError: There are not as many generators as pictures.
    """
    if isinstance(generator, Sequence):
        if len(generator) != len(sample):
            raise ValueError(
                f"{len(generator)} generators for {len(sample)} pictures: give all one."
            )
        pairs = zip(sample.split(1), generator, strict=True)
        return torch.cat([fresh_noise(picture, own) for picture, own in pairs])
    device = sample.device if generator is None else generator.device
    noise = torch.randn(sample.shape, generator=generator, device=device, dtype=sample.dtype)
    return noise.to(sample.device)
