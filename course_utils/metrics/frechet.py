"""The Fréchet distance: how far apart two sets of pictures lie, as two clouds of features."""

import numpy as np
import torch
from torch import Tensor

from course_utils.metrics.features import Features, as_features
from course_utils.validate import check_count


def frechet_distance(a: Features, b: Features) -> float:
    """The squared distance of two normal distributions, one fitted to each set of features.

    With Inception's features this is the "FID". It is 0 for equal means and covariances, whatever
    else differs, and too large for few pictures: see `frechet_distance_at_infinity`.

    Args:
        a: Features of one set, shape (N, D), N > D.
        b: Features of the other, shape (M, D), M > D.

    Returns:
        The distance, at least 0 up to rounding, in squared units of the features.

    Raises:
        ValueError: A set has no more pictures than features, which leaves directions in which
            its spread is unknown; or the features do not fit each other.

    Source:
        Heusel et al. 2017, arXiv 1706.08500, eq. 6. Dowson and Landau 1982, "The Fréchet distance
        between multivariate normal distributions".

    Chapter: 6, "How far apart are two clouds of points?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import frechet_distance
        >>> chance = torch.Generator().manual_seed(0)
        >>> a = torch.randn(500, 4, generator=chance)
        >>> round(frechet_distance(a, a + 1), 6)  # the means are 1 apart in each of 4
        4.0
    """
    a, b = as_features(a=a, b=b)
    for name, features in (("a", a), ("b", b)):
        _refuse_few(name, len(features), features.shape[1])
    gap = (a.mean(0) - b.mean(0)).square().sum()
    root_a, root_b = _root(a), _root(b)
    spread = root_a.square().sum() + root_b.square().sum()  # tr(C_a) + tr(C_b)
    # tr((C_a C_b)^(1/2)): no matrix is squared, so that no root of a negative number appears.
    shared = torch.linalg.svdvals(root_a.T @ root_b).sum()
    return float(gap + spread - 2 * shared)


def _refuse_few(name: str, count: int, width: int) -> None:
    """Refuse a set whose covariance cannot be known."""
    if count <= width:
        raise ValueError(
            f"{name} holds {count} pictures of {width} features each; the Fréchet distance wants "
            f"at least {width + 1}, and {10 * width} for a number to rely on. Give more, or use "
            f"kernel_distance, which asks for no more than 2."
        )


def _root(features: Tensor) -> Tensor:
    """A square root R of the covariance, C = R Rᵀ, shape (D, D)."""
    centred = features - features.mean(0)
    # The thin R of a QR factorisation: Xᵀ X = Rᵀ R, never formed.
    upper = torch.linalg.qr(centred / (len(features) - 1) ** 0.5, mode="r").R
    return upper.T


def frechet_distance_at_infinity(
    a: Features, b: Features, points: int = 4, repeats: int = 6, seed: int = 0
) -> float:
    """What the Fréchet distance would be with infinitely many pictures, by extrapolation.

    With N pictures it is too large by about c / N. It is taken on growing shares of both sets,
    and a line through those distances over 1 / share is followed to 0.

    Args:
        a: Features of one set, shape (N, D).
        b: Features of the other, shape (M, D).
        points: How many shares from one half to all, at least 2, evenly spaced in 1 / share.
        repeats: How often each share is drawn anew, at least 1; the mean counts.
        seed: Decides which pictures are in a share.

    Returns:
        The extrapolated distance. It may fall a little below 0 where the sets are alike.

    Raises:
        ValueError: There are not twice as many pictures as features: no smaller share is left.

    Source:
        Chong and Forsyth 2020, arXiv 1911.07023, section 3, who take shares of the drawn set only.

    Chapter: 6, "How many pictures does it take?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import frechet_distance, frechet_distance_at_infinity
        >>> chance = torch.Generator().manual_seed(0)
        >>> a, b = torch.randn(2, 500, 8, generator=chance)
        >>> frechet_distance_at_infinity(a, b) < frechet_distance(a, b)
        True
    """
    a, b = as_features(a=a, b=b)
    check_count("points", points - 1)
    check_count("repeats", repeats)
    width, fewest = a.shape[1], min(len(a), len(b))
    if fewest < 2 * (width + 1):
        raise ValueError(
            f"The smaller set holds {fewest} pictures of {width} features each; to extrapolate, "
            f"give at least {2 * (width + 1)}, so that a share of one half can be measured."
        )
    chance = np.random.default_rng(seed)
    inverse = np.linspace(1, 2, points)

    def at(share: float) -> float:
        rows = [chance.permutation(len(x))[: int(share * len(x))] for x in (a, b)]
        return frechet_distance(a[rows[0]], b[rows[1]])

    distances = [np.mean([at(1 / k) for _ in range(repeats)]) for k in inverse]
    return float(np.polynomial.Polynomial.fit(inverse, distances, 1)(0.0))
