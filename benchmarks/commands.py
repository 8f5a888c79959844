"""How long do the two commands take, from a fresh clone with nothing set up?

Set-up, the book at the laptop budget, and all tests, in a temporary folder with a cache of its own.
Nothing else may run meanwhile; how busy the machine was is printed. It takes about an hour.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "set-up, once": ["make", ".venv/ready"],
    "make book": ["make", "book", "BUDGET=laptop"],
    "make test": ["make", "test"],
}
"""What is timed, one after the other."""


def minutes(command: list[str], clone: Path, cache: Path) -> float:
    """Wall-clock minutes of a command that has to succeed."""
    began = time.perf_counter()
    environment = os.environ | {"COURSE_CACHE": str(cache)}
    subprocess.run(command, cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) / 60


def main() -> None:
    """Clone what is committed, run the commands, print a row for each."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "course")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        print(f"{os.cpu_count()} cores, {os.getloadavg()[0]:.1f} of them busy before the start")
        print(f"{'command':14} minutes")
        for name, command in COMMANDS.items():
            print(f"{name:14} {minutes(command, clone, Path(folder, 'cache')):7.1f}", flush=True)


if __name__ == "__main__":
    main()
