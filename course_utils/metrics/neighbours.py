"""What lies nearest? Whether pictures were drawn or copied, and whether two sets cover each other.

`nearest` and `copy_score` compare pixels; the others compare features of any extractor.
"""

import torch
from torch import Tensor

from course_utils.data.tensors import ImageTensors
from course_utils.metrics.features import Features, as_features
from course_utils.validate import check_count


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

    Example:
        >>> import torch
        >>> from course_utils.data import ImageTensors
        >>> from course_utils.metrics import nearest
        >>> bytes_ = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1)
        >>> among = ImageTensors(bytes_, torch.zeros(3, dtype=torch.int64), ("grey",))
        >>> distance, found = nearest(torch.full((1, 1, 1, 1), 0.9), among)
        >>> round(distance.item(), 2), found.item()
        (0.1, 1.0)
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

    Example:
        >>> import torch
        >>> from course_utils.data import ImageTensors
        >>> from course_utils.metrics import copy_score
        >>> bytes_ = torch.tensor([0, 50, 200, 250], dtype=torch.uint8).view(4, 1, 1, 1)
        >>> labels = torch.zeros(2, dtype=torch.int64)
        >>> learned = ImageTensors(bytes_[:2], labels, ("grey",))
        >>> unseen = ImageTensors(bytes_[2:], labels, ("grey",))
        >>> copy_score(learned.batch([0, 1])[0], learned, unseen)
        1.0
    """
    if len(learned) != len(unseen):
        raise ValueError(
            f"There are {len(learned)} learned and {len(unseen)} unseen pictures; the more there "
            "are, the nearer is the nearest. Give as many of each."
        )
    return float((nearest(images, learned)[0] < nearest(images, unseen)[0]).float().mean())


def precision_recall(drawn: Features, real: Features, k: int = 3) -> tuple[float, float]:
    """How many drawn pictures look real, and how many real ones could have been drawn.

    Each picture of a set stands for a ball that reaches to its k-th neighbour in that set.

    Args:
        drawn: Features of drawn pictures, shape (N, D), N > k.
        real: Features of real ones, shape (M, D), M > k.
        k: Which neighbour.

    Returns:
        Precision, the share of drawn pictures that lie in the ball of a real one; and recall,
        the share of real pictures that lie in the ball of a drawn one. Both in [0, 1].

    Raises:
        ValueError: A set has no k-th neighbour, or the features do not fit each other.

    Source:
        Kynkäänniemi et al. 2019, arXiv 1904.06991, eqs. 1 and 2.

    Chapter: 6, "Can we break the measures?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import precision_recall
        >>> real = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> precision, recall = precision_recall(real[:1].repeat(100, 1), real)
        >>> precision, round(recall, 2)  # one real picture, a hundred times
        (1.0, 0.01)
    """
    drawn, real = as_features(drawn=drawn, real=real)
    gaps = _gaps(drawn, real)
    in_real = gaps <= _radii("real", real, k)
    in_drawn = gaps <= _radii("drawn", drawn, k)[:, None]
    return float(in_real.any(1).double().mean()), float(in_drawn.any(0).double().mean())


def density_coverage(drawn: Features, real: Features, k: int = 5) -> tuple[float, float]:
    """How thickly drawn pictures lie among real ones, and how many real ones have company.

    Unlike precision and recall they ask for balls of real pictures only: one stray drawn picture
    makes no huge ball.

    Args:
        drawn: Features of drawn pictures, shape (N, D).
        real: Features of real ones, shape (M, D), M > k.
        k: Which neighbour of a real picture its ball reaches to.

    Returns:
        Density, in how many balls of real pictures a drawn one lies, divided by k, about 1 for
        sets that are alike, and not bounded by it; and coverage, the share of real pictures
        whose ball holds a drawn one, in [0, 1].

    Raises:
        ValueError: `real` has no k-th neighbour, or the features do not fit each other.

    Source:
        Naeem et al. 2020, arXiv 2002.09797, eqs. 3 and 4.

    Chapter: 6, "Can we break the measures?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import density_coverage
        >>> real = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
        >>> density, coverage = density_coverage(real + 50, real)  # far from all of them
        >>> density, coverage
        (0.0, 0.0)
    """
    drawn, real = as_features(drawn=drawn, real=real)
    inside = _gaps(drawn, real) <= _radii("real", real, k)
    return float(inside.double().sum(1).mean() / k), float(inside.any(0).double().mean())


def _gaps(a: Tensor, b: Tensor) -> Tensor:
    """Distances of all pairs, without the shortcut that moves equal pictures apart."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(name: str, features: Tensor, k: int) -> Tensor:
    """For each picture of a set the distance to its k-th neighbour in it."""
    if len(features) <= check_count("k", k):
        raise ValueError(
            f"{name} holds {len(features)} pictures, of which none has {k} neighbours: give at "
            f"least {k + 1}."
        )
    return _gaps(features, features).kthvalue(k + 1, dim=1).values  # the first is itself
