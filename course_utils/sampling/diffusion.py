"""What DDPM and DDIM share: noise levels made of betas, guesses kept in range, fresh noise."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.models.base import count_given
from course_utils.noise import schedules
from course_utils.sampling.base import Generators, Scheduler
from course_utils.validate import check_choice, check_count, check_whole


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
        check_count("num_train_timesteps", config.num_train_timesteps)
        for name, known in (
            ("beta_schedule", schedules.SCHEDULES),
            ("prediction_type", schedules.PREDICTION_TYPES),
            ("timestep_spacing", schedules.SPACINGS),
        ):
            check_choice(name, config[name], known)
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
            if name in config and not low < config[name] <= high:
                raise ValueError(f"{name} is {config[name]}; use a number above 0, at most {high}.")
        check_whole("steps_offset", config.steps_offset)

    def _path_in(self, num_inference_steps: int) -> Tensor:
        """So many steps, spaced as the config says (arXiv 2305.08891, Table 2)."""
        config = self.config
        return schedules.inference_timesteps(
            config.timestep_spacing,
            config.num_train_timesteps,
            num_inference_steps,
            config.steps_offset,
        )

    def _path_through(self, timesteps: Sequence[float]) -> Tensor:
        return schedules.given_timesteps(timesteps, self.config.num_train_timesteps)

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
        t = check_whole("timestep", timestep)
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
