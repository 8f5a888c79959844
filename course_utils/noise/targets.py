"""What a network is asked for, and how its answer splits a noisy picture into picture and noise.

A noisy picture is ``signal_rate * x0 + noise_rate * noise``. Noise, picture and velocity are three
ways to say the same two things; these functions turn one into the other. Taught in chapter
02_schedulers.
"""

from torch import Tensor

from course_utils.noise.schedules import PREDICTION_TYPES
from course_utils.validate import check_choice

TARGETS = (*PREDICTION_TYPES, "flow_prediction")
"""What a network can be trained to predict, flow matching's velocity noise - x0 included."""


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

    Example:
        >>> import torch
        >>> from course_utils.noise import training_target
        >>> x0, noise = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
        >>> target = training_target("v_prediction", x0, noise, signal_rate=0.5, noise_rate=0.75)
        >>> target.flatten().tolist()
        [-0.75, -0.75, -0.75, -0.75]

    Source:
        epsilon: arXiv 2006.11239, equation (14). v: arXiv 2202.00512, section 4. Flow: arXiv
        2209.03003, equation (1), with our time running from picture to noise.
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return x0
    if prediction_type == "v_prediction":
        return signal_rate * noise - noise_rate * x0
    check_choice("prediction_type", prediction_type, TARGETS)
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

    Example:
        >>> import torch
        >>> from course_utils.noise import predicted_x0_and_noise
        >>> x0, noise = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
        >>> x_t = 0.5 * x0 + 0.75 * noise
        >>> guess, _ = predicted_x0_and_noise("epsilon", noise, x_t, 0.5, 0.75)
        >>> guess.flatten().tolist()
        [1.0, 1.0, 1.0, 1.0]

    Source:
        epsilon: arXiv 2006.11239, equation (15). v: arXiv 2202.00512, section 4.
    """
    if prediction_type == "epsilon":
        return (sample - noise_rate * model_output) / signal_rate, model_output
    if prediction_type == "sample":
        return model_output, (sample - signal_rate * model_output) / noise_rate
    if prediction_type == "v_prediction":
        x0 = signal_rate * sample - noise_rate * model_output
        return x0, signal_rate * model_output + noise_rate * sample
    check_choice("prediction_type", prediction_type, TARGETS)
    return sample - noise_rate * model_output, sample + signal_rate * model_output


def min_snr_weights(snr: Tensor, prediction_type: str = "epsilon", gamma: float = 5.0) -> Tensor:
    """Loss weights that keep easy, almost clean pictures from drowning the others.

    Args:
        snr: Signal-to-noise ratios, any shape, each at least 0; `snr(betas)[timesteps]`.
        prediction_type: One of `TARGETS`: what the squared error is measured on.
        gamma: The ratio above which a timestep counts no more; above 0, 5 in the paper.

    Returns:
        float32, the shape of `snr`, holding min(SNR, γ) for the picture, divided by SNR for the
        noise (1 where the SNR is 0), by SNR + 1 for the velocity, and by (√SNR + 1)² for flow
        matching's, whose rates sum to 1.

    Raises:
        ValueError: The prediction type is unknown, or gamma is not above 0.

    Example:
        >>> import torch
        >>> from course_utils.noise import min_snr_weights
        >>> min_snr_weights(torch.tensor([0.5, 5.0, 20.0])).tolist()
        [1.0, 1.0, 0.25]

    Source:
        arXiv 2303.09556, section 3.4.
    """
    check_choice("prediction_type", prediction_type, TARGETS)
    if gamma <= 0:
        raise ValueError(f"gamma is {gamma}; use a number above 0, such as 5.")
    ratio = snr.double()
    if prediction_type == "epsilon":
        return (gamma / ratio).clamp(max=1).float()
    weights = ratio.clamp(max=gamma)
    if prediction_type == "v_prediction":
        weights = weights / (ratio + 1)
    elif prediction_type == "flow_prediction":
        weights = weights / (ratio.sqrt() + 1).square()
    return weights.float()
