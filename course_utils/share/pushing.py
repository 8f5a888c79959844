"""Share from the shell: ``python -m course_utils push my-run --private``."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from course_utils.files import spelled_out
from course_utils.sampling.opening import model_of, name_of
from course_utils.screen import tell
from course_utils.share.hub import push_to_hub


@dataclass(frozen=True, kw_only=True)
class Options:
    """Send a trained network to the Hugging Face Hub, where others can load it.

    Log in first, in a terminal, with hf auth login. Weights, card and samples are sent;
    checkpoints and pictures that were learned from stay here.
    """

    folder: tyro.conf.Positional[str]
    """A run, or the folder of a finished model."""

    name: str | None = None
    """What it is to be called, as name or owner/name. Without it, as the folder of the run is."""

    private: bool = False
    """Let nobody else see it."""

    update: bool = False
    """Add a new version where there is a model of that name already."""


def main(arguments: Sequence[str]) -> int:
    """Share as the words say.

    Args:
        arguments: The folder and the options.

    Returns:
        0 where it was sent.

    Raises:
        HubError: It was not; see `push_to_hub`. The folder is kept.
    """
    options = tyro.cli(Options, prog="python -m course_utils push", args=list(arguments))
    model = model_of(spelled_out("the folder", options.folder))
    name = options.name or name_of(model)
    address = push_to_hub(model, name, private=options.private, update=options.update)
    tell(f"{model} is at {address}")
    return 0
