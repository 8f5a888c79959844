"""One line that says what was loaded: how many pictures, of which classes, and what is not there.

`course_utils.data.load.load_images` prints it; the data set of your own pictures carries it as
``dataset.info.description``.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from course_utils.data.plain import Seen

DARK = 128
"""A set whose brightest value lies below this, of 255, was hardly meant to be shown like that."""

SMALL = 8
"""A picture with a side of fewer pixels, or longer by this factor than wide, is named."""


def named(items: Iterable[str], most: int = 3, between: str = ", ") -> str:
    """A few names, and how many more there are.

    Args:
        items: The names, in any spelling a file system allows.
        most: How many of them are told.
        between: What stands between two of them.

    Returns:
        Such as ``"a.txt, b.txt and 7 more"``, in one line and free of what cannot be printed.
    """
    names = [readable(item) for item in items]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def number(count: int, noun: str) -> str:
    """A number and what is counted, in the plural if there is not one.

    Args:
        count: How many.
        noun: What, in the singular; each of its words that stand beside "or" gets an s.

    Returns:
        Such as ``"1 file"``, ``"1,000 files"`` or ``"2 files or folders"``.
    """
    return f"{count:,} {noun if count == 1 else noun.replace(' or ', 's or ') + 's'}"


def readable(name: str) -> str:
    """A file's name as text that can be printed and kept in a table.

    Args:
        name: The name; bytes that are no text and line breaks become escapes.

    Returns:
        The name, in one line.
    """
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def classes(names: Sequence[str], labels: Iterable[int]) -> str:
    """Each class with its number and how many pictures it has.

    Args:
        names: The name of each class.
        labels: The class of each picture.

    Returns:
        Such as ``"2 classes: 0 cat (12), 1 dog (9)"``; of more than 24, the first and the last.
    """
    count = Counter(labels)
    each = [f"{k} {readable(name) or repr('')} ({count[k]:,})" for k, name in enumerate(names)]
    if len(each) > 24:
        each = [*each[:12], "…", each[-1]]
    return f"{len(names):,} class{'es' * (len(names) != 1)}: {', '.join(each)}"


def course_line(what: str, names: Sequence[str], labels: Iterable[int], left_out: str = "") -> str:
    """The line for the course's own sets and those of the Hub.

    Args:
        what: Which set it is.
        names: The name of each class.
        labels: The class of each picture.
        left_out: What the set holds besides, if anything.

    Returns:
        Such as ``"digits, bundled with scikit-learn: 1,797 pictures of 10 classes: …"``.
    """
    labels = list(labels)
    rest = f"; left out: {left_out}" if left_out else ""
    return f"{what}: {number(len(labels), 'picture')} of {classes(names, labels)}{rest}"


def folder_notes(
    files: Sequence[str], opened: Sequence[Seen], background: str = "white"
) -> list[str]:
    """What was done to the files of a folder, and what `prepare` will do to them.

    Args:
        files: The name of each, as it is told.
        opened: What came of each, at least one.
        background: The colour that see-through parts were laid on.

    Returns:
        Parts of a sentence.
    """
    pairs = list(zip(files, opened, strict=True))
    done = [
        ("film or of many pages, the first frame kept", [f for f, o in pairs if o.film]),
        ("turned as the EXIF data say", [f for f, o in pairs if o.turned]),
        (f"see-through, laid on {background}", [f for f, o in pairs if o.clear]),
    ]
    notes = [f"{len(some):,} {what} ({named(some)})" for what, some in done if some]
    deep = [o.deep for o in opened if o.deep]
    if deep:
        some = named(f for f, o in pairs if o.deep)
        notes.append(f"{len(deep):,} of 16 bits or more ({some}), {deep_values(opened)}")
    return notes + size_notes(files, [o.size for o in opened])


def deep_values(opened: Iterable[Seen]) -> str:
    """Which values pictures of 16 bits or more have, and what is done to them.

    Args:
        opened: Pictures, at least one of them of 16 bits or more.

    Returns:
        Such as ``"values 2 to 4,093 of 65,535, divided by 257"``.
    """
    lows, highs = zip(*(picture.deep for picture in opened if picture.deep), strict=True)
    return f"values {min(lows):,} to {max(highs):,} of 65,535, divided by 257"


def size_notes(files: Sequence[str], sizes: Sequence[tuple[int, int]]) -> list[str]:
    """How large the pictures are, and what is lost of those that are not square.

    Args:
        files: The name of each, as it is told.
        sizes: Width and height of each, at least one.

    Returns:
        Parts of a sentence.
    """
    by_area = sorted(set(sizes), key=lambda size: size[0] * size[1])
    ends = [f"{width:,}×{height:,}" for width, height in (by_area[0], by_area[-1])]
    notes = [" to ".join(dict.fromkeys(ends)) + " pixels"]
    oblong = sum(width != height for width, height in sizes)
    if oblong:
        notes.append(f"{oblong:,} not square, which prepare() crops, pads or squashes")
    odd = [f for f, size in zip(files, sizes, strict=True) if is_odd(size)]
    if odd:
        notes.append(f"{len(odd):,} very small or very long ({named(odd)}), loaded all the same")
    return notes


def is_odd(size: tuple[int, int]) -> bool:
    """Whether a picture is so small, or so long, that it is named.

    Args:
        size: Its width and height.

    Returns:
        True where a side has fewer than `SMALL` pixels, or is longer by that factor.
    """
    return min(size) < SMALL or max(size) >= SMALL * min(size)


def brightest_of(opened: Sequence[Seen], folder: Path) -> tuple[int, str]:
    """The brightest value of the pictures in a folder, which tells whether they are dark.

    Args:
        opened: The pictures, at least one.
        folder: Where they lie.

    Returns:
        The value, 0 to 255, and of which pictures it is; if there are some of 16 bits or more, of
        those.
    """
    deep = [picture.brightest for picture in opened if picture.deep]
    if deep:
        return max(deep), f"the pictures of 16 bits or more in {folder}"
    return max(picture.brightest for picture in opened), f"the pictures in {folder}"


def dark_note(brightest: int, what: str) -> str:
    """What is said of pictures that would be nearly black, as 12-bit values in a 16-bit file are.

    Args:
        brightest: The brightest value in all of them, 0 to 255.
        what: Which pictures these are.

    Returns:
        Two sentences; nothing where they are as bright as others.
    """
    if brightest >= DARK:
        return ""
    return (
        f"The brightest value of {what} is {brightest} of 255. If they should not be that "
        "dark, their values do not fill the range of their file: scale them up to it (12 bits "
        "in a 16-bit file: times 16), save them, and load them anew."
    )


def warn_if_dark(brightest: int, what: str) -> None:
    """Warn of pictures that would be nearly black.

    Args:
        brightest: The brightest value in all of them, 0 to 255.
        what: Which pictures these are.
    """
    if note := dark_note(brightest, what):
        warnings.warn(note, stacklevel=2)
