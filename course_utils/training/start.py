"""Starting from a network that has learned something else: all is kept but the labels.

What a network knows of edges, colours and noise serves other pictures, too. Only the table of its
labels has to be another one. A label of the same name keeps its row; each other begins with a row
of its own, that of a kind which is not wanted any more, or a random one. Rows that are equal at
first are told apart late.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from course_utils.data.tensors import ImageTensors
from course_utils.models.base import height_and_width
from course_utils.training.state import Network

if TYPE_CHECKING:
    from course_utils.sampling.opening import Opened

_TABLE = "class_embedding.weight"


def started(opened: "Opened", data: ImageTensors) -> Network:
    """A network for some pictures, with what another one has learned.

    Args:
        opened: The trained network; it stays as it is.
        data: The pictures, with the names of their labels.

    Returns:
        A new network of the same shape for pictures of this size. It has a class for each label
        and one for "no label"; none at all where the trained one has none and all pictures have
        the same label.

    Raises:
        ValueError: Its pictures have other channels.

    Source:
        Dhariwal and Nichol 2021, arXiv 2105.05233, section 3.1, for labels as rows that are added
        to the embedding of the time.
    """
    trained: Any = opened.model
    channels, size = data.images.shape[1], tuple(data.images.shape[2:])
    if channels != trained.config.in_channels:
        raise ValueError(
            f"{opened.name} draws pictures of {trained.config.in_channels} channels, and yours "
            f"have {channels}; prepare them with channels={trained.config.in_channels} "
            f"(--channels {trained.config.in_channels})."
        )
    weights = dict(trained.state_dict())
    table = weights.pop(_TABLE, None)
    classes = None if table is None and len(data.names) < 2 else len(data.names) + 1
    changed: dict[str, Any] = {"num_class_embeds": classes}
    if size != height_and_width(trained.config.sample_size):
        own = "image_size" if "image_size" in trained.config else "sample_size"
        changed[own] = size[0] if size[0] == size[1] else size
    settings = dict(trained.config) | changed
    settings.pop("_use_default_values", None)  # diffusers would undo changes of these
    model: Any = type(trained).from_config(settings)
    if classes is not None:
        width = model.class_embedding.weight.shape[1]
        rows = torch.zeros(1, width) if table is None else table
        weights[_TABLE] = _table(rows, opened.labels, data.names)
    model.load_state_dict(weights)
    return cast(Network, model)


def _table(rows: Tensor, known: Sequence[str], names: Sequence[str]) -> Tensor:
    """A row for each name and one for "no label", no two of them equal.

    Args:
        rows: What was learned, shape (classes, width); the last one is that of "no label" where
            there is a row more than labels.
        known: What the learned labels are called; empty where nobody knows.
        names: What the new ones are called.

    Returns:
        Shape (len(names) + 1, width).
    """
    blank = rows[-1] if len(known) == len(rows) - 1 else rows.mean(0)
    learned = dict(zip(known, rows, strict=False))
    free = [row for name, row in learned.items() if name not in names]
    # Any learned row will do; random ones are as long as the learned ones, or as a fresh table's.
    scale = rows.std() if len(rows) > 1 else 1.0
    generator = torch.Generator().manual_seed(0)
    table = []
    for name in names:
        if name in learned:
            table.append(learned[name])
        elif free:
            table.append(free.pop(0))
        else:
            table.append(blank + scale * torch.randn(blank.shape, generator=generator))
    return torch.stack([*table, blank])
