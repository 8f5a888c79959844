"""A small saved model, for the tests of sharing."""

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, UNet2DModel

from course_utils.share import model_card, save_model
from course_utils.share.folder import WEIGHTS

WANTED = [
    "README.md",
    "model_index.json",
    "samples.png",
    "scheduler/scheduler_config.json",
    "training.json",
    "unet/config.json",
    WEIGHTS,
]


@dataclass
class Config:
    num_steps: int = 120
    learning_rate: float = 2e-3


def small_network(**changes):
    torch.manual_seed(0)
    return UNet2DModel(
        **changes,
        sample_size=16,
        block_out_channels=(8, 8),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
        layers_per_block=1,
    )


def facts():
    return {
        "model": small_network(),
        "noise_scheduler": DDPMScheduler(1000, prediction_type="v_prediction"),
        "config": Config(),
        "losses": [1 / (k + 1) for k in range(120)],
    }


def card(**changes):
    told = {"subject": "butterflies", "source": "Drawn by the course.", "licence": "cc-by-4.0"}
    return model_card("wings", **(told | facts() | changes))


def saved(folder, **changes):
    """A saved model whose network or scheduler are others, if so wished."""
    samples = torch.linspace(-1, 1, 6 * 3 * 16 * 16).view(6, 3, 16, 16)
    return save_model(folder, card=card(**changes), samples=samples, **(facts() | changes))


def bytes_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
