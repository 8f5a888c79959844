"""How much picture and how much noise there is at each timestep.

A schedule is a list of T numbers β, one for each timestep 0 … T-1; everything else follows from
it. All functions calculate in float64, where 1 - ᾱ keeps its digits for small t, and return
float32. Taught in chapter 02_schedulers.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from course_utils.validate import check_choice, check_count, check_whole

SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")
"""The known beta schedules, by the names that diffusers gives them."""

SPACINGS = ("leading", "trailing", "linspace")
"""The known ways to pick a few of the T timesteps for sampling."""

PREDICTION_TYPES = ("epsilon", "sample", "v_prediction")
"""What a network can be trained to predict, namely noise, picture or velocity."""


def betas(
    schedule: str = "linear",
    num_train_timesteps: int = 1000,
    beta_start: float = 1e-4,
    beta_end: float = 0.02,
) -> Tensor:
    """The share of variance that is replaced by noise at each timestep.

    Args:
        schedule: One of `SCHEDULES`.
        num_train_timesteps: T, at least 1.
        beta_start: β of the first timestep, in (0, 1); the cosine schedule has no use for it.
        beta_end: β of the last timestep, in [beta_start, 1); likewise.

    Returns:
        β_0 … β_{T-1}, float32, shape (T,), each in (0, 1).

    Raises:
        ValueError: The schedule is unknown, T is below 1, or the betas leave (0, 1).

    Example:
        >>> from course_utils.noise import betas
        >>> [round(beta, 4) for beta in betas("linear", num_train_timesteps=3).tolist()]
        [0.0001, 0.01, 0.02]

    Source:
        linear: DDPM, arXiv 2006.11239, section 4. scaled_linear (linear in √β): latent diffusion,
        arXiv 2112.10752, its code. squaredcos_cap_v2: arXiv 2102.09672, equation (17). sigmoid:
        GeoDiff, arXiv 2203.02923, its code.
    """
    check_choice("beta_schedule", schedule, SCHEDULES)
    check_count("num_train_timesteps", num_train_timesteps)
    if not 0 < beta_start <= beta_end < 1:
        raise ValueError(
            f"beta_start is {beta_start} and beta_end is {beta_end}; "
            "they must keep 0 < beta_start <= beta_end < 1."
        )
    if schedule == "squaredcos_cap_v2":
        return _cosine_betas(num_train_timesteps).float()
    if schedule == "scaled_linear":
        return (
            _line(math.sqrt(beta_start), math.sqrt(beta_end), num_train_timesteps).square().float()
        )
    if schedule == "sigmoid":
        rise = _line(-6.0, 6.0, num_train_timesteps).sigmoid()
        return (beta_start + (beta_end - beta_start) * rise).float()
    return _line(beta_start, beta_end, num_train_timesteps).float()


def given_betas(values: Any, num_train_timesteps: int) -> Tensor:
    """Betas of your own, refused where they are no schedule.

    Args:
        values: The betas: a list, an array or a tensor of T numbers.
        num_train_timesteps: T.

    Returns:
        float32, shape (T,), each in (0, 1); the last may be 1.

    Raises:
        ValueError: There are not T of them, or one is out of range.
    """
    found = torch.as_tensor(values, dtype=torch.float64).float()
    if found.shape != (num_train_timesteps,):
        raise ValueError(
            f"trained_betas have shape {tuple(found.shape)} and num_train_timesteps is "
            f"{num_train_timesteps}: there must be one beta for each timestep."
        )
    inside = (found > 0) & (found < 1)
    inside[-1] |= found[-1] == 1  # a schedule with zero terminal SNR ends there
    if not inside.all():
        wrong = int((~inside).nonzero()[0])
        raise ValueError(f"trained_betas[{wrong}] is {found[wrong]:g}; betas lie between 0 and 1.")
    return found


def _line(start: float, end: float, count: int) -> Tensor:
    return torch.linspace(start, end, count, dtype=torch.float64)


def _cosine_betas(num_train_timesteps: int, max_beta: float = 0.999) -> Tensor:
    """Follow arXiv 2102.09672, equation (17): ᾱ falls like cos², and no β exceeds 0.999."""
    time = _line(0.0, 1.0, num_train_timesteps + 1)
    alpha_bar = torch.cos((time + 0.008) / 1.008 * math.pi / 2).square()
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=max_beta)


def alphas_cumprod(betas: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """ᾱ_t, the share of the picture's variance that is left at each timestep.

    Args:
        betas: Shape (T,), each in (0, 1]; only the last may be 1.
        dtype: float64 for code that calculates on, such as the schedulers.

    Returns:
        ᾱ_t = (1-β_0)(1-β_1) … (1-β_t), shape (T,), falling, in [0, 1).

    Example:
        >>> import torch
        >>> from course_utils.noise import alphas_cumprod
        >>> alphas_cumprod(torch.tensor([0.5, 0.5, 0.5])).tolist()
        [0.5, 0.25, 0.125]

    Source:
        arXiv 2006.11239, above equation (4).
    """
    return torch.cumprod(1 - betas.double(), dim=0).to(dtype)


def signal_rates(betas: Tensor) -> Tensor:
    """√ᾱ_t, the factor of the picture in the noisy picture.

    Args:
        betas: Shape (T,), each in (0, 1].

    Returns:
        float32, shape (T,), falling, in [0, 1).

    Example:
        >>> import torch
        >>> from course_utils.noise import signal_rates
        >>> signal_rates(torch.tensor([0.75, 0.75])).tolist()
        [0.5, 0.25]

    Source:
        arXiv 2006.11239, equation (4).
    """
    return alphas_cumprod(betas, torch.float64).sqrt().float()


def noise_rates(betas: Tensor) -> Tensor:
    """√(1-ᾱ_t), the factor of the noise in the noisy picture.

    Args:
        betas: Shape (T,), each in (0, 1].

    Returns:
        float32, shape (T,), rising, in (0, 1].

    Example:
        >>> import torch
        >>> from course_utils.noise import noise_rates
        >>> noise_rates(torch.tensor([0.25])).tolist()
        [0.5]

    Source:
        arXiv 2006.11239, equation (4).
    """
    return (1 - alphas_cumprod(betas, torch.float64)).sqrt().float()


def snr(betas: Tensor) -> Tensor:
    """The signal-to-noise ratio ᾱ_t / (1-ᾱ_t), a ratio of variances.

    Args:
        betas: Shape (T,), each in (0, 1].

    Returns:
        float32, shape (T,), falling; 0 at the end of a schedule with zero terminal SNR.

    Example:
        >>> import torch
        >>> from course_utils.noise import snr
        >>> [round(ratio, 2) for ratio in snr(torch.tensor([0.2, 0.75])).tolist()]
        [4.0, 0.25]

    Source:
        arXiv 2107.00630, equation (2); arXiv 2303.09556, section 3.
    """
    alpha_bar = alphas_cumprod(betas, torch.float64)
    return (alpha_bar / (1 - alpha_bar)).float()


def rescale_zero_terminal_snr(betas: Tensor) -> Tensor:
    """Shift and stretch √ᾱ so that nothing of the picture is left at the last timestep.

    Args:
        betas: Shape (T,) with T at least 2, each in (0, 1].

    Returns:
        New betas, float32, shape (T,), the first as it was, the last exactly 1.

    Raises:
        ValueError: There is only one timestep, which cannot be both first and last.

    Example:
        >>> from course_utils.noise import alphas_cumprod, betas, rescale_zero_terminal_snr
        >>> alphas_cumprod(rescale_zero_terminal_snr(betas()))[-1].item()
        0.0

    Source:
        arXiv 2305.08891, Algorithm 1.
    """
    if len(betas) < 2:
        raise ValueError(f"{len(betas)} timestep cannot be rescaled; use at least 2.")
    signal = alphas_cumprod(betas, torch.float64).sqrt()
    signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    alpha_bar = signal.square()
    before = torch.cat([torch.ones_like(alpha_bar[:1]), alpha_bar[:-1]])
    return (1 - alpha_bar / before).float()


def inference_timesteps(
    spacing: str, num_train_timesteps: int, num_inference_steps: int, steps_offset: int = 0
) -> Tensor:
    """Pick the timesteps that sampling visits, the noisiest first.

    Args:
        spacing: ``leading`` counts up from 0 in whole strides and so never starts at T-1,
            ``trailing`` counts down from T-1, ``linspace`` has both ends.
        num_train_timesteps: T, how many there are.
        num_inference_steps: n, how many to visit, 1 … T.
        steps_offset: Added to each timestep of ``leading``; the others have no use for it.

    Returns:
        int64, shape (n,), strictly falling, each in [0, T).

    Raises:
        TypeError: n is not a whole number.
        ValueError: The spacing is unknown, n is not in 1 … T, or the offset leads out of [0, T).

    Example:
        >>> from course_utils.noise import inference_timesteps
        >>> inference_timesteps("trailing", 1000, num_inference_steps=4).tolist()
        [999, 749, 499, 249]

    Source:
        arXiv 2305.08891, Table 2.
    """
    check_choice("timestep_spacing", spacing, SPACINGS)
    T, n = num_train_timesteps, num_inference_steps
    check_count("num_inference_steps", n, most=T)
    steps = torch.arange(n, dtype=torch.float64)
    if spacing == "leading":
        leading = (steps * (T // n)).long().flip(0) + steps_offset
        if leading[0] >= T or leading[-1] < 0:
            raise ValueError(
                f"steps_offset is {steps_offset}: {n} leading steps then run from {leading[0]} to "
                f"{leading[-1]}, out of [0, {T}). Use fewer steps or another offset."
            )
        return leading
    if spacing == "trailing":
        stride = T - (T - T / n)  # T/n, less its last bits: exact halves then round as NumPy's do
        return (T - steps * stride).round().long() - 1
    return (steps * ((T - 1) / max(n - 1, 1))).round().long().flip(0)


def given_timesteps(values: Sequence[float], num_train_timesteps: int) -> Tensor:
    """A path of your own, refused where it is none.

    Args:
        values: Timesteps in [0, T), the noisiest first, each lower than the one before.
        num_train_timesteps: T, how many there are.

    Returns:
        int64, shape (n,).

    Raises:
        TypeError: A timestep is not a whole number.
        ValueError: There are none, they do not fall, or one is out of range.
    """
    path = [check_whole("a timestep", value) for value in values]
    falls = all(a > b for a, b in itertools.pairwise(path))
    if not path or not falls or path[0] >= num_train_timesteps or path[-1] < 0:
        raise ValueError(
            f"timesteps are {path}; give one or more of [0, {num_train_timesteps}), falling."
        )
    return torch.tensor(path)
