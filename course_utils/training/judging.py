"""How good the pictures are on the way: a kernel distance between samples and what is learned."""

import torch

from course_utils.data.tensors import ImageTensors
from course_utils.metrics import Artist, draw, extractor, kernel_distance
from course_utils.models.base import Denoiser
from course_utils.noise.process import NoiseScheduler
from course_utils.training.config import TrainingConfig
from course_utils.training.grids import kinds_of

COMPARED = 1_000
"""Pictures of the data that samples are compared with, at most."""


class OnTheWay:
    """Measures a network while it learns; the randomness of the training is not touched.

    Args:
        config: Its `judge_by`, `judge_batch_size`, `eval_batch_size` and `eval_inference_steps`
            count.
        data: The pictures that the network learns from. A network that copies them looks
            perfect here: for a verdict, judge the finished one against others.

    Raises:
        ValueError: There is no such extractor, or it does not fit the pictures.
    """

    def __init__(self, config: TrainingConfig, data: ImageTensors) -> None:
        self.config = config
        chance = torch.Generator().manual_seed(0)
        rows = torch.randperm(len(data), generator=chance)[:COMPARED]
        part = ImageTensors(data.images[rows], data.labels[rows], data.names)
        self.eye = extractor(config.judge_by, part if config.judge_by == "pixels" else None)
        # Mirrored at random where the batches are.
        self.real = self.eye(data.batch(rows, chance)[0])

    def measure(self, ema_model: Denoiser, noise_scheduler: NoiseScheduler) -> dict[str, float]:
        """Draw pictures from seeds that stay the same, and compare them.

        Args:
            ema_model: The network with its averaged weights.
            noise_scheduler: What the network was trained with; only its settings are used.

        Returns:
            The kernel distance and its deviation, under names that tell the extractor.

        Source:
            Bińkowski et al. 2018, arXiv 1801.01401, section 4.
        """
        config = self.config
        kinds = range(kinds_of(config, ema_model) or 0)
        steps = min(config.eval_inference_steps, noise_scheduler.config.num_train_timesteps)
        images, _ = draw(
            Artist(ema_model, noise_scheduler, [str(kind) for kind in kinds]),
            range(config.judge_batch_size),
            steps,
            batch_size=config.eval_batch_size,
        )
        mean, deviation = kernel_distance(self.eye(images), self.real)
        name = self.eye.name.replace("@", ".")  # TensorBoard knows no @
        return {f"kernel_distance/{name}": mean, f"kernel_distance_deviation/{name}": deviation}
