"""Train from the shell: ``python -m course_utils train butterflies --output-dir my-run``.

The same command runs under Accelerate's launchers in many processes.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from course_utils.budget import BUDGETS, current_budget
from course_utils.files import spelled_out
from course_utils.screen import tell
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import first_process
from course_utils.training.folder import NAMES, RunFolder
from course_utils.training.loop import train
from course_utils.training.recipes import RECIPES, recipe
from course_utils.training.task import Recipe

_Budget = tyro.extras.literal_type_from_choices(BUDGETS)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train by this recipe. The defaults below are its own at the budget that is given."""

    budget: _Budget  # type: ignore[valid-type]
    """Its size, for seconds, minutes, or a GPU."""

    source: str | None = None
    """Where the pictures come from, which is drawn, bundled, hub, or a folder of yours."""

    resume: bool = False
    """Go on from the newest checkpoint in the output folder, or begin where there is none."""

    resume_from: str | None = None
    """Go on from the checkpoint in this folder."""

    settings: tyro.conf.OmitArgPrefixes[TrainingConfig]
    """All the numbers of the run."""


def main(arguments: Sequence[str]) -> int:
    """Train as the words say.

    Args:
        arguments: A recipe's name and the options.

    Returns:
        0 where the finished model was saved, 2 where the words were not understood.

    Raises:
        Exception: What went wrong; see `course_utils.training.train`.
    """
    if not arguments or arguments[0] not in RECIPES:
        return _list_recipes(arguments)
    run(*read(arguments))
    return 0


def read(arguments: Sequence[str]) -> tuple[Recipe, Options]:
    """Understand the words; tyro makes the options from `Options` and `TrainingConfig`.

    Args:
        arguments: A recipe's name and the options.

    Returns:
        The recipe, with the settings that were given in place of its own, and all options.
        Paths that begin with ``~`` are spelled out.

    Raises:
        ValueError: There is no such recipe, or a path is none or leads to no home folder.
    """
    name, *rest = arguments
    program = f"python -m course_utils train {name}"
    early = argparse.ArgumentParser(program, add_help=False, allow_abbrev=False)
    early.add_argument("--budget", choices=BUDGETS, default=current_budget())
    budget = early.parse_known_args(rest)[0].budget  # on which all other defaults depend
    chosen = recipe(name, budget)
    options = tyro.cli(
        Options,
        prog=program,
        args=rest,
        default=Options(budget=budget, settings=chosen.config),
    )
    output_dir = _spelled_out("--output-dir", options.settings.output_dir)
    options = replace(
        options,
        source=_spelled_out("--source", options.source),
        resume_from=_spelled_out("--resume-from", options.resume_from),
        settings=replace(options.settings, output_dir=output_dir),
    )
    return replace(chosen, config=options.settings), options


def _spelled_out(option: str, path: str | None) -> str | None:
    """A path without ``~``, which the shell leaves as it is in ``--output-dir=~/run``."""
    return path if path is None else str(spelled_out(option, path))


def _list_recipes(arguments: Sequence[str]) -> int:
    """Tell what can be trained."""
    asked = bool(arguments) and arguments[0] in ("-h", "--help")
    text = "usage: python -m course_utils train RECIPE --output-dir FOLDER …\n\n"
    text += f"The recipes are {', '.join(RECIPES)}.\n"
    text += f"python -m course_utils train {next(iter(RECIPES))} --help has the options."
    if arguments and not asked:
        text = f"There is no recipe {arguments[0]!r}; a recipe's name comes first.\n\n{text}"
    print(text, file=None if asked else sys.stderr)
    return 0 if asked else 2


def run(chosen: Recipe, options: Options) -> None:
    """Train by a recipe and save the finished model.

    Args:
        chosen: The recipe.
        options: The source of the pictures and what to go on from.

    Raises:
        ValueError: There is no output folder, or it would mix with the pictures.
    """
    from accelerate import PartialState
    from diffusers import DDPMPipeline

    config = chosen.config
    if config.output_dir is None:
        raise ValueError("--output-dir is missing: name the folder that is to get the model.")
    _keep_apart(config.output_dir, options.source)
    first = first_process(config)
    with nullcontext() if first else redirect_stdout(None):  # one of many speaks
        data = chosen.data(options.source)
    model, noise_scheduler = chosen.model(len(data.names)), chosen.noise_scheduler()
    if first:
        parameters = sum(p.numel() for p in model.parameters())
        tell(f"{chosen.name}: {len(data):,} pictures, a network of {parameters:,} parameters")
        for name, value in asdict(config).items():
            tell(f"  {name:28} {value}")
    resume = options.resume_from or options.resume
    done = train(config, model, noise_scheduler, data, resume=resume)
    if first:
        folder = RunFolder(config.output_dir)
        pipeline: Any = DDPMPipeline(unet=done.ema_model, scheduler=noise_scheduler)
        with folder.locked(), folder.replacing("model") as part:
            pipeline.save_pretrained(part)
        tell(f"loss {done.losses[-1]:.4f} at the end; the model is in {folder.path / 'model'}")
    PartialState().destroy_process_group()


def _keep_apart(output_dir: str, source: str | None) -> None:
    """Refuse to write a run among the pictures it learns from, or to learn from what it writes."""
    if source is None or not Path(source).exists():
        return  # a source's name; or a path that does not exist, which loading tells
    pictures, output = Path(source).resolve(), Path(output_dir).resolve()
    inside = [name for name in NAMES if (output / name) in (pictures, *pictures.parents)]
    if inside:
        raise ValueError(
            f"The pictures in {source} lie where a run in output_dir {output_dir} writes its "
            f"{inside[0]}. Choose another output_dir."
        )
    if pictures in (output, *output.parents):
        raise ValueError(
            f"output_dir {output_dir} lies in {source}, so that the next run would learn from "
            f"the sample grids of this one. Choose another output_dir."
        )
