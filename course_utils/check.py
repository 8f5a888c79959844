"""Is this environment fit for the course? ``python -m course_utils.check`` says.

Prints each requirement with the version found, the device, the free memory, whether the
Hugging Face Hub answers, and a verdict. Its output is what to send along with a question.
"""

import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "course-utils"
NEEDED_GIB = 3.0
"""Free memory that the laptop budget wants, in GiB."""


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
    """Compare each package that the course needs with what is installed.

    Returns:
        A `Finding` for Python and for each requirement of the installed package.

    Raises:
        PackageNotFoundError: The course's package itself is not installed.

    Source:
        The requirements that pip recorded.
    """
    old = sys.version_info < (3, 11)
    findings = [
        Finding("python", platform.python_version(), "install Python 3.11 or newer" if old else "")
    ]
    for requirement in requires(PACKAGE) or []:
        match = re.match(r"([\w-]+)>=([\d.]+)$", requirement)
        if match:
            findings.append(_check_version(*match.groups()))
    return findings


def _check_version(name: str, floor: str) -> Finding:
    """Whether a package is there and no older than it may be."""
    remedy = f'pip install "{name}>={floor}"'
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "missing", remedy)
    return Finding(name, found, remedy if _numbers(found) < _numbers(floor) else "")


def _numbers(text: str) -> list[int]:
    """The leading numbers of a version: 2.11.0+cu128 gives [2, 11, 0]."""
    return [int(part) for part in re.match(r"[\d.]*\d", text).group().split(".")]


def check_machine() -> list[Finding]:
    """Look at the device and the memory.

    Returns:
        A `Finding` for the device and one for the free memory in GiB.

    Source:
        PyTorch and psutil.
    """
    import psutil
    import torch

    from course_utils.chapter import best_device

    device = best_device()
    name = torch.cuda.get_device_name() if device == "cuda" else f"{psutil.cpu_count()} cores"
    free = psutil.virtual_memory().available / 2**30
    low = f"close other programs: the laptop budget wants {NEEDED_GIB:.0f} GiB"
    return [
        Finding("device", f"{device} ({name})"),
        Finding("free memory", f"{free:.1f} GiB", low if free < NEEDED_GIB else ""),
    ]


def check_hub(timeout: float = 5.0) -> Finding:
    """Ask the Hugging Face Hub whether it is there.

    Args:
        timeout: Seconds to wait for an answer.

    Returns:
        A `Finding` that never carries a problem: the course works without the Hub.

    Source:
        ``huggingface_hub.HfApi``, one request without a token.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    try:
        answer = get_session().head(constants.ENDPOINT, timeout=timeout)
        return Finding("Hub", f"answers ({answer.status_code})")
    except Exception as error:
        return Finding("Hub", f"does not answer ({type(error).__name__}); source='hub' cannot work")


def main() -> int:
    """Print the report and the verdict.

    Returns:
        0 if the environment is fit, 1 if something has to be mended.
    """
    try:
        findings = check_requirements()
    except PackageNotFoundError:
        findings = [Finding(PACKAGE, "missing", "pip install . in the course's folder")]
    if not any(finding.problem for finding in findings):
        findings += [*check_machine(), check_hub()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = "PROBLEM" if finding.problem else "ok"
        print(f"{mark:8} {finding.name:{width}}  {finding.found}  {finding.problem}".rstrip())
    problems = sum(bool(finding.problem) for finding in findings)
    print("verdict: ready" if not problems else f"verdict: {problems} to mend, see above")
    return int(problems > 0)


if __name__ == "__main__":
    sys.exit(main())
