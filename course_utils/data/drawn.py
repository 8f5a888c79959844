"""Drawn pictures as data sets, kept on disk so that they are drawn once.

A file of the cache is one Arrow table of PNG pictures and labels with a checksum before it.
Its name holds what the pictures depend on: family, number, size, and a fingerprint of the
code that draws. So it never goes stale, and you may delete any of it at any time.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.data import drawing
from course_utils.files import cache_folder, fingerprint, write_whole
from course_utils.validate import check_whole

if TYPE_CHECKING:
    from datasets import Dataset

SIZES = {"digits": 28, "sprites": 16, "butterflies": 64, "flowers": 64}
"""The size in pixels at which each family is drawn if no other is asked for."""

COUNT = 1_000
"""How many pictures are drawn if no other number is asked for."""

_LAYOUT = b"2"  # of the cache files; another layout, another number
_CHECKSUM = 64  # bytes at the beginning of a file: the fingerprint of the rest


def load_drawn(
    family: str, count: int = COUNT, size: int | None = None, first: int = 0
) -> "Dataset":
    """Draw a set of pictures, or take it from the cache if it was drawn before.

    Args:
        family: ``"digits"``, ``"sprites"``, ``"butterflies"`` or ``"flowers"``.
        count: How many pictures, at least one for each kind.
        size: Height and width in pixels: 8 or more, and for sprites a multiple of 16. None
            stands for 28 (digits), 16 (sprites) or 64.
        first: The number of the first one. Pictures are numbered without end, so that 1,000
            from 0 and 1,000 from 1,000 have none in common.

    Returns:
        The pictures of that family, numbers and size in the columns ``image``
        and ``label``, held in memory as PNG: about 0.3 MB (digits) to 8 MB (64 pixels) for
        1,000.

    Raises:
        ValueError: There is no such family, count, size or number.

    Source:
        `course_utils.data.drawing`.

    Chapter: the page "The pictures", "One word away".
    """
    size = SIZES.get(family, 64) if size is None else size
    drawing.draw_many(family, 0, size)  # complains where family or size cannot be
    kinds = len(drawing.KINDS[family])
    if not _lies_in(count, range(kinds, 1_000_001)):
        raise ValueError(f"count is {count!r}; ask for {kinds} (one a kind) to 1,000,000 {family}.")
    if not _lies_in(first, range(1_000_000_000)):
        raise ValueError(f"first is {first!r}; pictures have the numbers 0 to 999,999,999.")
    numbers = range(first, first + count)
    path = cache_folder() / f"{family}-{first}-{count}-{size}px-{_code()}.arrow"
    dataset = _read(path, count)
    if dataset is None:
        dataset = _draw(family, numbers, size)
        _write(path, dataset)
    return dataset


def _lies_in(number: int, numbers: range) -> bool:
    """Whether a whole number is one of these; of others ``in`` would try each of them."""
    try:
        return check_whole("number", number) in numbers
    except TypeError:
        return False


def _code() -> str:
    """A short name for the state of the drawing code; another one after any change."""
    files = sorted(Path(drawing.__file__).parent.glob("*.py"))
    # Read as text, so that the line ends of a checkout on Windows do not count.
    return fingerprint(_LAYOUT, *(file.read_text("utf-8").encode() for file in files))[:12]


def _draw(family: str, numbers: range, size: int) -> "Dataset":
    """Draw pictures one by one and keep each as PNG."""
    from datasets import ClassLabel, Dataset, Features, Image
    from tqdm import tqdm

    kinds = drawing.KINDS[family]
    labels = [number % len(kinds) for number in numbers]
    images = []
    bar = tqdm(numbers, desc=f"drawing {family}", leave=False, delay=2)
    for label, number in zip(labels, bar, strict=True):
        buffer = BytesIO()
        drawing.draw(family, label, number, size).save(buffer, "PNG", compress_level=3)
        images.append({"bytes": buffer.getvalue(), "path": None})
    features = Features({"image": Image(), "label": ClassLabel(names=list(kinds))})
    return Dataset.from_dict({"image": images, "label": labels}, features=features)


def _read(path: Path, count: int) -> "Dataset | None":
    """The data set in a file, or None if there is none or the file is not whole."""
    import pyarrow as pa
    from datasets import Dataset

    try:
        stored = path.read_bytes()
    except OSError:
        return None
    table = memoryview(stored)[_CHECKSUM:]  # a view: nothing is copied
    if fingerprint(table).encode() != stored[:_CHECKSUM]:
        return None
    dataset = Dataset.from_buffer(pa.py_buffer(table))
    return dataset if len(dataset) == count else None


def _write(path: Path, dataset: "Dataset") -> None:
    """Put a data set in a file that is there whole or not at all."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    schema = dataset.features.arrow_schema
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(dataset.data.table.cast(schema))
    table = sink.getvalue().to_pybytes()
    try:
        write_whole(path, fingerprint(table).encode() + table)
    except OSError as error:
        warnings.warn(
            f"The pictures were drawn but could not be kept in {path.parent} ({error}); they "
            "will be drawn again next time. Set COURSE_CACHE to a folder that can be written.",
            stacklevel=4,
        )
