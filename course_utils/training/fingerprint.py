"""What made a run, in plain values that can be kept and compared."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from course_utils.data.tensors import ImageTensors


class Configured(Protocol):
    """A network or a scheduler, ours or diffusers'."""

    @property
    def config(self) -> Any:
        """Settings by name, in a dictionary as in diffusers, or in a dataclass."""


def fingerprint(
    model: Configured, noise_scheduler: Configured, data: ImageTensors
) -> dict[str, Any]:
    """What is trained on what, with which libraries.

    Args:
        model: The network: its class and its settings count, not its weights.
        noise_scheduler: Its class and its settings count.
        data: Its pictures, labels and whether they are mirrored count.

    Returns:
        Values that JSON knows, by ``network``, ``noise_scheduler``, ``data`` and ``versions``.
    """
    return {
        "network": described(model),
        "noise_scheduler": described(noise_scheduler),
        "data": f"{data.digest}, flip={data.flip}",
        "versions": {name: version(name) for name in ("torch", "diffusers", "accelerate")},
    }


def described(thing: Configured) -> dict[str, Any]:
    """The class and the settings of a network or scheduler, without what cannot matter.

    Args:
        thing: The network or scheduler.

    Returns:
        Its class and settings, in values that JSON knows.
    """
    config = thing.config
    settings = dict(config) if hasattr(config, "items") else asdict(config)
    settings = {k: v for k, v in settings.items() if not k.startswith("_")}
    found = {"class": f"{type(thing).__module__}.{type(thing).__qualname__}", "config": settings}
    return json.loads(json.dumps(found))


def made_of(described: Mapping[str, Any]) -> Any:
    """A network or scheduler from its class and its settings.

    Args:
        described: What `described` gave.

    Returns:
        A fresh one.

    Raises:
        ValueError: It is of a kind that the trainer does not make.
    """
    import diffusers

    from course_utils import models, sampling

    module, _, kind = described["class"].rpartition(".")
    home: Any = {"diffusers": diffusers, "models": models, "sampling": sampling}.get(
        module.removeprefix("course_utils.").partition(".")[0]
    )
    if not hasattr(home, kind):
        raise ValueError(f"The run was made with a {described['class']}, which is not known here.")
    return getattr(home, kind).from_config(described["config"])


def mirrored(pictures: str) -> bool:
    """Whether a run's pictures were mirrored at random.

    Args:
        pictures: What `fingerprint` has of them under ``data``.

    Returns:
        True if they were.
    """
    return pictures.endswith("flip=True")


def check_same_pictures(
    start: Path | None, before: Mapping[str, Any], now: str, count: int
) -> None:
    """Refuse to go on with other pictures than a run was begun with.

    Args:
        start: The checkpoint that is gone on from; for the message.
        before: What it says of its run.
        now: The pictures now, as `fingerprint` has them under ``data``.
        count: How many there are now.

    Raises:
        ValueError: They are others; says how many there were.
    """
    then = str(before.get("data"))
    if then == now:
        return
    were = before.get("pictures", count)  # a checkpoint from before they were counted
    if then.partition(", flip=")[0] == now.partition(", flip=")[0]:
        words = {True: "mirrored at random", False: "as they are"}
        what = f"{words[mirrored(then)]} then, {words[mirrored(now)]} now"
    elif were != count:
        what = f"{were:,} pictures then, {count:,} now: restore them"
    else:
        what = (
            f"{count:,} pictures, some of which have other pixels or another label than then: "
            "restore them, and the way they are prepared"
        )
    raise ValueError(
        f"{start} belongs to a run with other pictures. {what[0].upper()}{what[1:]}, or choose "
        "another output_dir (--output-dir) for a new run."
    )
