"""Is this environment fit for the course? ``python -m course_utils.check`` says.

Prints each requirement with the version found and whether it can be imported, the device, the
free memory, whether a training step works and the Hugging Face Hub answers, and a verdict. Its
output is what to send along with a question. It needs nothing but Python itself to say so.
"""

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from types import ModuleType

PACKAGE = "course-utils"
NEEDED_GIB = 3.0
"""Free memory that the laptop budget wants, in GiB."""

PATIENCE = 300
"""Seconds that an import may take on a slow disk."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        found: What was found there.
        problem: What is wrong and what to do; empty where all is well.
    """

    name: str
    found: str
    problem: str = ""


def check_requirements() -> list[Finding]:
    """Compare each package that the course needs with what is installed, and import it.

    Returns:
        A `Finding` for Python and for each requirement of the installed package.

    Raises:
        PackageNotFoundError: The course's package itself is not installed.

    Source:
        The requirements that pip recorded.
    """
    old = sys.version_info < (3, 11)
    mend = "install Python 3.11 or newer" if old else ""
    listed = requires(PACKAGE) or []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(check_requirement, listed))
    python = Finding("python", platform.python_version(), mend)
    return [python, *(finding for finding in found if finding)]


def check_requirement(requirement: str) -> Finding | None:
    """Look at one package: there, new enough, and fit to be imported?

    Args:
        requirement: As pip records it, such as ``"torch>=2.9"``.

    Returns:
        What was found; None where the requirement is not for this environment.
    """
    reader = _packaging("requirements")
    if reader is None:  # even pip's own is missing: the name will do
        name, specifier = re.split(r"[\s;<>=!~\[]", requirement)[0], None
        if "extra ==" in requirement:
            return None
    else:
        read = reader.Requirement(requirement)
        if read.marker is not None and not read.marker.evaluate({"extra": ""}):
            return None
        name, specifier = read.name, read.specifier
    remedy = f'pip install "{requirement.split(";")[0].strip()}"'
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "missing", remedy)
    if specifier is not None and not specifier.contains(found, prereleases=True):
        return Finding(name, found, remedy)
    wrong = failure_of(f"import {_module_of(name)}")
    again = remedy.replace("install", "install --force-reinstall")
    if name == "torchvision":  # it fits one version of torch only
        again = "pip install --force-reinstall torch torchvision"
    return Finding(name, found, f"cannot be imported ({wrong}): {again}" if wrong else "")


def _packaging(part: str) -> ModuleType | None:
    """A part of the library that reads requirements, from inside pip where it is missing."""
    for name in ("packaging", "pip._vendor.packaging"):
        try:
            return import_module(f"{name}.{part}")
        except ImportError:
            continue
    return None


def _module_of(name: str) -> str:
    """The module that a package is imported by: PIL for pillow."""
    modules = [module for module, owners in packages_distributions().items() if name in owners]
    plain = name.replace("-", "_")
    return plain if plain in modules or not modules else sorted(modules)[0]


def failure_of(code: str) -> str:
    """Run some code in a process of its own, which may die of it.

    Args:
        code: Python.

    Returns:
        The last line of its complaint; empty where it ran.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
    return lines[-1] if done.returncode else ""


STEP = """
import io, numpy, torch
from PIL import Image
network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 1, 3))
optimizer = torch.optim.AdamW(network.parameters())
network(torch.rand(2, 1, 8, 8)).square().mean().backward()
optimizer.step()
picture = network(torch.rand(1, 1, 8, 8))[0, 0].detach().clamp(0, 1).mul(255).byte().numpy()
Image.fromarray(picture).save(file := io.BytesIO(), "PNG")
assert (numpy.asarray(Image.open(file)) == picture).all()
"""
"""One update of two layers; what they draw is saved as a picture and opened again."""


def check_step() -> Finding:
    """Train for one step, save a picture and open it.

    Returns:
        A `Finding` that says whether it worked.
    """
    wrong = failure_of(STEP)
    mend = f"does not work ({wrong}): mend what is above, or install into a new environment"
    return Finding("one step", "failed" if wrong else "trained, drawn and saved", wrong and mend)


def check_device() -> Finding:
    """Look at the device.

    Returns:
        A `Finding` with its name.

    Source:
        PyTorch.
    """
    import torch

    from course_utils.chapter import best_device

    device = best_device()
    name = torch.cuda.get_device_name() if device == "cuda" else f"{os.cpu_count()} cores"
    return Finding("device", f"{device} ({name})")


def check_memory() -> Finding:
    """Look at the free memory.

    Returns:
        A `Finding` with the free memory in GiB.

    Source:
        psutil.
    """
    import psutil

    free = psutil.virtual_memory().available / 2**30
    low = f"close other programs: the laptop budget wants {NEEDED_GIB:.0f} GiB"
    return Finding("free memory", f"{free:.1f} GiB", low if free < NEEDED_GIB else "")


def check_hub(timeout: float = 5.0) -> Finding:
    """Ask the Hugging Face Hub whether it is there.

    Args:
        timeout: Seconds to wait for an answer.

    Returns:
        A `Finding` that never carries a problem: the course works without the Hub.

    Source:
        ``huggingface_hub.HfApi``, one request without a token.
    """
    try:
        from huggingface_hub import constants
        from huggingface_hub.utils import get_session

        answer = get_session().head(constants.ENDPOINT, timeout=timeout)
        return Finding("Hub", f"answers ({answer.status_code})")
    except Exception as error:
        return Finding("Hub", f"does not answer ({type(error).__name__}); source='hub' cannot work")


def _looked_at(name: str, look: Callable[[], Finding]) -> Finding:
    """What was found; where looking itself fails, that."""
    try:
        return look()
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(name, f"not known ({reason})")


def main(arguments: Sequence[str] = ()) -> int:
    """Print the report and the verdict.

    Args:
        arguments: There are no options: whatever is given, the report is printed.

    Returns:
        0 if the environment is fit, 1 if something has to be mended.
    """
    try:
        findings = check_requirements()
    except PackageNotFoundError:
        findings = [Finding(PACKAGE, "missing", "pip install . in the course's folder")]
    ill = {finding.name for finding in findings if finding.problem}
    if "torch" in ill:  # one that kills its process must not kill the report
        findings.append(Finding("device", "not known without torch"))
    else:
        findings += [_looked_at("device", check_device), check_step()]
    findings += [_looked_at("free memory", check_memory), check_hub()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "PROBLEM" if finding.problem else "ok"
        print(f"{mark:8} {finding.name:{width}}  {finding.found}  {finding.problem}".rstrip())
    problems = sum(bool(finding.problem) for finding in findings)
    print("verdict: ready" if not problems else f"verdict: {problems} to mend, see above")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
