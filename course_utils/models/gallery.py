"""Networks that the course has trained for hours, small enough to live in the package.

``load("sprites-16")`` gives one in under a second, without a network or an account. Each lies in
a folder of its own in ``weights``, which diffusers opens as well, with a card that says how it
was made and how good it is. The course's own command makes them: see `course_utils.share.exhibit`.
Of the networks that a chapter trains in minutes only pictures are kept: see `sheet`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from course_utils.data.tensors import ImageTensors

if TYPE_CHECKING:
    from diffusers import DDPMScheduler, UNet2DModel

FOLDER = Path(__file__).with_name("weights")
"""Where the networks lie."""

SHEETS = Path(__file__).with_name("sheets")
"""Where the pictures of the chapters' networks lie."""

CARD = "card.json"

SOLVERS = "solvers.json"


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

    @property
    def solvers(self) -> dict[str, Any]:
        """How good its pictures are by solver and network calls, as `benchmarks/samplers.py` found.

        Empty where that was not measured. Under the guidance scales, ``"1"`` or ``"2"``, stands
        for each solver and number of calls the Fréchet distance of each group of pictures; under
        ``"real"`` what groups of real pictures get.
        """
        path = FOLDER / self.name / SOLVERS
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


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


@dataclass(frozen=True)
class Sheet:
    """What a network draws that a chapter trains in minutes, on the laptop budget.

    Attributes:
        name: As the network of the gallery that draws the same at the same size.
        pictures: Those of its first seeds, none left out. Their labels are what each was to
            show; a network that was told no labels has one for all.
        card: How they were made: chapter, settings, minutes, machine.
    """

    name: str
    pictures: ImageTensors
    card: dict[str, Any]

    @property
    def told(self) -> str:
        """What the network has cost, in a line of chapter, updates, pictures and minutes."""
        card = self.card
        cost = f"{card['updates']:,} updates on {card['pictures']:,} pictures"
        return f"chapter {card['chapter']}, {cost}, {card['minutes']:.1f} minutes"


def sheets() -> tuple[str, ...]:
    """The sheets there are.

    Returns:
        Their names in the order of the alphabet.

    Example:
        >>> from course_utils.models import gallery
        >>> set(gallery.sheets()) <= set(gallery.names())
        True
    """
    return tuple(sorted(path.stem for path in SHEETS.glob("*.json")))


def sheet(name: str) -> Sheet:
    """Open the pictures that a chapter's own network has drawn.

    Args:
        name: One of `sheets`.

    Returns:
        The pictures and how they were made. ``python book/_ext/sheets.py NAME`` trains the
        chapter's network again and draws them anew.

    Raises:
        ValueError: There is no sheet of this name.

    Example:
        >>> from course_utils.models import gallery
        >>> drawn = gallery.sheet("sprites-16").pictures
        >>> drawn.images.shape, drawn.names[0]
        (torch.Size([300, 3, 16, 16]), 'hero')
    """
    import torch
    from PIL import Image
    from torchvision.transforms.v2.functional import pil_to_tensor

    if name not in sheets():
        raise ValueError(f"There is no sheet {name!r}; choose from {', '.join(sheets())}.")
    card = json.loads((SHEETS / f"{name}.json").read_text(encoding="utf-8"))
    side, count, names = card["image_size"], card["drawn"], tuple(card["labels"])
    with Image.open(SHEETS / f"{name}.png") as page:
        rows = pil_to_tensor(page).unfold(1, side, side).unfold(2, side, side)
    images = rows.permute(1, 2, 0, 3, 4).flatten(0, 1)[:count].contiguous()
    labels = torch.arange(count) % len(names)  # the kinds take turns
    return Sheet(name, ImageTensors(images, labels, names), card)
