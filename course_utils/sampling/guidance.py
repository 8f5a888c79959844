"""Guidance: what the label adds, taken more than once.

A network that was told no label for a share of its training can be asked twice, with the label
and without. The difference of its answers is what the label adds.
"""

from typing import Any

import torch
from torch import Tensor

from course_utils.models.base import Denoiser


def guided_answer(
    model: Denoiser,
    sample: Tensor,
    timestep: Any,
    class_labels: Tensor | None,
    guidance_scale: float = 1.0,
    no_label: int | None = None,
) -> Tensor:
    """Ask a network about noisy pictures, and go on from its answer without the label.

    Args:
        model: The network.
        sample: Noisy pictures, shape (N, C, H, W).
        timestep: Their noise level, one for all.
        class_labels: What they are to show, shape (N,); None for a network without classes.
        guidance_scale: 1 is the network as it is, asked once. Above 1 the label counts for more,
            at 0 for nothing.
        no_label: The label that stands for "no label".

    Returns:
        Noise or velocity, as the network predicts it, shape (N, C, H, W).

    Source:
        Ho and Salimans 2022, arXiv 2207.12598, eq. 6, with guidance_scale = 1 + w.

    Chapter: 5, "Asked twice".
    """
    if guidance_scale == 1:
        return model(sample, timestep, class_labels=class_labels).sample
    assert class_labels is not None  # check_guidance has seen to both
    assert no_label is not None
    twice = torch.cat([class_labels, torch.full_like(class_labels, no_label)])
    both = model(torch.cat([sample, sample]), timestep, class_labels=twice).sample
    told, not_told = both.chunk(2)
    return not_told + guidance_scale * (told - not_told)  # eq. 6


def check_guidance(model: Denoiser, guidance_scale: float, no_label: int | None) -> None:
    """Refuse a guidance that cannot be.

    Args:
        model: The network.
        guidance_scale: See `guided_answer`.
        no_label: See `guided_answer`.

    Raises:
        TypeError: The scale is not a number.
        ValueError: The scale is below 0 or not finite, or the network has no such label.
    """
    if isinstance(guidance_scale, bool) or not isinstance(guidance_scale, (int, float)):
        raise TypeError(f"guidance_scale is {guidance_scale!r}; give a number, 1 for none.")
    if not 0 <= guidance_scale < float("inf"):
        raise ValueError(f"guidance_scale is {guidance_scale}; it is 0 or more, 1 for none.")
    if guidance_scale == 1:
        return
    classes = model.config.num_class_embeds
    if classes is None or no_label is None or not 0 <= no_label < classes:
        known = "no classes" if classes is None else f"labels from 0 to {classes - 1}"
        raise ValueError(
            f"guidance_scale is {guidance_scale} and no_label {no_label}, but the network knows "
            f"{known}. Guidance needs a network that was sometimes told nothing in training "
            "(label_dropout above 0), and no_label, the label that stood for that."
        )
