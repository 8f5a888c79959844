"""A saved model, and other machines: a fresh Python with this package or without it."""

import os
import subprocess
import sys

import pytest

from tests.share.small import saved

BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "course_utils":
            raise ModuleNotFoundError("No module named 'course_utils'", name="course_utils")
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "wings")


@pytest.fixture
def elsewhere(tmp_path):
    """Run a program in a folder of its own; `without_course` hides this package from it."""
    start = tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(BLOCKER)

    def run(code, without_course, **environment):
        environment = os.environ | {"HF_MODULES_CACHE": str(tmp_path / "modules")} | environment
        if without_course:
            environment["PYTHONPATH"] = str(start)
            probe = "import importlib\ntry: importlib.import_module('course_utils')\n"
            probe += "except ModuleNotFoundError: pass\nelse: raise SystemExit('it is here')\n"
            code = f"exec({probe!r})\n{code}"
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run
