"""Training runs that are really killed (SIGKILL) and resumed; started by test_checkpoints.

One process loads the libraries, and forks a child for every run. Each child trains into the same
folder and is killed at a moment of its own; the next one resumes. Prints, as JSON, how each
child ended, what checkpoints it found, and the digests of the weights at the end.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from course_utils.files import digest
from course_utils.training import checkpoints as kept
from tests.trainer import pictures, short_run

FOLDER = Path(sys.argv[1])


def run(name, resume, before=lambda: None, **changes):
    """Train in a child; return how it ended and what lies in the folder then."""
    result = FOLDER / f"{name}.json"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.manual_seed(os.getpid())
            before()
            done = short_run(
                resume=resume,
                **{
                    "num_steps": 12,
                    "save_model_steps": 3,
                    "save_image_steps": 0,
                    "eval_inference_steps": 1,
                    "eval_batch_size": 1,
                    "gradient_accumulation_steps": 2,
                    "output_dir": str(FOLDER / "run"),
                }
                | changes,
            )
            digests = [digest(m.state_dict()) for m in (done.model, done.ema_model)]
            result.write_text(json.dumps({"digests": digests, "losses": done.losses}))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    folder = Path(changes.get("output_dir", FOLDER / "run")) / "checkpoints"
    found = {"end": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}
    found["checkpoints"] = [int(path.name[11:]) for path in kept.checkpoints(folder)]
    found["leftovers"] = sorted(path.name for path in folder.glob(".*"))
    for path in kept.checkpoints(folder):
        kept.read_checkpoint(path)  # every one is whole
    return found | (json.loads(result.read_text()) if result.exists() else {})


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(step):
    """Be killed when the pictures of a step are asked for."""

    def before():
        batch, count = type(pictures()).batch, iter(range(step))
        type(pictures()).batch = lambda *a: batch(*a) if next(count, None) is not None else die()

    return before


def while_writing():
    """Be killed with half of the weights on the disk."""
    import safetensors.torch

    def half(tensors, path):
        whole = safetensors.torch.save(tensors)
        path.write_bytes(whole[: len(whole) // 2])
        die()

    safetensors.torch.save_file = half


def before_the_move():
    Path.rename = die


def while_clearing_away():
    """Be killed with one of the oldest checkpoint's files already gone."""

    unlink = Path.unlink

    def one(path, **how):
        unlink(path, **how)
        if path.name == "state.safetensors":
            die()

    Path.unlink = one


def full_disk():
    """From now on no file can grow beyond what the probe needs: writes really fail."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))


found = {
    "whole": run("whole", False, output_dir=str(FOLDER / "whole")),
    "step 1": run("step 1", True, at_step(1)),
    "step 5": run("step 5", True, at_step(5)),
    "writing": run("writing", True, while_writing),
    "moving": run("moving", True, before_the_move),
    "mid": run("mid", True, at_step(5)),
    "clearing": run("clearing", True, while_clearing_away),
    "end": run("end", True),
    "again": run("again", True),
    "full": run("full", False, full_disk, output_dir=str(FOLDER / "full")),
}
print(json.dumps(found))
