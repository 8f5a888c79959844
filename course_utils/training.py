"""The training loop that every chapter calls, and a configuration that refuses nonsense.

Runs on whatever Accelerate finds. What happens at step k (which pictures, which noise,
which noise levels) follows from the seed and k alone, so a run repeats exactly.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils.data import ImageTensors
from course_utils.parameterisation import mixing_rates, training_target


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Every number of a training run, each with the reason for its default.

    Attributes:
        num_steps: Optimiser updates in all. No default: it is the size of the run.
        batch_size: Pictures an update learns from; 64 keeps a CPU busy.
        learning_rate: Peak step size of AdamW, in (0, 1); small nets take 1e-3 and more.
        num_warmup_steps: Updates over which the step size climbs from 0 to the peak,
            while AdamW's averages are still poor.
        max_grad_norm: Longer gradients are shortened to this length: one odd batch must
            not undo a hundred good ones.
        ema_decay: The most that the running average of the weights keeps per update, in
            [0, 1). 0.995 averages over the last 200 updates, right for runs of about 1,000.
        mixed_precision: ``"no"``, ``"bf16"`` or ``"fp16"``; full precision is the safe one.
        seed: Decides the order of the pictures, the noise and the noise levels.

    Source:
        The settings of the Hugging Face butterflies tutorial, as an annotated and validated
        dataclass. Chapter: 1, "The same through the package".
    """

    num_steps: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    num_warmup_steps: int = 50
    max_grad_norm: float = 1.0
    ema_decay: float = 0.995
    mixed_precision: str = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        rules = {
            "num_steps": (self.num_steps >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < 1, "between 0 and 1"),
            "num_warmup_steps": (
                0 <= self.num_warmup_steps <= self.num_steps,
                "between 0 and num_steps",
            ),
            "max_grad_norm": (self.max_grad_norm > 0, "above 0"),
            "ema_decay": (0 <= self.ema_decay < 1, "in [0, 1)"),
            "mixed_precision": (self.mixed_precision in ("no", "bf16", "fp16"), "no, bf16 or fp16"),
            "seed": (self.seed >= 0, "0 or more"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be {rule}.")


@dataclass(frozen=True)
class TrainingRun:
    """What `train` leaves behind.

    Attributes:
        model: The network with its last weights, in training mode.
        ema_model: A copy with the averaged weights, in evaluation mode: sample with this.
        losses: The loss of each update, a list of ``num_steps`` floats.
    """

    model: nn.Module
    ema_model: nn.Module
    losses: list[float] = field(repr=False)


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

    Source:
        The course's own. Chapter: 1, "The same through the package".
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
        stream: Keeps the generators of steps and of epochs apart.

    Returns:
        A CPU generator whose stream depends on all three numbers and nothing else.

    Source:
        NVlabs/edm2 (arXiv 2312.02696) reseeds each step from the seed and the image count.
        Chapter: 1, "The same through the package".
    """
    import numpy as np

    state = np.random.SeedSequence([seed, stream, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) >> 1)


def diffusion_loss(
    model: nn.Module,
    noise_scheduler: Any,
    x0: Tensor,
    class_labels: Tensor | None,
    generator: torch.Generator,
) -> Tensor:
    """One guess at the noise of a batch, and how wrong it was.

    Args:
        model: Called as ``model(sample, timesteps, class_labels=…).sample``.
        noise_scheduler: Gives ``add_noise``, the rates it mixes with, and in ``config`` the
            ``num_train_timesteps`` and the ``prediction_type``.
        x0: Clean pictures, shape (N, C, H, W), in [-1, 1].
        class_labels: Their labels, shape (N,), or None for a network without classes.
        generator: A CPU generator for the noise and the noise levels.

    Returns:
        The mean squared error, a scalar with a gradient.

    Raises:
        ValueError: The scheduler's prediction type is unknown.

    Source:
        Ho et al. 2020, arXiv 2006.11239, eq. 14 and Algorithm 1; the other targets:
        `course_utils.parameterisation.training_target`. Chapter: 1, "Training".
    """
    noise = torch.randn(x0.shape, generator=generator).to(x0.device)
    num_levels = noise_scheduler.config.num_train_timesteps
    timesteps = torch.randint(0, num_levels, (len(x0),), generator=generator).to(x0.device)
    kind = noise_scheduler.config.prediction_type
    if kind == "flow_prediction":
        timesteps = timesteps + 1  # here level 0 has no noise, and level T is where sampling starts
    noisy = noise_scheduler.add_noise(x0, noise, timesteps)
    target = training_target(kind, x0, noise, *mixing_rates(noise_scheduler, timesteps, x0))
    prediction = model(noisy, timesteps, class_labels=class_labels).sample
    return nn.functional.mse_loss(prediction.float(), target)


def train(
    config: TrainingConfig,
    model: nn.Module,
    noise_scheduler: Any,
    data: ImageTensors,
    progress: bool = True,
) -> TrainingRun:
    """Train a network to see the noise in a picture.

    Args:
        config: The numbers of the run.
        model: The network; trained in place. Gets the labels if it has classes.
        noise_scheduler: Adds the noise and says what the network is to predict.
        data: The pictures, as `course_utils.data.prepare` gives them.
        progress: Whether to show a progress bar.

    Returns:
        A `TrainingRun`: the network, a copy with averaged weights, and every loss.

    Raises:
        ValueError: The pictures do not fit the network: channels, size, or labels.
        FloatingPointError: The loss is no longer a number; says at which step.

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 1; averaged weights: their appendix B.
        Chapter: 1, "The same through the package".
    """
    from accelerate import Accelerator
    from diffusers.optimization import get_cosine_schedule_with_warmup
    from diffusers.training_utils import EMAModel

    check_fit(model, data)
    accelerator = Accelerator(mixed_precision=config.mixed_precision)
    ema = EMAModel(model.parameters(), decay=config.ema_decay, foreach=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, fused=True)
    lr_scheduler = get_cosine_schedule_with_warmup(
        optimizer, config.num_warmup_steps, config.num_steps
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    ema.to(accelerator.device)
    model.train()
    losses = []
    for step in tqdm(range(config.num_steps), desc="training", disable=not progress):
        generator = seeded(config.seed, step)
        rows = rows_of_step(len(data), config.batch_size, step, config.seed)
        x0, labels = (part.to(accelerator.device) for part in data.batch(rows, generator))
        conditional = accelerator.unwrap_model(model).config.num_class_embeds is not None
        loss = diffusion_loss(
            model, noise_scheduler, x0, labels if conditional else None, generator
        )
        losses.append(loss.item())
        _check_finite(losses, config)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        ema.step(model.parameters())
    model = accelerator.unwrap_model(model)
    ema_model = copy.deepcopy(model).eval()
    ema.copy_to(ema_model.parameters())
    return TrainingRun(model, ema_model, losses)


def _check_finite(losses: list[float], config: TrainingConfig) -> None:
    """Stop a run whose loss has become infinite or no number at all."""
    if not math.isfinite(losses[-1]):
        raise FloatingPointError(
            f"The loss is {losses[-1]} at step {len(losses) - 1}; the weights are lost. "
            f"Try a learning_rate below {config.learning_rate}, or more num_warmup_steps."
        )


def check_fit(model: nn.Module, data: ImageTensors) -> None:
    """Refuse pictures that a network cannot take, before any time is spent.

    Args:
        model: A network with a ``config`` as `diffusers.UNet2DModel` has.
        data: The pictures.

    Raises:
        ValueError: The channels differ, the size cannot be halved often enough, or a label
            lies outside the network's classes.

    Source:
        The errors of a beginner. Chapter: 1, "What can go wrong".
    """
    channels, height, width = data.images.shape[1:]
    if channels != model.config.in_channels:
        raise ValueError(
            f"The pictures have {channels} channels and the network takes "
            f"{model.config.in_channels}; prepare(…, channels={model.config.in_channels})."
        )
    factor = 2 ** (len(model.config.block_out_channels) - 1)
    if height % factor or width % factor:
        raise ValueError(
            f"The pictures are {height}x{width}; a network of "
            f"{len(model.config.block_out_channels)} levels takes multiples of {factor}."
        )
    classes = model.config.num_class_embeds
    if classes is not None and int(data.labels.max()) >= classes:
        raise ValueError(
            f"The labels go up to {int(data.labels.max())}, but num_class_embeds is {classes}."
        )
