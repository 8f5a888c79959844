"""One step of the way back, as `sample` and the edits take it: ask the network, then step."""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from course_utils.models.base import Denoiser, dtype_of, height_and_width
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.guidance import Guidance, check_guidance, guided_answer
from course_utils.sampling.labels import Wish, check_list, label_tensor
from course_utils.validate import check_whole


def initial_noise(
    shape: Sequence[int], seeds: Sequence[int]
) -> tuple[Tensor, list[torch.Generator]]:
    """Pure noise for each picture, from a seed of its own.

    One generator per picture makes a picture depend on its seed alone, not on how many
    others are drawn beside it.

    Args:
        shape: Shape of one picture, (C, H, W).
        seeds: One seed for each of N pictures.

    Returns:
        Standard normal noise of shape (N, C, H, W) on the CPU, and the N generators, ready
        to give the noise of the steps that follow.

    Example:
        >>> from course_utils.sampling import initial_noise
        >>> noise, generators = initial_noise((3, 16, 16), seeds=[0, 1])
        >>> alone, _ = initial_noise((3, 16, 16), seeds=[1])
        >>> noise.shape, bool((noise[1] == alone[0]).all())
        (torch.Size([2, 3, 16, 16]), True)

    Source:
        The habit of NVlabs/edm2 (arXiv 2312.02696), which samples by one seed per picture.

    Chapter: 1, "Sampling".
    """
    generators = [torch.Generator().manual_seed(_seed(seed)) for seed in seeds]
    noise = [torch.randn(tuple(shape), generator=generator) for generator in generators]
    return torch.stack(noise), generators


def _seed(seed: Any) -> int:
    """One of the seeds, as a number that a generator takes."""
    number = check_whole("a seed", seed)
    if not -(2**63) <= number < 2**64:
        raise ValueError(f"a seed is {number}; use whole numbers from 0 up to 2**64 - 1.")
    return number


Rates = tuple[float, float]
"""How much picture and how much noise there is."""


def _warn_of_clipping(noise_scheduler: SamplingScheduler) -> None:
    """DDIM goes on from the clipped guess and from noise that belongs to the one before."""
    taken = inspect.signature(noise_scheduler.step).parameters
    if "use_clipped_model_output" in taken and noise_scheduler.config.clip_sample:
        warnings.warn(
            f"{type(noise_scheduler).__name__} has clip_sample=True, with which guided pictures "
            "go astray: use clip_sample=False, as quick_scheduler does.",
            stacklevel=5,
        )


class Walk:
    """A network, a scheduler with its path laid out, and what each picture is to show.

    Args:
        model: The network, as `sample` takes it.
        noise_scheduler: As `sample` takes it.
        num_inference_steps: How many noise levels to visit.
        seeds: One for each picture.
        class_labels: What each is to show, as `sample` takes it.
        guidance: As `sample` takes it.

    Raises:
        TypeError: A seed, a label or the number of steps is not a whole number.
        ValueError: No seeds; labels, shares, steps or a guidance that cannot be.
    """

    def __init__(
        self,
        model: Denoiser,
        noise_scheduler: SamplingScheduler,
        num_inference_steps: int,
        seeds: Sequence[int],
        class_labels: Sequence[Wish] | None = None,
        guidance: Guidance | None = None,
    ) -> None:
        check_list("seeds", seeds)
        if len(seeds) == 0:
            raise ValueError("seeds is empty; give one seed for each picture you want.")
        labels = label_tensor(class_labels, model.config.num_class_embeds, len(seeds))
        check_guidance(model, guidance, len(seeds))
        if guidance is not None and guidance.scale != 1:
            _warn_of_clipping(noise_scheduler)
        self.model, self.noise_scheduler, self.guidance = model, noise_scheduler, guidance
        self.device = next(model.parameters()).device
        self.class_labels = None if labels is None else labels.to(self.device)
        shape = (model.config.in_channels, *height_and_width(model.config.sample_size))
        self.noise, self.generators = initial_noise(shape, seeds)
        noise_scheduler.set_timesteps(num_inference_steps)
        self.seen_as = dtype_of(model)
        self.dtype = torch.promote_types(self.seen_as, torch.float32)  # steps need it

    def rates(self) -> list[Rates]:
        """How much picture and how much noise there is at each timestep of the path.

        Schedulers count in more than one way, so it is their ``add_noise`` that says.

        Returns:
            For each of ``timesteps`` signal rate and noise rate; then 1 and 0, the picture.
        """
        one, none = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        mix: Any = getattr(self.noise_scheduler, "add_noise", None)
        if mix is None:  # flow matching in diffusers has it under another name
            scale_noise = self.noise_scheduler.scale_noise  # type: ignore[attr-defined]
            mix = lambda picture, noise, t: scale_noise(picture, t, noise)  # noqa: E731
        listed = self.noise_scheduler.timesteps.reshape(-1, 1)
        return [(float(mix(one, none, t)), float(mix(none, one, t))) for t in listed] + [(1.0, 0.0)]

    def checked(self, images: Tensor) -> Tensor:
        """Pictures to begin with, refused where they do not fit.

        Args:
            images: Shape (N, C, H, W) or, the same for all, (1, C, H, W), in [-1, 1].

        Returns:
            One for each seed, where the network is, in what steps are calculated in.

        Raises:
            ValueError: They do not fit the network or the seeds, or are not in [-1, 1].
        """
        wanted = self.noise.shape
        if images.shape[1:] != wanted[1:] or len(images) not in (1, len(self.noise)):
            raise ValueError(
                f"images have shape {tuple(images.shape)}; this network and {len(self.noise)} "
                f"seeds take {tuple(wanted)}, or one picture for all."
            )
        low, high = (float(extreme) for extreme in images.aminmax())
        if not images.is_floating_point() or not -1 <= low <= high <= 1:
            raise ValueError(
                f"images are {images.dtype} from {low:g} to {high:g}; scale them to floats in "
                "[-1, 1]."
            )
        return self.placed(images).expand(wanted)

    def placed(self, images: Tensor) -> Tensor:
        """Pictures or noise where the network is, in what steps are calculated in.

        Args:
            images: Shape (N, C, H, W).

        Returns:
            Same shape.
        """
        return images.to(self.device, self.dtype)

    def start(self, noise: Tensor) -> Tensor:
        """Where the way back begins.

        Args:
            noise: Standard normal, shape (N, C, H, W).

        Returns:
            The noise, as strong as the scheduler wants it, which is more for those in sigma.
        """
        return self.placed(noise) * getattr(self.noise_scheduler, "init_noise_sigma", 1.0)

    def answer(self, x: Tensor, t: Any) -> Tensor:
        """What the network says of pictures, guided or not.

        Args:
            x: Noisy pictures as the network is to see them, shape (N, C, H, W).
            t: Their timestep.

        Returns:
            Shape and type of `x`.
        """
        seen = x.to(self.seen_as)
        said = guided_answer(self.model, seen, t, self.class_labels, self.guidance)
        return said.to(x.dtype)

    def step(self, x: Tensor, t: Any) -> Any:
        """Ask the network, and go on to the next timestep.

        Args:
            x: Noisy pictures as the scheduler holds them, shape (N, C, H, W).
            t: Their timestep.

        Returns:
            What the scheduler's ``step`` returns: it has ``prev_sample``.
        """
        shown = getattr(self.noise_scheduler, "scale_model_input", lambda sample, timestep: sample)
        return self.noise_scheduler.step(self.answer(shown(x, t), t), t, x, **self._fresh())

    def _fresh(self) -> dict[str, Any]:
        """The generators, for a scheduler that adds fresh noise; others have no place for them."""
        takes = "generator" in inspect.signature(self.noise_scheduler.step).parameters
        return {"generator": self.generators} if takes else {}

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Networks in evaluation mode; afterwards, failed or not, they are as they were.

        Yields:
            Nothing.
        """
        weaker = None if self.guidance is None else self.guidance.weaker
        networks = [self.model] if weaker is None else [self.model, weaker]
        were_training = [network.training for network in networks]
        for network in networks:
            network.eval()
        try:
            yield
        finally:
            for network, was_training in zip(networks, were_training, strict=True):
                network.train(was_training)
