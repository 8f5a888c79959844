"""A line on the screen, whatever letters the screen has: what cannot be shown becomes an escape."""

import sys


def tell(line: str, end: str = "\n") -> None:
    """Print a line that may name files, on a terminal or into a file of any encoding.

    A plain ``print`` of ``é`` or ``×`` ends a program whose output goes where there are only
    ASCII letters, as under ``LC_ALL=C``.

    Args:
        line: The text.
        end: What follows it.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), end=end)
