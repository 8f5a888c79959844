"""What a look at a folder has found, in words, and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from course_utils.data import Look
from course_utils.data.fit import told_size
from course_utils.data.folder import alike
from course_utils.data.mirror import LEAST
from course_utils.data.summary import brightest_of, dark_note, deep_values, is_odd, named, number
from course_utils.screen import shell_line
from course_utils.training.planning import Plan
from course_utils.training.recipes import RECIPES

FEW = 300
"""Fewer pictures are told, since chapter 9 saw copies of 30 and did not settle 300."""

MUCH = 0.6
"""Where crop keeps less than this of the middle picture, it is said."""

THIN = 10
"""A label that has this many times fewer pictures than another is named."""


def told(found: Look) -> list[str]:
    """What is there, a fact in each line.

    Args:
        found: What `course_utils.data.look` gave.

    Returns:
        The lines.
    """
    sizes = [about.size for about in found.seen]
    kinds = Counter(about.kind for about in found.seen)
    smallest, largest = min(sizes, key=_area), max(sizes, key=_area)
    lies = sum(width > height for width, height in sizes)
    stands = sum(width < height for width, height in sizes)
    odd = [k for k, size in enumerate(sizes) if is_odd(size)]
    facts = {
        "pictures": f"{len(found.names):,} ({', '.join(f'{n:,} {k}' for k, n in kinds.items())})",
        "sizes": f"{_sized(smallest)} to {_sized(largest)} pixels",
        "shapes": f"{lies:,} wide, {stands:,} high, {len(sizes) - lies - stands:,} square",
        "labels": ", ".join(f"{name} ({count:,})" for name, count in found.by_label.items()),
        "label notes": "; ".join(found.label_notes),
        "odd sizes": _listed(found, odd, "very small or very long"),
        "16 bits": _deep(found),
        "turned": _noted(found, "turned", "by their EXIF data; they are shown upright"),
        "films": _noted(found, "film", "of several frames; the first is taken"),
        "see-through": _noted(found, "clear", "laid on the background"),
        "copies": _copies(found),
        "sideways": _listed(found, found.sideways, "may stand on their side"),
        "mirrored": _mirror(found),
        "left out": found.left_out.removeprefix("left out: "),
    }
    lines = [f"{found.folder}"] + [f"  {name:12} {fact}" for name, fact in facts.items() if fact]
    lines += [f"  cannot be read: {name}: {why}" for name, why in found.unreadable.items()]
    return lines + [f"  cannot be used as it is: {why}" for why in found.refused]


def advice(found: Look, advised: Plan | None) -> list[str]:
    """What to do, and what can be trained in which time.

    Args:
        found: What `course_utils.data.look` gave.
        advised: A plan with measured updates; None where something must be mended first.

    Returns:
        Sentences.
    """
    steps = [*to_mend(found), *_to_better(found)]
    kept = _kept_by_crop(found)
    if found.fit == "crop" and kept < MUCH:
        steps.append(
            f"Cropping keeps {kept:.0%} of the middle picture: see with --fit pad or --fit squash "
            "whether that is better."
        )
    several = len(found.names) - len(found.superfluous)
    if several < FEW:
        steps.append(
            f"{number(several, 'picture')}: few. Judge with the copy score whether the network "
            "draws or repeats, or begin with a trained one (--from)."
        )
    if advised is not None:
        steps.append(f"Train: {advised.told}.")
        steps.append(command(found, advised))
    return steps


def _to_better(found: Look) -> list[str]:
    """What is wrong with the pictures and their labels, though nothing stands in the way."""
    counts = found.by_label
    most, least = max(counts.values()), min(counts.values())
    thin = [name for name, count in counts.items() if count * THIN <= most]
    dark = dark_note(*brightest_of(found.seen, found.folder))
    steps = [dark] if dark else []
    if same := named(map(repr, alike(found.data.names))):
        steps.append(
            f"{same} differ in case or spaces alone: put them into one folder if they are one "
            "label."
        )
    if found.superfluous:
        names = named(found.names[row] for row in found.superfluous)
        steps.append(
            f"Leave out what is there already ({number(len(found.superfluous), 'picture')}: "
            f"{names}): what is there twice is learned twice."
        )
    if found.sideways:
        steps.append("Look at those that may stand on their side, and turn them.")
    if thin:
        steps.append(
            f"{named(thin)}: {least:,} pictures beside {most:,} of another label. Find more, or "
            "leave the label out."
        )
    if any(kind in found.left_out for kind in (".heic", ".heif")):
        steps.append("Export the HEIC photographs of your phone as JPEG.")
    return steps


def command(found: Look, advised: Plan) -> str:
    """What to type to train as it is advised.

    Args:
        found: What `course_utils.data.look` gave.
        advised: The plan.

    Returns:
        A line for the shell.
    """
    folder = str(found.folder)
    if folder in RECIPES or folder.startswith("-"):
        folder = f"./{folder}"  # the word alone would be a recipe, or an option
    words = [
        folder,
        "--image-size",
        told_size(tuple(found.data.images.shape[2:])),
        "--fit",
        found.fit,
    ]
    if found.background != "white":
        words += ["--background", found.background]
    return shell_line("train", *words, "--minutes", f"{advised.config.minutes:g}")


def to_mend(found: Look) -> list[str]:
    """What stands in the way of training.

    Args:
        found: What `course_utils.data.look` gave.

    Returns:
        Sentences; none where all is well.
    """
    steps = list(found.refused)
    if found.unreadable:
        steps.append(
            f"Mend or remove {number(len(found.unreadable), 'file')} that cannot be read "
            f"({named(found.unreadable)})."
        )
    return steps


def _kept_by_crop(found: Look) -> float:
    """The share of the middle picture that is left when it is cut to the wanted proportions."""
    height, width = found.data.images.shape[2:]
    proportions = [w * height / (h * width) for w, h in (about.size for about in found.seen)]
    return median(min(p, 1 / p) for p in proportions)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _sized(size: tuple[int, int]) -> str:
    return f"{size[0]:,}×{size[1]:,}"


def _listed(found: Look, rows: Sequence[int], what: str) -> str:
    """How many rows, and the names of a few; nothing where there are none."""
    return f"{len(rows):,} {what}: {named(found.names[row] for row in rows)}" if rows else ""


def _noted(found: Look, note: str, what: str) -> str:
    """The pictures of which something was noted."""
    return _listed(found, [k for k, seen in enumerate(found.seen) if getattr(seen, note)], what)


def _deep(found: Look) -> str:
    """The pictures of more than 8 bits, and their values."""
    text = _noted(found, "deep", "of 16 bits or more")
    return text and f"{text}; {deep_values(found.seen)}"


def _copies(found: Look) -> str:
    """How often pictures are there more than once."""
    if not found.copies:
        return "none"
    few = named(named((found.names[row] for row in group), between=" = ") for group in found.copies)
    return f"{number(len(found.copies), 'picture')} more than once: {few}"


def _mirror(found: Look) -> str:
    """What mirroring does, in a sentence."""
    mirror = found.mirror
    if mirror.count < LEAST:
        return f"cannot be told from {number(mirror.count, 'picture')}; --mirror yes or no says it"
    verdict = "harmless" if mirror.harmless else "not advised"
    return (
        f"{verdict}: {mirror.share:.0%} of {mirror.count:,} lie further from the others once they "
        f"are mirrored (50% would be chance), {mirror.further:.2f} times as far in the middle"
    )
