"""A film of pictures on their way from noise, as a GIF and, where ffmpeg is there, as an MP4."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from course_utils.data.pixels import image_grid

WIDTH = 640
"""How wide a sheet may become, in pixels, by enlarging small pictures."""

RATE = 12
"""Frames a second."""

HELD = 24
"""Frames for which the end is shown."""

MADE_BY = "python -m course_utils sample"
"""What a sheet or a film names as the program that has made it."""


class NoFilmError(OSError):
    """A film could not be made; the message says why."""


def sheet(images: Tensor) -> Image.Image:
    """Lay pictures out, each pixel a square that can be seen.

    Args:
        images: Shape (N, C, H, W), in [-1, 1].

    Returns:
        A grid as wide as whole multiples allow, `WIDTH` at most where that is possible.
    """
    grid = image_grid(images)
    larger = max(1, WIDTH // grid.width)
    return grid.resize((grid.width * larger, grid.height * larger), Image.Resampling.NEAREST)


def gif(frames: Sequence[Image.Image]) -> bytes:
    """A film as a GIF, which is shown again and again.

    Args:
        frames: Of the same size; the last one is held.

    Returns:
        The whole file.
    """
    buffer = BytesIO()
    times = [1_000 // RATE] * (len(frames) - 1) + [1_000 * HELD // RATE]
    first, *rest = [frame.convert("RGB").quantize(dither=Image.Dither.NONE) for frame in frames]
    shown = {"save_all": True, "append_images": rest, "duration": times, "loop": 0}
    first.save(buffer, "GIF", comment=MADE_BY.encode(), **shown)
    return buffer.getvalue()


def ffmpeg() -> str:
    """The program that makes an MP4.

    Returns:
        Where it is.

    Raises:
        NoFilmError: It is not on this machine.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise NoFilmError("ffmpeg is not on this machine")
    return program


def mp4(frames: Sequence[Image.Image]) -> bytes:
    """A film as an MP4, as phones and browsers play it.

    Args:
        frames: Of the same size; the last one is held.

    Returns:
        The whole file.

    Raises:
        NoFilmError: There is no ffmpeg, or it failed.

    Source:
        The manual of ffmpeg; players want an even width and height, and ``yuv420p``.
    """
    width, height = frames[0].size
    command = [ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-"]
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
    command += ["-metadata", f"comment={MADE_BY}", "-movflags", "+faststart"]
    content = b"".join(f.convert("RGB").tobytes() for f in [*frames, *[frames[-1]] * HELD])
    try:
        with tempfile.TemporaryDirectory() as folder:
            film = Path(folder, "film.mp4")
            done = subprocess.run(
                [*command, str(film)], input=content, capture_output=True, check=False
            )
            if done.returncode == 0 and film.is_file():
                return film.read_bytes()
    except OSError as error:
        raise NoFilmError(f"ffmpeg failed ({error})") from error
    told = done.stderr.decode(errors="replace").strip().splitlines()
    raise NoFilmError(f"ffmpeg failed ({told[-1] if told else done.returncode})")
