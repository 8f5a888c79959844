"""Sample grids: what the network draws at this moment, always from the same noise."""

from torch import Tensor

from course_utils.models.base import Denoiser
from course_utils.noise.process import NoiseScheduler
from course_utils.sampling.ddim import quick_scheduler
from course_utils.sampling.loop import sample
from course_utils.training.config import TrainingConfig


def draw_samples(
    config: TrainingConfig, ema_model: Denoiser, noise_scheduler: NoiseScheduler
) -> Tensor:
    """Draw a grid's pictures; the randomness of the training is not touched.

    Picture k has seed k, and in a network with classes label k, counted round. So the grids of
    one run show the same pictures growing up.

    Args:
        config: Its `eval_batch_size`, `eval_inference_steps` and `label_dropout` count.
        ema_model: The network with its averaged weights.
        noise_scheduler: What the network was trained with; only its settings are used.

    Returns:
        Pictures in [-1, 1], shape (eval_batch_size, C, H, W), on the CPU.

    Source:
        crowsonkb/k-diffusion draws its demo grids from a generator of their own.
    """
    count, classes = config.eval_batch_size, kinds_of(config, ema_model)
    steps = min(config.eval_inference_steps, noise_scheduler.config.num_train_timesteps)
    return sample(
        ema_model,
        quick_scheduler(noise_scheduler),
        seeds=range(count),
        class_labels=None if classes is None else [k % classes for k in range(count)],
        num_inference_steps=steps,
        progress=False,
    ).images


def kinds_of(config: TrainingConfig, model: Denoiser) -> int | None:
    """How many kinds a network can be asked for.

    Args:
        config: Its `label_dropout` counts: with it, the last class stands for "no label".
        model: The network.

    Returns:
        Their number; None for a network without classes.
    """
    classes: int | None = model.config.num_class_embeds
    return classes - 1 if classes is not None and config.label_dropout > 0 else classes
