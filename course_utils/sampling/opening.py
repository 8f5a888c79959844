"""A trained network, opened, whoever has written it and wherever it lies.

It may be one of the gallery, a folder or a repository on the Hub. A folder may be a pipeline's, as
`course_utils.share.folder` and the trainer save one, or that of a bare ``UNet2DModel``. No code
that lies in it is run.
"""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from course_utils.files import RUN, spelled_out
from course_utils.models import gallery
from course_utils.models.gallery import CARD
from course_utils.noise.process import NoiseScheduler
from course_utils.validate import is_hub_name

INDEX = "model_index.json"

KINDS = ("UNet2DModel", "UNet")
"""The networks that can be opened, diffusers' and ours."""

SAID = (
    *("beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr"),
    *("prediction_type", "variance_type", "clip_sample", "clip_sample_range", "thresholding"),
)
"""What is read of a scheduler's settings."""


@dataclass(frozen=True)
class Opened:
    """A network and what lay beside it.

    Attributes:
        name: The folder's own name, or that of the folder around one called ``model``.
        model: The network, in evaluation mode and single precision.
        noise_scheduler: The scheduler of its training; None where the folder has none.
        labels: What its kinds are called, if a card says so.
        card: The text of its ``README.md``, without the Hub's metadata, or nothing.
    """

    name: str
    model: nn.Module
    noise_scheduler: NoiseScheduler | None
    labels: tuple[str, ...]
    card: str

    @property
    def no_label(self) -> int | None:
        """The label that stands for "no label", if the names of the others tell that it does."""
        config: Any = self.model.config
        classes: int | None = config.num_class_embeds
        return len(self.labels) if self.labels and classes == len(self.labels) + 1 else None


class NetworkUnavailableError(RuntimeError):
    """A network could not be had from the Hub; the message says what to do about it."""


def open_network(what: str | os.PathLike[str]) -> Opened:
    """Open a trained network by its name, wherever it lies.

    Args:
        what: A name of the gallery (``"sprites-16"``); or a folder, see `open_folder`
            (``./name`` for one called as a network of the gallery is); or ``"owner/name"`` on the
            Hub, which is loaded once.

    Returns:
        The network and what lies beside it.

    Raises:
        FileNotFoundError: There is nothing of this name, or no network in it, as in a run that has
            not come to its end.
        ValueError: The network or the scheduler is of a kind that this cannot open, or weights
            are missing.
        NetworkUnavailableError: The Hub did not give it. Nothing else is loaded instead.

    Example:
        >>> from course_utils.sampling import open_network
        >>> opened = open_network("sprites-16")
        >>> opened.name, opened.no_label == len(opened.labels)
        ('sprites-16', True)
    """
    text = os.fspath(what)
    if text in gallery.names():
        return open_folder(gallery.FOLDER / text)
    path = model_of(spelled_out("the network", what))
    if path.is_dir():
        return open_folder(path)
    if not is_hub_name(text) or path.exists():
        raise FileNotFoundError(
            f"There is no network {text!r}: no folder of this name, and none of the gallery "
            f"({', '.join(gallery.names())}). On the Hub networks are called owner/name."
        )
    return replace(open_folder(_from_hub(text)), name=text.rpartition("/")[2])


def model_of(folder: Path) -> Path:
    """The folder of the finished model: a run has it inside.

    Args:
        folder: That of a run or of a model.

    Returns:
        The folder ``model`` in it, or itself where there is none.

    Raises:
        FileNotFoundError: The run has not come to its end, and has made no model.
    """
    if (folder / "model" / INDEX).is_file():
        return folder / "model"
    run = folder.parent if folder.name == "model" and not folder.exists() else folder
    if (run / RUN).is_file():
        raise FileNotFoundError(
            f"{run} is a run that has made no model so far: it was stopped, or is still going on. "
            "Let it come to its end with the command that began it and --resume, or in Python "
            "with resume=True and save_run."
        )
    return folder


def name_of(folder: Path) -> str:
    """What a network is called: as its folder is, or that around one called ``model``.

    Args:
        folder: Where the model lies.

    Returns:
        Such as ``"my-run"``.
    """
    own = folder.resolve()
    return own.parent.name if own.name == "model" else own.name


def _from_hub(name: str) -> Path:
    """The files of a network on the Hub that are no code and no pickles."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.md"]))
    except Exception as error:  # whatever a library says of a network that does not answer
        raise NetworkUnavailableError(
            f"There is no folder {name!r} here, and it could not be loaded from the Hugging Face "
            f"Hub: {type(error).__name__}: {error} Check the name and the network (python -m "
            "course_utils check says whether the Hub answers) and that HF_HUB_OFFLINE is not set."
        ) from error


def open_folder(folder: str | os.PathLike[str]) -> Opened:
    """Open a trained network.

    Args:
        folder: What `save_model`, ``save_pretrained`` of a pipeline or of a ``UNet2DModel`` has
            written; that of a run of ``python -m course_utils train``, which has such a folder
            ``model`` in it; or a network's folder of the gallery.

    Returns:
        The network and what lay beside it.

    Raises:
        FileNotFoundError: There is no such folder, or no network in it, as in a run that has not
            come to its end.
        ValueError: The network or the scheduler is of a kind that this cannot open, or weights
            are missing.
    """
    path = model_of(spelled_out("folder", folder))
    inside = path / "unet" if (path / "unet").is_dir() else path
    if not (inside / "config.json").is_file():
        raise FileNotFoundError(
            f"{path} holds no network: there is no {inside / 'config.json'}. Give the folder that "
            "save_model or save_pretrained has written, or that of a finished run."
        )
    return Opened(
        name=name_of(path),
        model=_network(inside),
        noise_scheduler=_scheduler(path),
        labels=tuple(_json(path / CARD).get("labels", ())),
        card=_card(path / "README.md"),
    )


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _card(path: Path) -> str:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL).strip()


def _network(folder: Path) -> nn.Module:
    """The network, or an error where diffusers would make up weights that are not there."""
    from diffusers import UNet2DModel

    from course_utils.models import UNet

    kind = _json(folder / "config.json").get("_class_name")
    if kind not in KINDS:
        raise ValueError(
            f"{folder} holds a {kind}; this takes a {' or a '.join(KINDS)}, whose only inputs are "
            "a picture, its noise level and a label."
        )
    chosen: Any = UNet if kind == "UNet" else UNet2DModel
    model, said = chosen.from_pretrained(folder, output_loading_info=True, use_safetensors=True)
    missing = sorted(said["missing_keys"])
    if missing:
        raise ValueError(f"The weights in {folder} lack {', '.join(missing[:3])}; save it anew.")
    return model.float().eval()


def _scheduler(folder: Path) -> NoiseScheduler | None:
    """The noise levels of its training, as one of our schedulers."""
    from course_utils.sampling import DDPMScheduler, FlowMatchEulerScheduler

    beside, below = folder / "scheduler_config.json", folder / "scheduler/scheduler_config.json"
    config = _json(below if below.is_file() else beside)
    if not config:
        return None
    levels = config["num_train_timesteps"]
    if "FlowMatch" in config["_class_name"]:
        if config.get("shift", 1.0) != 1.0 or config.get("use_dynamic_shifting", False):
            raise ValueError(f"{folder}: a scheduler that shifts its noise levels is not known.")
        return FlowMatchEulerScheduler(levels)
    given = {name: config[name] for name in SAID if name in config}
    if not {"beta_schedule", "trained_betas"} & given.keys():
        raise ValueError(
            f"{folder} has a {config['_class_name']}, which does not say its betas. Save the "
            "scheduler that the network was trained with."
        )
    return DDPMScheduler(levels, **given)
