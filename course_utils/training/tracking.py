"""Curves, grids and settings, sent to TensorBoard, Weights & Biases or Trackio."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from course_utils.data.pixels import to_uint8
from course_utils.training.config import TrainingConfig
from course_utils.training.state import TrainingState


class TrackerError(RuntimeError):
    """The tracker that was asked for does not work; the message says what to do."""


def tracker_options(config: TrainingConfig, folder: Path) -> dict[str, Any]:
    """What Accelerate must know to send curves where they are wanted.

    Args:
        config: Its `tracker` counts.
        folder: The run's folder.

    Returns:
        Arguments for ``Accelerator``.

    Raises:
        ModuleNotFoundError: The tracker is not installed.

    Source:
        The documentation of Accelerate.
    """
    name = config.tracker
    if name is None:
        return {}
    if find_spec(name) is None:
        raise ModuleNotFoundError(
            f"tracker is {name!r}, which is not installed: pip install {name}, or tracker=None."
        )
    return {"log_with": name, "project_dir": str(folder / "logs")}


def start_tracker(config: TrainingConfig, folder: Path, state: TrainingState) -> None:
    """Open the tracker and send it the settings.

    Args:
        config: The numbers of the run.
        folder: The run's folder, whose name the curves get.
        state: The run's state.

    Raises:
        TrackerError: The tracker cannot be opened, for want of a login perhaps.
    """
    settings = {k: "none" if v is None else v for k, v in asdict(config).items()}
    # What an interrupted run logged after its last checkpoint comes a second time.
    options = {"tensorboard": {"purge_step": state.step + 1}, "wandb": {"dir": folder}}
    try:
        state.accelerator.init_trackers(folder.resolve().name, settings, options)
    except (Exception, SystemExit) as error:  # trackers leave in ways of their own
        reason = " ".join(str(error).split()) or type(error).__name__
        login = "log in (wandb login), " if config.tracker == "wandb" else ""
        raise TrackerError(
            f"tracker is {config.tracker!r}, which cannot be opened: {reason} Nothing was "
            f"trained; {login}choose another tracker, or tracker=None."
        ) from error


def log_update(state: TrainingState) -> None:
    """Send the last loss and the next learning rate.

    Args:
        state: The run's state.
    """
    rate = state.lr_scheduler.get_last_lr()[0]
    state.accelerator.log({"loss": state.losses[-1], "learning_rate": rate}, step=state.step)


def log_grid(state: TrainingState, images: Tensor, path: Path) -> None:
    """Send a sample grid.

    Args:
        state: The run's state.
        images: Its pictures in [-1, 1], shape (N, C, H, W).
        path: The grid as a file.
    """
    for tracker in state.accelerator.trackers:
        if tracker.name == "tensorboard":
            tracker.log_images({"samples": to_uint8(images)}, step=state.step)
        elif tracker.name == "wandb":
            with Image.open(path) as grid:
                tracker.log_images({"samples": [grid]}, step=state.step)
        else:
            import trackio

            tracker.log({"samples": trackio.Image(path)}, step=state.step)
