"""A line on the screen, whatever letters the screen has, and a line to type in a shell."""

import shlex
import sys


def tell(line: str, end: str = "\n") -> None:
    """Print a line that may name files, on a terminal or into a file of any encoding.

    What cannot be shown becomes an escape. A plain ``print`` of ``é`` or ``×`` ends a program
    whose output goes where there are only ASCII letters, as under ``LC_ALL=C``.

    Args:
        line: The text.
        end: What follows it.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), end=end)


def shell_line(*words: object, program: str = "course_utils") -> str:
    """What to type to call a module of Python; a word with a space in it is quoted.

    Args:
        words: What follows its name.
        program: The module.

    Returns:
        A line for the shell.
    """
    return shlex.join(["python", "-m", program, *map(str, words)])
