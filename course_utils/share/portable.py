"""What others can load without this package: a scheduler's twin in diffusers, a network's code.

diffusers has classes that say the same as our schedulers; those are saved in their place. It has
none that says the same as our `UNet`, so its code travels beside its weights, as one file that
diffusers runs for those who allow it with ``trust_remote_code=True``.
"""

import ast
import inspect
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import diffusers
import torch
from torch import nn

from course_utils.models import UNet, embedding, layers, unet
from course_utils.models.base import count_given
from course_utils.noise.process import NoiseScheduler
from course_utils.sampling import DDIMScheduler, DDPMScheduler, FlowMatchEulerScheduler

CODE = "course_unet"
"""Name of the module, in the network's folder, that holds the code of our `UNet`."""

_TWINS: Mapping[type, Any] = {
    DDPMScheduler: diffusers.DDPMScheduler,
    DDIMScheduler: diffusers.DDIMScheduler,
    FlowMatchEulerScheduler: diffusers.FlowMatchEulerDiscreteScheduler,
}

_HEAD = """# The U-Net of the course From Noise to Butterflies, course-utils {version}, in one
# file, so that diffusers can load it where the course is not installed.
# Licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

import inspect
import re
from typing import Any

from diffusers.configuration_utils import FrozenDict


"""


def portable_scheduler(noise_scheduler: NoiseScheduler) -> Any:
    """A scheduler's equal among diffusers' classes.

    Args:
        noise_scheduler: Ours, or one of diffusers'.

    Returns:
        The same object if it is one of diffusers'; else a new one of their class, with the same
        settings and the same noise levels.

    Raises:
        ValueError: diffusers has no such class, or its class does not express a setting.
    """
    kind = type(noise_scheduler)
    if kind.__module__.startswith("diffusers."):
        return noise_scheduler
    if kind not in _TWINS:
        raise ValueError(
            f"noise_scheduler is a {kind.__module__}.{kind.__name__}, which others do not have. "
            f"Hand over one of diffusers', or our {', '.join(c.__name__ for c in _TWINS)}."
        )
    twin_kind = _TWINS[kind]
    said = noise_scheduler.config.items()
    settings = {k: getattr(v, "tolist", lambda v=v: v)() for k, v in said if k[0] != "_"}
    if kind is FlowMatchEulerScheduler:
        del settings["prediction_type"]  # the velocity; their class knows no other
    try:
        twin = twin_kind(**{name: settings[name] for name in _arguments(kind) & settings.keys()})
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"diffusers' {twin_kind.__name__} cannot say what this scheduler says: {error}. If it "
            "is the beta_schedule, give trained_betas=noise_scheduler.betas.tolist() in its place."
        ) from error
    twin.register_to_config(**(settings | dict(twin.config)))  # also what another kind may read
    _check_twin(twin, settings, noise_scheduler)
    return twin


def _arguments(kind: type) -> set[str]:
    return set(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]


def _check_twin(twin: Any, settings: Mapping[str, Any], ours: Any) -> None:
    """Refuse a twin that says anything else, by name."""
    other = [name for name, value in settings.items() if twin.config[name] != value]
    table = getattr(ours, "alphas_cumprod", None)
    if table is not None and not torch.allclose(twin.alphas_cumprod, table, rtol=1e-3, atol=1e-6):
        other.append("alphas_cumprod")
    if other:
        raise ValueError(
            f"diffusers' {type(twin).__name__} would say something else than this scheduler of "
            f"{', '.join(other)}. Train and save with diffusers' class itself."
        )


def carries_code(model: nn.Module) -> bool:
    """Whether a network's code must travel with it.

    Args:
        model: Our `UNet`, or a network of diffusers'.

    Returns:
        True for our `UNet`, False for diffusers' networks.

    Raises:
        ValueError: It is neither, so that others could not load it.
    """
    kind = type(model)
    if kind.__module__.startswith("diffusers.") or kind is UNet:
        return kind is UNet
    raise ValueError(
        f"model is a {kind.__module__}.{kind.__name__}, which others do not have. Hand over a "
        "diffusers.UNet2DModel or a course_utils.models.UNet; of a compiled network, the one that "
        "was compiled."
    )


def network_code() -> str:
    """The code of our `UNet` as one file, which imports nothing of this package.

    Returns:
        Python, with a note of the licence. It is the package's own lines.
    """
    head = _HEAD.format(version=version("course-utils"))
    rest = (_on_its_own(inspect.getsource(module)) for module in (layers, embedding, unet))
    return head + "\n\n".join([inspect.getsource(count_given), *rest])


def _on_its_own(source: str) -> str:
    """Leave out what needs this package, namely imports of ours and the docstrings' examples."""
    source = re.sub(r"^( *)Example:\n(?:\1    .*\n)+\n?", "", source, flags=re.M)
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils"):
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "".join(lines)
