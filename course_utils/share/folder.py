"""A saved model as a folder: written so that others can load it, and loaded to see that they can.

Nothing here needs a network; `course_utils.share.hub` sends such a folder to the Hub.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from course_utils.data.pixels import image_grid, png
from course_utils.files import spelled_out, write_whole
from course_utils.models.gallery import CARD
from course_utils.noise.process import NoiseScheduler
from course_utils.share.portable import CODE, carries_code, network_code, portable_scheduler

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

INDEX = "model_index.json"
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class HubError(RuntimeError):
    """A model could not be saved or shared; the message says why, what to do, and where it is."""


def save_model(
    folder: str | os.PathLike[str],
    *,
    model: nn.Module,
    noise_scheduler: NoiseScheduler,
    card: "ModelCard",
    samples: Tensor,
    config: Any,
    losses: Sequence[float],
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Save a trained model where it is complete without this course, and load it to see.

    Args:
        folder: Where to; made if it is not there. Its name is the model's name.
        model: The network to keep, best the averaged one: a ``diffusers.UNet2DModel``, or our
            `UNet`, whose code is saved beside its weights.
        noise_scheduler: The scheduler of its training, diffusers' or ours; in place of ours, its
            equal in diffusers is saved.
        card: What `model_card` wrote.
        samples: Pictures for the card, shape (N, C, H, W), in [-1, 1].
        config: The settings of the run, a dataclass.
        losses: The loss of every update.
        about: What ``card.json`` is to tell to programs, in plain values: under ``labels`` what
            the kinds are called, in order, which `course_utils.sampling.open_network` reads.

    Returns:
        The folder. It holds ``model_index.json`` with ``unet/`` and ``scheduler/``, the card
        as ``README.md``, ``samples.png``, ``training.json``, and ``card.json`` where there is
        something to tell.

    Raises:
        ValueError: Others could not load the network or the scheduler, or the folder can be
            none; nothing was written.
        FileExistsError: The folder has files of these names that no saved model is made of;
            nothing was written.
        HubError: What was written does not load, or not as the same model.
        OSError: Something could not be written; the message names the file.

    Example:
        >>> import torch
        >>> from course_utils.models import UNet
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.share import model_card, save_model
        >>> from course_utils.training import TrainingConfig
        >>> made = dict(
        ...     model=UNet(hidden_dims=(8, 16), image_size=8),
        ...     noise_scheduler=DDPMScheduler(),
        ...     config=TrainingConfig(num_steps=2, num_warmup_steps=1),
        ...     losses=[1.0, 0.9],
        ... )
        >>> card = model_card("Blots 8", subject="blots", source="Ours.", licence="cc0-1.0", **made)
        >>> folder = save_model("blots-8", card=card, samples=torch.zeros(4, 3, 8, 8), **made)
        >>> (folder / "README.md").exists(), (folder / "samples.png").exists()
        (True, True)

    Source:
        ``DDPMPipeline.save_pretrained``.

    Chapter: 4, "Save it, and say what it is".
    """
    from diffusers import DDPMPipeline

    scheduler, with_code = portable_scheduler(noise_scheduler), carries_code(model)
    zoom = max(1, 128 // samples.shape[-1])
    large = samples.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2)
    picture = png(image_grid(large))
    numbers = {"config": asdict(config), "losses": [float(loss) for loss in losses]}
    folder = _own(spelled_out("folder", folder))
    # First what marks the folder as ours, so that a save that breaks off can be repeated.
    write_whole(folder / "training.json", json.dumps(numbers, indent=1).encode())
    write_whole(folder / "samples.png", picture)
    write_whole(folder / "README.md", str(card).encode())
    if about is not None:
        write_whole(folder / CARD, json.dumps(about, indent=1, ensure_ascii=False).encode())
    with _quietly():
        pipeline: Any = DDPMPipeline(unet=model, scheduler=scheduler)
        pipeline.save_pretrained(folder)
    if with_code:
        write_whole(folder / "unet" / f"{CODE}.py", network_code().encode())
        index = json.loads((folder / INDEX).read_bytes()) | {"unet": [CODE, type(model).__name__]}
        write_whole(folder / INDEX, json.dumps(index, indent=2).encode())
    _check_same(folder, load_saved(folder), model, scheduler)
    return folder


def _own(folder: Path) -> Path:
    """Refuse to write over files that `save_model` has not made; an older model is replaced."""
    names = ("README.md", "samples.png", "training.json", CARD, INDEX, "unet", "scheduler")
    there = [name for name in names if (folder / name).exists()]
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; choose another folder. Nothing was written.")
    try:
        ours = json.loads((folder / "training.json").read_bytes()).keys() == {"config", "losses"}
    except (OSError, ValueError, AttributeError):
        ours = False
    if there and not ours:
        raise FileExistsError(
            f"{folder} holds {', '.join(there)}, and is no saved model: saving would write over "
            "it. Choose another folder, or move that away. Nothing was written."
        )
    return folder


def load_saved(folder: Path) -> Any:
    """Load a saved model as somebody would who does not have this package.

    Code in the folder is run only if it is what `save_model` writes, to the letter.

    Args:
        folder: What `save_model` returned.

    Returns:
        A ``diffusers.DDPMPipeline``, or another pipeline if the folder says so.

    Raises:
        HubError: It does not load, or would not elsewhere; the message says why.
    """
    from diffusers import DiffusionPipeline

    try:
        trust = _names_only_what_others_have(folder)
        with _quietly():
            pipeline = DiffusionPipeline.from_pretrained(folder, trust_remote_code=trust)
        _check_weights(folder / WEIGHTS, pipeline.unet)
    except HubError:
        raise
    except Exception as error:  # whatever a damaged file makes a library say
        raise HubError(
            f"{folder} does not load: {type(error).__name__}: {error}. "
            "Save the model again with save_model, then share."
        ) from error
    return pipeline


def _names_only_what_others_have(folder: Path) -> bool:
    """Refuse classes that are only on this machine; whether the folder has our code in it."""
    index = json.loads((folder / INDEX).read_bytes())
    parts = {name: entry for name, entry in index.items() if isinstance(entry, list)}
    for name, (library, kind) in parts.items():
        code = folder / name / f"{library}.py"
        if library == "diffusers":
            continue
        if not code.is_file():
            raise HubError(
                f"{folder / INDEX} names {library}.{kind} for {name}, which others do not have. "
                "Save the model with save_model, which writes what they can load."
            )
        if library != CODE or code.read_bytes() != network_code().encode():
            raise HubError(
                f"{code} is not the code that save_model writes, and to look whether the model "
                "loads would run it. Save the model again with save_model."
            )
    return any(library == CODE for library, _ in parts.values())


def _check_weights(path: Path, network: nn.Module) -> None:
    """Refuse weights that lack some of the network's; diffusers would make those up."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        apart = sorted(set(file.keys()) ^ set(network.state_dict()))
    if apart:
        raise HubError(
            f"{path} and the network's config.json do not belong together: only one of them has "
            f"{', '.join(apart[:3])}. Save the model again with save_model."
        )


def _check_same(folder: Path, pipeline: Any, model: nn.Module, scheduler: Any) -> None:
    """Refuse what came back as another model than was saved."""
    kept, back = model.state_dict(), pipeline.unet.state_dict()
    other = [
        name
        for name, value in kept.items()
        if not torch.equal(value.cpu().float().nan_to_num(), back[name].float().nan_to_num())
    ]
    for mine, loaded in ((model, pipeline.unet), (scheduler, pipeline.scheduler)):
        said, found = _settings(mine), _settings(loaded)
        other += [name for name in said if said[name] != found.get(name)]
    if type(pipeline.scheduler) is not type(scheduler):
        other.append("the scheduler's class")
    if other:
        raise HubError(f"{folder} came back with another {', '.join(other[:3])} than was saved.")


def _settings(part: Any) -> dict[str, Any]:
    """What a network or scheduler says of itself, as JSON gives it back: without tuples."""
    said = {name: value for name, value in part.config.items() if not name.startswith("_")}
    return json.loads(json.dumps(said, default=list))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without diffusers' progress bars, and its remarks on types it did not expect."""
    from diffusers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
