"""What a run keeps and shows on its way: checkpoints, sample grids, curves.

Nothing here changes a number of the training. What fails on the side stops no training either.
"""

import contextlib
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from course_utils.data.pixels import image_grid, png
from course_utils.data.tensors import ImageTensors
from course_utils.files import spelled_out
from course_utils.noise.process import NoiseScheduler
from course_utils.screen import tell
from course_utils.threads import machine
from course_utils.training import tracking
from course_utils.training.checkpoints import (
    checkpoint_files,
    checkpoints,
    clear_leftovers,
    read_checkpoint,
    write_checkpoint,
)
from course_utils.training.config import TrainingConfig, check_same_run
from course_utils.training.fingerprint import check_same_pictures, fingerprint
from course_utils.training.folder import NAMES, RunFolder, probe_folder
from course_utils.training.grids import draw_samples
from course_utils.training.judging import OnTheWay
from course_utils.training.pace import Pace
from course_utils.training.state import Network, TrainingState


class Output:
    """What is kept of a run that has an output folder.

    Args:
        config: The numbers of the run; `output_dir` is set.
        model: The network.
        noise_scheduler: As for `train`.
        data: The pictures.
        resume: As for `train`.
        notes: As for `train`.

    Raises:
        ModuleNotFoundError: The tracker is not installed.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: Network,
        noise_scheduler: NoiseScheduler,
        data: ImageTensors,
        resume: bool | str | Path,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        assert config.output_dir is not None
        self.config, self.noise_scheduler = config, noise_scheduler
        self.folder = RunFolder(config.output_dir)
        self.checkpoints = self.folder.path / "checkpoints"
        self.accelerator_options = tracking.tracker_options(config, self.folder.path)
        self.about = fingerprint(model, noise_scheduler, data) | {"pictures": len(data)}
        self.notes = notes
        self.resume = resume if isinstance(resume, bool) else spelled_out("resume", resume)
        self.start: Path | None = None
        self.written: Path | None = None
        self.ema_model: Network | None = None
        self.judge = OnTheWay(config, data) if config.judge_every else None
        self.failed: set[str] = set()
        self.started, self.seconds_before = time.monotonic(), 0.0

    @contextlib.contextmanager
    def opened(self, state: TrainingState) -> Iterator[None]:
        """Have the folder to oneself, and in it what the run begins with.

        Args:
            state: The run's state, changed where a checkpoint is loaded.

        Yields:
            Nothing.

        Raises:
            FileExistsError: The folder holds another run, or files that no run has made.
            FolderInUseError: Another run writes into it.
            OSError: It cannot be written, or has too little room.
            TrackerError: The tracker cannot be opened.
            ValueError: The checkpoint cannot be read or belongs to another run.
        """
        with contextlib.ExitStack() as stack:
            if state.accelerator.is_main_process:
                weights = 4 * sum(p.numel() for p in state.network.parameters())
                probe_folder(self.folder.path, 4 * weights * (self.config.keep_checkpoints + 1))
                self.folder.refuse_strangers()  # before anything is written, the lock included
                stack.enter_context(self.folder.locked())
                self.folder.refuse_strangers()
            self.start = self._where_to_start()
            if self.start is not None:
                before, tensors = read_checkpoint(self.start)
                self._check_same(before)
                self.notes = before.get("notes") if self.notes is None else self.notes
                if "pace" in before:
                    state.pace = Pace.kept(before["pace"])
                try:
                    state.load(tensors)
                except ValueError as error:
                    raise ValueError(
                        f"{self.start} cannot be gone on from: {error}. Resume from another one."
                    ) from error
                self.written = self.start
                self.seconds_before = before.get("seconds", 0.0)
            _check_together(state)  # so that nobody still reads what is cleared away now
            if state.accelerator.is_main_process:
                self._make_room(state)
            if self.config.tracker is not None:
                tracking.start_tracker(self.config, self.folder.path, state)
                self._note_logs(state)
            yield
            for tracker in state.accelerator.trackers:
                self._on_the_side("log", tracker.finish)
            self._note_logs(state)

    def _where_to_start(self) -> Path | None:
        """The checkpoint to go on from, None for a new run; refuse to write over an earlier one."""
        found = checkpoints(self.checkpoints)
        if self.resume is True and found:
            return found[-1]
        start = None if isinstance(self.resume, bool) else self.resume
        if start is not None and start.resolve().parent == self.checkpoints.resolve():
            return start
        kept = found[-1].name if found else "the model" if self.folder.has("model") else None
        if kept is not None and not self.config.overwrite_output_dir:
            other = "choose another folder"
            if not start and found:
                other = f"go on from it (resume=True, --resume), or {other}"
            raise FileExistsError(
                f"output_dir {self.folder.path} holds {kept} of an earlier run, which a run "
                f"{f'from {start}' if start else 'from the beginning'} would write over. "
                f"{other[0].upper()}{other[1:]}, or throw it away (overwrite_output_dir=True, "
                f"--overwrite-output-dir)."
            )
        return start

    def _check_same(self, before: dict[str, Any]) -> None:
        """Refuse a checkpoint of other settings, another network, scheduler or pictures."""
        check_same_run(before.get("config", {}), self.config)
        for name in ("network", "noise_scheduler"):
            if before.get(name) != self.about[name]:
                raise ValueError(
                    f"{self.start} belongs to a run with another {name}: "
                    f"{before.get(name)} then, {self.about[name]} now."
                )
        check_same_pictures(self.start, before, self.about["data"], self.about["pictures"])

    def _make_room(self, state: TrainingState) -> None:
        """Clear away what is not gone on from, and say where the run begins."""
        clear_leftovers(self.checkpoints)
        if self.start is None or self.start.resolve().parent != self.checkpoints.resolve():
            self.folder.clear(*NAMES)
        if self.start is not None:
            tell(f"resumed {self.start} after {state.step} of {state.pace.num_steps} updates")
        elif self.resume:
            tell(f"there is no checkpoint in {self.checkpoints}: the run starts at update 0")

    def after_update(self, state: TrainingState) -> None:
        """Keep what is due after an update, the checkpoint first.

        Args:
            state: The run's state, which is only read.
        """
        if state.accelerator.is_main_process and self.config.tracker is not None:
            self._on_the_side("log", lambda: tracking.log_update(state))
        for every, action in (
            (self.config.save_model_steps, self.save),
            (self.config.save_image_steps, self._draw),
            (self.config.judge_every, self._judge),
        ):
            if every is None:
                continue
            if state.step == state.pace.num_steps or (every > 0 and state.step % every == 0):
                if state.accelerator.is_main_process:
                    action(state)
                state.accelerator.wait_for_everyone()

    def save(self, state: TrainingState) -> None:
        """Write a checkpoint; where that fails, say so and go on training.

        Args:
            state: The run's state, which is only read.
        """
        about = {"step": state.step, "seconds": self.seconds(), "machine": machine()}
        about |= {"config": asdict(self.config), "pace": state.pace.as_dict()} | self.about
        about["notes"] = dict(self.notes or {})
        keep = self.config.keep_checkpoints
        try:
            self.folder.note(*checkpoint_files(self.checkpoints, state.step))
            tensors = state.tensors()
            self.written = write_checkpoint(self.checkpoints, state.step, tensors, about, keep)
        except OSError as error:
            free = shutil.disk_usage(self.folder.path).free / 2**20
            warnings.warn(
                f"{error} {free:.0f} MiB are free. Training goes on, and tries again the next "
                f"time: make room under {self.folder.path} before then. {self.last_good()}",
                RuntimeWarning,
                stacklevel=3,
            )

    def _draw(self, state: TrainingState) -> None:
        """Keep a sample grid, and send it to the tracker."""
        path = self.folder.path / "samples" / f"step-{state.step:06d}.png"

        def draw() -> None:
            self.ema_model = state.averaged(self.ema_model)
            images = draw_samples(self.config, self.ema_model, self.noise_scheduler)
            self.folder.write(path, png(image_grid(images)))
            self._on_the_side("log", lambda: tracking.log_grid(state, images, path))

        self._on_the_side("sample grid", draw)

    def _judge(self, state: TrainingState) -> None:
        """Send a kernel distance to the tracker."""

        def measure() -> None:
            assert self.judge is not None
            self.ema_model = state.averaged(self.ema_model)
            found = self.judge.measure(self.ema_model, self.noise_scheduler)
            state.accelerator.log(found, step=state.step)

        self._on_the_side("judgement", measure)

    def _on_the_side(self, what: str, action: Callable[[], None]) -> None:
        """Do what the training does not need. The first failure is told, and costs nothing else."""
        if what == "log" and what in self.failed:
            return  # a broken log has a gap already, and is given up
        try:
            action()
        except Exception as error:  # whatever it is: hours of training are worth more
            if what not in self.failed:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                warnings.warn(
                    f"The {what} failed ({reason}). Training goes on, and another failure of a "
                    f"{what} is not told again.",
                    RuntimeWarning,
                    stacklevel=4,
                )
            self.failed.add(what)

    def _note_logs(self, state: TrainingState) -> None:
        """List what the tracker has written; it names its files itself."""
        if state.accelerator.is_main_process and self.config.tracker is not None:
            logs = (self.folder.path / "logs").rglob("*")
            files = [path for path in logs if path.is_file()]
            self._on_the_side("log", lambda: self.folder.note(*files))

    def seconds(self) -> float:
        """How long the run has taken, the parts before it was resumed among them.

        Returns:
            Seconds, up to the checkpoints that were gone on from.
        """
        return self.seconds_before + time.monotonic() - self.started

    def last_good(self) -> str:
        """Where the run could go on from.

        Returns:
            A sentence that names the newest checkpoint of this run.
        """
        if self.written is None:
            return "No checkpoint has been written yet."
        return f"The last good checkpoint is {self.written}."


def _check_together(state: TrainingState) -> None:
    """Wait for all processes, and refuse to go on from different places."""
    mine = torch.tensor([state.step], device=state.accelerator.device)
    steps = state.accelerator.gather(mine).tolist()
    if len(set(steps)) > 1:
        raise ValueError(
            f"The processes found checkpoints of different steps: {steps}. output_dir must be on "
            f"a disk that all machines share."
        )
