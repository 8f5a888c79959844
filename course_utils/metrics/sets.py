"""Sets of pictures to be judged: drawn by a network, or found in a folder."""

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.data.fit import Fit, Size
from course_utils.data.folder import load_folder
from course_utils.data.pixels import DRAWN
from course_utils.data.tensors import ImageTensors, prepare
from course_utils.files import spelled_out


class Drawing(Protocol):
    """What draws: a network of the gallery, or an `Artist`.

    Attributes:
        model: The network.
        noise_scheduler: The one of its training.
        labels: What its kinds are called.
    """

    model: Any
    noise_scheduler: Any
    labels: Sequence[str]


@dataclass
class Artist:
    """A network of your own that is to be judged.

    Attributes:
        model: The network.
        noise_scheduler: The one of its training.
        labels: What its kinds are called, in the order of their numbers; empty for a network
            without classes.

    Example:
        >>> from course_utils.metrics import Artist, draw
        >>> from course_utils.training import recipe
        >>> chosen = recipe("sprites", "smoke")
        >>> mine = Artist(chosen.model(), chosen.noise_scheduler())
        >>> draw(mine, range(2), num_inference_steps=2)[0].shape
        torch.Size([2, 3, 16, 16])
    """

    model: Any
    noise_scheduler: Any
    labels: Sequence[str] = ()


def draw(
    artist: Drawing,
    seeds: Sequence[int],
    num_inference_steps: int = 50,
    batch_size: int = 100,
    progress: bool = False,
) -> tuple[Tensor, list[int]]:
    """Ask a network for a picture from each seed; the kinds take turns.

    Args:
        artist: The network and its scheduler.
        seeds: One seed for each picture. The kind is the seed modulo the number of kinds, so
            that a picture depends on its seed alone.
        num_inference_steps: Noise levels visited to draw one.
        batch_size: How many are drawn together.
        progress: Whether to show a progress bar.

    Returns:
        The pictures, shape (N, C, H, W), in [-1, 1], and the kinds they are to show; none of
        those where the network has no classes.

    Chapter: 6, "Does the loss tell how good they are?".

    Example:
        >>> from course_utils.metrics import draw
        >>> from course_utils.models import gallery
        >>> images, wanted = draw(gallery.load("sprites-16"), range(5), num_inference_steps=2)
        >>> images.shape, wanted
        (torch.Size([5, 3, 16, 16]), [0, 1, 2, 3, 4])
    """
    from course_utils.sampling import quick_scheduler, sample

    quick = quick_scheduler(artist.noise_scheduler)
    kinds = len(artist.labels)
    wanted = [seed % kinds for seed in seeds] if kinds else []
    parts = [
        sample(
            artist.model,
            quick,
            seeds=seeds[at : at + batch_size],
            class_labels=wanted[at : at + batch_size] or None,
            num_inference_steps=num_inference_steps,
            progress=False,
        ).images
        for at in tqdm(range(0, len(seeds), batch_size), "drawing", disable=not progress)
    ]
    return torch.cat(parts), wanted


def untrained(artist: Drawing) -> Artist:
    """The same network before it has learned anything.

    Args:
        artist: The network; it stays as it is.

    Returns:
        A copy with fresh weights, always the same.

    Example:
        >>> import torch
        >>> from course_utils.metrics import untrained
        >>> from course_utils.models import gallery
        >>> artist = gallery.load("sprites-16")
        >>> fresh = untrained(artist)
        >>> torch.equal(fresh.model.conv_in.weight, artist.model.conv_in.weight)
        False
    """
    model = copy.deepcopy(artist.model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return Artist(model, artist.noise_scheduler, artist.labels)


def open_pictures(
    name: str,
    given: ImageTensors | str | os.PathLike[str],
    size: Size = 32,
    channels: int = 3,
    fit: Fit = "crop",
) -> ImageTensors:
    """Pictures that are there already, or those of a folder.

    Args:
        name: What they are; for the message.
        given: The pictures, or a folder of them, with or without a sub-folder for each label. Of
            what ``python -m course_utils sample`` has left in a folder, each picture by itself
            is taken, and not the sheet.
        size: Side in pixels, or height and width, to which those of a folder are brought.
        channels: Their channels, 1 for grey or 3.
        fit: What is done with pictures of other proportions.

    Returns:
        The pictures; they are never mirrored.

    Raises:
        ValueError: There is no such folder, or no pictures in it.
    """
    if isinstance(given, ImageTensors):
        return replace(given, flip=False)
    folder = spelled_out(name, given)
    if not folder.is_dir():
        raise ValueError(f"{name} is {str(folder)!r}, which is no folder that exists.")
    if (folder / DRAWN).is_file() and (folder / "pictures").is_dir():
        folder = folder / "pictures"
    return prepare(load_folder(folder), size, channels, fit=fit)
