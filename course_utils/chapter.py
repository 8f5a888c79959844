"""The one call with which a chapter begins: seeds, figure style, and what you are running on."""

import os
import random
import sys
import time
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version

from course_utils.budget import by_budget
from course_utils.screen import tell
from course_utils.threads import choose_threads
from course_utils.validate import check_whole


@dataclass(frozen=True)
class Chapter:
    """What a chapter runs with; the values that `start_chapter` printed.

    Attributes:
        data: Name of the data set, as `course_utils.data.load_images` takes it.
        source: Where its pictures come from: a source's name or a folder.
        seed: The seed that every random number generator was given.
        budget: ``"smoke"``, ``"laptop"`` or ``"full"``.
        device: ``"cuda"``, ``"mps"`` or ``"cpu"``: where models and pictures go.
        started: When the chapter began, in seconds of a clock that only runs forward.
    """

    data: str
    source: str
    seed: int
    budget: str
    device: str
    started: float = field(default_factory=time.monotonic, repr=False)


def best_device() -> str:
    """The fastest device that PyTorch finds here.

    Returns:
        ``"cuda"`` for an NVIDIA or AMD GPU, ``"mps"`` for an Apple one, else ``"cpu"``.

    Source:
        The PyTorch documentation, ``torch.accelerator``.
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators, so that a run repeats.

    Args:
        seed: Any integer in [0, 2**32).

    Raises:
        TypeError: `seed` is not a whole number.
        ValueError: `seed` is outside that range.

    Source:
        The PyTorch documentation on reproducibility.
    """
    import numpy as np
    import torch

    seed = check_whole("seed", seed)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; NumPy takes seeds from 0 up to 2**32 - 1.")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def start_chapter(data: str, source: str | os.PathLike[str], seed: int = 0) -> Chapter:
    """Seed everything, set the figure style, and print what this run uses.

    Args:
        data: Name of the data set, for instance ``"digits"``.
        source: ``"bundled"``, ``"hub"``, or a folder of your own pictures. It is only
            printed here; `course_utils.data.load_images` opens it.
        seed: The seed of every random number generator, in [0, 2**32).

    Returns:
        The same facts as a `Chapter`.

    Raises:
        ValueError: ``COURSE_BUDGET`` or `seed` is not a value that exists.

    Example:
        >>> from course_utils import start_chapter
        >>> course = start_chapter(data="sprites", source="drawn", seed=0)
        budget   laptop
        device   ...
        data     sprites, source: drawn
        seed     0
        with     ...
    """
    from course_utils.figures.plotting import set_style

    # Plain bars will do; tqdm would say in each notebook that ipywidgets could draw others.
    warnings.filterwarnings("ignore", message="IProgress not found")
    budget = by_budget(smoke="smoke", laptop="laptop", full="full")  # no chapter has another one
    chapter = Chapter(data, os.fspath(source), seed, budget, best_device())
    number = choose_threads() if chapter.device == "cpu" else 0
    threads = f", {number} thread{'s' * (number > 1)}" if number else ""
    seed_everything(seed)
    set_style()
    libraries = " · ".join(f"{name} {version(name)}" for name in ("torch", "diffusers"))
    print(f"budget   {chapter.budget}")
    print(f"device   {chapter.device}{threads}")
    tell(f"data     {chapter.data}, source: {chapter.source}")
    print(f"seed     {chapter.seed}")
    tell(f"with     {libraries}")
    return chapter


def finish_chapter(chapter: Chapter, promised: float | None = None) -> None:
    """Print what the chapter took: time since it began, and the most memory it held.

    Args:
        chapter: What `start_chapter` returned.
        promised: The minutes that the page promises for the laptop budget, on two idle cores;
            where they are missed by more than half, a sentence says so. None promises nothing.

    Example:
        >>> from course_utils import finish_chapter, start_chapter
        >>> course = start_chapter(data="sprites", source="drawn")
        budget   laptop
        device   ...
        data     sprites, source: drawn
        seed     0
        with     ...
        >>> finish_chapter(course)
        budget   laptop
        time     ...
        memory   ...
    """
    minutes = (time.monotonic() - chapter.started) / 60
    print(f"budget   {chapter.budget}")
    print(f"time     {minutes:.1f} minutes since the setup cell")
    print(f"memory   {peak_memory() / 2**30:.1f} GiB at most")
    if promised is None or chapter.budget != "laptop" or chapter.device != "cpu":
        return
    if minutes > 1.5 * promised:
        print(f"promised {promised:g} minutes on two idle cores: these were busy, or are slower")
    elif minutes < 0.5 * promised:
        print(
            f"promised {promised:g} minutes on two idle cores: these are faster, or runs were kept"
        )


def peak_memory() -> int:
    """The most memory that this process has held so far.

    Returns:
        Bytes of physical memory.

    Source:
        ``getrusage`` where there is one; on Windows the peak working set that psutil reads.
    """
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
