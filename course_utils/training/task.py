"""A data set, a network and settings that go together: what a recipe is.

`course_utils.training.recipes` has the course's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from course_utils.data.load import OWN_SOURCES, load_images
from course_utils.data.tensors import ImageTensors, prepare
from course_utils.noise.process import NoiseScheduler
from course_utils.sampling import FlowMatchEulerScheduler
from course_utils.training.config import TrainingConfig
from course_utils.training.state import Network


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained on what, and how.

    Attributes:
        name: What it is called in `RECIPES`.
        config: The numbers of the run; `image_size` is set.
        channels: 1 for grey pictures, 3 for RGB.
        flip: Whether batches mirror pictures at random.
        conditional: Whether the network is told the label.
        flow_matching: Whether noise comes in along a straight line, and the network answers with
            flow matching's velocity; else along a cosine.
        network: Arguments of ``UNet2DModel`` beyond size, channels and classes.
        data_set: The pictures, as `course_utils.data.load_images` calls them; None where they
            are called like the recipe.
        source: Where the pictures come from if nothing else is said; None for the usual place.
        count: How many pictures to draw, where they are drawn; None for the usual number.
        first: The number of the first of those; None for 0.
    """

    name: str
    config: TrainingConfig
    channels: int = 3
    flip: bool = False
    conditional: bool = False
    flow_matching: bool = False
    network: dict[str, Any]
    data_set: str | None = None
    source: str | None = None
    count: int | None = None
    first: int | None = None

    def __post_init__(self) -> None:
        if self.config.image_size is None:
            raise ValueError(
                f"image_size is None; the recipe {self.name!r} prepares its pictures at this size."
            )

    @property
    def pictures(self) -> str:
        """The pictures, as `course_utils.data.load_images` calls them."""
        return self.data_set or self.name

    def data(self, source: str | Path | None = None) -> ImageTensors:
        """Open and prepare the pictures.

        Args:
            source: As `course_utils.data.load_images` takes it; None for the recipe's own.

        Returns:
            The pictures at the recipe's size.
        """
        assert self.config.image_size is not None
        source = source or self.source or OWN_SOURCES[self.pictures]
        drawn = source == "drawn"
        own = {"count": self.count, "first": self.first} if drawn else {}
        images = load_images(self.pictures, source, **own)
        return prepare(images, self.config.image_size, self.channels, self.flip)

    def model(self, num_classes: int | None = None) -> Network:
        """The untrained network; its first weights follow from the recipe's seed.

        Args:
            num_classes: How many labels the data have; counts only where the recipe is
                `conditional`. A dropped label gets a class of its own.

        Returns:
            A ``diffusers.UNet2DModel``.

        Source:
            Ho et al. 2020, arXiv 2006.11239, appendix B.
        """
        from diffusers import UNet2DModel

        classes = None
        if self.conditional and num_classes is not None:
            classes = num_classes + (1 if self.config.label_dropout > 0 else 0)
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            model = UNet2DModel(
                sample_size=self.config.image_size,
                in_channels=self.channels,
                out_channels=self.channels,
                num_class_embeds=classes,
                **self.network,
            )
        return cast(Network, model)

    def noise_scheduler(self) -> NoiseScheduler:
        """A path of 1,000 levels, which ends in pure noise, and the velocity as the target.

        Returns:
            A ``diffusers.DDPMScheduler``, or ours of flow matching.

        Source:
            Nichol and Dhariwal 2021, arXiv 2102.09672, equation (17); Salimans and Ho 2022, arXiv
            2202.00512. Flow matching: Liu et al. 2022, arXiv 2209.03003, equation (1).
        """
        from diffusers import DDPMScheduler

        if self.flow_matching:
            return FlowMatchEulerScheduler(1_000)
        settings = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction"}
        return cast(NoiseScheduler, DDPMScheduler(1_000, **settings))
