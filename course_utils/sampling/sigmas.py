"""Noise levels counted in σ, and a path through them that is walked in order.

σ is how much noise there is for each unit of picture, √((1-ᾱ)/ᾱ): near 0 for a clean picture, and
without a limit for noise. In σ, the way from noise to picture is an ordinary differential
equation, and everything that is known about such equations helps to walk it in few steps.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course_utils.noise.schedules import inference_timesteps
from course_utils.noise.targets import predicted_x0_and_noise
from course_utils.sampling.diffusion import DiffusionScheduler
from course_utils.validate import check_count, check_same_shape


def karras_sigmas(
    num_inference_steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0
) -> Tensor:
    """Noise levels that lie the closer together, the less noise there is.

    Args:
        num_inference_steps: n, how many levels.
        sigma_min: The least noisy, above 0.
        sigma_max: The noisiest, above `sigma_min`.
        rho: How strongly they crowd; 1 for even steps, 7 in the paper.

    Returns:
        float64, shape (n,), falling from `sigma_max` to `sigma_min`; one alone is `sigma_max`.

    Raises:
        TypeError: n is not a whole number.
        ValueError: n is below 1, the ends are not 0 < sigma_min < sigma_max, or rho is not
            above 0.

    Example:
        >>> from course_utils.sampling import karras_sigmas
        >>> [round(sigma, 2) for sigma in karras_sigmas(5, 0.02, 80.0).tolist()]
        [80.0, 21.07, 4.05, 0.47, 0.02]

    Source:
        Karras et al. 2022, arXiv 2206.00364, equation (5).

    Chapter: 8, "Where the steps belong".
    """
    check_count("num_inference_steps", num_inference_steps)
    if not 0 < sigma_min < sigma_max < float("inf"):
        raise ValueError(
            f"sigma_min is {sigma_min} and sigma_max is {sigma_max}; "
            "they must keep 0 < sigma_min < sigma_max."
        )
    if not rho > 0:
        raise ValueError(f"rho is {rho}; use a number above 0, such as 7.")
    ramp = torch.linspace(0, 1, num_inference_steps, dtype=torch.float64)
    most, least = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (most + ramp * (least - most)) ** rho  # (5)


class SigmaScheduler(DiffusionScheduler):
    """What the solvers share: levels in σ, the network's guess at one, and whose turn it is.

    A solver remembers what it has seen, so its path is walked in order, from any of its
    timesteps on; ``set_timesteps`` begins anew. With ``use_karras_sigmas`` the levels are
    `karras_sigmas`, which lie between timesteps: the network is told the nearest.
    """

    _steps: list[float]  # the timestep of each step
    _sigmas: list[float]  # its σ, and 0 for the picture at the end
    _at: int | None  # which step is due; before the first, any may be

    @cached_property
    def _table(self) -> np.ndarray:
        """σ of every timestep, rising."""
        alpha_bar = np.array(self._alpha_bars)
        alpha_bar[alpha_bar == 0] = 2.0**-24  # zero terminal SNR; diffusers' number for it
        return np.sqrt((1 - alpha_bar) / alpha_bar)

    def _walk(self, timesteps: Tensor, device: torch.device | str | None = None) -> None:
        """Lay out the path as levels σ, and begin it anew."""
        every = np.arange(len(self))
        sigmas = np.interp(timesteps.numpy(), every, self._table)
        if self.config.use_karras_sigmas:
            sigmas = karras_sigmas(len(timesteps), *self._ends(sigmas)).numpy()
            between = np.interp(np.log(sigmas), np.log(self._table), every)
            timesteps = torch.from_numpy(between)
        timesteps = self._told(timesteps)
        self._sigmas = [*sigmas.tolist(), 0.0]
        self._steps = timesteps.tolist()
        distinct = list(dict.fromkeys(self._steps))
        self._following = dict(zip(distinct, [*distinct[1:], None], strict=True))
        self.timesteps = self._calls(timesteps).to(device)
        self._at = None
        self._forget()

    def _ends(self, sigmas: np.ndarray) -> tuple[float, float]:
        """Between which σ the levels of Karras lie, as the config says, or as they may at most."""
        least, most = self.config.sigma_min, self.config.sigma_max
        low, high = self._widest(sigmas)
        return low if least is None else least, high if most is None else most

    def _widest(self, sigmas: np.ndarray) -> tuple[float, float]:
        """The least and the most σ there is."""
        return self._table[0], self._table[-1]

    def _told(self, timesteps: Tensor) -> Tensor:
        """What the network is told of a place between two timesteps: here, the nearest."""
        return timesteps.round().long()

    @property
    def sigmas(self) -> Tensor:
        """The levels of the path and 0 at its end, float64, shape (num_inference_steps + 1,)."""
        return torch.tensor(self._sigmas, dtype=torch.float64)

    def _calls(self, timesteps: Tensor) -> Tensor:
        """The timestep of each call of the network: here, one for each step."""
        return timesteps

    def _forget(self) -> None:
        """Drop what was remembered of another run."""
        raise NotImplementedError

    def _path_in(self, num_inference_steps: int) -> Tensor:
        """As `inference_timesteps`, but without timestep 0, which is too clean to be worth a look.

        Trailing steps never come there; the others are one more, less the last.
        """
        config, total = self.config, self.config.num_train_timesteps
        more = 0 if config.timestep_spacing == "trailing" else 1
        n = check_count("num_inference_steps", num_inference_steps, most=total - more)
        spaced = inference_timesteps(config.timestep_spacing, total, n + more, config.steps_offset)
        return spaced[:n]

    def _path_through(self, timesteps: Sequence[float]) -> Tensor:
        if self.config.use_karras_sigmas:
            raise ValueError(
                f"timesteps are {timesteps}, but use_karras_sigmas=True lays out the path; "
                "give num_inference_steps, or use_karras_sigmas=False."
            )
        return super()._path_through(timesteps)

    def _level(self, timestep: Any) -> int:
        """Which step of the path this is, refused where it is not its turn."""
        now, steps = float(timestep), self._steps
        if self._at is None and now not in steps:
            self._next(torch.as_tensor(timestep).item())  # says what is wrong
        at = steps.index(now) if self._at is None else self._at
        if at == len(steps):
            raise ValueError(f"timestep {now:g} comes after the end; set_timesteps begins anew.")
        if now != steps[at]:
            raise ValueError(
                f"timestep {now:g} is out of turn: {steps[at]:g} is due. A solver remembers its "
                "steps, so they go in order; set_timesteps begins anew."
            )
        self._at = at
        return at

    def _rates_at(self, timesteps: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        """As the path has them; its levels may lie between timesteps."""
        on_path = dict(zip(reversed(self._steps), reversed(self._sigmas[:-1]), strict=True))
        asked = timesteps.tolist()
        if not all(t in on_path for t in asked):
            return super()._rates_at(timesteps, device, dtype)
        return torch.tensor([rates_of(on_path[t]) for t in asked], device=device, dtype=dtype).T

    def _guess(self, model_output: Tensor, sample: Tensor, sigma: float) -> Tensor:
        """The clean picture as the network sees it at σ, in range; `sample` as it is shown."""
        check_same_shape("model_output", model_output, "sample", sample)
        kind = self.config.prediction_type
        x0, _ = predicted_x0_and_noise(kind, model_output, sample, *rates_of(sigma))
        return self._in_range(x0)


def rates_of(sigma: float) -> tuple[float, float]:
    """How much picture and how much noise there is at σ, the sum of their squares being 1.

    Args:
        sigma: The ratio of the two, 0 or more.

    Returns:
        √ᾱ and √(1-ᾱ).
    """
    signal_rate = (sigma**2 + 1) ** -0.5
    return signal_rate, sigma * signal_rate
