"""What is left of a finished run: a folder that draws, with a card, samples and its history."""

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from course_utils.sampling.opening import Opened
from course_utils.sampling.pictures import Drawn, draw_pictures
from course_utils.share.card import model_card
from course_utils.share.folder import save_model
from course_utils.threads import machine
from course_utils.training.config import TrainingConfig
from course_utils.training.planning import Plan
from course_utils.training.state import TrainingRun

GUIDANCE = 2.0
"""How the card's samples are guided where the network can be, since kinds are clearer so."""

_BACK = 3
"""An update costs as much as three looks of the network at its pictures."""


def save_run(
    folder: str | os.PathLike[str],
    chosen: Plan,
    run: TrainingRun,
    *,
    subject: str | None = None,
    source: str | None = None,
    licence: str = "other",
    minutes: float | None = None,
) -> Path:
    """Save what a run has learned, with samples, and a card that tells where it comes from.

    Args:
        folder: Where to.
        chosen: The plan of the run.
        run: What `Plan.train` returned.
        subject: What it draws, in the plural; None for the plan's name.
        source: Which pictures it learned from, in a sentence; None for their number and kinds.
        licence: The Hub's short name of a licence, such as ``"cc-by-4.0"``.
        minutes: How long it took, for ``card.json``.

    Returns:
        The folder, which `course_utils.sampling.open_network` opens, as diffusers does.

    Raises:
        ValueError: A text is empty.
        FileExistsError: The folder has files that no saved model is made of.
        HubError: What was written does not load.
        OSError: Something could not be written.

    Example:
        >>> from course_utils.data import load_images, prepare
        >>> from course_utils.sampling import open_network
        >>> from course_utils.share import save_run
        >>> from course_utils.training import plan
        >>> digits = load_images("digits", source="bundled")
        digits, bundled with scikit-learn: 1,797 pictures of 10 classes: ...
        >>> data = prepare(digits, image_size=8, channels=1)
        >>> chosen = plan(data, None, width=8, num_steps=2, eval_batch_size=4, mirror=False)
        >>> folder = save_run("my-digits", chosen, chosen.train(progress=False))
        >>> open_network(folder).labels[:3]
        ('0', '1', '2')

    Chapter: 4, "Save it, and say what it is".
    """
    config, names = replace(chosen.config, num_steps=len(run.losses)), chosen.data.names
    classes: int | None = run.ema_model.config.num_class_embeds
    labels = () if classes is None else names
    drawn = _samples(chosen, run, labels)
    if source is None:
        kinds = f" of {len(names)} kinds: {', '.join(names)}" if len(names) > 1 else ""
        source = f"{len(chosen.data):,} pictures{kinds}."
    card = model_card(
        chosen.name,
        subject=subject or chosen.name,
        source=source,
        licence=licence,
        model=run.ema_model,
        noise_scheduler=chosen.noise_scheduler,
        config=config,
        losses=run.losses,
        num_samples=len(drawn.images),
        class_names=labels or None,
    )
    about = {
        "labels": list(labels),
        "pictures": len(chosen.data),
        "mirrored": chosen.data.flip,
        "updates": len(run.losses),
        "minutes": minutes,
        "machine": machine(),
        "versions": {name: version(name) for name in ("course-utils", "torch", "diffusers")},
    }
    return save_model(
        folder,
        model=_module(run),
        noise_scheduler=chosen.noise_scheduler,
        card=card,
        samples=drawn.images,
        config=config,
        losses=run.losses,
        about=about,
    )


def _module(run: TrainingRun) -> Any:
    """The network with averaged weights: a Denoiser is a module, too."""
    return run.ema_model


def _samples(chosen: Plan, run: TrainingRun, labels: tuple[str, ...]) -> Drawn:
    """Pictures for the card: a few more, in twice the steps, than on the way."""
    config = chosen.config
    opened = Opened(chosen.name, _module(run), chosen.noise_scheduler, labels, "")
    count, steps = _card(config)
    return draw_pictures(
        opened,
        range(count),
        guidance=1.0 if opened.no_label is None else GUIDANCE,
        num_inference_steps=min(steps, chosen.noise_scheduler.config.num_train_timesteps),
        batch_size=config.eval_batch_size,
    )


def _card(config: TrainingConfig) -> tuple[int, int]:
    """How many samples the card shows, and in how many steps they are drawn."""
    return min(36, max(1, 9 * config.eval_batch_size // 4)), 2 * config.eval_inference_steps


def seconds_to_finish(chosen: Plan) -> float:
    """What drawing the card's samples will take, to be kept of a run's minutes.

    Args:
        chosen: The plan, whose updates were timed or not.

    Returns:
        Seconds, a little too many rather than too few.
    """
    if chosen.seconds is None:
        return 0.03 * 60 * (chosen.config.minutes or 0)
    count, steps = _card(chosen.config)
    return 2 + 2 * count * steps * chosen.seconds / (_BACK * chosen.config.batch_size)
