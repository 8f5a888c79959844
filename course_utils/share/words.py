"""What must be known of a command's words before, or after, tyro has understood them."""

import argparse
import re
from collections.abc import Sequence

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from course_utils.budget import BUDGETS, current_budget
from course_utils.data.fit import Size, check_size, read_size, told_size
from course_utils.files import spelled_out


def budget_of(program: str, words: Sequence[str]) -> str:
    """The budget that is asked for, before anything else is understood.

    Args:
        program: What the command is called, for its errors.
        words: The options.

    Returns:
        One of `course_utils.BUDGETS`.
    """
    early = argparse.ArgumentParser(program, add_help=False, allow_abbrev=False)
    early.add_argument("--budget", choices=BUDGETS, default=current_budget())
    return early.parse_known_args(words)[0].budget


def is_given(name: str, words: Sequence[str]) -> bool:
    """Whether a setting is among the words.

    Args:
        name: As in `TrainingConfig`.
        words: The options.

    Returns:
        True where it is, in whatever form.
    """
    option = name.replace("_", "-")
    ways = rf"--(no-)?{option}(=.*)?"
    return any(re.fullmatch(ways, word.replace("_", "-"), re.DOTALL) for word in words)


SIZES = ConstructorRegistry()
"""How tyro understands a size, as one side or ``48x32``; tensors count height, then width."""


@SIZES.primitive_rule
def _as_size(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Size | None] | None:
    """The rule for an option that takes a size, and none for others."""
    if kind.type != Size | None:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",  # so that "48 32" is refused as a size, and not as something else
        metavar="SIDE|WIDTHxHEIGHT",
        instance_from_str=_size_of,
        is_instance=lambda size: size is None or isinstance(size, (int, tuple)),
        str_from_instance=lambda size: [str(size) if size is None else told_size(size)],
    )


def _size_of(words: Sequence[str]) -> Size | None:
    """The size that the words after an option say, or None if they say so."""
    text = " ".join(words)
    if text == "None":
        return None
    size = read_size(text)
    check_size("it", size)
    return size


def without_tilde(option: str, path: str | None) -> str | None:
    """A path without ``~``, which the shell leaves as it is in ``--output-dir=~/run``.

    Args:
        option: What is given by it; for the message.
        path: What was given, or None.

    Returns:
        The path, or None.

    Raises:
        ValueError: Its ``~`` leads to no home folder.
    """
    return path if path is None else str(spelled_out(option, path))
