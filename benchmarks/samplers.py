"""What a picture costs with each solver, and how good it is.

The gallery's sprites, from the same seeds with each solver and number of network calls, judged as
in chapter 8: groups of 70, in the features of the network that names sprites. The numbers are kept
beside the network, where the chapter finds them. Then a step of ours and a step of diffusers' in
turn, behind the same network. From the repository's root: ``python -m benchmarks.samplers``.
"""

import json
import os
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
GROUPS, GROUP = 3, 70
REAL = 480  # real sprites that each group is compared with
ARTIST = gallery.load("sprites-16")
LEVELS = {**ARTIST.noise_scheduler.config, "clip_sample": False, "timestep_spacing": "trailing"}
KARRAS = {"use_karras_sigmas": True, "sigma_min": 0.02, "sigma_max": 80.0}
SOLVERS: dict[str, Any] = {
    "DDIM": DDIMScheduler.from_config(LEVELS),
    "Heun": HeunDiscreteScheduler.from_config(LEVELS | KARRAS),
    "2M": DPMSolverMultistepScheduler.from_config(LEVELS),
    "3M": DPMSolverMultistepScheduler.from_config(LEVELS | {"solver_order": 3}),
    "2M Karras": DPMSolverMultistepScheduler.from_config(LEVELS | KARRAS),
    "UniPC": UniPCMultistepScheduler.from_config(LEVELS),
}


def draw(scheduler: Any, calls: int, guidance_scale: float) -> tuple[Tensor, float]:
    """Some sprites in so many calls, or one less, and the milliseconds of CPU for each."""
    begin, kinds, count = time.process_time(), len(ARTIST.labels), GROUPS * GROUP
    images = sample(
        ARTIST.model,
        scheduler,
        seeds=range(count),
        class_labels=[k % kinds for k in range(count)],
        num_inference_steps=(calls + 1) // 2 if scheduler.order == 2 else calls,
        guidance_scale=guidance_scale,
        no_label=None if guidance_scale == 1 else ARTIST.no_label,
        progress=False,
    ).images
    return images, 1000 * (time.process_time() - begin) / count


def apart(drawn: Tensor, real: Tensor) -> tuple[float, float]:
    """The mean Fréchet distance of groups of drawn pictures, and its standard error."""
    distances = torch.tensor([frechet_distance(part, real) for part in drawn.split(GROUP)])
    return distances.mean().item(), distances.std().item() / GROUPS**0.5


def quality() -> dict[str, Any]:
    """Print distance and milliseconds for each solver and number of calls; give the distances."""
    count = GROUPS * GROUP + REAL
    unseen = prepare(load_images("sprites", "drawn", count=count, first=500_000), 16, 3)
    see = extractor("sprites-16")
    aside, real = see(unseen.batch(range(count))[0]).split([GROUPS * GROUP, REAL])
    kept: dict[str, Any] = {"extractor": see.name, "weights": digest(ARTIST.model.state_dict())}
    kept["real"] = apart(aside, real)
    print(f"sprites-16, {GROUPS} groups of {GROUP}, Fréchet distance by {see.name}")
    print("real sprites against others: {:.3f} ± {:.3f}\n".format(*kept["real"]))
    for scale in (1.0, 2.0):
        print(f"guidance {scale:g}: distance ± standard error, ms of CPU for a picture")
        print(f"{'calls':9}" + "".join(f"{n:>20}" for n in CALLS))
        kept[f"{scale:g}"] = {}
        for name, scheduler in SOLVERS.items():
            line, row = f"{name:9}", {}
            for calls in CALLS:
                images, spent = draw(scheduler, calls, scale)
                row[calls] = apart(see(images), real)
                line += f"{row[calls][0]:8.3f} ±{row[calls][1]:6.3f}{spent:4.0f}"
            kept[f"{scale:g}"][name] = row
            print(line, flush=True)
        print()
    return kept


def steps() -> None:
    """Print how long a step takes behind the gallery's network, ours and diffusers'."""
    labels = torch.zeros(16, dtype=torch.long)
    model = ARTIST.model
    print("a step for 16 sprites, ms (median): ours, diffusers', median of the ratios")
    for name, ours in SOLVERS.items():
        theirs = getattr(diffusers, type(ours).__name__).from_config(ours.config)
        shape = (16, 3, 16, 16)
        mine, other, ratio = compare(
            ours, theirs, lambda x, t: model(x, t, class_labels=labels).sample, shape, 2
        )
        print(f"{name:11}{mine:9.2f}{other:9.2f}{ratio:7.3f}", flush=True)


def main() -> None:
    """Print both tables, and keep the first."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread of ", end="")
    print(f"{os.cpu_count()}\n")
    begin = time.process_time()
    kept = json.dumps(quality(), indent=1)
    (gallery.FOLDER / "sprites-16" / gallery.SOLVERS).write_text(kept + "\n", encoding="utf-8")
    steps()
    print(f"\n{(time.process_time() - begin) / 60:.1f} minutes of CPU")


if __name__ == "__main__":
    main()
