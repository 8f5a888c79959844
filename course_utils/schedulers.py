"""Adding noise, and taking it away step by step: DDPM, DDIM and flow matching from scratch.

The three schedulers have diffusers' calling convention, so that each stands in for diffusers' own
in a `DDPMPipeline` or a training loop. Symbols: `x0` the picture, scaled to [-1, 1]; `noise` a
standard normal of the same shape; `sample` the noisy picture x_t; `alpha_bar` ᾱ_t, the share of
the picture's variance in it. Taught in chapter 02_schedulers.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from course_utils import schedules

Generators = torch.Generator | Sequence[torch.Generator] | None

TARGETS = (*schedules.PREDICTION_TYPES, "flow_prediction")
"""What a network can be trained to predict, flow matching's velocity noise - x0 included."""


@dataclass
class StepOutput:
    """What one sampling step returns; the fields are diffusers'. Chapter: 02_schedulers.

    Attributes:
        prev_sample: The picture at the next, less noisy timestep, shape and dtype of the sample.
        pred_original_sample: The clean picture as guessed at this step, same shape.
    """

    prev_sample: Tensor
    pred_original_sample: Tensor


@dataclass
class ModelOutput:
    """What `IdealDenoiser` returns, named as in diffusers' networks. Chapter: 02_schedulers.

    Attributes:
        sample: The prediction, shape of the noisy pictures.
    """

    sample: Tensor


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
        schedules.check_count("num_train_timesteps", self.num_train_timesteps)


def training_target(
    prediction_type: str,
    x0: Tensor,
    noise: Tensor,
    signal_rate: Tensor | float,
    noise_rate: Tensor | float,
) -> Tensor:
    """What the network should answer, given the picture and the noise that were mixed.

    Args:
        prediction_type: One of `TARGETS`.
        x0: The clean pictures, any shape.
        noise: Same shape.
        signal_rate: √ᾱ_t, or 1-σ in flow matching; a number or broadcastable to `x0`.
        noise_rate: √(1-ᾱ_t), or σ; likewise.

    Returns:
        The target, shape of `x0`.

    Raises:
        ValueError: The prediction type is unknown.

    Source:
        epsilon: arXiv 2006.11239, equation (14). v: arXiv 2202.00512, section 4. Flow:
        arXiv 2209.03003, equation (1), with our time running from picture to noise.
        Chapter: 02_schedulers.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return x0
    if prediction_type == "v_prediction":
        return signal_rate * noise - noise_rate * x0
    schedules.check_choice("prediction_type", prediction_type, TARGETS)
    return noise - x0


def predicted_x0_and_noise(
    prediction_type: str,
    model_output: Tensor,
    sample: Tensor,
    signal_rate: float,
    noise_rate: float,
) -> tuple[Tensor, Tensor]:
    """Split a noisy picture into picture and noise, with the network's help.

    The inverse of `training_target` for ``sample = signal_rate * x0 + noise_rate * noise``.

    Args:
        prediction_type: One of `TARGETS`.
        model_output: The network's answer, any shape.
        sample: x_t, same shape.
        signal_rate: √ᾱ_t, or 1-σ in flow matching; above 0 for ``epsilon``.
        noise_rate: √(1-ᾱ_t), or σ; above 0 for ``sample``.

    Returns:
        x0 and noise as the network sees them, each of the same shape.

    Raises:
        ValueError: The prediction type is unknown.

    Source:
        epsilon: arXiv 2006.11239, equation (15). v: arXiv 2202.00512, section 4.
        Chapter: 02_schedulers.
    """
    if prediction_type == "epsilon":
        return (sample - noise_rate * model_output) / signal_rate, model_output
    if prediction_type == "sample":
        return model_output, (sample - signal_rate * model_output) / noise_rate
    if prediction_type == "v_prediction":
        x0 = signal_rate * sample - noise_rate * model_output
        return x0, signal_rate * model_output + noise_rate * sample
    schedules.check_choice("prediction_type", prediction_type, TARGETS)
    return sample - noise_rate * model_output, sample + signal_rate * model_output


class _Scheduler:
    """What the three share: mixing picture and noise, and walking down a list of timesteps."""

    config: Any
    timesteps: Tensor
    num_inference_steps: int | None = None
    _velocity = "v_prediction"

    def rates(self, timesteps: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def add_noise(self, x0: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
        """Mix pictures with noise, each at its own timestep: from x_0 to x_t in one jump.

        Args:
            x0: Clean pictures scaled to [-1, 1], floating point, shape (batch, ...).
            noise: Standard normal, same shape.
            timesteps: One for all or one per picture, shape () or (batch,), whole numbers in
                [0, T); flow matching takes any numbers in [0, T]. Timesteps on the CPU are
                checked without making a GPU wait.

        Returns:
            signal_rate * x0 + noise_rate * noise, shape of `x0`. Half precision comes back as
            float32: in bfloat16 the little noise of small t would be lost.

        Raises:
            TypeError: `x0` is not floating point, or the timesteps are not whole numbers.
            ValueError: The shapes do not fit, or a timestep is out of range.

        Source:
            arXiv 2006.11239, equation (4). Flow matching: arXiv 2210.02747, equation (22), with
            time turned round. Chapter: 02_schedulers.
        """
        _check_same_shape("noise", noise, "x0", x0)
        signal_rate, noise_rate = self.rates(timesteps, x0)
        return signal_rate * x0 + noise_rate * noise

    def get_velocity(self, x0: Tensor, noise: Tensor, timesteps: Tensor | int) -> Tensor:
        """The target for a network that predicts the velocity.

        Args:
            x0: As in `add_noise`.
            noise: As in `add_noise`.
            timesteps: As in `add_noise`.

        Returns:
            signal_rate * noise - noise_rate * x0, or noise - x0 in flow matching; shape of `x0`,
            at least float32.

        Raises:
            TypeError: As in `add_noise`.
            ValueError: As in `add_noise`.

        Source:
            arXiv 2202.00512, section 4. Flow matching: arXiv 2209.03003, equation (1).
            Chapter: 02_schedulers.
        """
        _check_same_shape("noise", noise, "x0", x0)
        return training_target(self._velocity, x0, noise, *self.rates(timesteps, x0))

    def _walk(self, timesteps: Tensor, end: float, device: torch.device | str | None) -> None:
        """Remember the list, and for each of its timesteps the one that follows."""
        listed = timesteps.tolist()
        self._following = dict(zip(listed, [*listed[1:], end], strict=True))
        self.num_inference_steps = len(listed)
        self.timesteps = timesteps.to(device)

    def _next(self, timestep: float) -> float:
        """The timestep after this one: from the list, never by a stride."""
        if self.num_inference_steps is None:
            raise ValueError("step() came before set_timesteps(n): the path is not yet known.")
        if timestep not in self._following:
            total = self.config.num_train_timesteps
            known = f"not among this run's {self.num_inference_steps}"
            raise ValueError(
                f"timestep {timestep} is {known if 0 <= timestep < total else 'outside [0, T)'}, "
                f"T={total}; pass the values of scheduler.timesteps, one after the other."
            )
        return self._following[timestep]


class _DiffusionScheduler(_Scheduler):
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

    def rates(self, timesteps: Tensor | int, like: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ_t and √(1-ᾱ_t), shaped to be multiplied with a batch.

        Args:
            timesteps: Whole numbers in [0, T), shape () or (batch,).
            like: The batch, floating point: gives shape, device and (at least float32) dtype.

        Returns:
            Two tensors of shape (1, 1, ...) or (batch, 1, ...).

        Raises:
            TypeError: `like` is not floating point, or the timesteps are not whole numbers.
            ValueError: The shape does not fit, or a timestep is outside [0, T).

        Source:
            arXiv 2006.11239, equation (4). Chapter: 02_schedulers.
        """
        t = _checked_timesteps(timesteps, like)
        if t.dtype.is_floating_point or t.dtype is torch.bool:
            raise TypeError(f"timesteps are {t.dtype}; they count noise levels: use integers.")
        _check_range(t, 0, self.config.num_train_timesteps - 1)
        place = (like.device, torch.promote_types(like.dtype, torch.float32))
        if place not in self._rates:
            self._rates[place] = self._rates[torch.device("cpu"), torch.float64].to(*place)
        return _batched(self._rates[place][:, t.to(like.device)], like)

    def _prepare(self, model_output: Tensor, timestep: Any, sample: Tensor) -> tuple[float, float]:
        """Check a step's arguments and find ᾱ of its timestep and of the next in the list."""
        _check_same_shape("model_output", model_output, "sample", sample)
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
            `StepOutput`. The last step adds no noise: it returns the guess itself.

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
            `StepOutput`. The last step adds no noise: it returns the guess itself.

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


class FlowMatchEulerScheduler(_Scheduler):
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
        count = schedules.check_count("num_inference_steps", num_inference_steps, total)
        self._walk(torch.linspace(total, 1, count, dtype=torch.float64).float(), 0, device)

    def rates(self, timesteps: Tensor | float, like: Tensor) -> tuple[Tensor, Tensor]:
        """1-σ and σ, shaped to be multiplied with a batch; see `DDPMScheduler.rates`."""
        t = _checked_timesteps(timesteps, like)
        _check_range(t, 0, self.config.num_train_timesteps)
        dtype = torch.promote_types(like.dtype, torch.float32)
        sigma = t.to(like.device, dtype) / self.config.num_train_timesteps
        return _batched(torch.stack([1 - sigma, sigma]), like)

    def step(
        self, model_output: Tensor, timestep: Any, sample: Tensor, generator: Generators = None
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
        _check_same_shape("model_output", model_output, "sample", sample)
        t, T = float(timestep), self.config.num_train_timesteps
        prev_sample = sample + (self._next(t) - t) / T * model_output
        return StepOutput(prev_sample, sample - t / T * model_output)


class IdealDenoiser:
    """The best possible network for a small set of pictures: it needs no training.

    Its guess of the clean picture is the mean of the set, each member weighted by how likely it
    is to have become this sample: E[x0 | x_t] = Σ w_i x0_i with w_i ∝ exp(-‖x_t - a x0_i‖² / 2s²)
    for signal rate a and noise rate s. No network can have a smaller squared error on the set, so
    what goes wrong in sampling with it is the sampler's fault. It can't make anything new.

    Args:
        x0_set: The pictures, shape (count, ...), floating point.
        scheduler: One of this module's: gives the rates and what is to be predicted.

    Raises:
        ValueError: The set is empty or one-dimensional.

    Source:
        arXiv 2206.00364, equation (57). Chapter: 02_schedulers.
    """

    def __init__(self, x0_set: Tensor, scheduler: _Scheduler) -> None:
        if x0_set.ndim < 2 or len(x0_set) == 0:
            raise ValueError(f"x0_set has shape {tuple(x0_set.shape)}; it must be (count, ...).")
        self.x0_set = x0_set.double()
        self.scheduler = scheduler

    def __call__(self, sample: Tensor, timestep: Tensor | int) -> ModelOutput:
        """Predict as a network would, with `ModelOutput.sample` for the answer.

        Args:
            sample: Noisy pictures, shape (batch, ...) with the set's picture shape.
            timestep: One for all or one per picture, shape () or (batch,).

        Returns:
            What `scheduler.config.prediction_type` names, shape and dtype of `sample`.

        Raises:
            TypeError: As in `add_noise`.
            ValueError: As in `add_noise`; or the pictures' shape is not the set's; or the noise
                rate is 0, where there is nothing to predict.
        """
        _check_same_shape("a picture of sample", sample[0], "one of x0_set", self.x0_set[0])
        x = sample.to(self.x0_set)  # where the set is, in float64
        signal_rate, noise_rate = self.scheduler.rates(timestep, x)
        if not noise_rate.all():
            raise ValueError(f"timestep {timestep} has no noise: there is nothing to predict.")
        x0 = self.posterior_mean(x, signal_rate, noise_rate)
        noise = (x - signal_rate * x0) / noise_rate
        kind = self.scheduler.config.prediction_type
        return ModelOutput(training_target(kind, x0, noise, signal_rate, noise_rate).to(sample))

    def posterior_mean(self, sample: Tensor, signal_rate: Tensor, noise_rate: Tensor) -> Tensor:
        """E[x0 | x_t] by log-sum-exp, so that no weight overflows or all vanish.

        Args:
            sample: float64, shape (batch, ...).
            signal_rate: Broadcastable to `sample`, one number per picture at most.
            noise_rate: Likewise, above 0.

        Returns:
            float64, shape of `sample`.
        """
        x, points = sample.flatten(1), self.x0_set.flatten(1)
        a, s = signal_rate.flatten(1), noise_rate.flatten(1)
        # -‖x - a·point‖²/2s² without ‖x‖², which is the same for every point
        logits = (a * (x @ points.T) - a**2 * points.square().sum(1) / 2) / s**2
        weights = (logits - logits.logsumexp(1, keepdim=True)).exp()
        return (weights @ points).reshape(sample.shape)


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


def _check_same_shape(name: str, given: Tensor, other: str, wanted: Tensor) -> None:
    if given.shape != wanted.shape:
        raise ValueError(
            f"{name} has shape {tuple(given.shape)} and {other} {tuple(wanted.shape)}; "
            "they must be the same."
        )


def _checked_timesteps(timesteps: Tensor | float, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        raise TypeError(f"x0 is {like.dtype}; scale it to [-1, 1] in floating point first.")
    t = torch.as_tensor(timesteps)
    if t.shape not in ((), (1,), like.shape[:1]):
        raise ValueError(
            f"timesteps have shape {tuple(t.shape)} for a batch of {len(like)}; "
            f"use one for all, shape (), or one each, shape ({len(like)},)."
        )
    return t


def _check_range(timesteps: Tensor, low: int, high: int) -> None:
    least, most = (extreme.item() for extreme in timesteps.aminmax())
    if least < low or most > high:
        raise ValueError(
            f"timestep {least if least < low else most} is outside [{low}, {high}]; "
            "draw timesteps in the range of the scheduler's num_train_timesteps."
        )


def _batched(rates: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Shape (2,) or (2, batch) to two tensors that multiply a batch."""
    signal_rate, noise_rate = rates.reshape(2, -1, *[1] * (like.ndim - 1))
    return signal_rate, noise_rate
