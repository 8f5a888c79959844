"""A plan for pictures of anybody's: which network, which batch, how many updates.

The course's own sets have recipes that were tried for hours (`course_utils.training.recipes`).
For pictures that nobody has seen, `plan` takes what has proved itself at their size, measures a
few updates on this machine, and makes the network as wide as the minutes allow.
"""

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from course_utils.data.mirror import try_mirror
from course_utils.data.tensors import ImageTensors
from course_utils.noise.process import NoiseScheduler
from course_utils.threads import choose_threads
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import start_accelerator
from course_utils.training.fingerprint import made_of, mirrored
from course_utils.training.fitting import check_fit
from course_utils.training.loop import train, update
from course_utils.training.memory import remember_less, settings_that_fit
from course_utils.training.proven import (
    FEW,
    MANY,
    USUAL,
    WIDTHS,
    proven_network,
    proven_settings,
    spread,
)
from course_utils.training.start import started
from course_utils.training.state import Network, TrainingRun, TrainingState
from course_utils.training.task import Recipe

if TYPE_CHECKING:
    from course_utils.sampling.opening import Opened

_TIMED = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Pictures, a network and settings that go together, ready to be trained.

    Attributes:
        name: What it is called.
        config: The numbers of the run.
        model: The network, with the weights that it begins with.
        noise_scheduler: What it is trained with.
        data: The pictures, mirrored in batches or not.
        seconds: What an update takes on this machine, where that was measured.
        notes: What its checkpoints keep of how it was begun; see `course_utils.training.train`.
    """

    name: str
    config: TrainingConfig
    model: Network
    noise_scheduler: NoiseScheduler
    data: ImageTensors
    seconds: float | None = None
    notes: Mapping[str, Any] | None = None

    def train(
        self, resume: bool | str | Path = False, progress: bool = True, elsewhere: float = 0.0
    ) -> TrainingRun:
        """Do as planned.

        Args:
            resume: As `course_utils.training.train` takes it.
            progress: Whether to show a progress bar.
            elsewhere: As `course_utils.training.train` takes it.

        Returns:
            What `course_utils.training.train` returns.
        """
        made = (self.config, self.model, self.noise_scheduler, self.data)
        options: dict[str, Any] = {"resume": resume, "elsewhere": elsewhere, "notes": self.notes}
        return train(*made, progress=progress, **options)

    @property
    def told(self) -> str:
        """The plan in a line."""
        count, channels, height, width = self.data.images.shape
        parameters = sum(p.numel() for p in self.model.parameters())
        kinds = f" of {len(self.data.names)} kinds" if len(self.data.names) > 1 else ""
        mirror = ", mirrored at random" if self.data.flip else ""
        steps = f"{self.config.num_steps:,} updates of {self.config.batch_size}"
        if self.config.minutes is not None:
            steps = f"about {steps} in {self.config.minutes:g} minutes"
        if self.seconds is not None:
            steps += f", {self.seconds:.2g} s each"
        return (
            f"{self.name}: {count:,} pictures{kinds}, {width}x{height}, {channels} channel"
            f"{'s' * (channels != 1)}{mirror}; a network of {parameters:,} parameters; {steps}"
        )


def plan(
    data: ImageTensors,
    minutes: float | None = 20.0,
    *,
    name: str = "mine",
    width: int | None = None,
    mirror: bool | None = None,
    start: "Opened | None" = None,
    **settings: Any,
) -> Plan:
    """Choose network, batch and number of updates for some pictures.

    Args:
        data: The pictures; those with more than one label get a network that is told the label,
            and not told it for a tenth of them, so that guidance works.
        minutes: What the run may take; None for a number of updates, ``num_steps``.
        name: What the plan is called.
        width: Channels at the full size, a multiple of 8; None for as many as fit the minutes.
        mirror: Whether batches are mirrored at random; None where that is found harmless.
        start: A trained network to begin with; it keeps its shape.
        settings: Settings of `TrainingConfig` that are to be these.

    Returns:
        The plan. Its first weights follow from the seed.

    Raises:
        TypeError: There is no such setting.
        ValueError: A setting cannot be, or there is no network for pictures of this size.
        MemoryFullError: Not even one picture at a time fits into the memory.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.training import plan
        >>> data = prepare(load_images("digits", source="bundled"), image_size=8, channels=1)
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> chosen = plan(data, minutes=None, num_steps=100, width=16)
        >>> chosen.model.config.block_out_channels, chosen.data.flip
        ((16, 32), False)
    """
    flip = try_mirror(data).harmless if mirror is None else mirror
    data = replace(data, flip=flip)
    if minutes is not None and "num_steps" in settings:
        raise ValueError(
            f"minutes is {minutes} and num_steps {settings['num_steps']}; give one of the two, and "
            "None for the other."
        )
    config = proven_settings(data, minutes, settings)

    def make(wide: int) -> Plan:
        if start is not None:
            made = _begun(start, name, config, data, settings)
        else:
            # Wider layers want smaller steps; a rate that is given stays as it is.
            less = 1 if "learning_rate" in settings else min(1, USUAL / wide)
            slower = replace(config, learning_rate=config.learning_rate * less)
            made = _fresh(name, slower, data, wide)
        check_fit(made.model, data, made.config)  # before any update is timed
        return made

    chosen = make(width or USUAL)
    if minutes is not None:
        chosen = _timed(chosen)
        if start is None and width is None:
            chosen = _as_wide_as_fits(chosen, make)
        chosen = replace(chosen, config=replace(chosen.config, num_steps=_fitting(chosen)))
    return replace(chosen, config=spread(chosen.config, settings))


def plan_again(name: str, about: Mapping[str, Any], data: ImageTensors, **settings: Any) -> Plan:
    """The plan of a run that is to be gone on with, as its checkpoint has kept it.

    Args:
        name: What it is called.
        about: What `course_utils.training.checkpoints.read_checkpoint` says of the run.
        data: The pictures, prepared as they were.
        settings: Settings of `TrainingConfig` that are to be others; those that decide nothing
            may be.

    Returns:
        The plan, with fresh weights, which the checkpoint's replace.

    Raises:
        ValueError: The network or the scheduler is of a kind that the trainer does not make.
    """
    config = dict(about["config"])
    if isinstance(config["image_size"], list):
        config["image_size"] = tuple(config["image_size"])
    return Plan(
        name=name,
        config=TrainingConfig(**(config | settings)),
        model=made_of(about["network"]),
        noise_scheduler=made_of(about["noise_scheduler"]),
        data=replace(data, flip=mirrored(about["data"])),
        notes=about.get("notes"),
    )


def _fresh(name: str, config: TrainingConfig, data: ImageTensors, width: int) -> Plan:
    """A new network of some width."""
    channels, height, across = data.images.shape[1:]
    made = Recipe(
        name=name,
        config=config,
        channels=channels,
        conditional=len(data.names) > 1,
        network=proven_network(height, across, width),
    )
    return Plan(
        name=name,
        config=config,
        model=made.model(len(data.names)),
        noise_scheduler=made.noise_scheduler(),
        data=data,
    )


def _begun(
    start: "Opened",
    name: str,
    config: TrainingConfig,
    data: ImageTensors,
    given: Mapping[str, Any],
) -> Plan:
    """A network that has learned something else."""
    if start.noise_scheduler is None:
        raise ValueError(
            f"{start.name} has no scheduler beside it, so that nobody knows what it predicts. "
            "Save both, as save_model does."
        )
    model = started(start, data)
    if "label_dropout" not in given:
        config = replace(config, label_dropout=0.1 if model.config.num_class_embeds else 0.0)
    return Plan(
        name=name,
        config=config,
        model=model,
        noise_scheduler=start.noise_scheduler,
        data=data,
    )


def _as_wide_as_fits(chosen: Plan, make: Callable[[int], Plan]) -> Plan:
    """A narrower network where few updates fit into the minutes, a wider one where many do."""
    at = WIDTHS.index(USUAL)
    for narrower in reversed(WIDTHS[:at]):
        if _fitting(chosen) >= FEW:
            break
        chosen = _timed(make(narrower))
    for wider in WIDTHS[at + 1 :]:
        if _fitting(chosen) < MANY:
            break
        tried = _timed(make(wider))
        if _fitting(tried) < MANY:
            break
        chosen = tried
    return chosen


def _fitting(chosen: Plan) -> int:
    """How many updates fit into the minutes, with grids and checkpoints between them."""
    assert chosen.config.minutes is not None
    assert chosen.seconds is not None
    return max(1, int(0.93 * 60 * chosen.config.minutes / chosen.seconds))


def _timed(chosen: Plan) -> Plan:
    """The plan with the seconds of an update, in as many parts as fit into the memory."""
    times: list[float] = []
    processes = start_accelerator(_alone(chosen.config)).num_processes

    def attempt(config: TrainingConfig) -> None:
        times[:] = _times(chosen, config)

    config = settings_that_fit(chosen.config, attempt, processes)
    return replace(chosen, config=config, seconds=median(times))


def _times(chosen: Plan, config: TrainingConfig) -> list[float]:
    """Seconds of some updates of a copy, those of the first process."""
    config, trial, times = _alone(config), copy.deepcopy(chosen.model), []
    remember_less(trial, config)
    accelerator = start_accelerator(config)
    if accelerator.device.type == "cpu":
        choose_threads()
    state = TrainingState(config, trial, accelerator)
    trial.train()
    for _ in range(1 + _TIMED):
        began = time.perf_counter()
        update(config, state, chosen.noise_scheduler, chosen.data)
        times.append(time.perf_counter() - began)
    told = accelerator.gather(torch.tensor(times, device=accelerator.device))
    return told[1 : 1 + _TIMED].tolist()  # without the first one, which allocates


def _alone(config: TrainingConfig) -> TrainingConfig:
    """Settings of a trial, which keeps nothing."""
    return replace(config, output_dir=None, tracker=None, judge_every=None, minutes=None)
