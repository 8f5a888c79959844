"""The environment check finds what is missing, old or broken, and says how to mend it."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from course_utils import check

ROOT = Path(__file__).parents[1]


def run(*command, **how):
    how["env"] = {"PYTHONPATH": str(ROOT)} | how.get("env", dict(os.environ))
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, **how
    )


def test_this_environment_is_ready():
    done = run("-m", "course_utils.check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "verdict: ready"
    found = {line.split()[1] for line in done.stdout.splitlines()[:-1]}
    assert found >= {"python", "torch", "diffusers", "accelerate", "datasets", "device", "Hub"}
    assert "trained, drawn and saved" in done.stdout


def test_every_requirement_is_looked_at(monkeypatch):
    from importlib.metadata import requires

    imported = []
    monkeypatch.setattr(check, "failure_of", lambda code: imported.append(code) or "")
    named = {finding.name for finding in check.check_requirements()} - {"python"}
    declared = {r.split(">=")[0] for r in requires(check.PACKAGE) if "extra" not in r}
    assert named == declared
    assert {"import PIL", "import sklearn", "import torch"} <= set(imported)
    assert len(imported) == len(declared)


def test_missing_and_old_packages_are_named_with_the_remedy(monkeypatch, capsys):
    real = check.version

    def version(name):
        if name == "diffusers":
            raise PackageNotFoundError(name)
        return "1.9.1+cu128" if name == "torch" else real(name)

    monkeypatch.setattr(check, "version", version)
    monkeypatch.setattr(check, "failure_of", lambda code: "")
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert 'pip install "diffusers>=' in printed
    assert 'pip install "torch>=' in printed
    assert "1.9.1+cu128" in printed
    assert "Hub" in printed  # the other lines are there
    assert "free memory" in printed
    assert printed.splitlines()[-1] == "verdict: 2 to mend, see above"


@pytest.mark.parametrize(
    ("found", "floor", "old"),
    [
        ("2.10.0", "2.9", False),
        ("2.9", "2.10", True),
        ("2.11.0+cu128", "2.11", False),
        ("2.12.0.dev1", "2.11", False),
    ],
)
@pytest.mark.parametrize("vendored", [False, True])
def test_versions_are_compared_as_numbers(monkeypatch, found, floor, old, vendored):
    monkeypatch.setattr(check, "version", lambda name: found)
    monkeypatch.setattr(check, "failure_of", lambda code: "")
    if vendored:  # where packaging is missing, pip's own copy reads them
        pytest.importorskip("pip")
        monkeypatch.setitem(sys.modules, "packaging", None)
        monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert bool(check.check_requirement(f"torch>={floor}").problem) is old


def test_a_requirement_for_other_systems_is_not_looked_at():
    assert check.check_requirement("pywin32>=1; sys_platform == 'nowhere'") is None
    assert check.check_requirement("sphinx>=1; extra == 'book'") is None


def test_without_anything_to_read_requirements_missing_ones_are_still_named(monkeypatch):
    monkeypatch.setattr(check, "_packaging", lambda part: None)
    finding = check.check_requirement("no-such-thing>=2.0; python_version > '3'")
    assert finding == check.Finding("no-such-thing", "missing", 'pip install "no-such-thing>=2.0"')


def broken(folder, name, text):
    """An environment in which a package is there, and importing it fails."""
    (folder / f"{name}.py").write_text(text)
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


@pytest.mark.parametrize(
    ("module", "text", "requirement", "says"),
    [
        (
            "torchvision",
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "torchvision>=0.2",
            "nms does not exist): pip install --force-reinstall torch torchvision",
        ),
        (
            "torch",
            "raise OSError('libcudart.so.12: cannot open shared object file')",
            "torch>=2.0",
            'shared object file): pip install --force-reinstall "torch>=2.0"',
        ),
        ("PIL", "raise ImportError('DLL load failed')", "pillow>=9", '-reinstall "pillow>=9"'),
    ],
)
def test_a_package_that_cannot_be_imported_is_named(
    tmp_path, monkeypatch, module, text, requirement, says
):
    monkeypatch.setenv("PYTHONPATH", broken(tmp_path, module, text)["PYTHONPATH"])
    problem = check.check_requirement(requirement).problem
    assert problem.startswith("cannot be imported (")
    assert problem.endswith(says)


@pytest.mark.skipif(os.name != "posix", reason="an abort has another code there")
def test_a_torch_that_kills_its_process_kills_no_report(tmp_path):
    done = run("-m", "course_utils.check", env=broken(tmp_path, "torch", "import os; os.abort()"))
    assert done.returncode == 1
    assert "cannot be imported (ended with -6): pip install --force-reinstall" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    lines = {line.split()[1]: line for line in done.stdout.splitlines()[:-1]}
    assert lines.keys() >= {"python", "numpy", "device", "free", "Hub"}
    assert done.stdout.splitlines()[-1].startswith("verdict: ")


def test_what_cannot_be_looked_at_is_a_line(monkeypatch):
    def fail():
        raise KeyError("getpwuid(): uid not found: 1000")

    assert check._looked_at("device", fail).found.startswith("not known (KeyError: ")


def test_a_step_that_fails_is_a_problem(monkeypatch):
    monkeypatch.setattr(check, "STEP", "raise RuntimeError('no such kernel')")
    finding = check.check_step()
    assert finding.problem.startswith("does not work (RuntimeError: no such kernel): mend")


def test_without_tyro_the_check_still_works(tmp_path):
    env = broken(tmp_path, "tyro", "raise ModuleNotFoundError(\"No module named 'tyro'\")")
    done = run("-m", "course_utils", "check", env=env)
    assert done.stdout.splitlines()[-1].startswith("verdict: ")
    done = run("-m", "course_utils", "train", "digits", env=env)
    assert done.returncode == 1
    assert "No module named 'tyro'" in done.stderr
    assert "python -m course_utils check says what is missing" in done.stderr
    assert "Traceback" not in done.stderr


NAMELESS = """
try:
    import pwd
except ImportError:
    pass
else:
    def unknown(*_):
        raise KeyError("getpwuid(): uid not found: 54321")
    pwd.getpwuid = pwd.getpwnam = unknown
"""


def test_without_a_home_and_a_name_it_does_not_crash(tmp_path):
    """A container with a user that /etc/passwd does not know."""
    env = broken(tmp_path, "sitecustomize", NAMELESS) | {"HF_HUB_OFFLINE": "1"}
    for name in (
        "HOME",
        "USERPROFILE",
        "HOMEPATH",
        "USER",
        "LOGNAME",
        "USERNAME",
        "XDG_CACHE_HOME",
    ):
        env.pop(name, None)
    done = run("-m", "course_utils.check", env=env, cwd=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("verdict: ")
    assert done.returncode == 0, done.stdout


def test_low_memory_is_a_problem(monkeypatch):
    import psutil

    fake = type("Memory", (), {"available": 2**30})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: fake)
    memory = check.check_memory()
    assert memory.found == "1.0 GiB"
    assert "close other programs" in memory.problem


def test_hub_is_asked_and_its_silence_is_no_problem(monkeypatch):
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    silent = check.check_hub(timeout=1)
    assert "does not answer" in silent.found
    assert not silent.problem

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert check.check_hub(timeout=5).found == "answers (200)"
