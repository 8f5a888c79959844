"""Which recipe gives the best pictures in the same minutes? One change at a time, at equal time.

Sprites of 16 pixels and flowers of 32: the laptop recipe on the cosine with levels drawn evenly,
and beside it every recipe that differs from it in one thing. First an update is timed on one
thread, once for all recipes whose updates cost the same. Each is then trained for as many updates
as fit in the same time (`SECONDS`), with a step size that falls by a cosine over them, and draws
the same seeds. The three best are trained from three seeds, and so is what was found out, put
together. What has been measured is kept in a file, so that a run goes on where it was stopped;
start it on an idle machine, since only the timing minds what else runs.

In the table kept beside it the heats are older than what was taken over from them: their first
rows are the laptop recipes of before, the sprites' with batches of 64, the flowers' with 24, 48,
96 and 96 channels. Its last rows have the networks of today. Compare rows of one block only: the
machine was slower when the last rows of the sprites were timed.

    python benchmarks/recipes.py [--kept FILE] [--together] [sprites] [flowers]
"""

import argparse
import contextlib
import io
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import torch
from torch import Tensor, nn

from course_utils.data import ImageTensors
from course_utils.noise import mixing_rates
from course_utils.sampling import quick_scheduler, sample
from course_utils.share.exhibit import Judge
from course_utils.training import Recipe, recipe
from course_utils.training.batches import StepBatch, draw_batch
from course_utils.training.loss import diffusion_loss

SECONDS = {"sprites": 60.0, "flowers": 120.0}
"""Time of one thread that each recipe trains for."""

TIMED = 30
"""Updates that are timed; the median counts."""

DRAWN, STEPS, GUIDANCE = 180, 20, 2.0
"""Pictures that each is judged by, noise levels visited, and the scale of the second look."""

SEEDS = (0, 1, 2)
"""Seeds of the finalists; the first is the one of the heats."""

FINALISTS = 3

Levels = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Variant:
    """A recipe and what no `Recipe` says.

    Attributes:
        name: What was changed.
        recipe: The pictures, the network, the settings.
        target: What the network is asked for on the cosine, a prediction type of diffusers; None
            for what the recipe asks for.
        levels: Draws noise levels in place of the recipe's; from their number and a generator.
        sigma_data: The pictures' deviation, for EDM's preconditioning; None goes without.
    """

    name: str
    recipe: Recipe
    target: str | None = None
    levels: Levels | None = None
    sigma_data: float | None = None

    def noise_scheduler(self) -> Any:
        """The recipe's own, or a cosine with another target."""
        own: Any = self.recipe.noise_scheduler()
        if self.target is None:
            return own
        return type(own).from_config(own.config, prediction_type=self.target)


def log_normal(mean: float, deviation: float, shape: Tensor, generator: torch.Generator) -> Tensor:
    """Noise levels whose sigma is drawn from a log-normal, on the cosine of 1,000 levels.

    Source: Karras et al. 2022, arXiv 2206.00364, table 1 (mean -1.2, deviation 1.2).
    """
    log_sigma = mean + deviation * torch.randn(shape.shape, generator=generator)
    angle = torch.atan(log_sigma.exp())  # on the cosine, sigma is the tangent of its angle
    return (angle / (math.pi / 2) * 1000).long().clamp(0, 999)


class Preconditioned(nn.Module):
    """A network inside EDM's four factors, which answers with the velocity like the others.

    Source: Karras et al. 2022, arXiv 2206.00364, equation (7) and table 1.
    """

    def __init__(self, inner: Any, noise_scheduler: Any, sigma_data: float) -> None:
        super().__init__()
        self.inner, self.noise_scheduler = inner, noise_scheduler
        self.sigma_data, self.config = sigma_data, inner.config

    def rates(self, sample: Tensor, timestep: Any) -> tuple[Tensor, Tensor]:
        """How much picture and how much noise is in each sample."""
        timesteps = torch.as_tensor(timestep).expand(len(sample))
        return mixing_rates(self.noise_scheduler, timesteps, sample)

    def forward(self, sample: Tensor, timestep: Any, class_labels: Tensor | None = None) -> Any:
        """The velocity that the guess of the picture amounts to."""
        signal, noise = self.rates(sample, timestep)
        sigma, data = noise / signal, self.sigma_data
        size, seen = (sigma.square() + data**2).sqrt(), sample / signal
        answer = self.inner(seen / size, timestep, class_labels).sample
        x0 = data**2 / size.square() * seen + sigma * data / size * answer
        return SimpleNamespace(sample=(signal * sample - x0) / noise)

    def weights(self, noise_rate: Tensor, signal_rate: Tensor) -> Tensor:
        """What EDM's loss weighs the velocity's error by: noise² / c_out²."""
        sigma, data = noise_rate / signal_rate, self.sigma_data
        return noise_rate.square() * (sigma.square() + data**2) / (sigma * data).square()


def loss_of(variant: Variant, model: Any, noise_scheduler: Any, batch: StepBatch) -> Tensor:
    """The mean error of a batch."""
    config, draws = variant.recipe.config, (batch.noise, batch.timesteps)
    if isinstance(model, Preconditioned):
        noisy = noise_scheduler.add_noise(batch.x0, *draws)
        signal, noise = mixing_rates(noise_scheduler, batch.timesteps, batch.x0)
        wanted = signal * batch.noise - noise * batch.x0
        error = (model(noisy, batch.timesteps, batch.class_labels).sample - wanted).square()
        return (model.weights(noise, signal) * error).mean()
    labels = batch.class_labels
    return diffusion_loss(
        model, noise_scheduler, batch.x0, labels, draws, config.loss, config.min_snr_gamma
    )


@cache
def pictures(name: str, count: int, flip: bool) -> ImageTensors:
    """So many pictures of a set; drawn once, since drawing takes longer than timing."""
    return replace(recipe(name, "laptop"), count=count, flip=flip).data()


class Run:
    """A recipe's network in training, one update at a time."""

    def __init__(self, variant: Variant) -> None:
        self.variant, self.config = variant, variant.recipe.config
        chosen = variant.recipe
        self.data = pictures(chosen.pictures, chosen.count, chosen.flip)
        self.noise_scheduler = variant.noise_scheduler()
        self.model: Any = chosen.model(len(self.data.names))
        if variant.sigma_data is not None:
            self.model = Preconditioned(self.model, self.noise_scheduler, variant.sigma_data)
        weights = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(weights, betas=(0.9, self.config.adam_beta2), fused=True)
        decay = self.config.ema_decay
        self.ema = diffusers.training_utils.EMAModel(weights, decay, foreach=True)
        self.model.train()

    def update(self, step: int, updates: int) -> None:
        """Update number `step` of so many."""
        climbed = min(1.0, (step + 1) / self.config.num_warmup_steps)
        fallen = (1 + math.cos(math.pi * step / updates)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * climbed * fallen
        classes = self.model.config.num_class_embeds
        batch = draw_batch(self.config, self.data, self.noise_scheduler, step, classes)
        if self.variant.levels:
            generator = torch.Generator().manual_seed(step)
            batch = replace(batch, timesteps=self.variant.levels(batch.timesteps, generator))
        loss = loss_of(self.variant, self.model, self.noise_scheduler, batch)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)
        self.optimizer.step()
        self.ema.step(self.model.parameters())


def timed(variant: Variant) -> float:
    """Seconds of one update."""
    run, seconds = Run(variant), []
    for step in range(3 + TIMED):  # the first ones set up what is reused later
        started = time.perf_counter()
        run.update(step, updates=1_000)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[3:])


def trained(variant: Variant, updates: int) -> tuple[Any, Any]:
    """Train for so many updates; the network with averaged weights, and its scheduler."""
    run = Run(variant)
    for step in range(updates):
        run.update(step, updates)
    run.ema.copy_to(run.model.parameters())
    return run.model.eval(), run.noise_scheduler


@cache
def judge(name: str) -> Judge:
    """The eyes that no network was trained by; the same for every recipe of these pictures."""
    return Judge(recipe(name, "laptop"), count=1_000)


def scored(
    name: str, model: Any, noise_scheduler: Any, count: int, guidance_scale: float = 1.0
) -> dict[str, float]:
    """Draw so many pictures, the kinds in turn where it knows kinds, and judge them."""
    kinds = len(judge(name).kinds)
    wanted = [k % kinds for k in range(count)]
    drawn = sample(
        model,
        quick_scheduler(noise_scheduler),
        seeds=range(count),
        class_labels=None if model.config.num_class_embeds is None else wanted,
        num_inference_steps=STEPS,
        guidance_scale=guidance_scale,
        no_label=kinds,
        progress=False,
    )
    scores = judge(name).score(drawn.images, wanted)
    return {key: float(value) for key, value in scores.items()}


def judged(name: str, variant: Variant, updates: int) -> dict[str, float]:
    """Train one recipe and judge what it draws, as it is and with guidance."""
    model, noise_scheduler = trained(variant, updates)
    plain = scored(name, model, noise_scheduler, DRAWN)
    guided = scored(name, model, noise_scheduler, DRAWN, GUIDANCE)
    return {"updates": float(updates), "guided": guided["read_as_asked"], **plain}


def plain_recipe(name: str) -> Recipe:
    """The laptop recipe with labels dropped, on the cosine, its levels drawn evenly."""
    chosen = recipe(name, "laptop")
    config = replace(chosen.config, label_dropout=0.1, timestep_sampling="uniform")
    return replace(chosen, config=config, flow_matching=False)


def together(name: str) -> list[Variant]:
    """The laptop recipe's network and numbers, with what the heats found of path and levels."""
    base = plain_recipe(name)
    middle = replace(base.config, timestep_sampling="logit_normal")
    return [
        Variant("cosine, even levels", base),
        Variant("cosine, logit-normal", replace(base, config=middle)),
        Variant("flow, logit-normal", replace(base, config=middle, flow_matching=True)),
    ]


def variants(name: str) -> list[Variant]:
    """The plain recipe, and every recipe that differs from it in one thing."""
    base = plain_recipe(name)
    config, widths = base.config, base.network["block_out_channels"]

    def told(what: str, **changes: Any) -> Variant:
        return Variant(what, replace(base, **changes))

    def set_to(what: str, **changes: Any) -> Variant:
        return told(what, config=replace(config, **changes))

    def wide(what: str, factor: float) -> Variant:
        scaled = tuple(int(factor * width) // 8 * 8 for width in widths)  # norms take groups of 8
        return told(what, network=base.network | {"block_out_channels": scaled})

    with contextlib.redirect_stdout(io.StringIO()):
        images = pictures(name, base.count, base.flip).images
    middle = replace(config, timestep_sampling="logit_normal")
    batch, rate = config.batch_size, config.learning_rate
    deviation = (images.float() / 127.5 - 1).std().item()
    edm = partial(log_normal, -1.2, 1.2)
    return [
        told("the plain recipe"),
        *(told(f"{count:,} pictures", count=count) for count in (500, 12_000)),
        told("mirrored" if not base.flip else "not mirrored", flip=not base.flip),
        *(set_to(f"batch {size}", batch_size=size) for size in (batch // 2, batch * 2)),
        *(set_to(f"rate {value:g}", learning_rate=value) for value in (rate / 2, 2 * rate)),
        wide("narrower by a quarter", 0.75),
        wide("wider by a half", 1.5),
        told("two layers a block", network=base.network | {"layers_per_block": 2}),
        *(set_to(f"average {decay:g}", ema_decay=decay) for decay in (0.9, 0.99, 0.998)),
        set_to("L1", loss="l1"),
        set_to("min-SNR weights, 5", min_snr_gamma=5.0),
        Variant("predicts the noise", base, target="epsilon"),
        Variant("predicts the picture", base, target="sample"),
        told("flow matching", flow_matching=True),
        told("flow, logit-normal levels", flow_matching=True, config=middle),
        told("logit-normal levels", config=middle),
        Variant("EDM's levels", base, levels=edm),
        Variant("EDM's factors", base, sigma_data=deviation),
        Variant("EDM's factors and levels", base, levels=edm, sigma_data=deviation),
        set_to("AdamW's memory 0.99", adam_beta2=0.99),
    ]


def with_seed(variant: Variant, seed: int) -> Variant:
    """The same recipe from another seed: other first weights, other noise, another order."""
    config = replace(variant.recipe.config, seed=seed)
    return replace(variant, recipe=replace(variant.recipe, config=config))


class Kept:
    """What has been measured, a line for each run, so that nothing is measured twice."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.found = dict(map(json.loads, lines))

    def look_up(self, key: str, make: Callable[[], Any]) -> Any:
        """What was found under this key, now or before."""
        if key not in self.found:
            with contextlib.redirect_stdout(io.StringIO()):  # what is loaded is told each time
                self.found[key] = make()
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([key, self.found[key]]) + "\n")
        return self.found[key]

    def updates(self, name: str, variant: Variant) -> int:
        """How many updates of this recipe fit in the time of its data set."""
        chosen, factors = variant.recipe, variant.sigma_data is not None
        cost = ["seconds", name, chosen.network, chosen.config.batch_size, factors]
        key = json.dumps(cost, sort_keys=True)
        return int(SECONDS[name] / self.look_up(key, lambda: timed(variant)))

    def measured(self, name: str, variant: Variant, seed: int) -> dict[str, float]:
        """The scores of a run."""
        seeded, updates = with_seed(variant, seed), self.updates(name, variant)
        settings = asdict(seeded.recipe)
        key = json.dumps([name, variant.name, updates, settings], sort_keys=True)
        scores: dict[str, float] = self.look_up(key, lambda: judged(name, seeded, updates))
        return scores


COLUMNS = {
    "read_as_asked": "as asked",
    "guided": "guided",
    "distance": "distance",
    "updates": "updates",
}


def row_of(variant: Variant, runs: list[dict[str, float]]) -> str:
    """A line of a table: the mean of each column, and the deviation where there are seeds."""
    columns = [[run[key] for run in runs] for key in COLUMNS]
    if len(runs) == 1:
        cells = (f"{values[0]:11.3g}" for values in columns)
    else:
        pairs = ((statistics.mean(values), statistics.stdev(values)) for values in columns)
        cells = (f"{mean:8.3g} ± {deviation:<8.2g}" for mean, deviation in pairs)
    return (f"{variant.name:28}" + "".join(cells)).rstrip()


def from_seeds(name: str, chosen: list[Variant], kept: Kept) -> None:
    """Train each from all seeds, and print its line."""
    print(f"{'':28}" + "".join(f"{head:<19}" for head in COLUMNS.values()).rstrip())
    for variant in chosen:
        print(row_of(variant, [kept.measured(name, variant, seed) for seed in SEEDS]), flush=True)


def compare(name: str, kept: Kept) -> None:
    """Print the heats and the final of one data set."""
    print(f"\n{name}: {SECONDS[name]:.0f} s of training each, {DRAWN} pictures, DDIM-{STEPS}")
    print(f"{'':28}" + "".join(f"{head:>11}" for head in COLUMNS.values()))
    heats = [(variant, kept.measured(name, variant, SEEDS[0])) for variant in variants(name)]
    for variant, scores in heats:
        print(row_of(variant, [scores]))
    first, *others = heats
    others.sort(key=lambda heat: -(heat[1]["read_as_asked"] + heat[1]["guided"]))
    print(f"\nthe best from {len(SEEDS)} seeds: mean ± deviation")
    from_seeds(name, [first[0], *(variant for variant, _ in others[:FINALISTS])], kept)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="sprites, flowers; both if none")
    parser.add_argument("--kept", type=Path, help="where what is measured is kept")
    parser.add_argument("--together", action="store_true", help="leave out heats and final")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, ", end="")
    print(f"one thread of {os.cpu_count()}")
    names, kept = chosen.names or list(SECONDS), Kept(chosen.kept)
    for name in names:
        for variant in together(name) + ([] if chosen.together else variants(name)):
            kept.updates(name, variant)  # all are timed before the first is trained
    for name in names:
        if not chosen.together:
            compare(name, kept)
        print(f"\n{name}, network and batches of today, {SECONDS[name]:.0f} s: mean ± deviation")
        from_seeds(name, together(name), kept)


if __name__ == "__main__":
    main()
