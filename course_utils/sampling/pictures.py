"""Pictures from seeds, by a network of anybody's: which solver, which labels, how much guidance.

A picture is a matter of its seed alone: the noise that it begins with, and the kind that it is to
show where the kinds take turns. How many others are drawn with it, and in which batches, changes
nothing but the last bit of a rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from course_utils.models.gallery import CARD
from course_utils.noise.process import NoiseScheduler
from course_utils.sampling.base import SamplingScheduler
from course_utils.sampling.ddim import quick_scheduler
from course_utils.sampling.ddpm import DDPMScheduler
from course_utils.sampling.dpm_solver import DPMSolverMultistepScheduler
from course_utils.sampling.heun import HeunDiscreteScheduler
from course_utils.sampling.loop import sample
from course_utils.sampling.opening import Opened
from course_utils.sampling.unipc import UniPCMultistepScheduler
from course_utils.validate import check_choice, check_count

_FROM_THE_MIDDLE = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
"""Heun's levels: its first step from a cosine's last level would go astray (chapter 8)."""

SOLVERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ddpm": DDPMScheduler.from_config,
    "heun": lambda levels: HeunDiscreteScheduler.from_config(levels | _FROM_THE_MIDDLE),
    "dpm": DPMSolverMultistepScheduler.from_config,
    "unipc": UniPCMultistepScheduler.from_config,
}
"""What may draw in place of DDIM, from the noise levels of a network's training."""

NOTHING = "none"
"""The label that asks for none."""


@dataclass(frozen=True)
class Drawn:
    """What `draw_pictures` made.

    Attributes:
        images: Shape (N, C, H, W), in [-1, 1].
        kinds: What each was to show; empty for a network without classes.
        film: Where asked for, the first pictures at each step, from noise to the end, each of
            shape (n, C, H, W), not clamped.
    """

    images: Tensor
    kinds: list[int]
    film: list[Tensor] = field(default_factory=list)


def solver(noise_scheduler: NoiseScheduler, name: str = "ddim") -> SamplingScheduler:
    """A way back along the noise levels of a network's training.

    Args:
        noise_scheduler: The scheduler of its training, ours or diffusers'.
        name: ``"ddim"``, which for a network of flow matching is Euler's step; or one of
            `SOLVERS`.

    Returns:
        A new scheduler, which clips no guess.

    Raises:
        ValueError: There is no such solver, or it is none for flow matching.

    Example:
        >>> from course_utils.sampling import DDPMScheduler, solver
        >>> type(solver(DDPMScheduler(), "unipc")).__name__
        'UniPCMultistepScheduler'

    Source:
        Their own files; trailing steps: arXiv 2305.08891, section 3.3.
    """
    check_choice("solver", name, ("ddim", *SOLVERS))
    if name == "ddim":
        return quick_scheduler(noise_scheduler)
    config: Any = noise_scheduler.config
    if config.prediction_type == "flow_prediction":
        raise ValueError(
            f"solver is {name!r}, which knows no flow matching; use 'ddim', here Euler's step."
        )
    levels = {**config, "timestep_spacing": "trailing", "clip_sample": False}
    return SOLVERS[name](levels)


@torch.inference_mode()
def draw_pictures(
    opened: Opened,
    seeds: Sequence[int],
    *,
    labels: Sequence[str] = (),
    guidance: float = 1.0,
    num_inference_steps: int = 50,
    solver_name: str = "ddim",
    batch_size: int = 16,
    film: bool = False,
    progress: bool = False,
) -> Drawn:
    """Draw a picture from each seed.

    Args:
        opened: The network, as `open_network` gives it.
        seeds: One for each picture.
        labels: The kinds to draw, by their names or, unless they are called by numbers, by their
            numbers; ``"none"`` for no label. With several, or with none given, they take turns by
            seed.
        guidance: How much the label counts: 1 for the network as it is, 2 or 3 for clearer kinds.
        num_inference_steps: How often the network looks at each picture.
        solver_name: As `solver` takes it.
        batch_size: How many are drawn together; counts for time and memory only.
        film: Whether to keep the steps of the first batch.
        progress: Whether to show a progress bar.

    Returns:
        The pictures and what each was to show.

    Raises:
        ValueError: The network has no scheduler, no such label or no labels at all, or was never
            told nothing, so that it cannot be guided; or a label may mean two things.

    Example:
        >>> from course_utils.sampling import draw_pictures, open_network
        >>> drawn = draw_pictures(
        ...     open_network("sprites-16"), range(3), labels=["hero"], num_inference_steps=2
        ... )
        >>> drawn.images.shape, drawn.kinds
        (torch.Size([3, 3, 16, 16]), [0, 0, 0])
    """
    if opened.noise_scheduler is None:
        raise ValueError(
            f"{opened.name} has no scheduler beside it, so that nobody knows how to draw with it. "
            "Save both, as save_model does."
        )
    model: Any = opened.model
    choice = _choice(opened, labels)
    kinds = [choice[seed % len(choice)] for seed in seeds] if choice else []
    no_label = None
    if guidance != 1:
        no_label = _no_label(opened, guidance)
    batch_size = check_count("batch_size", batch_size)
    parts, frames = [], []
    for at in tqdm(range(0, len(seeds), batch_size), "drawing", disable=not progress):
        run = sample(
            model,
            solver(opened.noise_scheduler, solver_name),
            seeds=seeds[at : at + batch_size],
            class_labels=kinds[at : at + batch_size] or None,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance,
            no_label=no_label,
            keep_steps=film and at == 0,
            progress=progress and len(seeds) <= batch_size,
        )
        parts.append(run.images)
        frames += run.steps
    return Drawn(torch.cat(parts), kinds, frames)


def _choice(opened: Opened, labels: Sequence[str]) -> list[int]:
    """The kinds that take turns, as numbers; none for a network without classes."""
    config: Any = opened.model.config
    classes: int | None = config.num_class_embeds
    if classes is None:
        if labels:
            raise ValueError(f"label is {labels[0]!r}, but {opened.name} was taught no labels.")
        return []
    if not labels:
        return list(range(len(opened.labels) or classes))
    by_number = not any(name.isdecimal() for name in opened.labels)
    known = {str(k): k for k in range(classes)} if by_number else {}
    known |= {name: k for k, name in enumerate(opened.labels)}
    if opened.no_label is not None:
        if NOTHING in labels and NOTHING in opened.labels:
            raise ValueError(_both(opened, by_number))
        known.setdefault(NOTHING, opened.no_label)
    wrong = [label for label in labels if label not in known]
    if wrong:
        named = ", ".join(opened.labels) or f"the labels 0 to {classes - 1}, which have no names"
        raise ValueError(f"label is {wrong[0]!r}; {opened.name} draws {named}.")
    return [known[label] for label in labels]


def _both(opened: Opened, by_number: bool) -> str:
    """What is said where a kind is called as no label is."""
    mend = f"Rename it in the {CARD} beside the network."
    if by_number:
        mend = f"Give {opened.labels.index(NOTHING)} for the kind, {opened.no_label} for no label."
    asked = f"label is {NOTHING!r}, which asks for no label"
    return f"{asked}, and {opened.name} has a kind of that name, too. {mend}"


def _no_label(opened: Opened, guidance: float) -> int:
    """The label that guidance goes away from."""
    if opened.no_label is None:
        raise ValueError(
            f'guidance is {guidance:g}, but {opened.name} tells of no label that stands for "no '
            'label", which guidance goes away from. Use guidance 1, or a network that was trained '
            "with label_dropout and whose card names its labels."
        )
    return opened.no_label
