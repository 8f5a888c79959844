"""What must be known of a command's words before, or after, tyro has understood them."""

import argparse
import re
from collections.abc import Sequence

from course_utils.budget import BUDGETS, current_budget
from course_utils.data.fit import check_size, read_size
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


def sizes_in_pixels(words: Sequence[str]) -> list[str]:
    """Turn a size such as ``48x32`` into height and width, in which tensors count.

    Args:
        words: The options.

    Returns:
        The options, understood by tyro.
    """
    found: list[str] = []
    for word in words:
        option, _, value = word.partition("=")
        if option == "--image-size" and value:
            found.append(option)
            word = value
        if found and found[-1] == "--image-size" and re.fullmatch(r"\d+[xX×]\d+", word):
            height, width = check_size("--image-size", read_size(word))
            found += [str(height), str(width)] if height != width else [str(height)]
        else:
            found.append(word)
    return found


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
