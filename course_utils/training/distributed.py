"""How many processes share the work, and whether they are as many as were asked for."""

import os
from typing import Any

import torch

from course_utils.training.config import TrainingConfig

_CLUSTERS = {
    "SLURM_NTASKS": "SLURM_PROCID",  # reserved places alone start nobody; a step of srun does
    "OMPI_COMM_WORLD_SIZE": "",
    "PMI_SIZE": "",
    "MV2_COMM_WORLD_SIZE": "",
}
"""Where Slurm and MPI tell how many copies of a program they have started."""


class WrongProcessCountError(RuntimeError):
    """A run has another number of processes than was asked for; the message says what to do."""


def start_accelerator(config: TrainingConfig, **options: Any) -> Any:
    """Make Accelerate's `Accelerator` for a run, and check that it is what was asked for.

    Several processes on a machine without a GPU find each other over the CPU. Whoever asked
    for two processes and got one, or two that do not know of each other, is told.

    Args:
        config: Its precision, batch size, parts and number of processes count.
        options: Passed on to ``Accelerator``.

    Returns:
        An ``accelerate.Accelerator``.

    Raises:
        WrongProcessCountError: There are fewer processes than were asked for.
        ValueError: The batch cannot be cut into equal parts, or the precision does not go
            together with the device or with the launcher's.

    Source:
        The documentation of Accelerate.

    Chapter: the page "Many GPUs, many machines".
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    _check_launcher_precision(config)
    known = AcceleratorState._shared_state
    if known and AcceleratorState().mixed_precision != config.mixed_precision:
        AcceleratorState._reset_state()  # an earlier run here had another precision
    several = announced_processes() > 1
    accelerator = Accelerator(
        cpu=several and not torch.accelerator.is_available(),
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        **options,
    )
    check_process_count(config, accelerator.num_processes)
    parts = config.gradient_accumulation_steps * accelerator.num_processes
    if config.batch_size % parts:
        raise ValueError(
            f"batch_size is {config.batch_size}; {accelerator.num_processes} processes with "
            f"{config.gradient_accumulation_steps} gradient_accumulation_steps need a multiple "
            f"of {parts}."
        )
    if config.mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError("mixed_precision is 'fp16', which needs a GPU; on a CPU use bf16 or no.")
    return accelerator


def process_state() -> Any:
    """Accelerate's word on which of the processes this is.

    Returns:
        An ``accelerate.PartialState``. Several processes on a machine without a GPU find each
        other over the CPU.
    """
    from accelerate import PartialState

    return PartialState(cpu=announced_processes() > 1 and not torch.accelerator.is_available())


def announced_processes() -> int:
    """How many processes the launcher has announced in the environment.

    ``accelerate launch --cpu --num_processes 2`` announces an address to meet at, but starts
    one process and says nothing of a number: that counts as two.

    Returns:
        The number, 1 where there was no launcher.

    Source:
        The documentation of torchrun; ``accelerate.utils.launch``.

    Chapter: the page "Many GPUs, many machines".
    """
    if os.environ.get("WORLD_SIZE"):
        return int(os.environ["WORLD_SIZE"])
    for size, place in _CLUSTERS.items():
        if os.environ.get(size) and (not place or os.environ.get(place)):
            return int(os.environ[size])
    launched = "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ
    return 2 if launched else 1


def check_process_count(config: TrainingConfig, found: int) -> None:
    """Refuse to run as another number of processes than was asked for.

    Args:
        config: Its `num_processes` counts.
        found: How many processes this run has.

    Raises:
        WrongProcessCountError: The launcher or the settings asked for another number.

    Chapter: the page "Many GPUs, many machines".
    """
    announced = announced_processes()
    remedy = (
        "On a CPU start them with: ACCELERATE_USE_CPU=true "
        "torchrun --standalone --nproc_per_node 2 -m course_utils train …"
    )
    if found < announced:
        raise WrongProcessCountError(
            f"The launcher was asked for {announced} processes or more, and this is a run of "
            f"{found}: each would train for itself. {remedy}"
        )
    if config.num_processes not in (None, found):
        raise WrongProcessCountError(
            f"num_processes is {config.num_processes}, and this is a run of {found}. {remedy}"
        )


def _check_launcher_precision(config: TrainingConfig) -> None:
    """Refuse a launcher's precision that the settings would silently overrule."""
    wanted = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if wanted not in ("no", config.mixed_precision):
        raise ValueError(
            f"The launcher asks for mixed precision {wanted!r}, and mixed_precision is "
            f"{config.mixed_precision!r}. Give both the same value."
        )
