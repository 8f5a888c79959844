"""May pictures be mirrored while a network learns? A measurement, in place of a guess.

A mirrored butterfly is a butterfly; a mirrored 3 is no digit, and mirrored lettering is none.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from course_utils.data.duplicates import CELLS
from course_utils.data.tensors import ImageTensors

MOST = 1_000
"""So many pictures are looked at; more would tell no more."""

LEAST = 100
"""Fewer pictures tell too little, and are taken for ones that mirroring harms."""

OFTEN = 0.6
"""Up to this share, the mirror image counts as further away by chance; that would be a half."""

FAR = 1.15
"""Up to this many times the distance it is hardly further, as where all stand in one light."""

_COPIES = 1e-4  # mean squared distance, of 1, up to which two are copies


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """What mirroring does to a set of pictures.

    Attributes:
        share: Share of the pictures that lie further from all others once they are mirrored;
            0.5 where mirroring changes nothing.
        further: How many times as far, for the median picture; 1 where it changes nothing.
        count: How many pictures were compared.
    """

    share: float
    further: float
    count: int

    @property
    def harmless(self) -> bool:
        """Whether mirrored pictures look like the others, as far as can be told."""
        return self.count >= LEAST and (self.share <= OFTEN or self.further <= FAR)


def try_mirror(pictures: ImageTensors) -> Mirror:
    """Compare pictures, as they are and mirrored, with all the others.

    Each is reduced to 16 by 16 averages, and its nearest other is looked for, once for itself
    and once for its mirror image. Where left and right mean nothing, either is the nearer one
    half of the time. Of copies one is looked at.

    Args:
        pictures: The set; of more than 1,000, 1,000 at equal distances are taken.

    Returns:
        How often the mirror image is the further one, and by how much.

    Example:
        >>> from course_utils.data import load_images, prepare, try_mirror
        >>> digits = prepare(load_images("digits", "drawn", count=300), 28, channels=1)
        digits, drawn by the course: ...
        >>> try_mirror(digits).harmless
        False

    Source:
        The sign test; the nearest neighbour as a measure of likeness.
    """
    rows = torch.linspace(0, len(pictures) - 1, min(len(pictures), MOST)).long()
    flat = _reduced(pictures.images[rows])
    own, turned = _distances(flat, flat), _distances(_reduced(pictures.images[rows].flip(-1)), flat)
    alone = ~torch.tril(own < _COPIES, -1).any(1)  # the first of each group of copies
    own, turned = own[alone][:, alone], turned[alone][:, alone]
    if len(own) < 2:
        return Mirror(share=0.5, further=1.0, count=len(own))
    nobody = torch.eye(len(own)) * 1e9  # is a neighbour of its own
    before, after = (own + nobody).amin(1).sqrt(), (turned + nobody).amin(1).sqrt()
    share = (after > before).double().mean() + (after == before).double().mean() / 2
    return Mirror(share=share.item(), further=(after / before).median().item(), count=len(own))


def _reduced(images: Tensor) -> Tensor:
    """Bytes of shape (N, C, H, W) as (N, C * 256) averages from 0 to 1."""
    small = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, CELLS)
    return small.flatten(1)


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared differences, shape (N, N)."""
    return torch.cdist(a, b).square() / a.shape[1]
