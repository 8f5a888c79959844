"""Refuse what cannot be, by name, before it fails somewhere else."""

import operator
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def is_hub_name(text: str) -> bool:
    """Whether a text can be the name of a repository on the Hub.

    Args:
        text: What was given.

    Returns:
        True for ``owner/name``, False for paths such as ``./name`` and ``../name``.
    """
    return bool(_HUB_NAME.fullmatch(text))


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a name that is not on the list.

    Args:
        name: The option that holds the value; for the message.
        value: What was given.
        choices: What is known.

    Raises:
        ValueError: `value` is not one of `choices`.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, which is unknown. Use one of {', '.join(choices)}.")


def check_whole(name: str, value: Any) -> int:
    """Refuse what is not a whole number.

    Args:
        name: What the number is; for the message.
        value: What was given.

    Returns:
        `value` as an int.

    Raises:
        TypeError: `value` is not a whole number; True and False are none.
    """
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise TypeError(f"{name} is {value!r}, which is not a whole number: use an int.")


def check_count(name: str, value: int, most: int | None = None) -> int:
    """Refuse what is not a whole number from 1 up.

    Args:
        name: What is counted; for the message.
        value: What was given.
        most: The largest allowed: the number of noise levels. None for no limit.

    Returns:
        `value` as an int.

    Raises:
        TypeError: `value` is not a whole number.
        ValueError: `value` is below 1 or above `most`.
    """
    count = check_whole(name, value)
    if count < 1:
        raise ValueError(f"{name} is {count}; use at least 1.")
    if most is not None and count > most:
        raise ValueError(f"{name} is {count}; there are only {most} noise levels: use 1 to {most}.")
    return count


def check_same_shape(name: str, given: "Tensor", other: str, wanted: "Tensor") -> None:
    """Refuse two tensors of different shapes, which PyTorch might broadcast in silence.

    Args:
        name: What `given` is called; for the message.
        given: One tensor.
        other: What `wanted` is called.
        wanted: The other.

    Raises:
        ValueError: Their shapes differ.
    """
    if given.shape != wanted.shape:
        raise ValueError(
            f"{name} has shape {tuple(given.shape)} and {other} {tuple(wanted.shape)}; "
            "they must be the same."
        )
