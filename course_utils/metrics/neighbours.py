"""Did it draw, or did it copy? The nearest picture to each drawn one, and what that tells."""

import torch
from torch import Tensor

from course_utils.data.tensors import ImageTensors


def nearest(images: Tensor, among: ImageTensors) -> tuple[Tensor, Tensor]:
    """The picture that is most like each one: the smallest root mean square difference of pixels.

    Args:
        images: Shape (N, C, H, W), in [-1, 1].
        among: The pictures to search, of the same shape.

    Returns:
        The distance of each, shape (N,), in [0, 2], and the pictures found, shape (N, C, H, W).

    Raises:
        ValueError: The pictures differ in shape, or there are none to search.

    Chapter: 3, "Did it draw, or did it copy?".
    """
    if len(among) == 0 or images.shape[1:] != among.images.shape[1:]:
        raise ValueError(
            f"images have the shape {tuple(images.shape)}, and those to search "
            f"{tuple(among.images.shape)}; all but the number must be the same, and above 0."
        )
    others, _ = among.batch(range(len(among)))
    # Float64, since cdist multiplies out the square: in float32 a copy is 1e-3 from itself.
    ours, theirs = images.flatten(1).double(), others.flatten(1).double()
    distance, row = torch.cdist(ours, theirs).min(dim=1)
    return distance / images[0].numel() ** 0.5, others[row]


def copy_score(images: Tensor, learned: ImageTensors, unseen: ImageTensors) -> float:
    """How many pictures are nearer to what was learned than to what was never seen.

    Args:
        images: Drawn pictures, shape (N, C, H, W), in [-1, 1].
        learned: Pictures that the network was trained on.
        unseen: As many of the same kind that it was not.

    Returns:
        A share in [0, 1]. A network that draws scores about one half, one that copies scores 1.

    Raises:
        ValueError: The two sets are not equally large, which alone would move the score.

    Source:
        After Meehan, Chaudhuri and Dasgupta 2020, arXiv 2004.05675, who test the distances
        themselves.

    Chapter: 3, "Did it draw, or did it copy?".
    """
    if len(learned) != len(unseen):
        raise ValueError(
            f"There are {len(learned)} learned and {len(unseen)} unseen pictures; the more there "
            "are, the nearer is the nearest. Give as many of each."
        )
    return float((nearest(images, learned)[0] < nearest(images, unseen)[0]).float().mean())
