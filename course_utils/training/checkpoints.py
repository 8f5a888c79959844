"""Checkpoints that a power cut cannot halve: written beside their place, then moved into it.

A checkpoint is a folder ``checkpoint-000300`` with every number of the run in
``state.safetensors`` and, for people, what made it in ``training.json``. A folder of that name
is always complete, whatever happened while it was written.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from course_utils.files import to_disk

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
        _delete(part)
        part.mkdir(parents=True)
        save_file(tensors, part / _STATE)
        (part / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        for path in (part / _STATE, part / _ABOUT, part):
            to_disk(path)
        _remove(goal)  # of an earlier attempt that was resumed from before it
        part.rename(goal)
        to_disk(folder)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            _delete(part)
        raise OSError(f"{goal} could not be written ({error}).") from error
    others = [path for path in checkpoints(folder) if path != goal]
    for path in others[: max(0, len(others) - keep + 1)]:
        if {file.name for file in path.iterdir()} <= {_STATE, _ABOUT}:  # nobody else's
            _remove(path)
    return goal


def checkpoint_files(folder: Path, step: int) -> list[Path]:
    """The files that make up a checkpoint.

    Args:
        folder: Where the checkpoints lie.
        step: How many updates the run has made.

    Returns:
        Their paths, whether they exist or not.
    """
    return [folder / f"checkpoint-{step:06d}" / name for name in (_STATE, _ABOUT)]


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
        about = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        tensors = load_file(path / _STATE)
        if not isinstance(about, dict) or about.get("step") != len(tensors.get("losses", "")):
            raise ValueError(f"{_ABOUT} and {_STATE} do not belong together")
        return about, tensors
    except (OSError, SafetensorError, ValueError) as error:
        # Beside it; or in it, where it is the folder of a run or of its checkpoints.
        beside = [*checkpoints(path.parent), *checkpoints(path / "checkpoints"), *checkpoints(path)]
        others = ", ".join(str(other) for other in beside if other != path)
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
        _delete(path)


def _remove(path: Path) -> None:
    """Take a checkpoint away so that it never stands there half removed."""
    if path.exists():
        old = path.with_name(f".{path.name}.old.part")
        _delete(old)
        _delete(path.rename(old))


def _delete(path: Path) -> None:
    """Delete the two files of a checkpoint and its folder, and nothing else that may be in it."""
    if path.exists():
        for name in (_STATE, _ABOUT):
            (path / name).unlink(missing_ok=True)
        path.rmdir()
