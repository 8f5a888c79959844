"""The book, built once at the smoke budget, served on loopback, and a browser to read it with."""

import contextlib
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]


def extension(name):
    """A module of ``book/_ext``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"book/_ext/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


# Tests that start processes, environments or long runs, by the names of their files.
SLOW = ("test_check", "test_checkpoints", "test_command", "test_folder", "test_hub")
SLOW += ("test_install", "test_onnx", "test_playground", "test_web")


def pytest_collection_modifyitems(items):
    """Mark what needs the built book, and what takes long, so that a run can leave them out."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
        if {"built_book", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.book)


@pytest.fixture(scope="session")
def built_book(tmp_path_factory):
    """The folder of the HTML pages. Building must end without a single warning."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    output = shared / "book"
    with FileLock(shared / "book.lock"):  # the first process builds, the others wait
        if not (output / "complete").exists():
            build(output)
            (output / "complete").touch()
    return output / "_build" / "html"


def build(output):
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "--all", "-W", "-n"]
    command += ["--keep-going", "--path-output", output]
    done = subprocess.run(
        command, env=os.environ | {"COURSE_BUDGET": "smoke"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps its log to itself."""

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def serving(folder):
    """The address at which the pages of a folder are served, on loopback only."""
    handler = functools.partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def site(built_book):
    """The address of the book."""
    with serving(built_book) as address:
        yield address


def find_chromium():
    """The browser of this machine, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def launched(playwright, executable, *more):
    """Chromium, with these flags beside the usual ones."""
    flags = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--no-first-run", *more]
    return playwright.chromium.launch(executable_path=executable, args=flags)


@contextlib.contextmanager
def chromium(executable):
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, launched(playwright, executable) as browser:
        yield browser


@pytest.fixture(scope="session")
def launch():
    """Starts Debian's Chromium; where there is none, its tests are skipped."""
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium on this machine: the browser tests did NOT run")
    with sync_playwright() as playwright:
        yield functools.partial(launched, playwright, executable)


@pytest.fixture(scope="session")
def browser(launch):
    """A browser as most are here: without a graphics processor."""
    with launch() as browser:
        yield browser


@pytest.fixture(scope="session")
def graphics_browser(launch):
    """One whose graphics processor is a program, which is slow and calculates well."""
    with launch("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader") as browser:
        yield browser
