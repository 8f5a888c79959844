"""Memory: a full one is told in a line with the setting that helps, and a batch is cut to fit."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from course_utils.training.config import TrainingConfig
from course_utils.training.state import Network

_WORDS = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")
"""What PyTorch's messages say on the CPU, on Windows, on Apple's GPUs and on Nvidia's."""


class MemoryFullError(RuntimeError):
    """There is not enough memory for an update; the message says which setting helps."""


def is_full(error: BaseException) -> bool:
    """Whether an error means that the memory was not enough.

    Args:
        error: What was raised.

    Returns:
        True for PyTorch's and Python's own errors of that kind.

    Source:
        ``torch.OutOfMemoryError``; on a CPU PyTorch raises a plain RuntimeError.
    """
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


def lighter(config: TrainingConfig, processes: int = 1) -> TrainingConfig | None:
    """The same updates with less memory: the batch in more parts; then layers that forget.

    Args:
        config: The settings whose updates do not fit.
        processes: How many processes share a batch.

    Returns:
        The next lighter settings, None where there are none that change no number.
    """
    parts, share = config.gradient_accumulation_steps, config.batch_size // processes
    more = next((k for k in range(2 * parts, share + 1) if share % k == 0), None)
    if more is not None:
        return replace(config, gradient_accumulation_steps=more)
    if not config.gradient_checkpointing:
        return replace(config, gradient_checkpointing=True)
    return None


@contextmanager
def told_when_full(config: TrainingConfig, step: int, processes: int = 1) -> Iterator[None]:
    """Say which setting helps where the memory is full.

    Args:
        config: The settings of the run.
        step: The update in hand, from 0.
        processes: How many processes share a batch.

    Yields:
        Nothing.

    Raises:
        MemoryFullError: The memory was not enough.
    """
    try:
        yield
    except Exception as error:
        if not is_full(error):
            raise
        raise MemoryFullError(
            f"The memory is full at update {step}: {config.batch_size} pictures in "
            f"{config.gradient_accumulation_steps} parts. {_advice(config, processes)}"
        ) from error


def _advice(config: TrainingConfig, processes: int) -> str:
    """What to try next, and as what option."""
    found = lighter(config, processes)
    if found is None:
        return "Take a smaller image_size (--image-size), or a smaller network."
    parts = found.gradient_accumulation_steps
    setting = "gradient_checkpointing=True (--gradient-checkpointing)"
    if parts != config.gradient_accumulation_steps:
        setting = f"gradient_accumulation_steps={parts} (--gradient-accumulation-steps {parts})"
    return f"Set {setting}: the same updates with less memory."


def settings_that_fit(
    config: TrainingConfig, try_update: Callable[[TrainingConfig], object], processes: int = 1
) -> TrainingConfig:
    """Find by trying in how many parts a batch fits into the memory.

    Args:
        config: The settings to begin with.
        try_update: Makes an update with some settings, and is refused memory or not.
        processes: How many processes share a batch.

    Returns:
        The first settings that fit; their updates are the same as those of `config`.

    Raises:
        MemoryFullError: None of them fits.
    """
    while True:
        found = lighter(config, processes)
        try:
            with told_when_full(config, 0, processes):
                try_update(config)
            return config
        except MemoryFullError:
            if found is None:
                raise
        config = found
        gc.collect()  # what the failed update still held
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def remember_less(model: Network, config: TrainingConfig) -> None:
    """Let a network forget what its layers said, where the settings ask for it.

    Args:
        model: The network; changed.
        config: Its `gradient_checkpointing` counts.

    Raises:
        ValueError: The network does not know how.

    Source:
        Chen et al. 2016, arXiv 1604.06174, section 3.
    """
    able = getattr(model, "_supports_gradient_checkpointing", False)
    if config.gradient_checkpointing and not able:
        raise ValueError(
            f"gradient_checkpointing is True, which a {type(model).__name__} cannot; use a "
            "UNet2DModel, or more gradient_accumulation_steps."
        )
    network: Any = model
    if config.gradient_checkpointing:
        network.enable_gradient_checkpointing()
    elif able:
        network.disable_gradient_checkpointing()
