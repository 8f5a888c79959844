"""Networks that the course has trained for hours, small enough to live in the package.

``load("sprites-16")`` gives one in under a second, without a network or an account. Each lies in
a folder of its own in ``weights``, which diffusers opens as well, with a card that says how it
was made and how good it is. The course's own command makes them: see `course_utils.share.exhibit`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, UNet2DModel

FOLDER = Path(__file__).with_name("weights")
"""Where the networks lie."""

CARD = "card.json"


@dataclass(frozen=True)
class Trained:
    """A network of the gallery, ready to draw.

    Attributes:
        name: What it draws and at what size, such as ``"sprites-16"``.
        model: The network, in evaluation mode. It wants a label for each picture; the label
            after the last kind stands for "no label".
        noise_scheduler: The scheduler of its training.
        labels: What the kinds are called, in the order of their numbers.
        image_size: Height and width of its pictures in pixels.
        card: How it was made and how good it is: settings, hours, machine, scores.
    """

    name: str
    model: "UNet2DModel"
    noise_scheduler: "DDPMScheduler"
    labels: tuple[str, ...]
    image_size: int
    card: dict[str, Any]

    @property
    def no_label(self) -> int:
        """The label that stands for "no label"."""
        return len(self.labels)

    @property
    def told(self) -> str:
        """What it has cost, in a line of updates, pictures, hours and machine."""
        steps, count = self.card["config"]["num_steps"], self.card["pictures"]["count"]
        cost = f"{self.card['hours']:.1f} hours on {self.card['machine']}"
        return f"{steps:,} updates on {count:,} pictures, {cost}"


def names() -> tuple[str, ...]:
    """The networks there are.

    Returns:
        Their names in the order of the alphabet.

    Example:
        >>> from course_utils.models import gallery
        >>> "sprites-16" in gallery.names()
        True
    """
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def load(name: str, device: str = "cpu") -> Trained:
    """Open a network of the gallery.

    Args:
        name: One of `names`.
        device: Where it is to go, such as ``"cuda"``.

    Returns:
        The network and what belongs to it. Weights are stored in half precision and used in
        single precision.

    Raises:
        ValueError: There is no network of this name.

    Example:
        >>> from course_utils.models import gallery
        >>> artist = gallery.load("sprites-16")
        >>> artist.image_size, artist.no_label == len(artist.labels)
        (16, True)
    """
    from diffusers import DDPMScheduler, UNet2DModel

    if name not in names():
        raise ValueError(f"There is no network {name!r}; choose from {', '.join(names())}.")
    folder = FOLDER / name
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    model = UNet2DModel.from_pretrained(folder).float().to(device).eval()
    scheduler = DDPMScheduler.from_pretrained(folder)
    size = card["config"]["image_size"]
    return Trained(name, model, scheduler, tuple(card["labels"]), size, card)
