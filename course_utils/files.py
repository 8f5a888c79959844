"""Files that are there whole or not at all: where they are kept, how written, how told apart."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from torch import Tensor


def cache_folder() -> Path:
    """Tell where drawn pictures are kept.

    Returns:
        The folder that the environment variable ``COURSE_CACHE`` names, or else
        ``course-utils`` in the user's cache folder, such as ``~/.cache/course-utils``.

    Source:
        The XDG base directory specification; on Windows ``LOCALAPPDATA``.

    Chapter: the page "The pictures", "One word away".
    """
    chosen = os.environ.get("COURSE_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "course-utils"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there, so that no half of it has its name.

    Args:
        path: The file; its folder is made if need be, and an older file is replaced.
        content: All of its bytes.

    Raises:
        OSError: It could not be written. What was there before is as it was.

    Source:
        Write, rename: the manual page of ``rename(2)``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def digest(tensors: dict[str, "Tensor"]) -> str:
    """One number for some named tensors: names, types, shapes and every byte.

    Args:
        tensors: The tensors, on any device.

    Returns:
        A SHA-256 digest, 64 hexadecimal characters.

    Source:
        FIPS 180-4.
    """
    import torch

    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
