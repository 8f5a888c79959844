"""Whether pictures, network and settings go together, before any time is spent."""

import torch

from course_utils.data.tensors import ImageTensors
from course_utils.models.base import Denoiser, height_and_width
from course_utils.training.config import TrainingConfig


def check_fit(model: Denoiser, data: ImageTensors, config: TrainingConfig | None = None) -> None:
    """Refuse pictures that a network cannot take, before any time is spent.

    Args:
        model: A network with a ``config`` as `diffusers.UNet2DModel` has.
        data: The pictures.
        config: The run's settings, whose `image_size` and `label_dropout` count; or None.

    Raises:
        ValueError: The channels differ, the size cannot be halved often enough or is not the
            one that was asked for, a label lies outside the network's classes, or `data` was
            not made by `prepare`.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.models import UNet
        >>> from course_utils.training import check_fit
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> check_fit(UNet(in_channels=1, hidden_dims=(8, 16), image_size=8), data)

    Source:
        The errors of a beginner.

    Chapter: 1, "What can go wrong".
    """
    _check_data(data)
    channels, height, width = data.images.shape[1:]
    if channels != model.config.in_channels:
        raise ValueError(
            f"The pictures have {channels} channels and the network takes "
            f"{model.config.in_channels}; prepare(…, channels={model.config.in_channels})."
        )
    factor = 2 ** (len(model.config.block_out_channels) - 1)
    if height % factor or width % factor:
        raise ValueError(
            f"The pictures are {height}x{width}; a network of "
            f"{len(model.config.block_out_channels)} levels takes multiples of {factor}."
        )
    wanted = None if config is None else config.image_size
    if wanted is not None and (height, width) != height_and_width(wanted):
        raise ValueError(
            f"image_size is {wanted} and the pictures are {height}x{width}; "
            f"prepare(…, image_size={wanted})."
        )
    dropout = 0.0 if config is None else config.label_dropout
    _check_labels(model.config.num_class_embeds, data, dropout)


def _check_data(data: ImageTensors) -> None:
    """Refuse pictures that were not made by `prepare` and are read wrongly or not at all."""
    images, labels = data.images, data.labels
    if images.dtype != torch.uint8 or images.ndim != 4 or len(images) == 0:
        raise ValueError(
            f"The pictures are {images.dtype} of shape {tuple(images.shape)}; they must be uint8, "
            "0 to 255, of shape (N, C, H, W), N at least 1, as prepare() gives them."
        )
    whole = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not whole or tuple(labels.shape) != (len(images),):
        raise ValueError(
            f"The labels are {labels.dtype} of shape {tuple(labels.shape)}; {len(images)} pictures "
            f"want whole numbers of shape ({len(images)},), as prepare() gives them."
        )


def _check_labels(num_classes: int | None, data: ImageTensors, label_dropout: float) -> None:
    """Refuse labels that the network has no class for, the class for "no label" included."""
    if num_classes is None:
        if label_dropout > 0:
            raise ValueError(
                f"label_dropout is {label_dropout}, but the network has no classes: leave it at "
                "0, or take pictures with more than one label."
            )
        return
    smallest, largest = int(data.labels.min()), int(data.labels.max())
    if smallest < 0:
        raise ValueError(
            f"The labels go down to {smallest}, and classes count from 0: leave pictures without "
            "a label out, or take a network without classes."
        )
    if largest >= num_classes:
        raise ValueError(f"The labels go up to {largest}, but num_class_embeds is {num_classes}.")
    if label_dropout > 0 and largest == num_classes - 1:
        raise ValueError(
            f"The labels go up to {largest}, and num_class_embeds is {num_classes}: "
            f"label_dropout needs one class more, {num_classes + 1}, to stand for no label."
        )
