"""How wrong a network is about the noise in a batch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from course_utils.models.base import Denoiser
from course_utils.noise.process import NoiseScheduler, mixing_rates
from course_utils.noise.targets import min_snr_weights, training_target
from course_utils.training.batches import noise_and_levels

_ERRORS: dict[str, Callable[..., Tensor]] = {
    "mse": nn.functional.mse_loss,
    "l1": nn.functional.l1_loss,
    "huber": nn.functional.huber_loss,
}


def diffusion_loss(
    model: Denoiser,
    noise_scheduler: NoiseScheduler,
    x0: Tensor,
    class_labels: Tensor | None,
    draws: torch.Generator | tuple[Tensor, Tensor],
    loss: str = "mse",
    min_snr_gamma: float | None = None,
) -> Tensor:
    """One guess at the noise of a batch, and how wrong it was.

    Args:
        model: Called as ``model(sample, timesteps, class_labels=…).sample``.
        noise_scheduler: Gives ``add_noise``, the rates it mixes with, and in ``config`` the
            ``num_train_timesteps`` and the ``prediction_type``.
        x0: Clean pictures, shape (N, C, H, W), in [-1, 1].
        class_labels: Their labels, shape (N,), or None for a network without classes.
        draws: A CPU generator for the noise and the noise levels, or both drawn already.
        loss: ``"mse"``, ``"l1"`` or ``"huber"``.
        min_snr_gamma: Weigh each picture by its noise level, as `min_snr_weights` says; None
            counts all the same.

    Returns:
        The mean error, a scalar with a gradient.

    Raises:
        ValueError: The scheduler's prediction type is unknown.

    Example:
        >>> import torch
        >>> from course_utils.models import UNet
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import diffusion_loss, seeded
        >>> model = UNet(in_channels=1, hidden_dims=(8, 16), image_size=8)
        >>> x0 = torch.zeros(4, 1, 8, 8)
        >>> diffusion_loss(model, DDPMScheduler(), x0, None, seeded(0, 0)).shape
        torch.Size([])

    Source:
        Ho et al. 2020, arXiv 2006.11239, eq. 14 and Algorithm 1; the other targets:
        `course_utils.noise.targets.training_target`; weights: arXiv 2303.09556, section 3.4.

    Chapter: 1, "Training".
    """
    if isinstance(draws, torch.Generator):
        draws = noise_and_levels(noise_scheduler, x0.shape, draws)
    noise, timesteps = (drawn.to(x0.device) for drawn in draws)
    kind = noise_scheduler.config.prediction_type
    noisy = noise_scheduler.add_noise(x0, noise, timesteps)
    signal_rate, noise_rate = mixing_rates(noise_scheduler, timesteps, x0)
    target = training_target(kind, x0, noise, signal_rate, noise_rate)
    prediction = model(noisy, timesteps, class_labels=class_labels).sample.float()
    if min_snr_gamma is None:
        return _ERRORS[loss](prediction, target)
    errors = _ERRORS[loss](prediction, target, reduction="none").flatten(1).mean(1)
    snr = (signal_rate / noise_rate).square().flatten()
    return (min_snr_weights(snr, kind, min_snr_gamma) * errors).mean()
