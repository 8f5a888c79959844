"""What holds chapter 5's own U-Net back? One thing changed at a time, at equal time.

The first row has the chapter's settings at the laptop budget and a network of five levels, where
the chapter takes the one that is narrow where maps are large, which learned as much in the same
time; each other row changes one thing of it. An update of each is timed on one thread, and each is
trained for as many updates as fit in the same time (`SECONDS`), with a step size that falls by a
cosine over them. Then all are asked about the same unseen flowers, and draw the same seeds. What
has been measured is kept in a file, so that a run goes on where it was stopped. From the
repository's root:

    python -m benchmarks.flowers [--kept FILE]
"""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.recipes import STEPS, Kept, Run, Variant, judge, plain_recipe, scored, trained
from course_utils.models import ResidualBlock, UNet
from course_utils.noise import mixing_rates, training_target
from course_utils.training import Recipe
from course_utils.training.task import Network

SECONDS = 150.0
"""Processor time of one thread that each is trained for, less than half of the chapter's."""

TIMED, DRAWN = 12, 270
"""Updates that are timed (the quickest counts), and flowers drawn."""


@dataclass(frozen=True, kw_only=True)
class OwnRecipe(Recipe):
    """A recipe that builds the course's own U-Net.

    Attributes:
        begin: What is zero in each block at the start: a layer's name, or nothing.
    """

    begin: str | None = "conv2"

    def model(self, num_classes: int | None = None) -> Network:
        """The untrained network, with a class more for "no label", or with none at all."""
        assert num_classes is not None
        classes = num_classes + 1 if self.conditional else None
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            model = UNet(image_size=32, num_class_embeds=classes, **self.network)
        for part in model.modules():
            if isinstance(part, ResidualBlock) and self.begin is not None:
                layer = part.get_submodule(self.begin)
                nn.init.zeros_(layer.weight)
                if self.begin.startswith("conv"):
                    nn.init.zeros_(layer.bias)
        return model


def variants() -> list[Variant]:
    """The chapter's recipe with five levels, and every recipe that changes one thing of it."""
    shared = plain_recipe("flowers")
    config = replace(shared.config, learning_rate=1e-3, ema_decay=0.9995, adam_beta2=0.99)
    base = OwnRecipe(
        name="flowers",
        config=config,
        flip=True,
        conditional=True,
        network={"hidden_dims": (16, 32, 64, 96, 96), "heads": 1, "attention_level": 1},
        count=shared.count,
    )

    def told(what: str, **changes: Any) -> Variant:
        return Variant(what, replace(base, **changes))

    def built(what: str, **changes: Any) -> Variant:
        return told(what, network=base.network | changes)

    def set_to(what: str, **changes: Any) -> Variant:
        return told(what, config=replace(config, **changes))

    return [
        told("five levels"),
        built("attention at full size", attention_level=0),
        told("begun with second norms at zero", begin="norm2"),
        told("begun at random", begin=None),
        built("four levels", hidden_dims=(16, 32, 48, 64)),
        built("narrow where maps are large", hidden_dims=(16, 16, 48, 96)),
        set_to("batches of 8", batch_size=8),
        set_to("L1", loss="l1"),
        replace(told("names the noise"), target="epsilon"),
        told("no labels", conditional=False),
        set_to("levels from the middle", timestep_sampling="logit_normal"),
        told("1,200 flowers", count=1_200),
        set_to("twice the rate", learning_rate=2e-3),
        set_to("1.5 times the rate", learning_rate=1.5e-3),
        set_to("a short average", ema_decay=0.9),
    ]


def seconds(variant: Variant) -> float:
    """Processor time of one update, which minds little what else runs."""
    run, spent = Run(variant), []
    for step in range(2 + TIMED):  # the first ones set up what is reused later
        started = time.process_time()
        run.update(step, updates=1_000)
        spent.append(time.process_time() - started)
    return min(spent[2:])


@cache
def asked() -> tuple[Any, ...]:
    """Flowers that no network learns from, their labels, noise, and levels."""
    unseen = judge("flowers").unseen
    x0, labels = unseen.batch(torch.arange(len(unseen)))
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(5))
    return x0, labels, noise, torch.linspace(0, 999, len(x0)).long()


@torch.inference_mode()
def error(model: Any, noise_scheduler: Any) -> float:
    """Mean square of what a network that answers with the velocity gets wrong."""
    x0, labels, noise, t = asked()
    noisy = noise_scheduler.add_noise(x0, noise, t)
    rates = mixing_rates(noise_scheduler, t, like=x0)
    target = training_target("v_prediction", x0, noise, *rates)
    parts = zip(*(x.split(100) for x in (noisy, t, labels, target)), strict=True)
    told = model.config.num_class_embeds is not None
    off = [(model(x, k, y if told else None).sample - v).square().mean() for x, k, y, v in parts]
    return torch.stack(off).mean().item()


def judged(variant: Variant, updates: int) -> dict[str, float]:
    """Train one, and judge its answers and what it draws."""
    model, noise_scheduler = trained(variant, updates)
    scores = scored("flowers", model, noise_scheduler, DRAWN)
    velocity = variant.target is None
    scores["error"] = error(model, noise_scheduler) if velocity else float("nan")
    if not variant.recipe.conditional:  # nothing was asked for
        scores["read_as_asked"] = float("nan")
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kept", type=Path, help="where what is measured is kept")
    chosen = parser.parse_args()
    kept = Kept(chosen.kept)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread of {os.cpu_count()}")
    print(f"{SECONDS:.0f} s of training each, {DRAWN} flowers, DDIM-{STEPS}\n")
    print(f"{'':40}{'updates':>9}{'pictures':>9}{'error':>9}{'as asked':>10}{'distance':>10}")
    for variant in variants():
        shape = json.dumps([variant.recipe.network, variant.recipe.config.batch_size])
        each = kept.look_up(f"seconds {shape}", lambda v=variant: seconds(v))
        updates = int(SECONDS / each)
        settings = json.dumps([variant.name, variant.target, updates, asdict(variant.recipe)])
        scores = kept.look_up(settings, lambda v=variant, n=updates: judged(v, n))
        seen = updates * variant.recipe.config.batch_size
        cells = {"error": "9.4f", "read_as_asked": "10.1%", "distance": "10.3f"}
        told = "".join(format(scores[name], form) for name, form in cells.items())
        told = told.replace("nan%", "none").replace("nan", "  -")  # nothing was asked, or measured
        print(f"{variant.name:40}{updates:9,}{seen:9,}{told}", flush=True)


if __name__ == "__main__":
    main()
