"""What a run keeps and shows on its way: checkpoints, sample grids, curves.

Nothing here changes a number of the training. A disk that fills up stops no training either.
"""

import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from course_utils.data.pixels import image_grid
from course_utils.data.tensors import ImageTensors
from course_utils.noise.process import NoiseScheduler
from course_utils.training.checkpoints import (
    checkpoints,
    clear_leftovers,
    read_checkpoint,
    write_checkpoint,
)
from course_utils.training.config import TrainingConfig, check_same_run
from course_utils.training.fingerprint import fingerprint
from course_utils.training.grids import draw_samples
from course_utils.training.state import Network, TrainingState
from course_utils.training.tracking import log_grid, log_update, start_tracker, tracker_options


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
        model: Network,
        noise_scheduler: NoiseScheduler,
        data: ImageTensors,
        resume: bool | str | Path,
    ) -> None:
        self.config, self.noise_scheduler = config, noise_scheduler
        self.folder = None if config.output_dir is None else Path(config.output_dir).expanduser()
        self.start: Path | None = None
        self.written: Path | None = None
        self.ema_model: Network | None = None
        # What is kept on the side; what fails is taken out, so that it is told once.
        self.on_the_side = {"the curves", "the sample grid"}
        if config.tracker is None:
            self.on_the_side.discard("the curves")
        if self.folder is None:
            if resume:
                raise ValueError(f"resume is {resume!r}, but output_dir is None: nothing was kept.")
            return
        self.about = fingerprint(model, noise_scheduler, data)
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
        """
        return {} if self.folder is None else tracker_options(self.config, self.folder)

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
        if self.config.tracker is not None:
            start_tracker(self.config, self.folder, state)

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
        first = state.accelerator.is_main_process
        if first:
            self._beside("the curves", log_update, state)
        for every, action in (
            (self.config.save_image_steps, self._draw),
            (self.config.save_model_steps, self._keep),
        ):
            if state.step == self.config.num_steps or (every > 0 and state.step % every == 0):
                if first:
                    action(state)
                state.accelerator.wait_for_everyone()

    def _beside(self, what: str, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something that the training does not need; what fails is told once and given up."""
        if what not in self.on_the_side:
            return
        try:
            action(*arguments)
        except Exception as error:  # whatever a tracker or a sampler can think of
            self.on_the_side.discard(what)
            told = f"{what} could not be kept ({type(error).__name__}: {error})."
            self._warn(f"{told} Training goes on without it.")

    def _draw(self, state: TrainingState) -> None:
        self._beside("the sample grid", self._draw_grid, state)

    def _keep(self, state: TrainingState) -> None:
        """Write a checkpoint; where that fails, go on training and try again the next time."""
        try:
            self._save(state)
        except OSError as error:
            free = shutil.disk_usage(_existing(self._home())).free / 2**20
            self._warn(
                f"{error} {free:.0f} MiB are free. Training goes on, and tries again the next "
                f"time: make room under {self.folder} before then."
            )

    def _warn(self, what: str) -> None:
        """Say what went wrong, and where the run could go on from."""
        warnings.warn(f"{what} {self.last_good()}", RuntimeWarning, stacklevel=5)

    def _home(self) -> Path:
        """The run's folder, where it has one."""
        assert self.folder is not None, "asked for only where something is kept"
        return self.folder

    def _draw_grid(self, state: TrainingState) -> None:
        """Keep and log a sample grid."""
        self.ema_model = state.averaged(self.ema_model)
        images = draw_samples(self.config, self.ema_model, self.noise_scheduler)
        path = self._home() / "samples" / f"step-{state.step:06d}.png"
        path.parent.mkdir(exist_ok=True)
        image_grid(images).save(path)
        if "the curves" in self.on_the_side:
            log_grid(state, images, path)

    def _save(self, state: TrainingState) -> None:
        about = {"step": state.step, "config": asdict(self.config)} | self.about
        folder, keep = self._home() / "checkpoints", self.config.keep_checkpoints
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
