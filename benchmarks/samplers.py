"""What a picture costs with each solver, and how good it is.

A gallery network's pictures, from the same seeds with each solver and number of network calls,
judged as in chapter 8: groups of about 70, in the features of the network that names such pictures.
Each group's distance is kept beside the network, where the chapter finds it. Heun's calls are odd:
where an even number is asked for, it has one less. Then a step of ours and a step of diffusers' in
turn, behind the same network.

    python -m benchmarks.samplers [NAME …]

Run it from the repository's root. Without a name it takes all of `NETWORKS`.
"""

import json
import os
import statistics
import sys
import time
from typing import Any

import diffusers
import torch
from torch import Tensor

from benchmarks.schedulers import compare
from course_utils.data import load_images, prepare
from course_utils.files import digest
from course_utils.metrics import extractor, frechet_distance
from course_utils.models import gallery
from course_utils.sampling import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
    sample,
)

CALLS = (4, 5, 6, 8, 10, 20, 50)
GROUPS, ABOUT = 3, 70  # groups, and pictures in each: the same number of every kind
REAL = 480  # real pictures that each group is compared with
NETWORKS = ("sprites-16", "flowers-32")
SCALES = (1.0, 2.0)  # of guidance; above 1 a call costs twice


def solvers_of(artist: gallery.Trained) -> dict[str, Any]:
    """The solvers that are compared, on this network's levels and on Karras'."""
    levels = {
        **artist.noise_scheduler.config,
        "clip_sample": False,
        "timestep_spacing": "trailing",
    }
    karras = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
    multistep, unipc = DPMSolverMultistepScheduler.from_config, UniPCMultistepScheduler.from_config
    return {
        "DDIM": DDIMScheduler.from_config(levels),
        "2M": multistep(levels),
        "3M": multistep(levels | {"solver_order": 3}),
        "UniPC": unipc(levels),
        "DDIM Karras": multistep(levels | karras | {"solver_order": 1}),  # the same step
        "2M Karras": multistep(levels | karras),
        "UniPC Karras": unipc(levels | karras),
        "Heun Karras": HeunDiscreteScheduler.from_config(levels | karras),
    }


def in_a_group(artist: gallery.Trained) -> int:
    """How many pictures are in a group."""
    return round(ABOUT / len(artist.labels)) * len(artist.labels)


def calls_of(scheduler: Any, calls: int) -> int:
    """How many calls there really are: Heun's are odd, since its last step has no second look."""
    return calls - 1 if scheduler.order == 2 and calls % 2 == 0 else calls


def draw(
    artist: gallery.Trained, scheduler: Any, calls: int, guidance_scale: float
) -> tuple[Tensor, float]:
    """Some pictures in so many calls, and the milliseconds of CPU for each."""
    begin, count = time.process_time(), GROUPS * in_a_group(artist)
    images = sample(
        artist.model,
        scheduler,
        seeds=range(count),
        class_labels=[k % len(artist.labels) for k in range(count)],
        num_inference_steps=(calls + 1) // 2 if scheduler.order == 2 else calls,
        guidance_scale=guidance_scale,
        no_label=None if guidance_scale == 1 else artist.no_label,
        progress=False,
    ).images
    return images, 1000 * (time.process_time() - begin) / count


def apart(drawn: Tensor, real: Tensor) -> list[float]:
    """The Fréchet distance of each group of drawn pictures."""
    return [round(frechet_distance(part, real), 3) for part in drawn.chunk(GROUPS)]


def told(distances: list[float]) -> str:
    """Their mean and its standard error."""
    mean, error = statistics.mean(distances), statistics.stdev(distances) / GROUPS**0.5
    return f"{mean:.3f} ±{error:6.3f}"


def quality(artist: gallery.Trained) -> dict[str, Any]:
    """Print distance and milliseconds for each solver and number of calls; give the distances."""
    drawn, what = GROUPS * in_a_group(artist), artist.card["recipe"]
    several = load_images(what, "drawn", count=drawn + REAL, first=500_000)
    unseen = prepare(several, artist.image_size, artist.model.config.in_channels)
    see = extractor(artist.name)
    aside, real = see(unseen.batch(range(len(unseen)))[0]).split([drawn, REAL])
    kept: dict[str, Any] = {"extractor": see.name, "weights": digest(artist.model.state_dict())}
    kept["real"] = apart(aside, real)
    print(f"{artist.name}, {GROUPS} groups of {drawn // GROUPS}, Fréchet distance by {see.name}")
    print(f"real {what} against others: {told(kept['real'])}\n")
    for scale in SCALES:
        print(f"guidance {scale:g}: distance ± standard error, ms of CPU for a picture")
        print(f"{'calls':12}" + "".join(f"{n:>20}" for n in CALLS))
        kept[f"{scale:g}"] = {}
        for name, scheduler in solvers_of(artist).items():
            line, row = f"{name:12}", {}
            for calls in CALLS:
                images, spent = draw(artist, scheduler, calls, scale)
                row[calls_of(scheduler, calls)] = found = apart(see(images), real)
                line += f"  {told(found)}{spent:4.0f}"
            kept[f"{scale:g}"][name] = row
            print(line, flush=True)
        print()
    return kept


def steps(artist: gallery.Trained) -> None:
    """Print how long a step takes behind the gallery's network, ours and diffusers'."""
    labels = torch.zeros(16, dtype=torch.long)
    model, side = artist.model, artist.image_size
    print("a step for 16 pictures, ms (median): ours, diffusers', median of the ratios")
    for name, ours in solvers_of(artist).items():
        theirs = getattr(diffusers, type(ours).__name__).from_config(ours.config)
        shape = (16, model.config.in_channels, side, side)
        mine, other, ratio = compare(
            ours, theirs, lambda x, t: model(x, t, class_labels=labels).sample, shape, 2
        )
        print(f"{name:12}{mine:9.2f}{other:9.2f}{ratio:7.3f}", flush=True)


def main() -> None:
    """Print both tables of each network, and keep the first."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread of ", end="")
    print(f"{os.cpu_count()}\n")
    for name in sys.argv[1:] or NETWORKS:
        begin, artist = time.process_time(), gallery.load(name)
        kept = json.dumps(quality(artist), indent=1)
        (gallery.FOLDER / name / gallery.SOLVERS).write_text(kept + "\n", encoding="utf-8")
        steps(artist)
        print(f"\n{(time.process_time() - begin) / 60:.1f} minutes of CPU\n")


if __name__ == "__main__":
    main()
