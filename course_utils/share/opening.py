"""The folder of a trained network, opened, whoever has written it.

It may be a pipeline's, as `course_utils.share.folder` and the trainer save one, a network's of the
gallery, or that of a bare ``UNet2DModel``. No code that lies in a folder is run.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from course_utils.files import spelled_out
from course_utils.models.gallery import CARD
from course_utils.noise.process import NoiseScheduler

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


def open_folder(folder: str | os.PathLike[str]) -> Opened:
    """Open a trained network.

    Args:
        folder: What `save_model`, ``python -m course_utils train``, ``save_pretrained`` of a
            pipeline or of a ``UNet2DModel`` has written, or a network's folder of the gallery.

    Returns:
        The network and what lay beside it.

    Raises:
        FileNotFoundError: There is no such folder, or no network in it.
        ValueError: The network or the scheduler is of a kind that this cannot open, or weights
            are missing.
    """
    path = spelled_out("folder", folder)
    inside = path / "unet" if (path / "unet").is_dir() else path
    if not (inside / "config.json").is_file():
        raise FileNotFoundError(
            f"{path} holds no network: there is no {inside / 'config.json'}. Give the folder that "
            "save_model or save_pretrained has written; of a run, its folder model."
        )
    own = path.resolve()
    return Opened(
        name=own.parent.name if own.name == "model" else own.name,
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
    model, said = chosen.from_pretrained(folder, output_loading_info=True)
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
