"""Every number of a training run, in one place, checked before anything is trained."""

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_type_hints

from course_utils.training.setting import check_setting, setting
from course_utils.validate import check_count


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Every number of a training run: its name, type, default and bounds, and below the reason.

    The names of the butterflies tutorial, where ours differ: ``train_batch_size`` is
    `batch_size`, ``num_epochs`` is `num_steps` (`steps_for_epochs` converts),
    ``lr_warmup_steps`` is `num_warmup_steps`, and ``save_image_epochs`` and
    ``save_model_epochs`` are `save_image_steps` and `save_model_steps`. We count updates
    because an epoch is another number of them for every data set and batch size.

    Example:
        >>> from course_utils.training import TrainingConfig
        >>> TrainingConfig(num_steps=500, learning_rate=2e-3).batch_size
        64

    Chapter: 1, "The same through the package".
    """

    num_steps: int = setting(1_000, at_least=1)
    """Optimiser updates in all; 1,000 is enough for a small net on small pictures."""

    minutes: float | None = setting(None, above=0, may_change=True)
    """Minutes that the run may take; the number of updates then follows from how long they take,
    and num_steps is a first guess. None for just so many updates."""

    image_size: int | tuple[int, int] | None = setting(None, at_least=1)
    """Size of the pictures in pixels, where others are refused; the side of a square, or height
    and width. In the shell one side, or WIDTHxHEIGHT. None takes it from the pictures."""

    batch_size: int = setting(64, at_least=1)
    """Pictures an update learns from, over all processes together; 64 keeps a CPU busy."""

    gradient_accumulation_steps: int = setting(1, at_least=1, may_change=True)
    """In how many parts, one after the other, a process works through its share of the batch.
    More parts need less memory and give the same update; 1 is fastest."""

    gradient_checkpointing: bool = setting(False, may_change=True)
    """Whether to forget what the layers said and work it out again for the gradient. Needs a
    fraction of the memory, a third more time, and gives the same update."""

    num_processes: int | None = setting(None, at_least=1, may_change=True)
    """How many processes the run was asked for; it refuses to run as any other number.
    None trusts what the launcher has announced."""

    learning_rate: float = setting(1e-3, above=0, below=1)
    """Peak step size of AdamW; small nets take 1e-3 and more."""

    adam_beta2: float = setting(0.999, at_least=0, below=1)
    """How much AdamW's average of squared gradients keeps per update; short runs want 0.99, whose
    average forgets the wild beginning sooner."""

    num_warmup_steps: int = setting(50, at_least=0, at_most="num_steps")
    """Updates over which the step size climbs to its peak, while AdamW's averages are poor."""

    max_grad_norm: float = setting(1.0, above=0)
    """Longer gradients are shortened to this, since one odd batch must not undo a hundred."""

    ema_decay: float = setting(0.995, at_least=0, below=1)
    """The most that the running average of the weights keeps per update. 0.995 averages over
    the last 200 updates, right for runs of about 1,000."""

    loss: Literal["mse", "l1", "huber"] = setting("mse")
    """How a wrong answer counts; the squared error is what the theory asks for, and huber is
    squared near 0 and absolute beyond 1."""

    min_snr_gamma: float | None = setting(None, above=0)
    """Weigh noise levels by min(SNR, gamma), 5 in the paper; None counts all the same."""

    timestep_sampling: Literal["uniform", "logit_normal"] = setting("uniform")
    """How noise levels are drawn, uniformly or those of the middle more often, as the sigmoid of a
    standard normal. With the second, sprites and flowers come nearer to real ones in the same
    minutes."""

    label_dropout: float = setting(0.0, at_least=0, below=1)
    """Share of the labels that are replaced by the network's last class, which then stands
    for "no label"; 0.1 prepares for guidance."""

    max_loss: float = setting(100.0, above=0, may_change=True)
    """A loss above this stops the run. The targets have a variance of about 1, or 2 in flow
    matching, so that silence costs about that; 100 is far from anything that recovers."""

    mixed_precision: Literal["no", "bf16", "fp16"] = setting("no")
    """Full precision is the safe one; fp16 needs a GPU."""

    seed: int = setting(0, at_least=0, below=2**63)
    """Decides the order of the pictures, the noise and the noise levels."""

    output_dir: str | None = setting(None, may_change=True)
    """Folder for checkpoints, sample grids and logs; None keeps nothing."""

    overwrite_output_dir: bool = setting(False, may_change=True)
    """Whether what another run has left in that folder may be thrown away. It is off, so that
    hours of work are not lost to a repeated command."""

    save_image_steps: int = setting(200, at_least=0, may_change=True)
    """Updates from one sample grid to the next; 0 for the last one only."""

    save_model_steps: int = setting(200, at_least=0, may_change=True)
    """Updates from one checkpoint to the next, which is what a crash can cost at most; 0 for
    the last one only."""

    keep_checkpoints: int = setting(2, at_least=1, may_change=True)
    """How many of the newest checkpoints stay. Each takes four times the room of the weights;
    a second one survives a damaged disk."""

    eval_batch_size: int = setting(16, at_least=1, may_change=True)
    """Pictures in a sample grid; 16 fill four rows of four."""

    eval_inference_steps: int = setting(50, at_least=1, may_change=True)
    """Noise levels visited to draw them; 50 are enough for DDIM."""

    tracker: Literal["tensorboard", "wandb", "trackio"] | None = setting(
        None, needs="output_dir", may_change=True
    )
    """Where curves, grids and settings are sent to; None for nowhere."""

    judge_every: int | None = setting(None, at_least=1, needs="tracker", may_change=True)
    """Updates from one kernel distance to the next, which the tracker draws a curve of; None
    for no such curve. Pictures tell what the loss does not."""

    judge_batch_size: int = setting(200, at_least=3, may_change=True)
    """Pictures drawn for one kernel distance; 200 tell a good network from a middling one."""

    judge_by: str = setting("pixels", may_change=True)
    """The extractor of its features, as `course_utils.metrics.extractor` knows them."""

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for field in fields(self):
            check_setting(self, field, kinds[field.name])


def steps_for_epochs(num_epochs: int, num_images: int, batch_size: int) -> int:
    """How many updates a number of passes through the pictures takes.

    Args:
        num_epochs: Passes through the data, at least 1.
        num_images: Size of the data set, at least 1.
        batch_size: Pictures per update, at least 1.

    Returns:
        The tutorials' ``num_epochs * ceil(num_images / batch_size)``.

    Raises:
        TypeError: One of the three is not a whole number.
        ValueError: One of the three is below 1.

    Example:
        >>> from course_utils.training import steps_for_epochs
        >>> steps_for_epochs(num_epochs=2, num_images=100, batch_size=32)
        8

    Source:
        The Hugging Face butterflies tutorial: 50 epochs of 1,000 pictures at 16 are 3,150.
    """
    num_epochs = check_count("num_epochs", num_epochs)
    images, batch = check_count("num_images", num_images), check_count("batch_size", batch_size)
    return num_epochs * math.ceil(images / batch)


def check_same_run(before: dict[str, Any], config: TrainingConfig) -> None:
    """Refuse to resume a run under settings that would make it another run.

    Args:
        before: The settings that a checkpoint was saved with, by name.
        config: The settings now.

    Raises:
        ValueError: Settings that may not change differ; each is named with both values.
    """
    now = json.loads(json.dumps(asdict(config)))  # as it was kept: without tuples
    decide = [field for field in fields(config) if not field.metadata["may_change"]]
    # A setting that is younger than the checkpoint had, in effect, its default.
    before = {field.name: before.get(field.name, field.default) for field in decide}
    names = [name for name in before if now[name] != before[name]]
    if names:
        differences = "; ".join(f"{n} was {before[n]!r} and is {now[n]!r}" for n in names)
        raise ValueError(
            f"This checkpoint belongs to a run with other settings: {differences}. "
            f"Give the old values to go on, or another output_dir to begin a new run."
        )
