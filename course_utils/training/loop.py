"""The training loop that every chapter calls.

Runs on whatever Accelerate finds, in as many processes as it was started with. What happens
at step k follows from the seed and k alone (`course_utils.training.batches`), so a run repeats
exactly, and goes on exactly from a checkpoint.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from course_utils.data.tensors import ImageTensors
from course_utils.models.base import Denoiser
from course_utils.noise.process import NoiseScheduler
from course_utils.threads import StepWatch
from course_utils.training.batches import StepBatch, draw_batch, rows_of_step, seeded
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import start_accelerator
from course_utils.training.loss import diffusion_loss
from course_utils.training.report import Output
from course_utils.training.state import Network, TrainingRun, TrainingState
from course_utils.training.stopping import Interrupted, StopSignals


def train(
    config: TrainingConfig,
    model: Network,
    noise_scheduler: NoiseScheduler,
    data: ImageTensors,
    progress: bool = True,
    resume: bool | str | Path = False,
) -> TrainingRun:
    """Train a network to see the noise in a picture.

    Args:
        config: The numbers of the run.
        model: The network; trained in place. Gets the labels if it has classes.
        noise_scheduler: Adds the noise and says what the network is to predict.
        data: The pictures, as `course_utils.data.prepare` gives them.
        progress: Whether to show a progress bar.
        resume: Whether to go on from the newest checkpoint in ``config.output_dir`` (from the
            beginning if there is none), or the folder of the checkpoint to go on from.

    Returns:
        A `TrainingRun`: the network, a copy with averaged weights, and every loss.

    Raises:
        ValueError: The pictures do not fit the network, or a checkpoint does not fit the run.
        FileExistsError: The output folder holds another run, or files that no run has made.
        OSError: The output folder cannot be written, has too little room, or is in use.
        TrackerError: The tracker cannot be opened.
        WrongProcessCountError: There are fewer processes than were asked for.
        FloatingPointError: The loss is no longer a number, or far too large; says at which
            step, and which checkpoint is the last good one.
        Interrupted: Ctrl-C or SIGTERM came; a checkpoint was written after the update in hand.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.models import UNet
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.training import TrainingConfig, train
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> model = UNet(in_channels=1, hidden_dims=(8, 16), image_size=8)
        >>> config = TrainingConfig(num_steps=3, num_warmup_steps=1, batch_size=8)
        >>> run = train(config, model, DDPMScheduler(), data, progress=False)
        >>> len(run.losses)
        3

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 1; averaged weights: their appendix B.

    Chapter: 1, "The same through the package".
    """
    check_fit(model, data, config)
    output = None
    if config.output_dir is not None:
        output = Output(config, model, noise_scheduler, data, resume)
    elif resume:
        raise ValueError(f"resume is {resume!r}, but output_dir is None: nothing was kept.")
    accelerator = start_accelerator(config, **(output.accelerator_options if output else {}))
    state = TrainingState(config, model, accelerator)
    hidden = not (progress and accelerator.is_main_process)
    watch = StepWatch() if accelerator.device.type == "cpu" else None
    with StopSignals() as signals, output.opened(state) if output else nullcontext():
        model.train()
        steps = range(state.step, config.num_steps)
        bar = tqdm(steps, "training", config.num_steps, initial=state.step, disable=hidden)
        for step in bar:
            batch = draw_batch(config, data, noise_scheduler, step, model.config.num_class_embeds)
            with _repeatable_dropout(model, config, step, accelerator.process_index):
                loss, norm = _gradients(config, state, noise_scheduler, batch)
            if not (math.isfinite(norm) and loss <= config.max_loss):
                rows = rows_of_step(len(data), config.batch_size, step, config.seed).tolist()
                told = output.last_good() if output else "No checkpoint was kept (output_dir=None)."
                raise FloatingPointError(f"{_diagnosis(config, step, loss, norm, rows)} {told}")
            _update(state)
            state.losses.append(loss)
            bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
            if output:
                output.after_update(state)
            if watch:
                watch.after_step()
            stopped = signals.agreed(accelerator)
            if stopped and state.step < config.num_steps:
                raise Interrupted(_farewell(state, output), stopped)
    return state.result()


def _farewell(state: TrainingState, output: Output | None) -> str:
    """Keep a checkpoint of an interrupted run, and say how it goes on."""
    what = f"Stopped after {state.step} of {state.config.num_steps} updates."
    if output is None:
        return f"{what} Nothing was kept, since output_dir is None."
    if state.accelerator.is_main_process:
        output.save(state)
    state.accelerator.wait_for_everyone()
    return f"{what} {output.last_good()} Go on with resume=True (--resume)."


def _gradients(
    config: TrainingConfig, state: TrainingState, noise_scheduler: NoiseScheduler, batch: StepBatch
) -> tuple[float, float]:
    """Work through this process's share of the batch; the whole batch's loss and gradient norm."""
    accelerator = state.accelerator
    parts = config.gradient_accumulation_steps
    share = batch.part(accelerator.process_index, accelerator.num_processes)
    losses, norm = [], 0.0
    for k in range(parts):
        part = share.part(k, parts, accelerator.device)
        with accelerator.accumulate(state.model):
            loss = diffusion_loss(
                state.model,
                noise_scheduler,
                part.x0,
                part.class_labels,
                (part.noise, part.timesteps),
                config.loss,
                config.min_snr_gamma,
            )
            losses.append(loss.detach())
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norm = accelerator.clip_grad_norm_(state.model.parameters(), config.max_grad_norm)
    mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
    scaled = accelerator.scaler is not None  # which finds and skips infinite gradients itself
    return mean, 0.0 if scaled else float(norm)


def _update(state: TrainingState) -> None:
    """One step of the optimiser, of its learning rate, and of the averaged weights."""
    state.optimizer.step()
    state.lr_scheduler.step()
    state.optimizer.zero_grad()
    state.ema.step(state.model.parameters())


@contextmanager
def _repeatable_dropout(
    model: Network, config: TrainingConfig, step: int, process: int
) -> Iterator[None]:
    """Let a network's dropout layers, too, depend on the seed and the step alone."""
    if not any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules()):
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed + process, step, stream=3).initial_seed())
        yield


def _diagnosis(config: TrainingConfig, step: int, loss: float, norm: float, rows: list[int]) -> str:
    """Why a run was stopped, and what can be tried."""
    shown = ", ".join(map(str, rows[:8])) + (", …" if len(rows) > 8 else "")
    what = f"The loss is {loss:g}" if not loss <= config.max_loss else f"The gradient is {norm}"
    return (
        f"{what} at step {step} (max_loss is {config.max_loss:g}), on the pictures in rows "
        f"{shown}. Try a learning_rate below {config.learning_rate:g}, more num_warmup_steps "
        f"than {config.num_warmup_steps}, or mixed_precision='no'."
    )


def check_fit(model: Denoiser, data: ImageTensors, config: TrainingConfig | None = None) -> None:
    """Refuse pictures that a network cannot take, before any time is spent.

    Args:
        model: A network with a ``config`` as `diffusers.UNet2DModel` has.
        data: The pictures.
        config: The run's settings, whose `image_size` and `label_dropout` count; or None.

    Raises:
        ValueError: The channels differ, the size cannot be halved often enough or is not the
            one that was asked for, a label lies outside the network's classes, or `data` was
            not made by `prepare`.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.models import UNet
        >>> from course_utils.training import check_fit
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> check_fit(UNet(in_channels=1, hidden_dims=(8, 16), image_size=8), data)

    Source:
        The errors of a beginner.

    Chapter: 1, "What can go wrong".
    """
    _check_data(data)
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
    wanted = None if config is None else config.image_size
    if wanted is not None and (height, width) != (wanted, wanted):
        raise ValueError(
            f"image_size is {wanted} and the pictures are {height}x{width}; "
            f"prepare(…, image_size={wanted})."
        )
    dropout = 0.0 if config is None else config.label_dropout
    _check_labels(model.config.num_class_embeds, data, dropout)


def _check_data(data: ImageTensors) -> None:
    """Refuse pictures that were not made by `prepare` and are read wrongly or not at all."""
    images, labels = data.images, data.labels
    if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
        raise ValueError(
            f"The pictures are {images.dtype} of shape {tuple(images.shape)}; they must be uint8, "
            "0 to 255, of shape (N, C, H, W), N at least 1, as prepare() gives them."
        )
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole or tuple(labels.shape) != (len(images),):
        raise ValueError(
            f"The labels are {labels.dtype} of shape {tuple(labels.shape)}; {len(images)} pictures "
            f"want whole numbers of shape ({len(images)},), as prepare() gives them."
        )


def _check_labels(num_classes: int | None, data: ImageTensors, label_dropout: float) -> None:
    """Refuse labels that the network has no class for, the class for "no label" included."""
    if num_classes is None:
        if label_dropout > 0:
            raise ValueError(f"label_dropout is {label_dropout}, but the network has no classes.")
        return
    smallest, largest = int(data.labels.min()), int(data.labels.max())
    if smallest < 0:
        raise ValueError(
            f"The labels go down to {smallest}, and classes count from 0: leave pictures without "
            "a label out, or take a network without classes."
        )
    if largest >= num_classes:
        raise ValueError(f"The labels go up to {largest}, but num_class_embeds is {num_classes}.")
    if label_dropout > 0 and largest == num_classes - 1:
        raise ValueError(
            f"The labels go up to {largest}, and num_class_embeds is {num_classes}: "
            f"label_dropout needs one class more, {num_classes + 1}, to stand for no label."
        )
