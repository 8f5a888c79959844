"""From numbers to pictures: bytes, Pillow images, and many of them side by side."""

import math
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin
from torch import Tensor

DRAWN = "drawn.json"
"""What tells how the pictures of a folder were drawn; each by itself lies in ``pictures``."""


def to_uint8(images: Tensor) -> Tensor:
    """Turn pictures in [-1, 1] into bytes: clamp, scale, round.

    Without the clamp, -1.1 would wrap round to a bright speck; without the rounding, a
    picture made of bytes would not come back as the same bytes.

    Args:
        images: Float pictures of any shape, meant to lie in [-1, 1]; the rest is clamped.

    Returns:
        The same shape as uint8, 0 for -1 and 255 for 1.

    Raises:
        ValueError: `images` is not a float tensor, or holds a NaN.

    Example:
        >>> import torch
        >>> from course_utils.data import to_uint8
        >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0, 1.5]).view(1, 1, 1, 4)).flatten().tolist()
        [0, 128, 255, 255]

    Source:
        Ho et al. 2020, arXiv 2006.11239, section 3.3: bytes scaled linearly to [-1, 1].

    Chapter: 1, "Sampling".
    """
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}; this takes floats in [-1, 1].")
    if images.isnan().any():
        raise ValueError("images hold NaN; the network or the scheduler has diverged.")
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def to_pil(images: Tensor) -> list[Image.Image]:
    """Turn a batch in [-1, 1] into Pillow images.

    Args:
        images: Float pictures of shape (N, C, H, W), C = 1 (grey) or 3 (RGB), in [-1, 1].

    Returns:
        N images of mode ``"L"`` or ``"RGB"`` and size (W, H).

    Raises:
        ValueError: The shape is another, or the values are no floats.

    Example:
        >>> import torch
        >>> from course_utils.data import to_pil
        >>> [picture.size for picture in to_pil(torch.zeros(2, 3, 16, 24))]
        [(24, 16), (24, 16)]

    Source:
        Pillow's ``Image.fromarray``.

    Chapter: 1, "Sampling".
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"images have shape {tuple(images.shape)}; expected (N, C, H, W) with C = 1 or 3."
        )
    arrays = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(a[..., 0] if a.shape[-1] == 1 else a) for a in arrays]


def as_shown(images: Tensor) -> Tensor:
    """What a screen can show of pictures with any number of channels.

    Args:
        images: Shape (N, C, H, W), C >= 1.

    Returns:
        The pictures if C is 1 or 3; of two channels the first, of more the first three.

    Example:
        >>> import torch
        >>> from course_utils.data import as_shown
        >>> as_shown(torch.zeros(2, 5, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
    """
    return images[:, : 3 if images.shape[1] >= 3 else 1]


def png(image: Image.Image, made_by: str | None = None) -> bytes:
    """A picture as the bytes of a PNG file.

    Args:
        image: Of any mode that PNG knows.
        made_by: A program that the file is to name.

    Returns:
        The whole file.
    """
    buffer = BytesIO()
    about = PngImagePlugin.PngInfo()
    if made_by is not None:
        about.add_text("Software", made_by)
    image.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def as_scanned(image: Image.Image) -> Tensor:
    """Bring a digit to the form of those that people wrote for scikit-learn's set.

    Args:
        image: White ink on black, mode ``"L"``, any size.

    Returns:
        Bytes of shape (1, 8, 8). The digit is framed by its ink, 32 pixels on the longer side,
        black or white; then for each block of 4x4 pixels the share that is ink, 255 for all.

    Example:
        >>> from course_utils.data import as_scanned, draw
        >>> as_scanned(draw("digits", label=3, seed=0, size=28)).shape
        torch.Size([1, 8, 8])

    Source:
        Alpaydin and Kaynak 1998, "Optical Recognition of Handwritten Digits".

    Chapter: 1, "And what do people's digits say?".
    """
    ink = image.point(_black_or_white)
    framed = ImageOps.pad(image.crop(ink.getbbox()), (32, 32), color=0)
    counted = framed.point(_black_or_white).reduce(4)
    return torch.from_numpy(np.array(counted))[None]


def _black_or_white(value: int) -> int:
    return 255 * (value > 127)


def image_grid(images: Tensor) -> Image.Image:
    """Lay pictures out in a square grid, edge to edge.

    Args:
        images: In [-1, 1], shape (N, C, H, W), N >= 1; of other C than 1 (grey) and 3 (RGB)
            what `as_shown` gives.

    Returns:
        One image, ceil(√N) pictures wide; places that are left over are black.

    Raises:
        ValueError: There are no pictures, or `to_pil` would refuse them.

    Example:
        >>> import torch
        >>> from course_utils.data import image_grid
        >>> image_grid(torch.zeros(8, 3, 16, 16)).save("eight.png")

    Source:
        ``torchvision.utils.make_grid``.
    """
    from torchvision.utils import make_grid

    if len(images) == 0:
        raise ValueError("There are no pictures to lay out; images has no rows.")
    images = as_shown(images) if images.ndim == 4 else images
    columns = math.ceil(math.sqrt(len(images)))
    grid = make_grid(images, nrow=columns, padding=0, pad_value=-1)
    return to_pil(grid[None, : images.shape[1]])[0]  # make_grid gives grey three times
