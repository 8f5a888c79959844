"""What a picture costs with each solver, and how good it is.

The gallery's sprites, from the same seeds with each solver and number of network calls; then a
step of ours and a step of diffusers' in turn, behind the same network. From the repository's root:
``python -m benchmarks.samplers``, and ``python -m benchmarks.samplers 500`` for as many pictures.
"""

import os
import sys
import time
from typing import Any

import diffusers
import torch
from torch import Tensor

from benchmarks.schedulers import compare
from course_utils.data import load_images, prepare
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
GUIDED_CALLS = (5, 8, 20)
GROUPS = 4
WIDTH = 16  # main components of the pixels that a distance is taken of
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


def draw(scheduler: Any, calls: int, count: int, guidance_scale: float) -> tuple[Tensor, float]:
    """Some sprites in so many calls, or one less, and the milliseconds of CPU for each."""
    begin, kinds = time.process_time(), len(ARTIST.labels)
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
    distances = torch.tensor([frechet_distance(part, real) for part in drawn.chunk(GROUPS)])
    return distances.mean().item(), distances.std().item() / GROUPS**0.5


def quality(count: int) -> None:
    """Print distance and milliseconds for each solver and number of calls."""
    unseen = prepare(load_images("sprites", "drawn", count=2000, first=500_000), 16, 3)
    see = extractor("pixels", unseen)
    features = see(unseen.batch(range(len(unseen)))[0])[:, :WIDTH]
    floor, error = apart(features[:count], features[count:])
    print(f"sprites-16, {count} pictures in {GROUPS} groups, {see.name}, the first {WIDTH}")
    print(f"real pictures against others: {floor:.2f} ± {error:.2f}\n")
    for scale, numbers in ((1.0, CALLS), (2.0, GUIDED_CALLS)):
        print(f"guidance {scale:g}: Fréchet distance ± standard error, ms of CPU for a picture")
        print(f"{'calls':11}" + "".join(f"{n:>22}" for n in numbers))
        for name, scheduler in SOLVERS.items():
            line = f"{name:11}"
            for calls in numbers:
                images, spent = draw(scheduler, calls, count, scale)
                distance, error = apart(see(images)[:, :WIDTH], features)
                line += f"{distance:8.2f} ±{error:5.2f}{spent:5.0f} ms"
            print(line, flush=True)
        print()


def steps() -> None:
    """Print how long a step takes behind the gallery's network, ours and diffusers'."""
    labels = torch.zeros(16, dtype=torch.long)
    model = ARTIST.model
    print("a step for 16 sprites, ms (median): ours, diffusers', median of the ratios")
    for name, ours in SOLVERS.items():
        theirs = getattr(diffusers, type(ours).__name__).from_config(LEVELS)
        shape = (16, 3, 16, 16)
        mine, other, ratio = compare(
            ours, theirs, lambda x, t: model(x, t, class_labels=labels).sample, shape, 2
        )
        print(f"{name:11}{mine:9.2f}{other:9.2f}{ratio:7.3f}", flush=True)


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, one thread of ", end="")
    print(f"{os.cpu_count()}\n")
    quality(int(sys.argv[1]) if len(sys.argv) > 1 else 160)
    steps()


if __name__ == "__main__":
    main()
