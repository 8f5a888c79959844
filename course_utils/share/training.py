"""Train from the shell: ``python -m course_utils train my-pictures --minutes 20``.

What is trained on is one of the course's recipes, or pictures of anybody's: a folder, an array,
a set on the Hub. The same command runs under Accelerate's launchers in many processes. It ends in
a folder that draws: see `course_utils.share.finished`.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from course_utils.budget import BUDGETS
from course_utils.data.fit import Fit
from course_utils.files import spelled_out
from course_utils.screen import shell_line, tell
from course_utils.share.card import check_licence
from course_utils.share.finished import save_run, seconds_to_finish
from course_utils.share.words import SIZES, budget_of, is_given, without_tilde
from course_utils.share.yours import KEPT, OF_BUDGET, Yours, are_pictures, plan_of
from course_utils.training.checkpoints import checkpoints, read_checkpoint
from course_utils.training.config import TrainingConfig
from course_utils.training.distributed import first_process
from course_utils.training.folder import RunFolder, keep_apart
from course_utils.training.planning import Plan
from course_utils.training.recipes import RECIPES, recipe
from course_utils.training.task import Recipe

_Budget = tyro.extras.literal_type_from_choices(BUDGETS)


@dataclass(frozen=True, kw_only=True)
class SharedOptions:
    """What can be said of every run."""

    budget: _Budget  # type: ignore[valid-type]
    """Its size, for seconds, minutes, an hour or two, or a GPU."""

    resume: bool = False
    """Go on from the newest checkpoint in the output folder, or begin where there is none."""

    resume_from: str | None = None
    """Go on from the checkpoint in this folder."""

    licence: str | None = None
    """The licence that the finished model's card names, as the Hub calls it; cc-by-4.0, say. A run
    that is gone on with keeps its own; without any, the card says other."""


@dataclass(frozen=True, kw_only=True)
class Options(SharedOptions):
    """Train by this recipe. The defaults below are its own at the budget that is given."""

    source: str | None = None
    """Where the pictures come from, which is drawn, bundled, hub, or a folder of yours."""

    settings: tyro.conf.OmitArgPrefixes[TrainingConfig]
    """All the numbers of the run."""


@dataclass(frozen=True, kw_only=True)
class YourOptions(SharedOptions):
    """Train a network on pictures of your own, for as many minutes as you give it.

    Network and batch are chosen by the size of the pictures and by what this machine does in the
    minutes; each setting that you give stays as it is. In the end the output folder has the model,
    with a card, samples and its history, and python -m course_utils sample draws with it.
    """

    fit: Fit = "crop"
    """What is done with pictures of other proportions. crop keeps the middle, pad keeps all and
    fills up, squash bends."""

    background: str = "white"
    """The colour that see-through parts are laid on, and that pads."""

    channels: int | None = None
    """1 for grey, 3 for colour; without it, as the pictures are."""

    mirror: Literal["auto", "yes", "no"] = "auto"
    """Whether pictures are mirrored at random, as flowers may be and letters may not. auto does it
    where it is found harmless."""

    start: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """A trained network to begin with, in place of a fresh one. A name of the gallery, a folder, or
    owner/name on the Hub. Its labels may be others."""

    settings: tyro.conf.OmitArgPrefixes[TrainingConfig]
    """All the numbers of the run."""


def main(arguments: Sequence[str]) -> int:
    """Train as the words say.

    Args:
        arguments: A recipe's name or where pictures are, and the options.

    Returns:
        0 where the finished model was saved, 2 where the words were not understood.

    Raises:
        Exception: What went wrong; see `course_utils.training.train`.
    """
    began = time.monotonic()
    if arguments and arguments[0] in RECIPES:
        chosen, options = read(arguments)
        _check_licence(options)
        run(_planned(chosen, options), options, began)
    elif arguments and are_pictures(arguments[0]):
        yours, own, given = read_yours(arguments)
        _check_licence(own)
        keep_apart(given["output_dir"], yours.where)
        with _one_speaks(own.settings):
            planned = plan_of(yours, own.budget, own.resume_from or own.resume, given)
        run(planned, own, began)
    else:
        return _list_recipes(arguments)
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
    budget = budget_of(program, rest)  # on which all other defaults depend
    chosen = recipe(name, budget)
    usual = chosen.config.num_warmup_steps
    # The recipe's warm-up may be longer than the updates that are asked for.
    clip = is_given("num_steps", rest) and not is_given("num_warmup_steps", rest)
    defaults = replace(chosen.config, num_warmup_steps=0) if clip else chosen.config
    default = Options(budget=budget, settings=defaults)
    with SIZES:
        options = tyro.cli(Options, prog=program, args=rest, default=default)
    source = without_tilde("--source", options.source)
    options = replace(options, source=source, **_paths(options))
    if clip:
        fitting = min(usual, options.settings.num_steps)
        options = replace(options, settings=replace(options.settings, num_warmup_steps=fitting))
    return replace(chosen, config=options.settings), options


def read_yours(arguments: Sequence[str]) -> tuple[Yours, YourOptions, dict[str, Any]]:
    """Understand the words where the pictures are anybody's.

    Args:
        arguments: Where they are, and the options.

    Returns:
        The pictures; all options; and those settings of the run that were given, with the output
        folder, which is called after the pictures where none was.

    Raises:
        ValueError: A path is none or leads to no home folder.
    """
    where, *rest = arguments
    program = f"python -m course_utils train {where}"
    budget = budget_of(program, rest)
    usual = OF_BUDGET[budget] | {"num_warmup_steps": 0}
    known = {field.name for field in fields(TrainingConfig)}
    defaults = TrainingConfig(**{name: usual[name] for name in usual if name in known})
    default = YourOptions(budget=budget, settings=defaults)
    with SIZES:
        options = tyro.cli(YourOptions, prog=program, args=rest, default=default)
    options = replace(options, **_paths(options))
    yours = Yours(
        where=str(spelled_out("the pictures", where)),
        fit=options.fit,
        background=options.background,
        channels=options.channels,
        mirror={"yes": True, "no": False}.get(options.mirror),
        start=without_tilde("--from", options.start),
        said=frozenset(name for name in KEPT if is_given(name, rest)),
    )
    given = {name: getattr(options.settings, name) for name in known if is_given(name, rest)}
    # A name that begins with a dash would be an option of the commands that take the run's folder.
    given["output_dir"] = options.settings.output_dir or f"{yours.name}-run".lstrip("-")
    return yours, options, given


def _check_licence(options: SharedOptions) -> None:
    """Refuse what can be no licence, before a minute is spent."""
    if options.licence is not None:
        check_licence(options.licence)


def _paths(options: SharedOptions) -> dict[str, Any]:
    """The paths among the options, spelled out."""
    settings: TrainingConfig = options.settings  # type: ignore[attr-defined]
    output_dir = without_tilde("--output-dir", settings.output_dir)
    return {
        "resume_from": without_tilde("--resume-from", options.resume_from),
        "settings": replace(settings, output_dir=output_dir),
    }


def _list_recipes(arguments: Sequence[str]) -> int:
    """Tell what can be trained."""
    asked = bool(arguments) and arguments[0] in ("-h", "--help")
    text = "usage: python -m course_utils train RECIPE --output-dir FOLDER …\n"
    text += "       python -m course_utils train FOLDER|ARRAY.npz|OWNER/NAME --minutes 20 …\n\n"
    text += f"The recipes are {', '.join(RECIPES)}.\n"
    text += (
        "Pictures of your own lie in a folder, with one folder in it for each label or none; in "
    )
    text += "an array\nof NumPy's; or in a data set on the Hub.\n"
    text += (
        f"python -m course_utils train {next(iter(RECIPES))} --help has the options of a recipe,"
    )
    text += "\npython -m course_utils train FOLDER --help those for your own."
    if arguments and not asked:
        word = arguments[0]
        wrong = f"There is no recipe {word!r}, and no such folder or file; what is trained comes"
        text = f"{wrong} first.\n\n{text}"
        if word.startswith("-") and Path(word).exists():
            text = f"{word} is read as an option. To train on what is called so, write: "
            text += shell_line("train", f"./{word}", "…")
    print(text, file=None if asked else sys.stderr)
    return 0 if asked else 2


def _one_speaks(config: TrainingConfig) -> Any:
    """Silence in all processes but the first."""
    return nullcontext() if first_process(config) else redirect_stdout(None)


def _planned(chosen: Recipe, options: Options) -> Plan:
    """The recipe with its pictures and its network."""
    name, output_dir = chosen.name, chosen.config.output_dir
    here = Path(name).resolve()
    folder = here.is_dir() and (output_dir is None or here != Path(output_dir).resolve())
    clash = f"{name} is a set of the course's; the folder of that name is ./{name}."
    if output_dir is None:
        raise ValueError(
            "--output-dir is missing: name the folder that is to get the model."
            f"{f' {clash}' if folder else ''}"
        )
    keep_apart(output_dir, options.source)
    with _one_speaks(chosen.config):
        if folder and options.source is None:
            tell(clash)
        data = chosen.data(options.source)
    return Plan(
        name=chosen.name,
        config=chosen.config,
        model=chosen.model(len(data.names)),
        noise_scheduler=chosen.noise_scheduler(),
        data=data,
    )


def run(planned: Plan, options: SharedOptions, began: float) -> None:
    """Do as planned, and save the finished model.

    Args:
        planned: The plan.
        options: What to go on from, and the licence.
        began: When the command began, by the monotonic clock: its minutes count from then.
    """
    from accelerate import PartialState

    config = planned.config
    assert config.output_dir is not None
    if options.licence is not None:  # kept in the checkpoints, for when it is not said again
        planned = replace(planned, notes={**(planned.notes or {}), "licence": options.licence})
    first = first_process(config)
    if first:
        tell(planned.told)
        for name, value in asdict(config).items():
            tell(f"  {name:28} {value}")
    elsewhere = time.monotonic() - began + seconds_to_finish(planned)
    done = planned.train(options.resume_from or options.resume, elsewhere=elsewhere)
    if first:
        folder = RunFolder(config.output_dir)
        kept = checkpoints(folder.path / "checkpoints")
        about = read_checkpoint(kept[-1])[0] if kept else {}
        minutes = about["seconds"] / 60 if kept else None
        notes = about.get("notes") or {}
        licence = options.licence or notes.get("licence", "other")
        with folder.locked(), folder.replacing("model") as part:
            save_run(part, planned, done, licence=licence, minutes=minutes)
        tell(f"loss {done.losses[-1]:.4f} at the end; the model is in {folder.path / 'model'}")
        tell(f"{shell_line('sample', folder.path, '--out', 'FOLDER')} draws with it")
    PartialState().destroy_process_group()
