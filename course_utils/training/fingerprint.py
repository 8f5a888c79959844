"""What made a run, in plain values that can be kept and compared."""

import json
from dataclasses import asdict
from importlib.metadata import version
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
