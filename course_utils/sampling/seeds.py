"""Seeds as one writes them in a shell, and what the picture of each is called."""

import re

MOST = 1000
"""So many pictures are drawn at once, and no more."""


def read_seeds(text: str) -> list[int]:
    """Understand the seeds that are to be drawn from.

    Args:
        text: Numbers and ranges with commas between them, such as ``"3,7,20-24"``.

    Returns:
        The seeds, in that order.

    Raises:
        ValueError: It is something else, stands for too many, or has a seed twice.
    """
    seeds = seeds_in(text, "--seeds")
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(
            f"--seeds is {text!r}, which has {twice[0]} more than once: a seed gives the same "
            "picture each time. Give each seed once."
        )
    return seeds


def seeds_in(text: str, name: str) -> list[int]:
    """The seeds that a text stands for, as often as it names them.

    Args:
        text: As for `read_seeds`.
        name: What it is given by; for the message.

    Returns:
        The seeds, in that order.

    Raises:
        ValueError: It is something else, or stands for too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not ends:
            raise ValueError(f"{name} is {text!r}; give whole numbers, as in 0-15 or 3,7,20-24.")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if not first <= last < first + MOST:
            raise ValueError(f"{name} has {part.strip()}; a range goes up, to {MOST} at most.")
        seeds += range(first, last + 1)
    if len(seeds) > MOST:
        raise ValueError(f"{name} stands for {len(seeds)} pictures; a sheet holds {MOST}.")
    return seeds


def file_of(seed: int, suffix: str = ".png") -> str:
    """What the picture of a seed is called.

    Args:
        seed: The seed.
        suffix: The end of the file's name.

    Returns:
        Such as ``"pictures/seed-0007.png"``.
    """
    return f"pictures/seed-{seed:04}{suffix}"
