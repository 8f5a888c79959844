"""Anybody's pictures for the trainer: how they are opened, and the plan that is made for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.data import ImageTensors, load_tensors
from course_utils.data.fit import Fit
from course_utils.files import spelled_out
from course_utils.models.base import height_and_width
from course_utils.sampling.opening import open_network
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.planning import Plan, plan, plan_again
from course_utils.training.recipes import SMOKE
from course_utils.validate import is_hub_name

OF_BUDGET: dict[str, dict[str, Any]] = {
    "smoke": {"minutes": None, "width": 16} | SMOKE,
    "laptop": {"minutes": 20.0},
    "overnight": {"minutes": 120.0},
    "full": {"minutes": None, "width": 64, "num_steps": 50_000},
}
"""What a budget means where the pictures are anybody's."""


@dataclass(frozen=True, kw_only=True)
class Yours:
    """Pictures of anybody's, and how they are to be taken.

    Attributes:
        where: A folder, a ``.npy`` or ``.npz`` file, or ``owner/name`` on the Hub.
        fit: What is done where the proportions are others: crop, pad or squash.
        background: The colour that see-through parts are laid on, and that pads.
        channels: 1 for grey, 3 for colour; None for as they are.
        mirror: Whether batches are mirrored; None where that is found harmless.
        start: The network to begin with, as `open_network` takes it; None for a fresh one.
    """

    where: str
    fit: Fit = "crop"
    background: str = "white"
    channels: int | None = None
    mirror: bool | None = None
    start: str | None = None

    @property
    def name(self) -> str:
        """What the pictures are called, the last part of their place, without an ending."""
        path = spelled_out("the pictures", self.where)
        return path.stem if path.suffix in (".npy", ".npz") else path.resolve().name


def are_pictures(word: str) -> bool:
    """Whether a word may stand for pictures of anybody's.

    Args:
        word: What was given.

    Returns:
        True for a path that exists, and for what can be a name on the Hub.
    """
    if word.startswith("-"):
        return False
    return spelled_out("the pictures", word).exists() or is_hub_name(word)


def plan_of(yours: Yours, budget: str, resume: bool | str, given: dict[str, Any]) -> Plan:
    """Open the pictures and plan what is trained on them.

    Args:
        yours: The pictures.
        budget: One of `course_utils.BUDGETS`, for what is not given.
        resume: As `course_utils.training.train` takes it. The plan of a run that is gone on with
            is the one that its checkpoint has kept.
        given: Settings of `TrainingConfig` that were asked for, ``output_dir`` among them.

    Returns:
        The plan.

    Raises:
        ValueError: The pictures cannot be opened, or there is no plan for them.
    """
    about = _kept(resume, given["output_dir"])
    if about is not None:
        size = given.get("image_size", about["config"]["image_size"])
        data = _opened(yours, size, about["network"]["config"]["in_channels"])
        return plan_again(yours.name, about, data, **given)
    start = open_network(yours.start) if yours.start is not None else None
    size, channels = given.get("image_size"), yours.channels
    if start is not None:
        trained: Any = start.model
        size = size or tuple(height_and_width(trained.config.sample_size))
        channels = channels or trained.config.in_channels
    other = {"num_steps": "minutes", "minutes": "num_steps"}  # one stands in for the other
    usual = {k: v for k, v in OF_BUDGET[budget].items() if other.get(k) not in given}
    settings = {"minutes": None} | usual | given
    data = _opened(yours, size, channels)
    return plan(data, name=yours.name, mirror=yours.mirror, start=start, **settings)


def _kept(resume: bool | str, output_dir: str) -> dict[str, Any] | None:
    """What the checkpoint to go on from says of its run, if there is one."""
    found = checkpoints(Path(output_dir) / "checkpoints")
    path = Path(resume) if isinstance(resume, str) else found[-1] if resume and found else None
    return None if path is None else read_checkpoint(path)[0]


def _opened(yours: Yours, size: Any, channels: int | None) -> ImageTensors:
    """The pictures, as tensors; a size that JSON has kept is a list."""
    size = tuple(size) if isinstance(size, list) else size
    return load_tensors(
        Path(yours.where),  # as text, "flowers" would be the course's own and not a folder
        size,
        channels=channels,
        fit=yours.fit,
        background=yours.background,
    )
