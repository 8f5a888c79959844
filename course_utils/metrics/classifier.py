"""A small network that reads the labels of drawn pictures; its hidden layer gives features.

``python -m course_utils extractor sprites-16`` teaches one and puts its weights into the package.
The pictures that it learns from are shown to no generator.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.data.load import load_images
from course_utils.data.tensors import ImageTensors, prepare
from course_utils.files import digest, write_whole
from course_utils.metrics.features import Extractor, check_shape, rounded
from course_utils.screen import tell

FOLDER = Path(__file__).with_name("weights")
"""Where the taught networks lie."""

SHOWN = 50
"""Pictures of each family by which a change of the drawings is noticed."""

BATCH = 250
"""Pictures that are looked at together, whatever number is given."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a network is taught.

    Attributes:
        families: The drawn pictures; with more than one, the kinds of all.
        size: Side of the pictures in pixels.
        channels: 1 for grey, 3 for RGB.
        count: How many pictures of each family.
        first: The number of the first, beyond those that any generator learns from.
        num_steps: Updates.
        batch_size: Pictures an update learns from.
        noise: Deviation of the noise laid over them, so that no single pixel tells the kind.
    """

    families: tuple[str, ...]
    size: int
    channels: int = 3
    count: int = 8_000
    first: int = 600_000
    num_steps: int = 500
    batch_size: int = 128
    noise: float = 0.2

    def pictures(self, count: int | None = None, first: int | None = None) -> ImageTensors:
        """The pictures of the lesson, or others of the same kind.

        Args:
            count: How many of each family; None for the lesson's number.
            first: The number of the first; None for the lesson's.

        Returns:
            The pictures, family by family, with a label for each kind of each.
        """
        count, first = count or self.count, self.first if first is None else first
        sets = [load_images(f, "drawn", count=count, first=first) for f in self.families]
        parts = [prepare(pictures, self.size, self.channels) for pictures in sets]
        names: tuple[str, ...] = ()
        labels = []
        for part in parts:
            labels.append(part.labels + len(names))
            names += part.names
        images = torch.cat([part.images for part in parts])
        return ImageTensors(images, torch.cat(labels), names)


TAUGHT = {
    "butterflies-32": Lesson(families=("butterflies",), size=32),
    "digits-28": Lesson(families=("digits",), size=28, channels=1),
    "drawn-32": Lesson(
        families=("digits", "sprites", "butterflies", "flowers"),
        size=32,
        count=4_000,
        num_steps=1_000,
    ),
    "flowers-32": Lesson(families=("flowers",), size=32),
    "sprites-16": Lesson(families=("sprites",), size=16),
}
"""The extractors that the course has taught, by name."""


class LabelNetwork(nn.Module):
    """Four convolutions, a mean over all places, and a linear layer that says the kind.

    Args:
        channels: Of the pictures.
        kinds: How many there are to tell apart.
        widths: Channels after each convolution; the last are the features.
    """

    def __init__(self, channels: int, kinds: int, widths: Sequence[int] = (24, 48, 64, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, width in enumerate(widths):
            stride = 2 if at in (1, 2) else 1  # a quarter of the size at the end
            layers += [nn.Conv2d(channels, width, 3, stride, padding=1)]
            layers += [nn.GroupNorm(8, width), nn.SiLU()]
            channels = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels, kinds)

    def features(self, x: Tensor) -> Tensor:
        """The hidden layer.

        Args:
            x: Pictures of shape (N, C, H, W), in [-1, 1].

        Returns:
            Shape (N, widths[-1]).
        """
        return self.body(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Say of which kind each picture is.

        Args:
            x: Pictures of shape (N, C, H, W), in [-1, 1].

        Returns:
            Numbers before the softmax, shape (N, kinds).
        """
        return self.head(self.features(x))


class TaughtExtractor:
    """The hidden layer of a network that was taught labels.

    Args:
        name: The name, with its version.
        network: The network.
        shape: Channels, height and width of its pictures.
    """

    def __init__(self, name: str, network: LabelNetwork, shape: Sequence[int]) -> None:
        self.name, self._network, self.shape = name, network.eval(), torch.Size(shape)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            images: Shape (N, C, H, W), in [-1, 1].

        Returns:
            Shape (N, 64), float32.

        Raises:
            ValueError: The pictures have another shape than those of the lesson.
        """
        check_shape(self.name, images, self.shape)
        parts = rounded(images).split(BATCH)
        return torch.cat([self._network.features(part) for part in parts])


def open_extractor(name: str, folder: Path = FOLDER) -> Extractor:
    """Open one that was taught.

    Args:
        name: One of `TAUGHT`.
        folder: Where its weights lie.

    Returns:
        The extractor. Weights are stored in half precision and used in single precision.
    """
    from safetensors.torch import load

    lesson = TAUGHT[name]
    path = folder / f"{name}.safetensors"
    stored = path.read_bytes()
    weights = load(stored)
    with torch.random.fork_rng():  # the first weights are thrown away, and cost no chance
        network = LabelNetwork(lesson.channels, len(weights["head.bias"]))
    network.load_state_dict(weights)
    shape = (lesson.channels, lesson.size, lesson.size)
    return TaughtExtractor(f"{name}@{digest(weights)[:8]}", network, shape)


def teach(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Teach a network, and keep its weights and how it was made.

    Args:
        name: One of `TAUGHT`.
        folder: Where the weights go.

    Returns:
        How it was made, which is the lesson, its pictures, and the share of others that it reads
        rightly.
    """
    from safetensors.torch import save

    lesson = TAUGHT[name]
    data = lesson.pictures()
    network = _taught(lesson, data).half().float()  # judged as it will be used
    others = lesson.pictures(500, lesson.first + lesson.count)
    with torch.inference_mode():
        read = torch.cat([network(part) for part in others.batch(range(len(others)))[0].split(250)])
    about = {
        "lesson": asdict(lesson),
        "kinds": data.names,
        "pictures": lesson.pictures(SHOWN).digest,
        "read_rightly": (read.argmax(1) == others.labels).double().mean().item(),
    }
    weights = {k: v.half().contiguous() for k, v in network.state_dict().items()}
    metadata = {"about": json.dumps(about)}
    write_whole(folder / f"{name}.safetensors", save(weights, metadata))
    return about


def about(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """How a network was made.

    Args:
        name: One of `TAUGHT`.
        folder: Where its weights lie.

    Returns:
        What `teach` gave.
    """
    from safetensors import safe_open

    with safe_open(folder / f"{name}.safetensors", framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["about"])
    return found


def _taught(lesson: Lesson, data: ImageTensors) -> LabelNetwork:
    """A network after its lesson."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LabelNetwork(lesson.channels, len(data.names))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, lesson.num_steps)
    for _ in range(lesson.num_steps):
        rows = torch.randint(len(data), (lesson.batch_size,), generator=generator)
        x, labels = data.batch(rows)
        x = x + lesson.noise * torch.randn(x.shape, generator=generator)
        loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
    return network.eval()


def main(arguments: Sequence[str]) -> int:
    """Teach an extractor and keep it in the package.

    Args:
        arguments: Its name.

    Returns:
        0 where it is kept, 2 where the words were not understood.
    """
    if len(arguments) != 1 or arguments[0] not in TAUGHT:
        print(f"usage: python -m course_utils extractor {{{','.join(TAUGHT)}}}", file=sys.stderr)
        return 2
    made = teach(arguments[0])
    tell(
        f"{open_extractor(arguments[0]).name} reads {made['read_rightly']:.1%} of pictures rightly"
    )
    return 0
