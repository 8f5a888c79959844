"""A data set, a network and settings that go together, for each budget: one place for all.

The chapters and ``python -m course_utils train`` take them from here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from course_utils.budget import BUDGETS, current_budget
from course_utils.data.drawn import COUNT
from course_utils.training.config import TrainingConfig, steps_for_epochs
from course_utils.training.task import Recipe


def recipe(name: str, budget: str | None = None) -> Recipe:
    """The recipe of a data set at a budget.

    Args:
        name: One of `RECIPES`.
        budget: One of `course_utils.BUDGETS`; None takes the current one.

    Returns:
        The recipe; ``dataclasses.replace`` gives it other settings.

    Raises:
        ValueError: There is no such recipe or budget.

    Example:
        >>> from course_utils.training import recipe
        >>> chosen = recipe("sprites", budget="laptop")
        >>> chosen.config.image_size, chosen.network["block_out_channels"]
        (16, (16, 48, 96))
    """
    budget = current_budget() if budget is None else budget
    if name not in RECIPES or budget not in BUDGETS:
        raise ValueError(
            f"There is no recipe {name!r} at budget {budget!r}; choose from "
            f"{', '.join(RECIPES)} and {', '.join(BUDGETS)}."
        )
    return RECIPES[name](BUDGETS.index(budget))


def plain_blocks(
    widths: tuple[int, ...], layers: int, attention: int | None = None, groups: int = 32
) -> dict[str, Any]:
    """Plain blocks, which are quick; one level may have attention.

    Args:
        widths: Channels of each level, from the full size down.
        layers: Residual blocks of each level.
        attention: The level that has attention, counted from the top; None for none.
        groups: Into how many groups the channels are normalised; divides all widths.

    Returns:
        Arguments of ``UNet2DModel``.

    Source:
        ``diffusers.UNet2DModel``.
    """
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


SMOKE: dict[str, Any] = {
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
        SMOKE | {"image_size": 8, "learning_rate": 3e-3},
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
        network=plain_blocks(
            ((8, 16, 32), (16, 32, 64), (32, 64, 96), (16, 32, 64))[k], 1, groups=8
        ),
        source=(None, "drawn", "drawn", None)[k],
        count=(None, 4_000, 20_000, None)[k],
    )


def _sprites(k: int) -> Recipe:
    """On a laptop chapter 3's labelled network; path and levels: see `_flowers`."""
    settings: tuple[dict[str, Any], ...] = (
        SMOKE | {"image_size": 16, "batch_size": 16},
        {
            "image_size": 16,
            "num_steps": 1_150,
            "batch_size": 32,  # better in the same time than 64; benchmarks/recipes.txt
            "learning_rate": 2e-3,
            "ema_decay": 0.99,
            "timestep_sampling": "logit_normal",
        },
        _NIGHT | {"image_size": 16, "num_steps": 10_000},
        {"image_size": 16, "num_steps": 30_000, "batch_size": 100, "ema_decay": 0.999},
    )
    network = (
        plain_blocks((16, 16), 2, groups=16),
        plain_blocks((16, 48, 96), 1, groups=8),
        plain_blocks((32, 64, 96), 1, groups=8),
        plain_blocks((128, 64), 2, groups=16),  # 3,774,467 parameters
    )
    return Recipe(
        name="sprites",
        config=TrainingConfig(**settings[k]),
        conditional=BUDGETS[k] in ("laptop", "overnight"),
        flow_matching=BUDGETS[k] == "laptop",
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
        SMOKE | {"image_size": 16, "batch_size": 8, "learning_rate": 2e-3},
        {"image_size": 32, "num_steps": 1_200, "batch_size": 8, "learning_rate": 1.2e-3},
        _NIGHT | {"image_size": 32, "num_steps": 10_000, "batch_size": 16},
        tutorial,
    )
    network = (
        plain_blocks((16, 16), 1, groups=16),
        plain_blocks((24, 48, 96, 96), 1, groups=8),
        plain_blocks((24, 48, 96, 96), 1, groups=8),
        plain_blocks((128, 128, 256, 256, 512, 512), 2, attention=4),
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
    """On a laptop flow matching and levels from the middle: last rows of benchmarks/recipes.txt.

    Of the three ways there, what it draws is read as asked most often and comes nearest to real
    flowers; sprites too, but hardly ahead of the cosine with the same levels.
    """
    settings: tuple[dict[str, Any], ...] = (
        SMOKE | {"image_size": 16, "batch_size": 8},
        {
            "image_size": 32,
            "num_steps": 2_600,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "num_warmup_steps": 100,
            "label_dropout": 0.1,
            "timestep_sampling": "logit_normal",
        },
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
        plain_blocks((16, 16), 1, groups=8),
        plain_blocks((16, 32, 72, 72), 1, groups=8),
        plain_blocks((24, 48, 96, 96), 1, groups=8),
        plain_blocks((128, 256, 512, 512), 2, attention=3),
    )
    return Recipe(
        name="flowers",
        config=TrainingConfig(**settings[k]),
        flip=True,
        conditional=BUDGETS[k] in ("laptop", "overnight"),
        flow_matching=BUDGETS[k] == "laptop",
        network=network[k],
        count=(110, 6_000, 12_000, None)[k],
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
