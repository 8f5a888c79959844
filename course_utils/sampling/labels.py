"""What each picture is to show: one label, or a mixture of several."""

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

import torch
from torch import Tensor

from course_utils.validate import check_whole

Wish = int | Mapping[int, float]
"""A label, or several with the share of each, such as ``{0: 0.5, 3: 0.5}``."""


def check_list(name: str, given: Any) -> None:
    """Refuse what is no list with one entry for each picture.

    Args:
        name: What is listed; for the message.
        given: What was given.

    Raises:
        TypeError: It cannot be counted and gone through.
    """
    if not (hasattr(given, "__len__") and hasattr(given, "__iter__")):
        raise TypeError(f"{name} is {given!r}; give a list with one for each picture.")


def label_tensor(
    wishes: Sequence[Wish] | None, num_classes: int | None, count: int, name: str = "class_labels"
) -> Tensor | None:
    """Labels as `guided_answer` takes them, checked.

    Args:
        wishes: One for each picture; None for a network without classes.
        num_classes: How many labels the network knows; None for a network without classes.
        count: How many pictures there are.
        name: What the list is called; for the messages.

    Returns:
        int64, shape (count,), where each picture has one label; where one has a mixture, shares,
        float32, shape (count, num_classes), each row with the sum 1; None without classes.

    Raises:
        TypeError: It is no list, or a label is not a whole number.
        ValueError: There are too few or too many, labels that the network does not know, or
            shares that are not above 0 with the sum 1.
    """
    if wishes is not None:
        check_list(name, wishes)
    if num_classes is None and wishes is not None:
        raise ValueError(f"{name} were given, but the model was built without classes.")
    if num_classes is None:
        return None
    if wishes is None or len(wishes) != count:
        found = "none" if wishes is None else len(wishes)
        raise ValueError(f"The model wants one label per picture: {count}, not {found}.")
    if not any(isinstance(wish, Mapping) for wish in wishes):
        return torch.tensor([_known(label, num_classes, name) for label in wishes])
    shares = torch.zeros(count, num_classes)
    for row, wish in zip(shares, wishes, strict=True):
        for label, share in _mixture(wish, name).items():
            row[_known(label, num_classes, name)] = share
    return shares


def _known(label: Any, num_classes: int, name: str) -> int:
    number = check_whole(f"a label in {name}", label)
    if not 0 <= number < num_classes:
        raise ValueError(f"{name} holds {number}; labels run from 0 to {num_classes - 1}.")
    return number


def _mixture(wish: Wish, name: str) -> Mapping[int, float]:
    mixture = wish if isinstance(wish, Mapping) else {wish: 1.0}
    shares = mixture.values()
    if not all(share > 0 for share in shares) or not isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(
            f"{name} holds the mixture {dict(mixture)}; its shares must be above 0 and sum to 1."
        )
    return mixture
