"""The environment check finds what is missing or old, and says how to mend it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from course_utils import check


def test_this_environment_is_ready():
    done = subprocess.run(
        [sys.executable, "-m", "course_utils.check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "verdict: ready"
    for name in ("python", "torch", "diffusers", "accelerate", "datasets", "device", "Hub"):
        assert any(line.split()[1] == name for line in done.stdout.splitlines()[:-1])


def test_every_requirement_is_looked_at():
    from importlib.metadata import requires

    named = {finding.name for finding in check.check_requirements()} - {"python"}
    declared = {r.split(">=")[0] for r in requires(check.PACKAGE) if "extra" not in r}
    assert named == declared


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
    assert bool(check._check_version("torch", floor).problem) is old


def test_low_memory_is_a_problem(monkeypatch):
    import psutil

    fake = type("Memory", (), {"available": 2**30})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: fake)
    memory = check.check_machine()[1]
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
