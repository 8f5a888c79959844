"""What a run keeps and shows on its way: checkpoints, sample grids, curves.

Nothing here changes a number of the training. A disk that fills up stops no training either.
"""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from course_utils.data.pixels import image_grid, to_uint8
from course_utils.data.tensors import ImageTensors
from course_utils.files import digest
from course_utils.training.checkpoints import (
    checkpoints,
    clear_leftovers,
    described,
    read_checkpoint,
    write_checkpoint,
)
from course_utils.training.config import TrainingConfig, check_same_run
from course_utils.training.grids import draw_samples
from course_utils.training.state import TrainingState


class Output:
    """Keeps what is to be kept of a run; does nothing where ``config.output_dir`` is None.

    Args:
        config: The numbers of the run.
        model: The network.
        noise_scheduler: As for `train`.
        data: The pictures.
        resume: As for `train`.

    Raises:
        ValueError: A checkpoint is to be resumed from, but there is no such folder.
        FileExistsError: The output folder holds another run's checkpoints.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: nn.Module,
        noise_scheduler: Any,
        data: ImageTensors,
        resume: bool | str | Path,
    ) -> None:
        self.config, self.noise_scheduler = config, noise_scheduler
        self.folder = None if config.output_dir is None else Path(config.output_dir).expanduser()
        self.start: Path | None = None
        self.written: Path | None = None
        self.ema_model: nn.Module | None = None
        self.tracking = config.tracker is not None
        if self.folder is None:
            if resume:
                raise ValueError(f"resume is {resume!r}, but output_dir is None: nothing was kept.")
            return
        self.about = {
            "network": described(model),
            "noise_scheduler": described(noise_scheduler),
            "data": digest({"images": data.images, "labels": data.labels}) + f", flip={data.flip}",
            "versions": {name: version(name) for name in ("torch", "diffusers", "accelerate")},
        }
        found = checkpoints(self.folder / "checkpoints")
        if resume is not False and resume is not True:
            self.start = Path(resume)
        elif resume and found:
            self.start = found[-1]
        elif found and not config.overwrite_output_dir:
            raise FileExistsError(
                f"output_dir {self.folder} holds {found[-1].name} of an earlier run. Go on from "
                f"it (resume=True, --resume), choose another folder, or throw it away "
                f"(overwrite_output_dir=True, --overwrite-output-dir)."
            )

    def logging(self) -> dict[str, Any]:
        """What Accelerate must know to send curves where they are wanted.

        Returns:
            Arguments for ``Accelerator``.

        Raises:
            ModuleNotFoundError: The tracker is not installed.

        Source:
            The documentation of Accelerate.
        """
        name = self.config.tracker
        if name is None or self.folder is None:
            return {}
        if find_spec(name) is None:
            raise ModuleNotFoundError(
                f"tracker is {name!r}, which is not installed: pip install {name}, or tracker=None."
            )
        return {"log_with": name, "project_dir": str(self.folder / "logs")}

    def begin(self, state: TrainingState) -> None:
        """Load the checkpoint to resume from, and make sure that there is room for new ones.

        Args:
            state: The run's state, changed where a checkpoint is loaded.

        Raises:
            ValueError: The checkpoint cannot be read or belongs to another run.
            OSError: The output folder cannot be written, or has too little room.
        """
        if self.folder is None:
            return
        if self.start is not None:
            before, tensors = read_checkpoint(self.start)
            self._check_same(before)
            state.load(tensors)
            self.written = self.start
        _check_together(state)  # so that nobody still reads what is cleared away now
        if state.accelerator.is_main_process:
            weights = 4 * sum(p.numel() for p in state.network.parameters())
            probe_folder(self.folder, 4 * weights * (self.config.keep_checkpoints + 1))
            clear_leftovers(self.folder / "checkpoints")
            if self.start is None:
                for name in ("checkpoints", "samples", "logs"):
                    shutil.rmtree(self.folder / name, ignore_errors=True)
            else:
                print(f"resumed {self.start} after {state.step} of {self.config.num_steps} updates")
        if self.tracking:
            settings = {k: "none" if v is None else v for k, v in asdict(self.config).items()}
            # What an interrupted run logged after its last checkpoint comes a second time.
            options = {"tensorboard": {"purge_step": state.step + 1}, "wandb": {"dir": self.folder}}
            state.accelerator.init_trackers(self.folder.resolve().name, settings, options)

    def _check_same(self, before: dict[str, Any]) -> None:
        """Refuse a checkpoint of other settings, another network, scheduler or pictures."""
        check_same_run(before.get("config", {}), self.config)
        for name in ("network", "noise_scheduler", "data"):
            if before.get(name) != self.about[name]:
                raise ValueError(
                    f"{self.start} belongs to a run with another {name}: "
                    f"{before.get(name)} then, {self.about[name]} now."
                )

    def after_update(self, state: TrainingState) -> None:
        """Keep what is due after an update.

        Args:
            state: The run's state, which is only read.
        """
        if self.folder is None:
            return
        if self.tracking and state.accelerator.is_main_process:
            self._carefully(self._log, state)
        for every, action in (
            (self.config.save_image_steps, self._draw),
            (self.config.save_model_steps, self._save),
        ):
            if state.step == self.config.num_steps or (every > 0 and state.step % every == 0):
                if state.accelerator.is_main_process:
                    self._carefully(action, state)
                state.accelerator.wait_for_everyone()

    def _carefully(self, action: Callable[[TrainingState], None], state: TrainingState) -> None:
        """Write something; where that fails, say so and go on training."""
        try:
            action(state)
        except OSError as error:
            free = shutil.disk_usage(_existing(self.folder)).free / 2**20
            warnings.warn(
                f"{error} {free:.0f} MiB are free. Training goes on, and tries again the next "
                f"time: make room under {self.folder} before then. {self.last_good()}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _log(self, state: TrainingState) -> None:
        """Send the last loss and the next learning rate to the tracker."""
        self.tracking = False  # unless all goes well: a broken log is given up
        rate = state.lr_scheduler.get_last_lr()[0]
        state.accelerator.log({"loss": state.losses[-1], "learning_rate": rate}, step=state.step)
        self.tracking = True

    def _draw(self, state: TrainingState) -> None:
        """Keep and log a sample grid."""
        self.ema_model = state.averaged(self.ema_model)
        images = draw_samples(self.config, self.ema_model, self.noise_scheduler)
        path = self.folder / "samples" / f"step-{state.step:06d}.png"
        path.parent.mkdir(exist_ok=True)
        image_grid(images).save(path)
        for tracker in state.accelerator.trackers if self.tracking else ():
            if tracker.name == "tensorboard":
                tracker.log_images({"samples": to_uint8(images)}, step=state.step)
            elif tracker.name == "wandb":
                tracker.log_images({"samples": [image_grid(images)]}, step=state.step)
            else:
                import trackio

                tracker.log({"samples": trackio.Image(path)}, step=state.step)

    def _save(self, state: TrainingState) -> None:
        about = {"step": state.step, "config": asdict(self.config)} | self.about
        folder, keep = self.folder / "checkpoints", self.config.keep_checkpoints
        self.written = write_checkpoint(folder, state.step, state.tensors(), about, keep)

    def last_good(self) -> str:
        """Where the run could go on from.

        Returns:
            A sentence that names the newest checkpoint of this run.
        """
        if self.written is None:
            return "No checkpoint has been written yet."
        return f"The last good checkpoint is {self.written}."

    def finish(self, state: TrainingState) -> None:
        """End the run: what the trackers still hold goes out.

        Args:
            state: The run's state.
        """
        for tracker in state.accelerator.trackers:
            tracker.finish()


def _check_together(state: TrainingState) -> None:
    """Wait for all processes, and refuse to go on from different places."""
    mine = torch.tensor([state.step], device=state.accelerator.device)
    steps = state.accelerator.gather(mine).tolist()
    if len(set(steps)) > 1:
        raise ValueError(
            f"The processes found checkpoints of different steps: {steps}. output_dir must be on "
            f"a disk that all machines share."
        )


def probe_folder(folder: Path, size: int) -> None:
    """Make sure, before anything is trained, that a folder can be written and has room.

    Args:
        folder: Made if need be.
        size: Bytes that will be wanted.

    Raises:
        OSError: The folder cannot be made or written, or has less room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"output_dir {folder} cannot be written ({error}). Nothing was trained; choose "
            f"another folder, or make room."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(
            f"output_dir {folder} has {free / 2**20:.0f} MiB left, and the checkpoints need "
            f"{size / 2**20:.0f} MiB. Nothing was trained; make room, lower keep_checkpoints, "
            f"or choose another folder."
        )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
