"""The training loop that every chapter calls.

Runs on whatever Accelerate finds, in as many processes as it was started with. What happens
at step k follows from the seed and k alone (`course_utils.training.batches`), so a run repeats
exactly, and goes on exactly from a checkpoint.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from course_utils.data.tensors import ImageTensors
from course_utils.noise.process import NoiseScheduler
from course_utils.threads import StepWatch
from course_utils.training.batches import StepBatch, draw_batch, rows_of_step, seeded
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import start_accelerator
from course_utils.training.fitting import check_fit
from course_utils.training.loss import diffusion_loss
from course_utils.training.memory import remember_less, told_when_full
from course_utils.training.pace import Timekeeper
from course_utils.training.report import Output
from course_utils.training.state import Network, TrainingRun, TrainingState
from course_utils.training.stopping import Interrupted, StopSignals
from course_utils.validate import check_count


def train(
    config: TrainingConfig,
    model: Network,
    noise_scheduler: NoiseScheduler,
    data: ImageTensors,
    progress: bool = True,
    resume: bool | str | Path = False,
    elsewhere: float = 0.0,
    until: int | None = None,
    notes: Mapping[str, Any] | None = None,
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
        elsewhere: Seconds of ``config.minutes`` that are wanted for something else: spent on
            opening the pictures, say, or kept for what comes after.
        until: Stop after this update, though the plan is for ``config.num_steps``: the beginning
            of the longer run, to the bit. In an output folder it leaves a checkpoint to go on
            from. None for the whole run.
        notes: What else the checkpoints are to keep of how the run was begun, in values that JSON
            knows; None for nothing, or for what the checkpoint that is gone on from has.

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
        MemoryFullError: The memory is not enough; says which setting helps.
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
    if until is not None and check_count("until", until) > config.num_steps:
        raise ValueError(f"until is {until}; the run has {config.num_steps} updates (num_steps).")
    output = None
    if config.output_dir is not None:
        output = Output(config, model, noise_scheduler, data, resume, notes)
    elif resume:
        raise ValueError(f"resume is {resume!r}, but output_dir is None: nothing was kept.")
    remember_less(model, config)
    accelerator = start_accelerator(config, **(output.accelerator_options if output else {}))
    state = TrainingState(config, model, accelerator)
    hidden = not (progress and accelerator.is_main_process)
    watch = StepWatch() if accelerator.device.type == "cpu" else None
    with StopSignals() as signals, output.opened(state) if output else nullcontext():
        timekeeper = Timekeeper(config.minutes, elsewhere + (output.seconds() if output else 0))
        model.train()
        end = until or state.pace.num_steps
        bar = tqdm(None, "training", end, initial=state.step, disable=hidden)
        while state.step < end:
            timekeeper.begin_update()
            update(config, state, noise_scheduler, data, output)
            timekeeper.end_update()
            bar.set_postfix(loss=f"{state.losses[-1]:.4f}", refresh=False)
            bar.update()
            if output:
                output.after_update(state)
            if config.minutes is not None:
                _keep_time(timekeeper, state)
                bar.total = end = until or state.pace.num_steps
            if watch:
                watch.after_step()
            stopped = signals.agreed(accelerator)
            if stopped and state.step < state.pace.num_steps:
                raise Interrupted(_farewell(state, output), stopped)
        bar.close()
        if output and state.step < state.pace.num_steps:
            _farewell(state, output)
    return state.result()


def _keep_time(timekeeper: Timekeeper, state: TrainingState) -> None:
    """Move the last update to where the time ends, in all processes alike."""
    pace, step = state.pace, state.step
    if step < pace.num_steps:
        found = torch.tensor([timekeeper.fits(pace, step)], device=state.accelerator.device)
        pace.end_at(int(state.accelerator.gather(found)[0]), step)  # as the first process says


def _farewell(state: TrainingState, output: Output | None) -> str:
    """Keep a checkpoint of an interrupted run, and say how it goes on."""
    what = f"Stopped after {state.step} of {state.pace.num_steps} updates."
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


def update(
    config: TrainingConfig,
    state: TrainingState,
    noise_scheduler: NoiseScheduler,
    data: ImageTensors,
    output: Output | None = None,
) -> None:
    """One update: of the weights, of the learning rate, and of the averaged weights.

    Args:
        config: The numbers of the run.
        state: Its state; changed.
        noise_scheduler: As for `train`.
        data: The pictures.
        output: What is kept of the run, which knows where it could go on from; or None.

    Raises:
        FloatingPointError: The loss is no longer a number, or far too large.
        MemoryFullError: The memory is not enough.

    Source:
        Ho et al. 2020, arXiv 2006.11239, Algorithm 1.
    """
    step, accelerator, model = state.step, state.accelerator, state.network
    batch = draw_batch(config, data, noise_scheduler, step, model.config.num_class_embeds)
    with told_when_full(config, step, accelerator.num_processes):
        with _repeatable_dropout(model, config, step, accelerator.process_index):
            loss, norm = _gradients(config, state, noise_scheduler, batch)
        if not (math.isfinite(norm) and loss <= config.max_loss):
            rows = rows_of_step(len(data), config.batch_size, step, config.seed).tolist()
            told = output.last_good() if output else "No checkpoint was kept (output_dir=None)."
            raise FloatingPointError(f"{_diagnosis(config, step, loss, norm, rows)} {told}")
        state.optimizer.step()
    state.lr_scheduler.step()
    state.optimizer.zero_grad()
    state.ema.step(state.model.parameters())
    state.losses.append(loss)


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
