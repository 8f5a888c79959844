"""Anybody's pictures for the trainer: how they are opened, and the plan that is made for them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course_utils.data import ImageTensors, load_tensors
from course_utils.data.fit import Fit
from course_utils.data.stored import SUFFIXES
from course_utils.files import spelled_out
from course_utils.models import gallery
from course_utils.models.base import height_and_width
from course_utils.sampling.opening import Opened, open_network
from course_utils.screen import tell
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.fingerprint import mirrored
from course_utils.training.planning import Plan, plan, plan_again
from course_utils.training.recipes import SMOKE
from course_utils.validate import is_hub_name

OF_BUDGET: dict[str, dict[str, Any]] = {
    "smoke": {"minutes": None, "width": 16}
    | {k: v for k, v in SMOKE.items() if k != "num_warmup_steps"},  # `plan` finds a fitting one
    "laptop": {"minutes": 20.0},
    "overnight": {"minutes": 120.0},
    "full": {"minutes": None, "width": 64, "num_steps": 50_000},
}
"""What a budget means where the pictures are anybody's."""

KEPT = ("fit", "background", "channels", "mirror", "from", "budget")
"""The options that a run is begun with and keeps, by their names in the shell."""

_FLIP = {True: "yes", False: "no", None: "auto"}


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
        said: Those of `KEPT` that were given in words, so that a run which is gone on with has
            to be theirs.
    """

    where: str
    fit: Fit = "crop"
    background: str = "white"
    channels: int | None = None
    mirror: bool | None = None
    start: str | None = None
    said: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What the pictures are called, the last part of their place, without an ending."""
        path = spelled_out("the pictures", self.where)
        return path.stem if path.suffix.lower() in SUFFIXES else path.resolve().name


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
        ValueError: The pictures cannot be opened, there is no plan for them, or the run that is
            to be gone on with was begun otherwise.
    """
    about = _kept(resume, given["output_dir"])
    if about is not None:
        begun = _as_begun(yours, budget, about, isinstance(resume, str))
        size = given.get("image_size", about["config"]["image_size"])
        return plan_again(yours.name, about, _opened(begun, size), **given)
    start = open_network(yours.start) if yours.start is not None else None
    size, taken = given.get("image_size"), yours
    if start is not None:
        taken, size = _taken_as_in(start, yours, size)
    other = {"num_steps": "minutes", "minutes": "num_steps"}  # one stands in for the other
    usual = {k: v for k, v in OF_BUDGET[budget].items() if other.get(k) not in given}
    settings = {"minutes": None} | usual | given
    data = _opened(taken, size)
    made = plan(data, name=yours.name, mirror=yours.mirror, start=start, **settings)
    return replace(made, notes=_noted(yours, budget))


def _taken_as_in(start: Opened, yours: Yours, size: Any) -> tuple[Yours, Any]:
    """The pictures as a trained network has learned them, where nothing else is asked for."""
    config: Any = start.model.config
    told = []
    if yours.channels is None:
        kind = {1: "in grey", 3: "in colour"}
        told.append(kind.get(config.in_channels, f"with {config.in_channels} channels"))
        yours = replace(yours, channels=config.in_channels)
    if size is None:
        height, width = size = height_and_width(config.sample_size)
        told.append(f"at {width}x{height} pixels")
    if told:
        tell(f"Your pictures are taken {' and '.join(told)}, as {start.name} draws its own.")
    return yours, size


def _noted(yours: Yours, budget: str) -> dict[str, Any]:
    """What is kept of how a run was begun: the values of `KEPT`."""
    start = yours.start
    if start is not None and start not in gallery.names() and Path(start).is_dir():
        start = str(Path(start).resolve())
    kept = (yours.fit, yours.background, yours.channels, _FLIP[yours.mirror], start, budget)
    return dict(zip(KEPT, kept, strict=True))


def _as_begun(yours: Yours, budget: str, about: dict[str, Any], elsewhere: bool) -> Yours:
    """The pictures as the run took them that is gone on with; other words than its own are refused.

    Args:
        yours: The pictures, and what is asked of them now.
        budget: Likewise.
        about: What the checkpoint says of its run.
        elsewhere: Whether the checkpoint was named, so that another folder would not help.

    Returns:
        The pictures, with the run's own fit, background and channels.

    Raises:
        ValueError: An option was given that is not the run's.
    """
    notes = about.get("notes") or {}  # a checkpoint of an earlier version has none
    channels = about["network"]["config"]["in_channels"]
    fit, background = notes.get("fit", yours.fit), notes.get("background", yours.background)
    found = {
        "fit": fit,
        "background": background,
        "channels": channels,
        "mirror": _FLIP[mirrored(about["data"])],
    }
    for name, now in _noted(yours, budget).items():
        right = {kept[name] for kept in (notes, found) if name in kept}  # auto, and what it found
        if name in yours.said and now not in right:
            was = found.get(name, notes.get(name))
            begun = "without it" if was is None else f"with {was}"
            begun = f"was begun {begun}" if right else "has not kept what it was begun with"
            way_out = "choose another --output-dir"
            if elsewhere:
                way_out = "begin a new one without --resume-from"
            raise ValueError(f"--{name} is {now}, and the run {begun}; leave it out, or {way_out}.")
    return replace(yours, fit=fit, background=background, channels=channels)


def _kept(resume: bool | str, output_dir: str) -> dict[str, Any] | None:
    """What the checkpoint to go on from says of its run, if there is one."""
    found = checkpoints(Path(output_dir) / "checkpoints")
    path = Path(resume) if isinstance(resume, str) else found[-1] if resume and found else None
    return None if path is None else read_checkpoint(path)[0]


def _opened(yours: Yours, size: Any) -> ImageTensors:
    """The pictures, as tensors; a size that JSON has kept is a list."""
    size = tuple(size) if isinstance(size, list) else size
    return load_tensors(
        Path(yours.where),  # as text, "flowers" would be the course's own and not a folder
        size,
        channels=yours.channels,
        fit=yours.fit,
        background=yours.background,
    )
