"""The best possible denoiser for a small set of pictures. Chapter 02_schedulers."""

from dataclasses import dataclass

from torch import Tensor

from course_utils.noise.process import RatedScheduler
from course_utils.noise.targets import training_target
from course_utils.validate import check_same_shape


@dataclass
class ModelOutput:
    """What `IdealDenoiser` returns, named as in diffusers' networks.

    Attributes:
        sample: The prediction, shape of the noisy pictures.
    """

    sample: Tensor


class IdealDenoiser:
    """The best possible network for a small set of pictures: it needs no training.

    Its guess of the clean picture is the mean of the set, each member weighted by how likely it
    is to have become this sample: E[x0 | x_t] = Σ w_i x0_i with w_i ∝ exp(-‖x_t - a x0_i‖² / 2s²)
    for signal rate a and noise rate s. No network can have a smaller squared error on the set, so
    what goes wrong in sampling with it is the sampler's fault. It can't make anything new.

    Args:
        x0_set: The pictures, shape (count, ...), floating point.
        scheduler: One of ours: gives the rates and what is to be predicted.

    Raises:
        ValueError: The set is empty or one-dimensional.

    Example:
        >>> import torch
        >>> from course_utils.models import IdealDenoiser
        >>> from course_utils.sampling import DDIMScheduler
        >>> x0_set = torch.stack([torch.full((1, 4, 4), -0.5), torch.full((1, 4, 4), 0.5)])
        >>> scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2")
        >>> ideal = IdealDenoiser(x0_set, scheduler)
        >>> x_t = 0.1 * torch.randn(1, 1, 4, 4) + x0_set[:1]  # little noise on the first picture
        >>> ideal(x_t, 50).sample.shape
        torch.Size([1, 1, 4, 4])

    Source:
        arXiv 2206.00364, equation (57).
    """

    def __init__(self, x0_set: Tensor, scheduler: RatedScheduler) -> None:
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
        check_same_shape("a picture of sample", sample[0], "one of x0_set", self.x0_set[0])
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

        Source:
            arXiv 2206.00364, equation (57).
        """
        x, points = sample.flatten(1), self.x0_set.flatten(1)
        a, s = signal_rate.flatten(1), noise_rate.flatten(1)
        # -‖x - a·point‖²/2s² without ‖x‖², which is the same for every point
        logits = (a * (x @ points.T) - a**2 * points.square().sum(1) / 2) / s**2
        weights = (logits - logits.logsumexp(1, keepdim=True)).exp()
        return (weights @ points).reshape(sample.shape)
