"""What a picture costs with each solver, and how good it is.

A gallery network's pictures, from the same seeds with each solver and number of network calls,
judged as in chapter 8: groups of about 70, in the features of the network that names such pictures.
The numbers are kept beside the network, where the chapter finds them. Then a step of ours and a
step of diffusers' in turn, behind the same network.

    python -m benchmarks.samplers [NAME …]

Run it from the repository's root. Without a name it takes all of `SCALES`.
"""

import json
import os
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
SCALES = {"sprites-16": (1.0, 2.0), "flowers-32": (1.0,)}
"""The networks that are measured, each at its guidance scales; above 1 a call costs twice."""


def solvers_of(artist: gallery.Trained) -> dict[str, Any]:
    """The solvers that are compared, on the levels of this network."""
    levels = {
        **artist.noise_scheduler.config,
        "clip_sample": False,
        "timestep_spacing": "trailing",
    }
    karras = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
    return {
        "DDIM": DDIMScheduler.from_config(levels),
        "Heun": HeunDiscreteScheduler.from_config(levels | karras),
        "2M": DPMSolverMultistepScheduler.from_config(levels),
        "3M": DPMSolverMultistepScheduler.from_config(levels | {"solver_order": 3}),
        "2M Karras": DPMSolverMultistepScheduler.from_config(levels | karras),
        "UniPC": UniPCMultistepScheduler.from_config(levels),
    }


def in_a_group(artist: gallery.Trained) -> int:
    """How many pictures are in a group."""
    return round(ABOUT / len(artist.labels)) * len(artist.labels)


def draw(
    artist: gallery.Trained, scheduler: Any, calls: int, guidance_scale: float
) -> tuple[Tensor, float]:
    """Some pictures in so many calls, or one less, and the milliseconds of CPU for each."""
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


def apart(drawn: Tensor, real: Tensor) -> tuple[float, float]:
    """The mean Fréchet distance of groups of drawn pictures, and its standard error."""
    distances = torch.tensor([frechet_distance(part, real) for part in drawn.chunk(GROUPS)])
    mean, error = distances.mean().item(), distances.std().item() / GROUPS**0.5
    return round(mean, 3), round(error, 3)  # as they are printed


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
    print(f"real {what} against others: {kept['real'][0]:.3f} ± {kept['real'][1]:.3f}\n")
    for scale in SCALES[artist.name]:
        print(f"guidance {scale:g}: distance ± standard error, ms of CPU for a picture")
        print(f"{'calls':9}" + "".join(f"{n:>20}" for n in CALLS))
        kept[f"{scale:g}"] = {}
        for name, scheduler in solvers_of(artist).items():
            line, row = f"{name:9}", {}
            for calls in CALLS:
                images, spent = draw(artist, scheduler, calls, scale)
                row[calls] = apart(see(images), real)
                line += f"{row[calls][0]:8.3f} ±{row[calls][1]:6.3f}{spent:4.0f}"
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
        print(f"{name:11}{mine:9.2f}{other:9.2f}{ratio:7.3f}", flush=True)


def main() -> None:
    """Print both tables of each network, and keep the first."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread of ", end="")
    print(f"{os.cpu_count()}\n")
    for name in sys.argv[1:] or SCALES:
        begin, artist = time.process_time(), gallery.load(name)
        kept = json.dumps(quality(artist), indent=1)
        (gallery.FOLDER / name / gallery.SOLVERS).write_text(kept + "\n", encoding="utf-8")
        steps(artist)
        print(f"\n{(time.process_time() - begin) / 60:.1f} minutes of CPU\n")


if __name__ == "__main__":
    main()
