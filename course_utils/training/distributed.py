"""How many processes share the work, and whether they are as many as were asked for."""

import os
from typing import Any

import torch

from course_utils.training.config import TrainingConfig

CLUSTERS = {
    "SLURM_NTASKS": "SLURM_PROCID",  # reserved places alone start nobody; a step of srun does
    "OMPI_COMM_WORLD_SIZE": "",
    "PMI_SIZE": "",
    "MV2_COMM_WORLD_SIZE": "",
}
"""Where Slurm and the MPIs tell how many copies of a program they start, and which this is."""

_REMEDY = (
    "Start them with Accelerate's launcher, or on a CPU with: ACCELERATE_USE_CPU=true "
    "torchrun --standalone --nproc_per_node 2 -m course_utils train …"
)


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
    check_processes_announced(config)
    known = AcceleratorState._shared_state
    if known and AcceleratorState().mixed_precision != config.mixed_precision:
        AcceleratorState._reset_state()  # an earlier run here had another precision
    accelerator = Accelerator(
        cpu=_over_the_cpu(),
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


def first_process(config: TrainingConfig) -> bool:
    """Whether this process is the one that speaks and writes, as Accelerate counts them.

    The environment is not asked: a ``RANK`` left over in it says nothing.

    Args:
        config: Its `num_processes` counts.

    Returns:
        True in the first process, and in the only one.

    Raises:
        WrongProcessCountError: There are fewer processes than were asked for.

    Chapter: the page "Many GPUs, many machines".
    """
    from accelerate import PartialState

    check_processes_announced(config)
    return PartialState(cpu=_over_the_cpu()).is_main_process


def _over_the_cpu() -> bool:
    """Whether several processes have to find each other without a GPU."""
    return announced_processes() > 1 and not torch.accelerator.is_available()


def check_processes_announced(config: TrainingConfig) -> None:
    """Refuse, before anything is waited for, to be one of many that do not know of each other.

    Args:
        config: Its `num_processes` counts.

    Raises:
        WrongProcessCountError: A cluster, a launcher or the settings asked for another number.

    Chapter: the page "Many GPUs, many machines".
    """
    if os.environ.get("WORLD_SIZE"):
        check_process_count(config, announced_processes())
        return
    for name, place in CLUSTERS.items() if config.num_processes != 1 else ():
        asked = os.environ.get(name, "")
        if asked.isdigit() and int(asked) > 1 and (not place or os.environ.get(place)):
            raise WrongProcessCountError(
                f"{name} asks for {asked} processes, and this is a run of 1: each would train "
                f"for itself. {_REMEDY} If one is what you want, say so: num_processes=1, "
                f"--num-processes 1."
            )
    check_process_count(config, 1)


def announced_processes() -> int:
    """How many processes the launcher has announced in the environment.

    ``accelerate launch --cpu --num_processes 2`` announces an address to meet at, but starts
    one process and says nothing of a number: that counts as two.

    Returns:
        The number, 1 where there was no launcher.

    Raises:
        WrongProcessCountError: ``WORLD_SIZE`` is no number from 1 up.

    Source:
        The documentation of torchrun; ``accelerate.utils.launch``.

    Chapter: the page "Many GPUs, many machines".
    """
    told = os.environ.get("WORLD_SIZE")
    if told and not (told.isdecimal() and int(told) > 0):
        raise WrongProcessCountError(
            f"The environment variable WORLD_SIZE is {told!r}, which is no number of processes. "
            f"Unset it. {_REMEDY}"
        )
    if told:
        return int(told)
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
    if found < announced:
        raise WrongProcessCountError(
            f"The launcher was asked for {announced} processes or more, and this is a run of "
            f"{found}: each would train for itself. {_REMEDY}"
        )
    if config.num_processes not in (None, found):
        raise WrongProcessCountError(
            f"num_processes is {config.num_processes}, and this is a run of {found}. {_REMEDY}"
        )


def _check_launcher_precision(config: TrainingConfig) -> None:
    """Refuse a launcher's precision that the settings would silently overrule."""
    wanted = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if wanted not in ("no", config.mixed_precision):
        raise ValueError(
            f"The launcher asks for mixed precision {wanted!r}, and mixed_precision is "
            f"{config.mixed_precision!r}. Give both the same value."
        )
