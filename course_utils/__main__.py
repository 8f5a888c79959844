"""The one command: ``python -m course_utils train digits --output-dir my-run``, for instance.

Each sub-command is the function ``main`` of a module, which is loaded when it is asked for: so
``check`` works where nothing else does. Launchers take it as ``-m course_utils train …``.
"""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "look": ("course_utils.share.looked", "tell what is in a folder of pictures"),
    "train": (
        "course_utils.share.training",
        "train a network, on pictures of yours if you like; keep what it learns",
    ),
    "judge": ("course_utils.share.judged", "say how good the pictures of a folder are"),
    "sample": (
        "course_utils.sampling.command",
        "draw with a network of the gallery, of a folder or of the Hub",
    ),
    "exhibit": ("course_utils.share.exhibit", "put a finished overnight run into the gallery"),
    "extractor": (
        "course_utils.metrics.classifier",
        "teach a network whose features judge pictures",
    ),
    "export": ("course_utils.share.command", "write a network as ONNX, or as a web page"),
    "push": ("course_utils.share.pushing", "send a trained network to the Hugging Face Hub"),
    "check": ("course_utils.check", "say what this environment has and lacks"),
}
"""For each sub-command its module and what it does."""

TOLD = (ValueError, OSError, FloatingPointError, ImportError, MemoryError)
"""Errors whose message says all; those that this package defines are others."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: Its words; None takes those of the shell.

    Returns:
        0 where all went well, 1 where something went wrong and was told, 2 where the words were
        not understood, 128 and the signal's number where a run was stopped.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    name, *rest = [word for word in words if word != "--debug"] or ["--help"]
    if name not in COMMANDS:
        return _explain(name)
    try:
        return import_module(COMMANDS[name][0]).main(rest)
    except KeyboardInterrupt as stop:  # a run has said in it what it kept
        print(f"\n{str(stop) or 'Stopped.'}", file=sys.stderr)
        return 128 + getattr(stop, "number", signal.SIGINT)
    except Exception as error:
        if debug or not (isinstance(error, TOLD) or type(error).__module__.startswith(__package__)):
            raise
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        if isinstance(error, ImportError):
            print("python -m course_utils check says what is missing.", file=sys.stderr)
        if isinstance(error, MemoryError):
            print("The memory does not suffice: take fewer or smaller pictures.", file=sys.stderr)
        return 1


def _explain(word: str) -> int:
    """Tell which sub-commands there are."""
    asked = word in ("-h", "--help")
    lines = [] if asked else [f"There is no command {word!r}.", ""]
    lines += ["usage: python -m course_utils COMMAND …", ""]
    lines += [f"  {name:9} {purpose}" for name, (_, purpose) in COMMANDS.items()]
    lines += ["", "python -m course_utils COMMAND --help has the options of a command.", ""]
    lines += ["--debug, anywhere, shows where in the code something went wrong."]
    print("\n".join(lines), file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
