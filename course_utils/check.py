"""Is this environment fit for the course? ``python -m course_utils.check`` says.

Prints each requirement with the version found, and whether it can really be imported; then the
device, the free memory, one real step of work, whether the Hugging Face Hub answers, and a
verdict. Its output is what to send along with a question. It needs nothing that may be broken:
what it looks at is imported in a process of its own.
"""

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from course_utils.screen import tell

PACKAGE = "course-utils"
NEEDED_GIB = 3.0
"""Free memory that the laptop budget wants, in GiB."""

_MODULES = {"pillow": "PIL", "scikit-learn": "sklearn"}  # imported under another name

# A network of two layers learns once; a picture is drawn, saved, opened, and cut by torchvision.
_STEP = """
import io, torch, torchvision.ops
from PIL import Image
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 1, 3))
optimizer = torch.optim.AdamW(net.parameters())
net(torch.rand(2, 3, 8, 8)).square().mean().backward()
optimizer.step()
boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
torchvision.ops.nms(boxes, torch.ones(1), 0.5)
file = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(file, "PNG")
assert pil_to_tensor(center_crop(Image.open(file), [4, 4])).shape == (3, 4, 4)
"""

_DEVICE = """
import psutil, torch
from course_utils.chapter import best_device
device = best_device()
name = torch.cuda.get_device_name() if device == "cuda" else f"{psutil.cpu_count()} cores"
print(f"{device} ({name})")
print(psutil.virtual_memory().available)
"""

_HUB = """
from huggingface_hub import constants
from huggingface_hub.utils import get_session
print(get_session().head(constants.ENDPOINT, timeout=5.0).status_code)
"""


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


def run_apart(code: str) -> tuple[str, str]:
    """Run some Python in a process of its own, which may die without harm.

    Args:
        code: The program.

    Returns:
        What it printed, and in a line what went wrong, empty where nothing did.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return done.stdout.strip(), ""
    lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    return "", lines[-1]


def check_requirements() -> list[Finding]:
    """Compare each package that the course needs with what is installed, and import it.

    Returns:
        A `Finding` for Python and for each requirement of the installed package.
    """
    old = sys.version_info < (3, 11)
    findings = [
        Finding("python", platform.python_version(), "install Python 3.11 or newer" if old else "")
    ]
    try:
        needed = requires(PACKAGE) or []
    except PackageNotFoundError:
        return [*findings, Finding(PACKAGE, "missing", "pip install . in the course's folder")]
    needed = [text for text in needed if "extra ==" not in text]
    names = [text.split(">=")[0].strip() for text in needed]
    # All at once takes seconds. Only where that fails is each one tried in a process of its own.
    _, wrong = run_apart("\n".join(f"import {_module(name)}" for name in names))
    pairs = zip(names, needed, strict=True)
    return findings + [check_requirement(name, text, bool(wrong)) for name, text in pairs]


def _module(name: str) -> str:
    """The name under which a package is imported."""
    return _MODULES.get(name.lower(), name.replace("-", "_"))


def check_requirement(name: str, text: str, to_import: bool = True) -> Finding:
    """Look at one requirement: whether it is there, new enough, and can be imported.

    Args:
        name: The package.
        text: The requirement as pip writes it, such as ``"torch>=2.9"``.
        to_import: Whether to import it; False where that is known to work.

    Returns:
        A `Finding` with what to do where something is wrong.
    """
    remedy = f'pip install "{text}"'
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "missing", remedy)
    if not _new_enough(found, text):
        return Finding(name, found, remedy)
    _, wrong = run_apart(f"import {_module(name)}") if to_import else ("", "")
    again = f"cannot be imported ({wrong}): pip install --force-reinstall {name}"
    return Finding(name, found, again if wrong else "")


def _new_enough(found: str, text: str) -> bool:
    """Whether a version meets a requirement; said so too where packaging itself is missing."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return True  # its own line tells that it is missing
    return Requirement(text).specifier.contains(found, prereleases=True)


def check_machine() -> list[Finding]:
    """Look at the device and the memory, and do one real step of work.

    Returns:
        A `Finding` for the device, one for the free memory in GiB, one for the step.
    """
    told, wrong = run_apart(_DEVICE)
    if wrong:
        return [Finding("device", "unknown", f"{wrong}: mend the lines above first")]
    device, free = told.splitlines()
    gib = int(free) / 2**30
    low = f"close other programs: the laptop budget wants {NEEDED_GIB:.0f} GiB"
    _, wrong = run_apart(_STEP)
    mend = f"{wrong}: torch and torchvision must fit together: pip install -U torch torchvision"
    return [
        Finding("device", device),
        Finding("free memory", f"{gib:.1f} GiB", low if gib < NEEDED_GIB else ""),
        Finding("a real step", "failed" if wrong else "done", mend if wrong else ""),
    ]


def check_hub() -> Finding:
    """Ask the Hugging Face Hub whether it is there.

    Returns:
        A `Finding` that never carries a problem: the course works without the Hub.
    """
    status, wrong = run_apart(_HUB)
    if wrong:
        reason = wrong.split(":")[0].split(".")[-1]
        return Finding("Hub", f"does not answer ({reason}); source='hub' cannot work")
    return Finding("Hub", f"answers ({status})")


def main(arguments: Sequence[str] = ()) -> int:
    """Print the report, line by line, and the verdict.

    Args:
        arguments: ``-h`` or ``--help``, or nothing: there are no other options.

    Returns:
        0 if the environment is fit, 1 if something has to be mended, 2 where the words were not
        understood.
    """
    if {"-h", "--help"} & set(arguments):
        tell(f"usage: python -m course_utils check\n\n{__doc__.strip()}")
        return 0
    if arguments:
        print(f"check takes no words, and was given {' '.join(arguments)!r}.", file=sys.stderr)
        return 2
    findings = [*check_requirements(), *check_machine(), check_hub()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "PROBLEM" if finding.problem else "ok"
        tell(f"{mark:8} {finding.name:{width}}  {finding.found}  {finding.problem}".rstrip())
    problems = sum(bool(finding.problem) for finding in findings)
    print("verdict: ready" if not problems else f"verdict: {problems} to mend, see above")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
