"""The one command: ``python -m course_utils train butterflies --output-dir my-run``.

Its options are made by tyro from the types and the texts of what is called: a setting of
`TrainingConfig` is an option here without another word. ``python -m course_utils check`` says
whether the environment is fit.
"""

import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from course_utils import check


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: The words after the command; None takes those of the command line.

    Returns:
        0 where all went well, 1 where something went wrong and was told.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["check"]:
        return check.main()  # works also where nothing else does
    if words[:1] == ["train"]:
        return _told(words[1:])
    print("python -m course_utils train … or check; train --help tells its options.")
    return 0 if words[:1] in (["-h"], ["--help"]) else 2


def _told(words: list[str]) -> int:
    """Train; what goes wrong is told in a paragraph, with --debug by Python's own report."""
    from course_utils.data import DataUnavailableError
    from course_utils.training.distributed import WrongProcessCountError
    from course_utils.training.tracking import TrackerError

    ours = (DataUnavailableError, WrongProcessCountError, TrackerError)
    try:
        _train(words)
    except (ValueError, OSError, FloatingPointError, ModuleNotFoundError, *ours) as error:
        if "--debug" in words:
            traceback.print_exc()
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _train(words: list[str]) -> None:
    """Read the options and train by a recipe."""
    import tyro

    from course_utils.budget import BUDGETS, current_budget
    from course_utils.training import RECIPES, TrainingConfig, recipe, run

    What = Annotated[str, tyro.conf.arg(help=f"What to train: {', '.join(RECIPES)}.")]
    Size = Annotated[str, tyro.conf.arg(help=f"How large: {', '.join(BUDGETS)}.")]

    @dataclass
    class Choice:
        recipe: tyro.conf.Positional[str] = "digits"
        budget: str | None = None

    @dataclass
    class Train:
        """Train a small diffusion model, with checkpoints, sample grids and curves.

        The defaults below are those of the recipe at its budget.
        """

        recipe: tyro.conf.Positional[What]
        settings: tyro.conf.OmitArgPrefixes[TrainingConfig]
        budget: Size

        source: str | None = None
        """Where the pictures come from: drawn, bundled, hub, or the path of your own."""

        resume: bool = False
        """Go on from the newest checkpoint in the output folder; begin where there is none."""

        resume_from: Path | None = None
        """Go on from this checkpoint."""

        debug: bool = False
        """Show where in the code an error arose."""

    # First the recipe and its budget: they decide what the other options are by themselves.
    named = [word for word in words if word not in ("-h", "--help")]
    choice, _ = tyro.cli(Choice, args=named, return_unknown_args=True)
    chosen = recipe(choice.recipe, choice.budget)
    start = Train(tyro.MISSING, chosen.config, choice.budget or current_budget())
    options = tyro.cli(Train, prog="python -m course_utils train", args=words, default=start)
    chosen = replace(chosen, config=options.settings)
    resume_from = options.resume_from and options.resume_from.expanduser()
    run(chosen, options.source, resume_from or options.resume)


if __name__ == "__main__":
    sys.exit(main())
