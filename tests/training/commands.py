"""How the tests run the command: in this process, and in others."""

import os
import subprocess
import sys

from course_utils.training.checkpoints import checkpoints, read_checkpoint
from tests.conftest import ROOT

QUICK = ("--budget", "smoke", "--save-image-steps", "0", "--eval-inference-steps", "1")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("ACCELERATE")}
ENV |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}


def shell(*command, **env):
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=ENV | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def losses(folder):
    return read_checkpoint(checkpoints(folder / "checkpoints")[-1])[1]["losses"].tolist()
