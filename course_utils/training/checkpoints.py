"""Checkpoints that a power cut cannot halve: written beside their place, then moved into it.

A checkpoint is a folder ``checkpoint-000300`` with every number of the run in
``state.safetensors`` and, for people, what made it in ``training.json``. A folder of that name
is always complete, whatever happened while it was written.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

_STATE, _ABOUT = "state.safetensors", "training.json"


def write_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensor], about: dict[str, Any], keep: int
) -> Path:
    """Write a checkpoint, all or nothing, and clear away the oldest.

    Args:
        folder: Where the checkpoints lie; made if need be.
        step: How many updates the run has made.
        tensors: Every number of the run, on the CPU.
        about: What made it, in plain values.
        keep: How many checkpoints may stay, this one included.

    Returns:
        The folder of the new checkpoint.

    Raises:
        OSError: It could not be written. What was there before is as it was.

    Source:
        Write, fsync, rename: the manual page of ``rename(2)``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    goal = folder / f"checkpoint-{step:06d}"
    part = folder / f".{goal.name}.part"
    try:
        _remove(part)
        part.mkdir(parents=True)
        save_file(tensors, part / _STATE)
        (part / _ABOUT).write_text(json.dumps(about, indent=1))
        for path in (part / _STATE, part / _ABOUT, part):
            _to_disk(path)
        _remove(goal)  # of an earlier attempt that was resumed from before it
        part.rename(goal)
        _to_disk(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OSError(f"{goal} could not be written ({error}).") from error
    others = [path for path in checkpoints(folder) if path != goal]
    for path in others[: max(0, len(others) - keep + 1)]:
        _remove(path)
    return goal


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder.

    Args:
        folder: Where they lie; need not exist.

    Returns:
        Their folders, oldest first.
    """
    found = (path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit())
    return sorted(found, key=lambda path: int(path.name[11:]))


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint; nothing in it is ever run as code.

    Args:
        path: The folder of one checkpoint.

    Returns:
        What made it, and every number of the run, as `write_checkpoint` was given them.

    Raises:
        ValueError: There is no checkpoint, or it is damaged; says what to do.

    Source:
        The safetensors format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((path / _ABOUT).read_text())
        return about, load_file(path / _STATE)
    except (OSError, SafetensorError, ValueError) as error:
        others = ", ".join(other.name for other in checkpoints(path.parent) if other != path)
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({error}). "
            f"Resume from another one: {others or 'there is none beside it'}."
        ) from error


def clear_leftovers(folder: Path) -> None:
    """Remove what an interrupted write or removal has left behind.

    Args:
        folder: Where the checkpoints lie; need not exist.
    """
    for path in folder.glob(".checkpoint-*.part"):
        shutil.rmtree(path)


def _remove(path: Path) -> None:
    """Take a checkpoint away so that it never stands there half removed."""
    if not path.name.startswith(".") and path.exists():
        path = path.rename(path.with_name(f".{path.name}.old.part"))
    if path.exists():
        shutil.rmtree(path)


def _to_disk(path: Path) -> None:
    """Wait until the disk has a file or folder, and not only the memory."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
