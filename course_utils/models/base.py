"""What a network must offer to be trained and sampled."""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from diffusers.configuration_utils import FrozenDict
from torch import Tensor, nn


class Denoiser(Protocol):
    """A network that is shown a noisy picture and its noise level: ours, or diffusers'.

    Attributes:
        config: Settings by name: ``sample_size``, ``in_channels``, ``num_class_embeds`` and
            ``block_out_channels`` are read.
        training: Whether dropout and the like are on.
    """

    config: Any
    training: bool

    def __call__(self, sample: Tensor, timestep: Any, class_labels: Tensor | None = None) -> Any:
        """Predict; the answer has ``sample``, of the shape of the pictures."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """The weights."""

    def train(self, mode: bool = True) -> Any:
        """Turn dropout and the like on or off."""

    def eval(self) -> Any:
        """Turn dropout and the like off."""


def count_given(thing: Any) -> None:
    """Let arguments that were given by place count as given, as those given by name do.

    diffusers notes in ``config["_use_default_values"]`` which arguments were left out, and
    counts those given by place among them: ``from_config`` would then lose them in silence.

    Args:
        thing: A network or scheduler, in its ``__init__`` under ``register_to_config``.
    """
    defaults = inspect.signature(type(thing).__init__).parameters
    known = thing._internal_dict  # what diffusers keeps and saves; ``config`` may say more
    noted = known.get("_use_default_values", [])
    left_out = [name for name in noted if known[name] is defaults[name].default]
    settings = {k: v for k, v in known.items() if k != "_use_default_values"}
    note = {"_use_default_values": left_out} if left_out else {}  # none at all: no note at all
    thing._internal_dict = FrozenDict(settings | note)


def dtype_of(model: Denoiser) -> torch.dtype:
    """What a network calculates in, and wants its pictures in.

    Args:
        model: The network.

    Returns:
        Its own word where it has one, since weights may be stored in less than they are used
        in; else the type of its weights.
    """
    told = getattr(model, "dtype", None)
    return told if isinstance(told, torch.dtype) else next(model.parameters()).dtype


def height_and_width(sample_size: int | Sequence[int]) -> tuple[int, int]:
    """The size of a network's pictures, however its ``config.sample_size`` says it.

    Args:
        sample_size: The side of square pictures, or height and width, in pixels.

    Returns:
        Height and width in pixels.
    """
    if isinstance(sample_size, int):
        return sample_size, sample_size
    height, width = sample_size
    return height, width
