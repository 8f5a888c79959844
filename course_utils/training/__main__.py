"""Train from the shell: ``python -m course_utils.training butterflies --output-dir my-run``.

The same command runs under Accelerate's launchers in many processes.
"""

import argparse
import os
import re
import shutil
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from inspect import getdoc
from pathlib import Path
from typing import Any

from course_utils.budget import BUDGETS
from course_utils.data.load import DataUnavailableError
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import WrongProcessCountError, check_process_count
from course_utils.training.loop import train
from course_utils.training.recipes import RECIPES, Recipe, recipe

NOT_HERE = ("push_to_hub", "hub_model_id", "hub_private_repo", "image_size")
"""Fields that are no options: this command uploads nothing, and recipes have their size."""


def explained() -> dict[str, str]:
    """What the docstring of `TrainingConfig` says of each field."""
    attributes = getdoc(TrainingConfig).split("Attributes:\n")[1].split("\nSource:")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.M)
    return {name: re.sub(r"\s+", " ", text.replace("`", "")) for name, text in found}


def value_of(field_type: Any) -> Callable[[str], Any]:
    """How an option's text becomes a value of a field's type."""
    optional = isinstance(field_type, types.UnionType)
    plain = next(iter(field_type.__args__)) if optional else field_type

    def convert(text: str) -> Any:
        return None if optional and text.lower() == "none" else plain(text)

    convert.__name__ = plain.__name__  # which argparse names in its complaint
    return convert


def make_parser() -> argparse.ArgumentParser:
    """The options: those of a run, and one for each field of `TrainingConfig`."""
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.training",
        description="Train a small diffusion model, with checkpoints, sample grids and curves.",
        epilog="The defaults of the settings are those of the recipe at its budget; they are "
        "printed when training begins.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("recipe", choices=list(RECIPES), help="what to train: the data set, with its network")
    add("--budget", choices=BUDGETS, help="its size: seconds, minutes, or a GPU (default: laptop)")
    add("--source", help="where the pictures come from: drawn, bundled, hub, or a folder of yours")
    add("--resume", action="store_true", help="go on from the newest checkpoint in --output-dir")
    add("--resume-from", metavar="FOLDER", help="go on from this checkpoint")
    settings, text = parser.add_argument_group("settings"), explained()
    for field in fields(TrainingConfig):
        if field.name in NOT_HERE:
            continue
        how: dict[str, Any] = {"default": argparse.SUPPRESS}
        how["help"] = text[field.name].replace("%", "%%")
        if field.type is bool:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how |= {"type": value_of(field.type), "metavar": "VALUE"}
        how["required"] = field.name == "output_dir"
        settings.add_argument(f"--{field.name.replace('_', '-')}", **how)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the options say.

    Args:
        arguments: The options; None takes those of the command line.

    Returns:
        0 where the finished model was saved, 1 where something went wrong and was told.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    named = {f.name for f in fields(TrainingConfig)}
    changes = {name: value for name, value in vars(options).items() if name in named}
    try:
        chosen = recipe(options.recipe, options.budget)
        chosen = replace(chosen, config=replace(chosen.config, **changes))
    except ValueError as error:
        parser.error(str(error))
    try:
        run(chosen, options.source, options.resume_from or options.resume)
    except (
        *(ValueError, OSError, FloatingPointError),
        *(ModuleNotFoundError, DataUnavailableError, WrongProcessCountError),
    ) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def run(chosen: Recipe, source: str | None, resume: bool | str) -> None:
    """Train by a recipe and save the finished model."""
    # Before the pictures are loaded; train() looks again at what has come of it.
    check_process_count(chosen.config, int(os.environ.get("WORLD_SIZE") or 1))
    from accelerate import PartialState
    from diffusers import DDPMPipeline

    config, tell = chosen.config, os.environ.get("RANK", "0") == "0"
    data = chosen.data(source)
    model, noise_scheduler = chosen.model(len(data.names)), chosen.noise_scheduler()
    if tell:
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{chosen.name}: {len(data):,} pictures, a network of {parameters:,} parameters")
        for field in fields(config):
            print(f"  {field.name:28} {getattr(config, field.name)}")
    done = train(config, model, noise_scheduler, data, resume=resume)
    if tell:
        folder = Path(config.output_dir).expanduser() / "model"
        part = folder.with_name(".model.part")  # a killed write must not leave half a model
        DDPMPipeline(unet=done.ema_model, scheduler=noise_scheduler).save_pretrained(part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        print(f"loss {done.losses[-1]:.4f} at the end; the model is in {folder}")
    PartialState().destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
