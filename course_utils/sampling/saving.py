"""What drawing leaves on disk: one file, or a folder of pictures with a sheet and a film.

What is in the way is told before anything is drawn. All bytes are there before anything of an
earlier time is taken away, and only what was drawn here before is.
"""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from course_utils.data.pixels import DRAWN, png, to_pil, to_uint8
from course_utils.data.plain import picture_suffixes
from course_utils.files import check_folder, write_whole
from course_utils.sampling.film import MADE_BY, NoFilmError, ffmpeg, gif, mp4, sheet
from course_utils.sampling.pictures import Drawn
from course_utils.sampling.seeds import file_of, seeds_in
from course_utils.screen import tell

FILES = (".png", ".gif", ".mp4")
"""The single files that can be drawn, a sheet or a film."""

SINGLE = (".png", ".npy")
"""How a picture by itself is saved; as an array where it has other channels than a screen."""

AROUND = ("sheet.png", "film.gif", "film.mp4")
"""What lies in a folder beside each picture by itself."""

_FILMS = {".avi", ".heic", ".jxl", ".m4v", ".mkv", ".mov", ".mpeg", ".mpg", ".svg", ".webm"}


def is_file(out: Path) -> bool:
    """Whether a name stands for one file, and not for a folder.

    Args:
        out: Where the pictures are to go.

    Returns:
        True for a sheet and for a film.
    """
    return out.suffix.lower() in FILES


def check_out(out: Path, seeds: Sequence[int]) -> None:
    """Refuse, before anything is drawn, a place where the pictures cannot go.

    Args:
        out: The file or folder.
        seeds: What will be drawn.

    Raises:
        FileExistsError: Something is in the way that this command has not made.
        FileNotFoundError: There is no folder for the file.
        ValueError: No such file can be drawn; or the list of what was drawn here is damaged.
        NoFilmError: An MP4 is asked for, and there is no ffmpeg.
    """
    if is_file(out):
        _check_file(out)
        return
    check_folder("--out", out)
    if out.suffix.lower() in picture_suffixes() | _FILMS and not out.is_dir():
        raise ValueError(
            f"--out is {out}, and the files that can be drawn are {', '.join(FILES)}. Choose one "
            "of them, or name a folder."
        )
    if out.is_dir() and any(out.iterdir()) and not (out / DRAWN).is_file():
        raise FileExistsError(
            f"--out is {out}, a folder with files that were not drawn by this command. Name "
            "another one. Nothing was changed."
        )
    ours = drawn_before(out)
    for name in (file_of(seed, suffix) for seed in seeds for suffix in SINGLE):
        if name not in ours and (out / name).exists():
            raise FileExistsError(
                f"{out / name} was not drawn by this command. Move it, or name another folder. "
                "Nothing was changed."
            )


def _check_file(out: Path) -> None:
    """Refuse a file that cannot be written, or is somebody's."""
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out is {str(out)!r}, but there is no folder {out.parent}.")
    if out.is_dir():
        raise FileExistsError(f"--out is {out}, which is a folder; name a file, or another folder.")
    if out.exists() and MADE_BY.encode() not in out.read_bytes():
        raise FileExistsError(
            f"--out is {out}, a file that was not drawn by this command. Choose another name, or "
            "delete it. Nothing was changed."
        )
    if out.suffix.lower() == ".mp4":
        try:
            ffmpeg()
        except NoFilmError as error:
            raise _without(out, error) from error


def _without(out: Path, error: NoFilmError) -> NoFilmError:
    """Why a film could not be made, and what can be."""
    return NoFilmError(f"{out} cannot be made: {error}. Ask for a .gif instead.")


def drawn_before(folder: Path) -> set[str]:
    """What this command has left in a folder before, as it has noted there.

    Args:
        folder: The folder; need not exist.

    Returns:
        Names relative to it, with forward slashes.

    Raises:
        ValueError: The note is damaged.
    """
    note = folder / DRAWN
    if not note.is_file():
        return set()
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
        seeds, suffix = seeds_in(before["seeds"], "seeds"), before.get("saved_as", SINGLE[0])
        if suffix not in SINGLE:
            raise ValueError(f"saved_as is {suffix!r}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{note} is damaged ({type(error).__name__}: {error}), so that nobody knows which "
            "pictures in this folder were drawn. Name another folder, or delete this one yourself. "
            "Nothing was changed."
        ) from error
    return {*AROUND, *(file_of(seed, suffix) for seed in seeds)}


def save_file(out: Path, drawn: Drawn) -> None:
    """Write a sheet or a film.

    Args:
        out: The file; its suffix says which.
        drawn: The pictures, and for a film their way.

    Raises:
        NoFilmError: There is no ffmpeg, or it failed.
        OSError: It could not be written.
    """
    if out.suffix.lower() == ".png":
        content = png(sheet(drawn.images), MADE_BY)
    elif out.suffix.lower() == ".gif":
        content = gif([sheet(images) for images in drawn.film])
    else:
        try:
            content = mp4([sheet(images) for images in drawn.film])
        except NoFilmError as error:
            raise _without(out, error) from error
    write_whole(out, content)


def save_folder(folder: Path, drawn: Drawn, seeds: Sequence[int], how: Mapping[str, Any]) -> None:
    """Write each picture by itself, the sheet, the film of the first ones, and how it was done.

    Args:
        folder: It may hold what this command has drawn before, which makes room.
        drawn: The pictures and their way.
        seeds: That of each.
        how: What is to be noted.

    Raises:
        ValueError: The note of what was drawn before is damaged; nothing was changed.
        OSError: Something could not be written.
    """
    suffix = _suffix(drawn.images.shape[1])
    note = json.dumps({**how, "saved_as": suffix}, indent=1, ensure_ascii=False)
    contents = {DRAWN: note.encode()}
    names = [file_of(seed, suffix) for seed in seeds]
    contents |= dict(zip(names, _each(drawn.images), strict=True))
    frames = [sheet(images) for images in drawn.film]
    contents |= {"sheet.png": png(sheet(drawn.images), MADE_BY), "film.gif": gif(frames)}
    try:
        contents["film.mp4"] = mp4(frames)
    except NoFilmError as error:
        tell(f"there is a film.gif, but no film.mp4: {error}")
    for name in drawn_before(folder) - contents.keys():
        (folder / name).unlink(missing_ok=True)
    for name, content in contents.items():
        write_whole(folder / name, content)


def _suffix(channels: int) -> str:
    """How pictures by themselves are saved."""
    return SINGLE[channels not in (1, 3)]


def _each(images: Tensor) -> list[bytes]:
    """The bytes of each picture's file; an array is uint8, of shape (H, W, C)."""
    if images.shape[1] in (1, 3):
        return [png(picture) for picture in to_pil(images)]
    return [_npy(array) for array in to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()]


def _npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.ascontiguousarray(array))
    return buffer.getvalue()
