"""The forward process: how a picture drowns in noise, level by level.

`schedules` says how much picture is left at each level, `process` mixes, `targets` says what a
network can be asked for. Taught in chapter 02_schedulers.
"""

from course_utils.noise import schedules
from course_utils.noise.process import NoiseScheduler, mixing_rates
from course_utils.noise.schedules import (
    PREDICTION_TYPES,
    SCHEDULES,
    SPACINGS,
    alphas_cumprod,
    betas,
    inference_timesteps,
    noise_rates,
    rescale_zero_terminal_snr,
    signal_rates,
    snr,
)
from course_utils.noise.targets import (
    TARGETS,
    min_snr_weights,
    predicted_x0_and_noise,
    training_target,
)

__all__ = [
    "PREDICTION_TYPES",
    "SCHEDULES",
    "SPACINGS",
    "TARGETS",
    "NoiseScheduler",
    "alphas_cumprod",
    "betas",
    "inference_timesteps",
    "min_snr_weights",
    "mixing_rates",
    "noise_rates",
    "predicted_x0_and_noise",
    "rescale_zero_terminal_snr",
    "schedules",
    "signal_rates",
    "snr",
    "training_target",
]
