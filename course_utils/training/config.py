"""Every number of a training run, in one place, checked before anything is trained."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

LOSSES = ("mse", "l1", "huber")
"""How a wrong answer can count; huber is squared near 0 and absolute beyond 1."""

TRACKERS = ("tensorboard", "wandb", "trackio")
"""Where curves and sample grids can be sent to."""

FREE_FIELDS = frozenset(
    {
        *("num_processes", "gradient_accumulation_steps", "max_loss"),
        *("output_dir", "overwrite_output_dir", "save_image_steps", "save_model_steps"),
        *("keep_checkpoints", "eval_batch_size", "eval_inference_steps", "tracker"),
        *("push_to_hub", "hub_model_id", "hub_private_repo"),
    }
)
"""What may change when a run is resumed; all else decides which numbers come out."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Every number of a training run, each with the reason for its default.

    The names of the butterflies tutorial, where ours differ: ``train_batch_size`` is
    `batch_size`, ``num_epochs`` is `num_steps` (`steps_for_epochs` converts),
    ``lr_warmup_steps`` is `num_warmup_steps`, and ``save_image_epochs`` and
    ``save_model_epochs`` are `save_image_steps` and `save_model_steps`. We count updates
    because an epoch is another number of them for every data set and batch size.

    Attributes:
        num_steps: Optimiser updates in all; 1,000 is enough for a small net on small pictures.
        image_size: Side of the pictures in pixels, to have other pictures refused; None
            takes them as they were prepared.
        batch_size: Pictures an update learns from, counted over all processes; 64 keeps a
            CPU busy.
        gradient_accumulation_steps: In how many parts, one after the other, a process works
            through its share of the batch. More parts need less memory and give the same
            update; 1 is fastest.
        num_processes: How many processes the run was asked for; it refuses to run as any
            other number. None trusts what the launcher has announced.
        learning_rate: Peak step size of AdamW, in (0, 1); small nets take 1e-3 and more.
        num_warmup_steps: Updates over which the step size climbs from 0 to the peak,
            while AdamW's averages are still poor.
        max_grad_norm: Longer gradients are shortened to this length: one odd batch must
            not undo a hundred good ones.
        ema_decay: The most that the running average of the weights keeps per update, in
            [0, 1). 0.995 averages over the last 200 updates, right for runs of about 1,000.
        loss: ``"mse"``, ``"l1"`` or ``"huber"``; the squared error is what the theory asks for.
        min_snr_gamma: Weigh noise levels by min(SNR, gamma), 5 in the paper; None counts
            all levels the same.
        label_dropout: Share of the labels, in [0, 1), that are replaced by the network's
            last class, which then stands for "no label"; 0.1 prepares for guidance.
        max_loss: A loss above this stops the run. The targets have a variance of about 1, so
            that silence costs about 1; 100 is far from anything that recovers.
        mixed_precision: ``"no"``, ``"bf16"`` or ``"fp16"``; full precision is the safe one.
        seed: Decides the order of the pictures, the noise and the noise levels.
        output_dir: Folder for checkpoints, sample grids and logs; None keeps nothing.
        overwrite_output_dir: Whether the checkpoints of another run in that folder may be
            thrown away. Off: hours of work are not lost to a repeated command.
        save_image_steps: Updates from one sample grid to the next; 0 for the last one only.
        save_model_steps: Updates from one checkpoint to the next, which is what a crash can
            cost at most; 0 for the last one only.
        keep_checkpoints: How many of the newest checkpoints stay, at least 1. Each takes
            four times the room of the weights; a second one survives a damaged disk.
        eval_batch_size: Pictures in a sample grid; 16 fill four rows of four.
        eval_inference_steps: Noise levels visited to draw them; 50 are enough for DDIM.
        tracker: ``"tensorboard"``, ``"wandb"`` or ``"trackio"`` for curves, grids and
            settings; None for none.
        push_to_hub: Whether the finished model is meant for the Hugging Face Hub. Off:
            training needs no account. `train` itself never uploads anything.
        hub_model_id: Its name there, such as ``"you/butterflies"``; None takes the name of
            the output folder.
        hub_private_repo: Whether only you may see it there.

    Source:
        The settings of the Hugging Face butterflies tutorial, as an annotated and validated
        dataclass.

    Chapter: 1, "The same through the package".
    """

    num_steps: int = 1_000
    image_size: int | None = None
    batch_size: int = 64
    gradient_accumulation_steps: int = 1
    num_processes: int | None = None
    learning_rate: float = 1e-3
    num_warmup_steps: int = 50
    max_grad_norm: float = 1.0
    ema_decay: float = 0.995
    loss: str = "mse"
    min_snr_gamma: float | None = None
    label_dropout: float = 0.0
    max_loss: float = 100.0
    mixed_precision: str = "no"
    seed: int = 0
    output_dir: str | None = None
    overwrite_output_dir: bool = False
    save_image_steps: int = 200
    save_model_steps: int = 200
    keep_checkpoints: int = 2
    eval_batch_size: int = 16
    eval_inference_steps: int = 50
    tracker: str | None = None
    push_to_hub: bool = False
    hub_model_id: str | None = None
    hub_private_repo: bool = False

    def __post_init__(self) -> None:
        rules = self._rules()
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and "None" in str(field.type):
                continue
            holds, rule = rules[field.name]
            if not holds(value):
                raise ValueError(f"{field.name} is {value!r}; it must be {rule}.")

    def _rules(self) -> dict[str, tuple[Any, str]]:
        """For each field what must hold of its value, and the same in words."""
        rules = {
            "num_warmup_steps": (
                lambda v: _is_whole(v, 0) and v <= self.num_steps,
                "between 0 and num_steps",
            ),
            "learning_rate": (lambda v: _is_number(v) and 0 < v < 1, "between 0 and 1"),
            "ema_decay": (lambda v: _is_number(v) and 0 <= v < 1, "in [0, 1)"),
            "label_dropout": (lambda v: _is_number(v) and 0 <= v < 1, "in [0, 1)"),
            "loss": (lambda v: v in LOSSES, "mse, l1 or huber"),
            "mixed_precision": (lambda v: v in ("no", "bf16", "fp16"), "no, bf16 or fp16"),
            "tracker": (
                lambda v: v in TRACKERS and self.output_dir is not None,
                "tensorboard, wandb, trackio or None, and goes with an output_dir",
            ),
            "push_to_hub": (
                lambda v: isinstance(v, bool) and (not v or self.output_dir is not None),
                "True or False, and goes with an output_dir: what is pushed is first saved",
            ),
        }
        for name in ("max_grad_norm", "min_snr_gamma", "max_loss"):
            rules[name] = (lambda v: _is_number(v) and v > 0, "a number above 0")
        for name in ("output_dir", "hub_model_id"):
            rules[name] = (lambda v: isinstance(v, str) and v.strip() != "", "a name or None")
        for name in ("overwrite_output_dir", "hub_private_repo"):
            rules[name] = (lambda v: isinstance(v, bool), "True or False")
        for name in ("seed", "save_image_steps", "save_model_steps"):
            rules[name] = (lambda v: _is_whole(v, 0), "a whole number, 0 or more")
        for field in fields(self):
            rules.setdefault(field.name, (lambda v: _is_whole(v, 1), "a whole number, at least 1"))
        return rules


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return numeric and math.isfinite(value)


def steps_for_epochs(num_epochs: int, num_images: int, batch_size: int) -> int:
    """How many updates a number of passes through the pictures takes.

    Args:
        num_epochs: Passes through the data, at least 1.
        num_images: Size of the data set, at least 1.
        batch_size: Pictures per update, at least 1.

    Returns:
        The tutorials' ``num_epochs * ceil(num_images / batch_size)``.

    Raises:
        ValueError: One of the three is below 1.

    Source:
        The Hugging Face butterflies tutorial: 50 epochs of 1,000 pictures at 16 are 3,150.
    """
    if min(num_epochs, num_images, batch_size) < 1:
        raise ValueError(
            f"num_epochs {num_epochs}, num_images {num_images}, batch_size {batch_size}: "
            f"each must be at least 1."
        )
    return num_epochs * math.ceil(num_images / batch_size)


def check_same_run(before: dict[str, Any], config: TrainingConfig) -> None:
    """Refuse to resume a run under settings that would make it another run.

    Args:
        before: The settings that a checkpoint was saved with, by name.
        config: The settings now.

    Raises:
        ValueError: Settings outside `FREE_FIELDS` differ; each is named with both values.

    Source:
        karpathy/nanoGPT keeps the configuration in the checkpoint.
    """
    now = asdict(config)
    names = [name for name in now if name not in FREE_FIELDS and now[name] != before.get(name)]
    if names:
        differences = "; ".join(f"{n} was {before.get(n)!r} and is {now[n]!r}" for n in names)
        raise ValueError(
            f"This checkpoint belongs to a run with other settings: {differences}. "
            f"Give the old values to go on, or another output_dir to begin a new run."
        )
