"""The page that tells a stranger what a model is, how to use it, and what it is not."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from course_utils.models.base import Denoiser, height_and_width
from course_utils.noise.process import NoiseScheduler
from course_utils.share.portable import CODE, carries_code

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

_LICENCE = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*(\+\+)?")

_TEXT = """---
{data}
---

# {name}

Draws {subject}: {kind} diffusion model of {parameters:,} parameters for pictures of {size} pixels,
trained with *From Noise to Butterflies*.

![A grid of {count} samples](samples.png)

{count} samples, one after the other, none of them picked out.

## How to use it

{use}

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

`{licence}`{code_licence}
"""

_USE = """```python
from diffusers import {pipeline}

MODEL = "{name}"
pipeline = {pipeline}.from_pretrained(MODEL{trust})
pipeline(batch_size=4, num_inference_steps=50).images[0].save("sample.png")
```"""

_USE_WITH_CLASSES = """```python
import torch
from diffusers import {pipeline}

MODEL = "{name}"
pipeline = {pipeline}.from_pretrained(MODEL{trust})
unet, scheduler = pipeline.unet, pipeline.scheduler
labels = torch.tensor({labels})  # one for each picture
scheduler.set_timesteps(50)
x = torch.randn(len(labels), {channels}, {height}, {width})
with torch.inference_mode():
    for t in scheduler.timesteps:
        prediction = unet(x, t, class_labels=labels).sample
        x = scheduler.step(prediction, t, x).prev_sample
pixels = (x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
pipeline.numpy_to_pil(pixels)[0].save("sample.png")
```

{labels_text}"""

_SLOWER = "`DDPMPipeline` loads it as well and draws in {levels:,} smaller steps."

_CODE = """The network is no class of diffusers: its code lies beside its weights, in
`unet/{code}.py`. `trust_remote_code=True` lets diffusers run it; read it first. diffusers may
remark on a type that it did not expect, which does no harm."""

_CODE_LICENCE = """ for the weights and the samples. The code in `unet/{code}.py` is under the
Apache License 2.0."""


def model_card(
    name: str,
    *,
    subject: str,
    source: str,
    licence: str,
    model: Denoiser,
    noise_scheduler: NoiseScheduler,
    config: Any,
    losses: Sequence[float],
    num_samples: int = 16,
    class_names: Sequence[str] | None = None,
) -> "ModelCard":
    """Write the page that tells a stranger what a model is and what it is not.

    Args:
        name: The model's name, as its folder will have it.
        subject: What it draws, in the plural: ``"butterflies"``.
        source: Which pictures it learned from, in a sentence or two.
        licence: The Hub's short name of a licence, for instance ``"cc-by-4.0"``.
        model: The network that `save_model` is to keep, ours or diffusers'.
        noise_scheduler: The scheduler that it was trained with.
        config: The settings of the run, a dataclass.
        losses: The loss of every update, at least one.
        num_samples: How many samples the card's picture shows.
        class_names: What each label of a network with classes stands for, in order; one less
            than it has classes if the last stands for no label. None says nothing about them.

    Returns:
        A ``huggingface_hub.ModelCard``: metadata for the Hub's search, and the text.

    Raises:
        ValueError: A text is empty, the licence can be none, there are no losses, the names are
            not as many as the classes, or others could not load the network.

    Example:
        >>> from course_utils.models import UNet
        >>> from course_utils.sampling import DDPMScheduler
        >>> from course_utils.share import model_card
        >>> from course_utils.training import TrainingConfig
        >>> card = model_card(
        ...     "Blots 8",
        ...     subject="blots of ink",
        ...     source="200 blots of our own.",
        ...     licence="cc0-1.0",
        ...     model=UNet(hidden_dims=(8, 16), image_size=8),
        ...     noise_scheduler=DDPMScheduler(),
        ...     config=TrainingConfig(num_steps=2, num_warmup_steps=1),
        ...     losses=[1.0, 0.9],
        ... )
        >>> card.data.license, "blots of ink" in card.text
        ('cc0-1.0', True)

    Source:
        The sections that ``huggingface_hub``'s model card template asks for.

    Chapter: 4, "Save it, and say what it is".
    """
    from huggingface_hub import ModelCard, ModelCardData

    told = {"name": name, "subject": subject, "source": source}
    for what, text in told.items():
        if not text.strip():
            raise ValueError(f"{what} is empty; a card without it would leave readers guessing.")
    if len(losses) == 0:
        raise ValueError("losses is empty; a card for an untrained model would mislead.")
    classes = model.config.num_class_embeds
    kind = "unconditional-image-generation" if classes is None else "class-conditional"
    data = ModelCardData(
        license=licence,
        library_name="diffusers",
        pipeline_tag=kind if classes is None else None,  # the Hub has no such task with classes
        tags=["diffusion", kind, subject],
    )
    window = min(50, len(losses))
    height, width = height_and_width(model.config.sample_size)
    with_code = carries_code(model)  # type: ignore[arg-type]  # a network is a module, too
    text = _TEXT.format(
        **told,
        licence=check_licence(licence),
        data=data.to_yaml(),
        kind="an unconditional" if classes is None else f"a class-conditional ({classes} classes)",
        use=_how_to_use(name, model, noise_scheduler, with_code, class_names),
        code_licence=_CODE_LICENCE.format(code=CODE) if with_code else "",
        parameters=sum(p.numel() for p in model.parameters()),
        size=f"{height}×{width}",
        count=num_samples,
        num_losses=len(losses),
        prediction_type=_prediction_type(noise_scheduler),
        levels=noise_scheduler.config.num_train_timesteps,
        settings="\n".join(f"| `{k}` | {v} |" for k, v in asdict(config).items()),
        window=window,
        losses="\n".join(_milestones(losses, window)),
    )
    return ModelCard(text)


def check_licence(licence: str) -> str:
    """Refuse what can be no name of a licence on the Hub.

    Args:
        licence: What was given.

    Returns:
        The same.

    Raises:
        ValueError: It is empty, or has other characters than such names have.

    Source:
        The Hub's list of licences, whose strangest name is ``openrail++``.
    """
    if not _LICENCE.fullmatch(licence):
        raise ValueError(
            f"licence is {licence!r}, which the Hub calls no licence; use its short name, in small "
            "letters, such as cc-by-4.0, apache-2.0 or mit, or other."
        )
    return licence


def _prediction_type(noise_scheduler: NoiseScheduler) -> str:
    """What the network predicts; diffusers' schedulers of flow matching do not say it."""
    return noise_scheduler.config.get("prediction_type", "flow_prediction")


def _how_to_use(
    name: str,
    model: Denoiser,
    noise_scheduler: NoiseScheduler,
    with_code: bool,
    class_names: Sequence[str] | None,
) -> str:
    """Lines to run as they are, and what must be said about them."""
    flow = _prediction_type(noise_scheduler) == "flow_prediction"
    classes = model.config.num_class_embeds
    height, width = height_and_width(model.config.sample_size)
    lines = (_USE if classes is None else _USE_WITH_CLASSES).format(
        name=name,
        pipeline="DDPMPipeline" if flow else "DDIMPipeline",  # the first takes any scheduler
        trust=", trust_remote_code=True" if with_code else "",
        labels=list(range(min(4, classes or 0))),
        labels_text=_about_labels(classes, class_names),
        channels=model.config.in_channels,
        height=height,
        width=width,
    )
    levels = noise_scheduler.config.num_train_timesteps
    notes = [_CODE.format(code=CODE)] if with_code else []
    notes += [_SLOWER.format(levels=levels)] if classes is None and not flow else []
    return "\n\n".join([lines, *notes])


def _about_labels(classes: int | None, class_names: Sequence[str] | None) -> str:
    """Which labels there are and what they stand for."""
    if class_names is not None and len(class_names) not in (classes, (classes or 0) - 1):
        raise ValueError(
            f"class_names has {len(class_names)} names, and the network has "
            f"{classes or 'no'} classes; give one for each, or leave out the last."
        )
    if classes is None:
        return ""
    named = ", ".join(f"{k} {text}" for k, text in enumerate(class_names or ()))
    none = f" {classes - 1} stands for no label." if len(class_names or ()) == classes - 1 else ""
    return f"Labels run from 0 to {classes - 1}{': ' if named else ''}{named}.{none}"


def _milestones(losses: Sequence[float], window: int) -> list[str]:
    """Rows of a table: the mean loss at five places on the way."""
    places = sorted({max(window, round(len(losses) * part / 5)) for part in range(1, 6)})
    return [f"| {k:,} | {sum(losses[k - window : k]) / window:.4f} |" for k in places]
