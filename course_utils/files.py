"""Files that are there whole or not at all: where they are kept, how written, how told apart."""

import contextlib
import functools
import hashlib
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from torch import Tensor

RUN = "run.json"
"""What lists the files of a training run, in its folder."""


def cache_folder() -> Path:
    """Tell where drawn pictures and trained networks are kept.

    Returns:
        The folder that the environment variable ``COURSE_CACHE`` names, or else
        ``course-utils`` in the user's cache folder, such as ``~/.cache/course-utils`` on Linux.
        Where there is no such folder and none can be made (no ``HOME``, a user without a
        name), a temporary one; a warning says so once.

    Raises:
        ValueError: ``COURSE_CACHE`` is no path, or its ``~`` leads to no home folder.

    Source:
        The package platformdirs, which knows the place on each system.

    Chapter: the page "The pictures", "One word away".
    """
    import platformdirs

    chosen = os.environ.get("COURSE_CACHE")
    if chosen:
        try:
            return spelled_out("COURSE_CACHE", chosen)
        except ValueError as error:
            raise ValueError(f"{error} Or unset COURSE_CACHE.") from None
    try:
        folder = platformdirs.user_cache_path("course-utils", appauthor=False)
    except RuntimeError:  # no home: newer versions raise, older ones leave "~/.cache" as it is
        return _temporary()
    return folder if folder.is_absolute() and _can_be(folder) else _temporary()


def spelled_out(name: str, path: str | os.PathLike[str]) -> Path:
    """A path as it is meant: with its ``~`` replaced by the home folder.

    Args:
        name: What is given by it; for the message.
        path: What was given.

    Returns:
        The path, relative if it was.

    Raises:
        TypeError: It is no path.
        ValueError: It is empty, can be no file's name, or its ``~`` leads to no home folder.

    Source:
        ``os.path.expanduser``.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} is {path!r}; it must be a path: a str or a pathlib.Path.")
    given = os.fspath(path)
    if not given.strip() or "\0" in given:
        raise ValueError(f"{name} is {given!r}, which can be no path. Give that of a folder.")
    if not given.startswith("~"):
        return Path(given)
    first, *rest = Path(given).parts
    home = os.path.expanduser(first)  # noqa: PTH111  (Path's raises where there is none)
    if home == first or not Path(home).is_dir():
        raise ValueError(
            f"{name} is {given!r}, but {first!r} leads to no home folder here. Give a path "
            "without '~'."
        )
    return Path(home, *rest)


def _can_be(folder: Path) -> bool:
    """Whether a folder is there or could be made."""
    if os.path.isdir(folder):  # noqa: PTH112  (Path's raises in another user's home)
        return True
    above = next(part for part in folder.parents if os.path.exists(part))  # noqa: PTH110
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


@functools.cache
def _temporary() -> Path:
    """A temporary folder, one for the whole process, and a warning when it is made."""
    folder = Path(tempfile.mkdtemp(prefix="course-utils-"))
    warnings.warn(
        f"There is no folder for caches on this machine that can be written; {folder} is used, "
        "and is not found again by the next run. Set COURSE_CACHE to a folder of your own.",
        stacklevel=3,
    )
    return folder


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there, so that no half of it has its name.

    Args:
        path: The file; its folder is made if need be, and an older file is replaced.
        content: All of its bytes.

    Raises:
        OSError: It could not be written. What was there before is as it was.

    Source:
        Write, fsync, rename: the manual page of ``rename(2)``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        part.write_bytes(content)
        to_disk(part)  # before it gets its name
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder, so that no power cut undoes them.

    Args:
        path: A file that was written, or the folder where something was renamed. Folders are not
            waited for on Windows, which opens none, nor on network drives that cannot; a file
            is whole there all the same.

    Raises:
        OSError: The disk did not take the file.

    Source:
        The manual page of ``fsync(2)``.
    """
    if path.is_dir():
        if os.name != "nt":
            with contextlib.suppress(OSError):
                _sync(path, os.O_RDONLY)
        return
    _sync(path, os.O_RDWR)  # Windows refuses it for a file that is open for reading


def _sync(path: Path, flags: int) -> None:
    """Open what is at a path, and wait for the disk."""
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fingerprint(*parts: bytes | memoryview | Path) -> str:
    """One number for some bytes and files; another one after any change of them.

    Args:
        parts: Bytes, or files whose bytes are read. Their order and their borders count.

    Returns:
        A SHA-256 digest, 64 hexadecimal characters.

    Raises:
        OSError: A file cannot be read.

    Source:
        FIPS 180-4.
    """
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part
        total.update(b"%d\n" % len(content))  # so that ("ab", "c") is not ("a", "bc")
        total.update(content)
    return total.hexdigest()


def digest(tensors: "Mapping[str, Tensor]") -> str:
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


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder that cannot be made, because a file is in the way.

    Args:
        name: What the folder is given by; for the message.
        folder: Where something is to be written.

    Raises:
        FileExistsError: It is a file, or lies in one.
    """
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if there.is_dir():
        return
    which = "which is a file" if there == folder else f"and {there} is a file"
    raise FileExistsError(f"{name} is {folder}, {which}; name a folder. Nothing was written.")
