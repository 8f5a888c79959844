"""A data set, a network and settings that go together, for each budget: one place for all.

The chapters and ``python -m course_utils train`` take them from here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from course_utils.budget import BUDGETS, current_budget
from course_utils.data.drawn import COUNT
from course_utils.data.load import OWN_SOURCES, load_images
from course_utils.data.tensors import ImageTensors, prepare
from course_utils.noise.process import NoiseScheduler
from course_utils.training.config import TrainingConfig, steps_for_epochs
from course_utils.training.state import Network


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained on what, and how.

    Attributes:
        name: What it is called in `RECIPES`.
        config: The numbers of the run; `image_size` is set.
        channels: 1 for grey pictures, 3 for RGB.
        flip: Whether batches mirror pictures at random.
        conditional: Whether the network is told the label.
        network: Arguments of ``UNet2DModel`` beyond size, channels and classes.
        data_set: The pictures, as `course_utils.data.load_images` calls them; None where they
            are called like the recipe.
        source: Where the pictures come from if nothing else is said; None for the usual place.
        count: How many pictures to draw, where they are drawn; None for the usual number.
        first: The number of the first of those; None for 0.
    """

    name: str
    config: TrainingConfig
    channels: int = 3
    flip: bool = False
    conditional: bool = False
    network: dict[str, Any]
    data_set: str | None = None
    source: str | None = None
    count: int | None = None
    first: int | None = None

    def __post_init__(self) -> None:
        if self.config.image_size is None:
            raise ValueError(
                f"image_size is None; the recipe {self.name!r} prepares its pictures at this size."
            )

    @property
    def pictures(self) -> str:
        """The pictures, as `course_utils.data.load_images` calls them."""
        return self.data_set or self.name

    def data(self, source: str | Path | None = None) -> ImageTensors:
        """Open and prepare the pictures.

        Args:
            source: As `course_utils.data.load_images` takes it; None for the recipe's own.

        Returns:
            The pictures at the recipe's size.
        """
        assert self.config.image_size is not None
        source = source or self.source or OWN_SOURCES[self.pictures]
        drawn = source == "drawn"
        own = {"count": self.count, "first": self.first} if drawn else {}
        images = load_images(self.pictures, source, **own)
        return prepare(images, self.config.image_size, self.channels, self.flip)

    def model(self, num_classes: int | None = None) -> Network:
        """The untrained network; its first weights follow from the recipe's seed.

        Args:
            num_classes: How many labels the data have; counts only where the recipe is
                `conditional`. A dropped label gets a class of its own.

        Returns:
            A ``diffusers.UNet2DModel``.

        Source:
            Ho et al. 2020, arXiv 2006.11239, appendix B.
        """
        from diffusers import UNet2DModel

        classes = None
        if self.conditional and num_classes is not None:
            classes = num_classes + (1 if self.config.label_dropout > 0 else 0)
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            model = UNet2DModel(
                sample_size=self.config.image_size,
                in_channels=self.channels,
                out_channels=self.channels,
                num_class_embeds=classes,
                **self.network,
            )
        return cast(Network, model)

    def noise_scheduler(self) -> NoiseScheduler:
        """A cosine of 1,000 levels, which ends in pure noise, and the velocity as the target.

        Returns:
            A ``diffusers.DDPMScheduler``.

        Source:
            Nichol and Dhariwal 2021, arXiv 2102.09672, equation (17); Salimans and Ho 2022, arXiv
            2202.00512.
        """
        from diffusers import DDPMScheduler

        settings = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
        return cast(NoiseScheduler, DDPMScheduler(1_000, **settings))


def recipe(name: str, budget: str | None = None) -> Recipe:
    """The recipe of a data set at a budget.

    Args:
        name: One of `RECIPES`.
        budget: One of `course_utils.BUDGETS`; None takes the current one.

    Returns:
        The recipe; ``dataclasses.replace`` gives it other settings.

    Raises:
        ValueError: There is no such recipe or budget.
    """
    budget = current_budget() if budget is None else budget
    if name not in RECIPES or budget not in BUDGETS:
        raise ValueError(
            f"There is no recipe {name!r} at budget {budget!r}; choose from "
            f"{', '.join(RECIPES)} and {', '.join(BUDGETS)}."
        )
    return RECIPES[name](BUDGETS.index(budget))


def _blocks(
    widths: tuple[int, ...], layers: int, attention: int | None = None, groups: int = 32
) -> dict[str, Any]:
    """Plain blocks of these widths; one level, counted from the top, may have attention."""
    plain = range(len(widths))
    down = ["AttnDownBlock2D" if k == attention else "DownBlock2D" for k in plain]
    up = ["AttnUpBlock2D" if k == attention else "UpBlock2D" for k in plain]
    return {
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": tuple(down),
        "up_block_types": tuple(reversed(up)),
        "norm_num_groups": groups,
    }


_SMOKE: dict[str, Any] = {
    "num_steps": 8,
    "num_warmup_steps": 2,
    "ema_decay": 0.5,
    "save_image_steps": 4,
    "save_model_steps": 4,
    "eval_batch_size": 4,
    "eval_inference_steps": 4,
}


_NIGHT: dict[str, Any] = {
    "batch_size": 64,
    "learning_rate": 2e-3,
    "num_warmup_steps": 100,
    "ema_decay": 0.999,
    "label_dropout": 0.1,
    "save_model_steps": 500,
    "save_image_steps": 500,
    "keep_checkpoints": 100,  # all of them: what more time buys is measured by them
    "eval_batch_size": 64,
}


def _digits(k: int) -> Recipe:
    """Chapter 1's better recipe."""
    settings: tuple[dict[str, Any], ...] = (
        _SMOKE | {"image_size": 8, "learning_rate": 3e-3},
        {
            "image_size": 28,
            "num_steps": 1_000,
            "batch_size": 32,
            "learning_rate": 3e-3,
            "ema_decay": 0.99,
        },
        _NIGHT | {"image_size": 28, "num_steps": 4_000, "batch_size": 32},
        {"image_size": 28, "num_steps": 2_800, "learning_rate": 2e-3, "ema_decay": 0.998},
    )
    return Recipe(
        name="digits",
        config=TrainingConfig(**settings[k]),
        channels=1,
        conditional=True,
        network=_blocks(((8, 16, 32), (16, 32, 64), (32, 64, 96), (16, 32, 64))[k], 1, groups=8),
        source=(None, "drawn", "drawn", None)[k],
        count=(None, 4_000, 20_000, None)[k],
    )


def _sprites(k: int) -> Recipe:
    """On a laptop chapter 3's labelled network."""
    settings: tuple[dict[str, Any], ...] = (
        _SMOKE | {"image_size": 16, "batch_size": 16},
        {
            "image_size": 16,
            "num_steps": 700,
            "batch_size": 64,
            "learning_rate": 2e-3,
            "ema_decay": 0.99,
        },
        _NIGHT | {"image_size": 16, "num_steps": 10_000},
        {"image_size": 16, "num_steps": 30_000, "batch_size": 100, "ema_decay": 0.999},
    )
    network = (
        _blocks((16, 16), 2, groups=16),
        _blocks((32, 64, 96), 1, groups=8),
        _blocks((32, 64, 96), 1, groups=8),
        _blocks((128, 64), 2, groups=16),  # 3,774,467 parameters
    )
    return Recipe(
        name="sprites",
        config=TrainingConfig(**settings[k]),
        conditional=BUDGETS[k] in ("laptop", "overnight"),
        network=network[k],
        count=(100, 4_000, 12_000, None)[k],
    )


def _half(name: str, number: int) -> Callable[[int], Recipe]:
    """The sprites' recipe on one half of its pictures, for half as long."""

    def make(k: int) -> Recipe:
        whole = _sprites(k)
        count = (whole.count or COUNT) // 2
        steps = whole.config.num_steps // 2
        config = replace(whole.config, num_steps=steps)
        return replace(
            whole, name=name, data_set="sprites", config=config, count=count, first=number * count
        )

    return make


def _butterflies(k: int) -> Recipe:
    """At the full budget the tutorial's own network and numbers: 50 epochs of 1,000 pictures."""
    tutorial: dict[str, Any] = {
        "image_size": 128,
        "num_steps": steps_for_epochs(50, 1_000, 16),
        "batch_size": 16,
        "learning_rate": 1e-4,
        "num_warmup_steps": 500,
        "ema_decay": 0.998,
        "mixed_precision": "fp16",
        "save_image_steps": steps_for_epochs(10, 1_000, 16),
        "save_model_steps": steps_for_epochs(30, 1_000, 16),
    }
    settings: tuple[dict[str, Any], ...] = (
        _SMOKE | {"image_size": 16, "batch_size": 8, "learning_rate": 2e-3},
        {"image_size": 32, "num_steps": 1_200, "batch_size": 8, "learning_rate": 1.2e-3},
        _NIGHT | {"image_size": 32, "num_steps": 10_000, "batch_size": 16},
        tutorial,
    )
    network = (
        _blocks((16, 16), 1, groups=16),
        _blocks((24, 48, 96, 96), 1, groups=8),
        _blocks((24, 48, 96, 96), 1, groups=8),
        _blocks((128, 128, 256, 256, 512, 512), 2, attention=4),
    )
    return Recipe(
        name="butterflies",
        config=TrainingConfig(**settings[k]),
        flip=True,
        conditional=BUDGETS[k] == "overnight",
        network=network[k],
        count=(100, None, 12_000, None)[k],
    )


def _flowers(k: int) -> Recipe:
    settings: tuple[dict[str, Any], ...] = (
        _SMOKE | {"image_size": 16, "batch_size": 8},
        {"image_size": 32, "num_steps": 1_200, "batch_size": 16, "ema_decay": 0.99},
        _NIGHT | {"image_size": 32, "num_steps": 10_000, "batch_size": 16},
        {
            "image_size": 64,
            "num_steps": 50_000,
            "batch_size": 64,
            "learning_rate": 1e-4,
            "num_warmup_steps": 300,
            "ema_decay": 0.999,
            "save_image_steps": 1_000,
            "save_model_steps": 1_000,
        },
    )
    network = (
        _blocks((16, 16), 1, groups=8),
        _blocks((32, 64, 64), 2, attention=2, groups=32),
        _blocks((24, 48, 96, 96), 1, groups=8),
        _blocks((128, 256, 512, 512), 2, attention=3),
    )
    return Recipe(
        name="flowers",
        config=TrainingConfig(**settings[k]),
        flip=True,
        conditional=BUDGETS[k] == "overnight",
        network=network[k],
        count=(110, None, 12_000, None)[k],
    )


RECIPES = {
    "digits": _digits,
    "sprites": _sprites,
    "sprites-a": _half("sprites-a", 0),
    "sprites-b": _half("sprites-b", 1),
    "butterflies": _butterflies,
    "flowers": _flowers,
}
"""The recipes there are; `recipe` makes them."""
