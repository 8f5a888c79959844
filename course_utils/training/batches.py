"""What happens at step k: which pictures, which noise, which noise levels.

All of it follows from the seed and k alone. It is drawn for the whole batch and then cut into
parts, so that it is the same however many processes share the work, in however many parts
each of them does it, and wherever a run was interrupted.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.data.tensors import ImageTensors
from course_utils.noise.process import NoiseScheduler
from course_utils.training.config import TrainingConfig


def rows_of_step(num_images: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Which pictures an update learns from, worked out from its number alone.

    The pictures are shuffled anew for each pass through them, and batches are cut from the
    endless row of shuffles, so no picture is left out and no batch is short.

    Args:
        num_images: Size of the data set, at least 1.
        batch_size: Pictures per update, at least 1.
        step: Number of the update, from 0.
        seed: Seed of the run.

    Returns:
        Row numbers in [0, num_images), int64, shape (batch_size,).

    Example:
        >>> from course_utils.training import rows_of_step
        >>> epoch = [rows_of_step(num_images=6, batch_size=3, step=step, seed=0) for step in (0, 1)]
        >>> sorted(row for rows in epoch for row in rows.tolist())
        [0, 1, 2, 3, 4, 5]

    Chapter: 1, "The same through the package".
    """
    first = step * batch_size
    wanted = torch.arange(first, first + batch_size)
    epochs = range(first // num_images, (first + batch_size - 1) // num_images + 1)
    shuffles = [
        torch.randperm(num_images, generator=seeded(seed, epoch, stream=1)) for epoch in epochs
    ]
    return torch.cat(shuffles)[wanted - epochs[0] * num_images]


def seeded(seed: int, number: int, stream: int = 0) -> torch.Generator:
    """A generator of its own for each numbered thing in a run.

    Args:
        seed: Seed of the run, 0 or more.
        number: Number of the step or the epoch, from 0.
        stream: Keeps the generators of steps (0), of epochs (1), of dropped labels (2), of the
            network's own dropout (3) and of levels from the middle (4) apart.

    Returns:
        A CPU generator whose stream depends on all three numbers and nothing else.

    Example:
        >>> import torch
        >>> from course_utils.training import seeded
        >>> one, same = (torch.rand(2, generator=seeded(0, number=7)) for _ in range(2))
        >>> bool((one == same).all())
        True

    Source:
        NVlabs/edm2 (arXiv 2312.02696) reseeds each step from the seed and the image count.

    Chapter: 1, "The same through the package".
    """
    import numpy as np

    state = np.random.SeedSequence([seed, stream, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


@dataclass(frozen=True)
class StepBatch:
    """All that an update learns from.

    Attributes:
        x0: Clean pictures, float32, shape (N, C, H, W), in [-1, 1].
        class_labels: Their labels, int64, shape (N,), or None for a network without classes.
        noise: Standard normal noise, shape of `x0`.
        timesteps: The noise level of each picture, int64, shape (N,).
    """

    x0: Tensor
    class_labels: Tensor | None
    noise: Tensor
    timesteps: Tensor

    def part(self, number: int, count: int, device: torch.device | str = "cpu") -> "StepBatch":
        """Cut the batch into equal parts and take one.

        Args:
            number: Which part, from 0 to ``count - 1``.
            count: How many parts; must divide N.
            device: Where the part is wanted.

        Returns:
            ``N / count`` neighbouring pictures with all that belongs to them.
        """
        size = len(self.x0) // count
        rows = slice(number * size, (number + 1) * size)
        labels = self.class_labels
        return StepBatch(
            self.x0[rows].to(device),
            None if labels is None else labels[rows].to(device),
            self.noise[rows].to(device),
            self.timesteps[rows].to(device),
        )


def noise_and_levels(
    noise_scheduler: NoiseScheduler, shape: torch.Size, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw the noise of a batch and how much of it each picture gets.

    Args:
        noise_scheduler: Says in ``config`` how many noise levels there are.
        shape: Shape of the batch, (N, C, H, W).
        generator: A CPU generator.

    Returns:
        Standard normal noise of that shape, and a noise level for each picture, int64, shape
        (N,), each level with the same chance.

    Example:
        >>> import torch
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import noise_and_levels, seeded
        >>> shape = torch.Size((4, 1, 8, 8))
        >>> noise, timesteps = noise_and_levels(DDPMScheduler(), shape, seeded(0, 0))
        >>> noise.shape, timesteps.shape
        (torch.Size([4, 1, 8, 8]), torch.Size([4]))

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 1.

    Chapter: 1, "Training".
    """
    noise = torch.randn(shape, generator=generator)
    timesteps = torch.randint(
        noise_scheduler.config.num_train_timesteps, shape[:1], generator=generator
    )
    return noise, timesteps + lowest_level(noise_scheduler)


def lowest_level(noise_scheduler: NoiseScheduler) -> int:
    """The level with the least noise that a network is shown.

    Args:
        noise_scheduler: Says in ``config`` what a network is asked for.

    Returns:
        0; for flow matching 1, since its level 0 has no noise, and level T is where sampling
        starts.

    Example:
        >>> from course_utils.sampling import DDPMScheduler, FlowMatchEulerScheduler
        >>> from course_utils.training.batches import lowest_level
        >>> lowest_level(DDPMScheduler()), lowest_level(FlowMatchEulerScheduler())
        (0, 1)
    """
    return 1 if noise_scheduler.config.prediction_type == "flow_prediction" else 0


def levels_from_the_middle(
    noise_scheduler: NoiseScheduler, count: int, generator: torch.Generator
) -> Tensor:
    """Draw noise levels from the middle of the path more often: a logit-normal.

    Counted from the lowest of T levels, T·sigmoid(z) rounded down, with z standard normal; half
    of them lie between a third and two thirds of the way.

    Args:
        noise_scheduler: Says in ``config`` how many noise levels there are.
        count: How many to draw.
        generator: A CPU generator.

    Returns:
        A noise level for each picture, int64, shape (count,).

    Example:
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import seeded
        >>> from course_utils.training.batches import levels_from_the_middle
        >>> levels_from_the_middle(DDPMScheduler(), 4, seeded(0, 0)).shape
        torch.Size([4])

    Source:
        Esser et al. 2024, arXiv 2403.03206, section 3.1.
    """
    share = torch.randn(count, generator=generator).sigmoid()
    levels = (share * noise_scheduler.config.num_train_timesteps).long()
    return levels + lowest_level(noise_scheduler)


def draw_batch(
    config: TrainingConfig,
    data: ImageTensors,
    noise_scheduler: NoiseScheduler,
    step: int,
    num_classes: int | None = None,
) -> StepBatch:
    """Everything random that an update needs, for all processes together.

    Args:
        config: Its `batch_size`, `seed`, `timestep_sampling` and `label_dropout` count.
        data: The pictures.
        noise_scheduler: Says how many noise levels there are.
        step: Number of the update, from 0.
        num_classes: The network's ``num_class_embeds``; None leaves the labels out.

    Returns:
        The batch, on the CPU.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import TrainingConfig, draw_batch
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> batch = draw_batch(TrainingConfig(batch_size=16), data, DDPMScheduler(), step=0)
        >>> batch.x0.shape, batch.timesteps.shape
        (torch.Size([16, 1, 8, 8]), torch.Size([16]))

    Source:
        NVlabs/edm2 (arXiv 2312.02696) reseeds each step; dropped labels: arXiv 2207.12598,
        Algorithm 1.
    """
    generator = seeded(config.seed, step)
    rows = rows_of_step(len(data), config.batch_size, step, config.seed)
    x0, labels = data.batch(rows, generator)
    noise, timesteps = noise_and_levels(noise_scheduler, x0.shape, generator)
    if config.timestep_sampling == "logit_normal":
        own = seeded(config.seed, step, stream=4)
        timesteps = levels_from_the_middle(noise_scheduler, len(x0), own)
    if num_classes is None:
        return StepBatch(x0, None, noise, timesteps)
    if config.label_dropout > 0:
        chance = torch.rand(len(labels), generator=seeded(config.seed, step, stream=2))
        labels = labels.masked_fill(chance < config.label_dropout, num_classes - 1)
    return StepBatch(x0, labels, noise, timesteps)
