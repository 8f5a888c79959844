"""A trained model as a folder that explains itself: weights, samples, numbers and a card.

The folder loads with ``DDPMPipeline.from_pretrained`` on any machine, without this package.
Nothing here needs a network; `course_utils.share.hub` sends such a folder to the Hub.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from course_utils.data.pixels import to_pil

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

SAMPLES = "samples.png"
NUMBERS = "training.json"

_TEXT = """---
{data}
---

# {name}

Draws {subject}: an unconditional diffusion model of {parameters:,} parameters for pictures of
{size} pixels, trained with *From Noise to Butterflies*.

![A grid of {count} samples](samples.png)

{count} samples, one after the other, none of them picked out.

## How to use it

```python
from diffusers import DDIMPipeline

MODEL = "{name}"
pipeline = DDIMPipeline.from_pretrained(MODEL)
pipeline(batch_size=4, num_inference_steps=50).images[0].save("sample.png")
```

`DDPMPipeline` loads it as well and draws in 1,000 smaller steps.

## What it learned from

{source}

## How it was trained

{num_losses:,} optimiser updates. The network predicts `{prediction_type}` on {levels:,} noise
levels; the weights here are the running average.

| setting | value |
|---|---|
{settings}

| after updates | mean loss of the last {window} |
|---|---|
{losses}

Every loss and setting is in `training.json`.

## Limits

A small model for learning how diffusion models work. It draws nothing but {subject}, in one size.
What it draws can come close to its training pictures. Nobody has looked for bias in them.

## Licence

`{licence}`
"""


def model_card(
    name: str,
    *,
    subject: str,
    source: str,
    licence: str,
    model: nn.Module,
    noise_scheduler: Any,
    config: Any,
    losses: Sequence[float],
    num_samples: int = 16,
) -> "ModelCard":
    """Write the page that tells a stranger what a model is and what it is not.

    Args:
        name: The model's name, as its folder will have it.
        subject: What it draws, in the plural: ``"butterflies"``.
        source: Which pictures it learned from, in a sentence or two.
        licence: The Hub's short name of a licence, for instance ``"cc-by-4.0"``.
        model: A network with diffusers' ``config`` and ``num_parameters``.
        noise_scheduler: The scheduler that it was trained with.
        config: The settings of the run, a dataclass.
        losses: The loss of every update, at least one.
        num_samples: How many samples the card's picture shows.

    Returns:
        A ``huggingface_hub.ModelCard``: metadata for the Hub's search, and the text.

    Raises:
        ValueError: A text is empty, or there are no losses.

    Source:
        The sections that ``huggingface_hub``'s model card template asks for.

    Chapter: 4, "Save it, and say what it is".
    """
    from huggingface_hub import ModelCard, ModelCardData

    told = {"name": name, "subject": subject, "source": source, "licence": licence}
    for what, text in told.items():
        if not text.strip():
            raise ValueError(f"{what} is empty; a card without it would leave readers guessing.")
    if len(losses) == 0:
        raise ValueError("losses is empty; a card for an untrained model would mislead.")
    data = ModelCardData(
        license=licence,
        library_name="diffusers",
        pipeline_tag="unconditional-image-generation",
        tags=["diffusion", "unconditional-image-generation", subject],
    )
    window = min(50, len(losses))
    text = _TEXT.format(
        **told,
        data=data.to_yaml(),
        parameters=model.num_parameters(),
        size=_size(model.config.sample_size),
        count=num_samples,
        num_losses=len(losses),
        prediction_type=noise_scheduler.config.prediction_type,
        levels=noise_scheduler.config.num_train_timesteps,
        settings="\n".join(f"| `{k}` | {v} |" for k, v in asdict(config).items()),
        window=window,
        losses="\n".join(_milestones(losses, window)),
    )
    return ModelCard(text)


def _size(sample_size: int | Sequence[int]) -> str:
    """A network's picture size in words: 32×32."""
    height, width = (sample_size,) * 2 if isinstance(sample_size, int) else sample_size
    return f"{height}×{width}"


def _milestones(losses: Sequence[float], window: int) -> list[str]:
    """Rows of a table: the mean loss at five places on the way."""
    places = sorted({max(window, round(len(losses) * part / 5)) for part in range(1, 6)})
    return [f"| {k:,} | {sum(losses[k - window : k]) / window:.4f} |" for k in places]


def save_model(
    folder: str | os.PathLike[str],
    *,
    model: nn.Module,
    noise_scheduler: Any,
    card: "ModelCard",
    samples: Tensor,
    config: Any,
    losses: Sequence[float],
    columns: int = 4,
) -> Path:
    """Save a trained model where it is complete without this course.

    Args:
        folder: Where to; made if it is not there. Its name is the model's name.
        model: The network to keep, best the averaged one: a ``diffusers.UNet2DModel``.
        noise_scheduler: The scheduler of its training, diffusers' own class, so that
            whoever loads the model needs diffusers alone.
        card: What `model_card` wrote.
        samples: Pictures for the card, shape (N, C, H, W), in [-1, 1].
        config: The settings of the run, a dataclass.
        losses: The loss of every update.
        columns: How many samples to a row.

    Returns:
        The folder. It holds ``model_index.json`` with ``unet/`` and ``scheduler/``, the card
        as ``README.md``, ``samples.png``, and ``training.json``.

    Raises:
        ValueError: The scheduler is not one of diffusers'.
        OSError: Something could not be written; the message names the file.

    Source:
        ``DDPMPipeline.save_pretrained``.

    Chapter: 4, "Save it, and say what it is".
    """
    from diffusers import DDPMPipeline
    from diffusers.utils import make_image_grid

    if not type(noise_scheduler).__module__.startswith("diffusers."):
        raise ValueError(
            f"noise_scheduler is a {type(noise_scheduler).__name__} of this course; others could "
            "not load it. Hand over diffusers.DDPMScheduler with the same settings."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    blank = -len(samples) % columns
    samples = torch.cat([samples, samples.new_ones(blank, *samples.shape[1:])])
    zoom = max(1, 128 // samples.shape[-1])
    pictures = to_pil(samples.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2))
    make_image_grid(pictures, len(samples) // columns, columns).save(folder / SAMPLES)
    numbers = {"config": asdict(config), "losses": [float(loss) for loss in losses]}
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    card.save(folder / "README.md")
    DDPMPipeline(unet=model, scheduler=noise_scheduler).save_pretrained(folder)
    return folder
