"""The folder of a run. It lists what a run of ours has made, and nothing else is ever deleted.

The list is the file ``run.json`` in the folder. A file is listed before it is written, so that a
run that is killed leaves nothing that the next one would not know.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from course_utils.files import RUN, spelled_out, write_whole

NAMES = ("checkpoints", "samples", "logs", "model")
"""What a run makes in its folder."""

_PART = re.compile(r"\.[0-9a-f]{32}\.part$")


class FolderInUseError(OSError):
    """Another run is writing into the folder; the message says what to do."""


class RunFolder:
    """What a run keeps on disk, in one folder.

    Args:
        path: The folder; need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = spelled_out("output_dir", path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Have the folder to oneself. The system lets go when the process dies, however it dies.

        Yields:
            Nothing.

        Raises:
            FolderInUseError: Another run has it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise FolderInUseError(
                f"output_dir {self.path} is in use: another run writes into it. Wait for its end, "
                f"or choose another folder. Nothing was changed."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def made(self) -> set[str]:
        """What runs of ours have made here.

        Returns:
            Names relative to the folder, with forward slashes.

        Raises:
            ValueError: The list is damaged.
        """
        try:
            made = json.loads((self.path / RUN).read_text(encoding="utf-8"))["made"]
            if not isinstance(made, list) or not all(isinstance(name, str) for name in made):
                raise ValueError("what it lists as made are no names")
            return set(made)
        except FileNotFoundError:
            return set()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path / RUN} cannot be read ({error}), so that nobody knows which "
                f"files are a run's. Choose another output_dir, or delete this folder yourself."
            ) from error

    def note(self, *paths: Path) -> None:
        """List files as made here. To be called before they are written.

        Args:
            paths: The files, somewhere in the folder.

        Raises:
            OSError: The list could not be written.
        """
        made = self.made()
        names = {path.relative_to(self.path).as_posix() for path in paths}
        if not names <= made:
            text = json.dumps({"made": sorted(made | names)}, indent=1)
            write_whole(self.path / RUN, text.encode())

    def write(self, path: Path, content: bytes) -> None:
        """List a file and write it, whole or not at all.

        Args:
            path: Somewhere in the folder.
            content: All of its bytes.

        Raises:
            OSError: It could not be written.
        """
        self.note(path)
        write_whole(path, content)

    def refuse_strangers(self) -> None:
        """Make sure that all under the names of a run was made by a run.

        Raises:
            FileExistsError: There is something else, which is named.
        """
        made = self.made()
        found = [p for name in NAMES for p in _files(self.path / name) if not self._ours(p, made)]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            listed = (self.path / RUN).exists()
            lost = "" if listed else f" (There is no {RUN}, which lists what a run has made.)"
            raise FileExistsError(
                f"output_dir {self.path} has files where a run would write, and no run made them: "
                f"{found[0].relative_to(self.path).as_posix()}{more}.{lost} Move them, or choose "
                f"another output_dir. Nothing was changed."
            )

    def has(self, name: str) -> bool:
        """Whether a run has left something under a name.

        Args:
            name: One of `NAMES`.

        Returns:
            True where there is a file that is listed.
        """
        made = self.made()
        return any(self._ours(path, made) for path in _files(self.path / name))

    def clear(self, *names: str) -> None:
        """Delete what runs have made under some names, and nothing else.

        Args:
            names: Some of `NAMES`.
        """
        made = self.made()
        for path in [p for name in names for p in _files(self.path / name) if self._ours(p, made)]:
            path.unlink()
            _remove_empty(path.parent, self.path)

    @contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Give a folder to write into, which takes an older one's place when all is in it.

        Args:
            name: One of `NAMES`.

        Yields:
            The folder, empty.

        Raises:
            FileExistsError: The older one has files that no run made.
        """
        self.refuse_strangers()
        goal, part = self.path / name, self.path / f".{name}.part"
        if part.exists() and part.name in self.made():  # of a run that was killed right here
            shutil.rmtree(part)
        self.note(part)
        part.mkdir()
        try:
            yield part
            self.note(*(goal / path.relative_to(part) for path in _files(part)))
            self.clear(name)
            part.rename(goal)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _ours(self, path: Path, made: set[str]) -> bool:
        """Whether a file is listed, under its own name or while it is being written or removed."""
        relative = path.relative_to(self.path)
        return PurePosixPath(*map(_final_name, relative.parts)).as_posix() in made


def _final_name(part: str) -> str:
    """``.checkpoint-000300.part`` will be ``checkpoint-000300``, and ``….old.part`` was it.

    So will ``grid.png.….part`` be ``grid.png``, where `write_whole` was killed.
    """
    if part.startswith(".") and part.endswith(".part"):
        return part[1:].removesuffix(".part").removesuffix(".old")
    return _PART.sub("", part)


def _files(path: Path) -> Iterator[Path]:
    """All that is no folder, at a path and below it; links are not followed."""
    if not path.is_dir():
        if os.path.lexists(path):
            yield path
        return
    for folder, folders, files in os.walk(path):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted(files + links))


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder and those above it, as long as they are empty and below the top."""
    while folder != top and not any(folder.iterdir()):
        if folder.is_symlink():
            return
        folder.rmdir()
        folder = folder.parent


def keep_apart(output_dir: str, source: str | None) -> None:
    """Refuse to write a run among the pictures it learns from, or to learn from what it writes.

    Args:
        output_dir: The run's folder; need not exist.
        source: Where the pictures are, or None.

    Raises:
        ValueError: The one lies in the other.
    """
    if source is None or not Path(source).exists():
        return  # a source's name; or a path that does not exist, which loading tells
    pictures, output = Path(source).resolve(), Path(output_dir).resolve()
    inside = [name for name in NAMES if pictures.is_relative_to(output / name)]
    if inside:
        raise ValueError(
            f"The pictures in {source} lie where a run in output_dir {output_dir} writes its "
            f"{inside[0]}. Choose another output_dir."
        )
    if output.is_relative_to(pictures):
        raise ValueError(
            f"output_dir {output_dir} lies in {source}, so that the next run would learn from "
            f"the sample grids of this one. Choose another output_dir."
        )


def probe_folder(folder: Path, size: int) -> None:
    """Make sure, before anything is trained, that a folder can be written and has room.

    Args:
        folder: Made if need be.
        size: Bytes that will be wanted.

    Raises:
        OSError: The folder cannot be made or written, or has less room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        raise OSError(
            f"output_dir {folder} cannot be written ({error}). Nothing was trained; choose "
            f"another folder, or make room."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"output_dir {folder} has {free / 2**20:.0f} MiB left, and the checkpoints need "
            f"{size / 2**20:.0f} MiB. Nothing was trained; make room, lower keep_checkpoints, "
            f"or choose another folder."
        )
