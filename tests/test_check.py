"""The environment check finds what is missing, old or broken, and says how to mend it."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import PackageNotFoundError, requires
from threading import Thread

import pytest

from course_utils import check


def run_check(*command, **env):
    done = subprocess.run(
        [sys.executable, "-m", *(command or ("course_utils.check",))],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout.splitlines()


def line_of(lines, name):
    return next(line for line in lines if line.split()[1] == name)


def test_this_environment_is_ready():
    code, lines = run_check()
    assert lines[-1] == "verdict: ready"
    assert code == 0
    for name in ("python", "torch", "diffusers", "accelerate", "datasets", "device", "Hub"):
        assert line_of(lines, name).startswith("ok")
    assert any("a real step" in line and line.endswith("done") for line in lines)


def test_help_is_help_and_checks_nothing():
    code, lines = run_check("course_utils", "check", "--help")
    assert code == 0
    assert lines[0] == "usage: python -m course_utils check"
    assert not any(line.startswith("verdict:") for line in lines)


@pytest.mark.parametrize("command", [["course_utils", "check"], ["course_utils.check"]])
def test_words_that_mean_nothing_are_refused_and_nothing_is_checked(command):
    code, lines = run_check(*command, "--foo", "bar")
    assert (code, lines) == (2, [])


def test_every_requirement_is_looked_at():
    named = {finding.name for finding in check.check_requirements()} - {"python"}
    declared = {r.split(">=")[0] for r in requires(check.PACKAGE) if "extra" not in r}
    assert named == declared


@pytest.fixture
def spoiled(tmp_path):
    """Puts a module in the way of an installed one."""

    def spoil(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        return {"PYTHONPATH": str(tmp_path)}

    return spoil


def test_a_package_that_cannot_be_imported_is_named_and_the_others_are_told(spoiled):
    env = spoiled("torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    code, lines = run_check(**env)
    assert code == 1
    found = line_of(lines, "torchvision")
    assert found.startswith("PROBLEM")
    assert "operator torchvision::nms does not exist" in found
    assert found.endswith("pip install --force-reinstall torchvision")
    for name in ("tqdm", "torch", "diffusers", "device", "Hub"):
        assert line_of(lines, name).startswith("ok")
    assert lines[-1] == "verdict: 2 to mend, see above"  # it, and the step that needs it


def test_a_torch_that_dies_is_a_line_and_not_the_end(spoiled):
    code, lines = run_check(**spoiled("torch", "import os; os._exit(3)"))
    assert code == 1
    assert "cannot be imported (ended with code 3)" in line_of(lines, "torch")
    assert line_of(lines, "tqdm").startswith("ok")
    assert line_of(lines, "Hub").startswith("ok")
    assert lines[-1].startswith("verdict: ")


def test_the_command_checks_without_the_library_that_makes_commands(spoiled):
    code, lines = run_check("course_utils", "check", **spoiled("tyro", "raise ImportError('no')"))
    assert code == 1
    assert "cannot be imported (ImportError: no)" in line_of(lines, "tyro")


def test_a_machine_without_a_home_is_looked_at_all_the_same(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    code, lines = run_check()
    assert code == 0, lines


def test_missing_and_old_packages_are_named_with_the_remedy(monkeypatch, capsys):
    real = check.version

    def version(name):
        if name == "diffusers":
            raise PackageNotFoundError(name)
        return "1.9.1+cu128" if name == "torch" else real(name)

    monkeypatch.setattr(check, "version", version)
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert 'pip install "diffusers>=' in printed
    assert 'pip install "torch>=' in printed
    assert "1.9.1+cu128" in printed
    assert printed.splitlines()[-1] == "verdict: 2 to mend, see above"


@pytest.mark.parametrize(
    ("found", "floor", "old"),
    [("2.10.0", "2.9", False), ("2.9", "2.10", True), ("2.11.0+cu128", "2.11", False)],
)
def test_versions_are_compared_as_numbers(monkeypatch, found, floor, old):
    monkeypatch.setattr(check, "version", lambda name: found)
    finding = check.check_requirement("torch", f"torch>={floor}", to_import=False)
    assert bool(finding.problem) is old


def test_low_memory_is_a_problem(monkeypatch):
    real = check.run_apart

    def apart(code):
        return (f"cpu (2 cores)\n{2**30}", "") if code == check._DEVICE else real(code)

    monkeypatch.setattr(check, "run_apart", apart)
    memory = check.check_machine()[1]
    assert memory.found == "1.0 GiB"
    assert "close other programs" in memory.problem


def test_hub_is_asked_and_its_silence_is_no_problem(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    silent = check.check_hub()
    assert "does not answer (ConnectError)" in silent.found
    assert not silent.problem

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert check.check_hub().found == "answers (200)"
