"""A film of pictures on their way from noise, as a GIF and, where ffmpeg is there, as an MP4."""

import shutil
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image
from torch import Tensor

from course_utils.data.pixels import image_grid
from course_utils.files import write_whole

WIDTH = 640
"""How wide a sheet may become, in pixels, by enlarging small pictures."""

RATE = 12
"""Frames a second."""

HELD = 24
"""Frames for which the end is shown."""


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


def write_gif(path: Path, frames: Sequence[Image.Image]) -> None:
    """Write a film as a GIF, which is shown again and again.

    Args:
        path: The file.
        frames: Of the same size; the last one is held.

    Raises:
        OSError: It could not be written.
    """
    buffer = BytesIO()
    times = [1_000 // RATE] * (len(frames) - 1) + [1_000 * HELD // RATE]
    first, *rest = [frame.convert("RGB").quantize(dither=Image.Dither.NONE) for frame in frames]
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=times, loop=0)
    write_whole(path, buffer.getvalue())


def write_mp4(path: Path, frames: Sequence[Image.Image]) -> str | None:
    """Write a film as an MP4, as telephones and browsers play it.

    Args:
        path: The file.
        frames: Of the same size; the last one is held.

    Returns:
        Why there is none, in words; None where there is.

    Source:
        The manual of ffmpeg; players want an even width and height, and ``yuv420p``.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        return "ffmpeg is not on this machine"
    width, height = frames[0].size
    part = path.with_name(f".{path.name}.part.mp4")
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-"]
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
    command += ["-movflags", "+faststart", str(part)]
    content = b"".join(f.convert("RGB").tobytes() for f in [*frames, *[frames[-1]] * HELD])
    try:
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode or not part.is_file():
            told = done.stderr.decode(errors="replace").strip().splitlines()
            return f"ffmpeg failed ({told[-1] if told else done.returncode})"
        part.replace(path)
    except OSError as error:
        return f"ffmpeg failed ({error})"
    finally:
        part.unlink(missing_ok=True)
    return None
