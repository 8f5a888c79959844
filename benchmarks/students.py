"""Four ways to a student that draws in one call or two, at equal time.

Each begins with the weights of the gallery's digits, trains for the same seconds of one thread,
and draws digits from noise that none has seen. From the repository's root:
``python -m benchmarks.students``, and ``python -m benchmarks.students 60 pairs`` for 60 seconds
of one way alone.

``pairs``: the teacher draws first, in six calls of 2M, and the student learns which picture each
noise became (Luhman and Luhman 2021; with flow matching it is reflow, Liu et al. 2022). Chapter 8.
``consistency, taught``: two neighbouring levels of the teacher's path are to be given the same
picture (Song et al. 2023, Algorithm 2). ``consistency, alone``: the neighbour is the same picture
with less of the same noise; no teacher is asked (their Algorithm 3).
``mean flow``: the network learns the mean velocity between two levels, from its own slope along
the path (Geng et al. 2025, eq. 6, taken by a difference; the velocity is the teacher's).
"""

import copy
import math
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from course_utils.data import load_images, prepare
from course_utils.metrics import PictureReader
from course_utils.models import gallery
from course_utils.noise import predicted_x0_and_noise
from course_utils.sampling import DPMSolverMultistepScheduler, initial_noise, sample

SECONDS, SEEDS, BATCH, ASKED = 60.0, (0, 1, 2), 32, 300
TEACHER = gallery.load("digits-28")
LEVELS = {**TEACHER.noise_scheduler.config, "timestep_spacing": "trailing"}
QUICK = DPMSolverMultistepScheduler.from_config(LEVELS)
SHARES = QUICK.alphas_cumprod
FIRST, SECOND = 850, 500
"""Timesteps that a student is told in its first call and in its second: see the chapter."""

Student = Callable[[Tensor, Tensor, int], Tensor]
"""Noise, labels and the number of calls, 1 or 2, become pictures."""


def rates(t: Tensor | int) -> tuple[Tensor, Tensor]:
    """How much picture and how much noise there is at a timestep."""
    share = SHARES[t].view(-1, 1, 1, 1)
    return share.sqrt(), (1 - share).sqrt()


def at_once(model: nn.Module, x: Tensor, t: Tensor | int, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The clean picture and the noise, as the network sees them when told t."""
    v = model(x, torch.as_tensor(t), class_labels=labels).sample
    return predicted_x0_and_noise("v_prediction", v, x, *rates(t))


def in_calls(model: nn.Module) -> Student:
    """Draw with a network that gives the picture at once, and with DDIM's step in between."""

    def draw(x: Tensor, labels: Tensor, calls: int) -> Tensor:
        x0, seen = at_once(model, x, FIRST, labels)
        if calls == 2:
            a, s = rates(SECOND)
            x0, _ = at_once(model, a * x0 + s * seen, SECOND, labels)
        return x0.clamp(-1, 1)

    return draw


def by_teacher(noise: Tensor, labels: Tensor, steps: int) -> Tensor:
    """What the teacher draws from this noise."""
    how = {"class_labels": labels.tolist(), "num_inference_steps": steps, "progress": False}
    return sample(TEACHER.model, QUICK, noise=noise, **how).images


def updates(model: nn.Module, seconds: float, rate: float) -> Iterator[Callable[[Tensor], None]]:
    """Give out what makes an update of a loss, until the seconds of this thread are spent."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, (0.9, 0.99))
    begin, spent = time.process_time(), 0.0

    def update(loss: Tensor) -> None:
        for group in optimizer.param_groups:  # up in a twentieth of the time, then a cosine down
            warm, fall = min(20 * spent, 1.0), math.cos(spent * math.pi / 2) ** 2
            group["lr"] = rate * warm * fall
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    while (spent := (time.process_time() - begin) / seconds) < 1:
        yield update


def pairs(seconds: float, seed: int) -> Student:
    """Learn from pairs of noise and picture; a third of the time goes into drawing them."""
    begin, chosen = time.process_time(), []
    while time.process_time() - begin < seconds / 3:
        numbers = range((seed * 1000 + len(chosen)) * 50, (seed * 1000 + len(chosen) + 1) * 50)
        noise, _ = initial_noise((1, 28, 28), [10_000 + k for k in numbers])
        labels = torch.tensor([k % 10 for k in numbers])
        chosen.append((noise, labels, by_teacher(noise, labels, 6)))
    noise, labels, pictures = (torch.cat(part) for part in zip(*chosen, strict=True))
    student = copy.deepcopy(TEACHER.model).train()
    for number, update in enumerate(updates(student, 2 * seconds / 3, 8e-4)):
        pick = torch.randint(len(noise), (BATCH,))
        x0, x, t = pictures[pick], noise[pick], FIRST
        if number % 3 == 2:  # every third update learns the second call
            (a, s), (b, r), t = rates(FIRST), rates(SECOND), SECOND
            x = b * x0 + r * (x - a * x0) / s
        found, _ = at_once(student, x, t, labels[pick])
        update((found - x0).abs().mean())
    return in_calls(student.eval())


def consistency(seconds: float, taught: bool, gap: int = 50) -> Student:
    """Learn to give neighbouring levels of a path the same picture, that of the lower one."""
    data = prepare(load_images("digits", "drawn", count=4_000), 28, channels=1)
    student = copy.deepcopy(TEACHER.model)
    steady = copy.deepcopy(student)  # an average of the student, which says what to learn
    for update in updates(student, seconds, 3e-4):
        x0, labels = data.batch(torch.randint(len(data), (BATCH,)))
        noise, t = torch.randn_like(x0), gap * torch.randint(1, FIRST // gap + 1, (BATCH,))
        (a, s), (b, r) = rates(t), rates(t - gap)
        x = torch.where((t == FIRST).view(-1, 1, 1, 1), noise, a * x0 + s * noise)
        with torch.no_grad():
            if taught:  # DDIM's step of the teacher
                x0, noise = at_once(TEACHER.model, x, t, labels)
            lower, _ = at_once(steady, b * x0 + r * noise, t - gap, labels)
            ended = (t == gap).view(-1, 1, 1, 1)
            target = torch.where(ended, x0, lower)
        found, _ = at_once(student, x, t, labels)
        far = (found - target).square().flatten(1).sum(1)
        update(((far + 0.7) ** 0.5).mean())  # nearly the distance itself: Song and Dhariwal 2023
        for mean, new in zip(steady.parameters(), student.parameters(), strict=True):
            mean.data.lerp_(new.data, 0.1)
    return in_calls(student)


class MeanFlow(nn.Module):
    """The teacher, which is also told how far its mean velocity is to reach.

    With the angle of a level, x = cos(angle) x0 + sin(angle) noise, and dx / dangle is v.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = copy.deepcopy(TEACHER.model)
        self.kinds, self.unet.class_embedding = self.unet.class_embedding, nn.Identity()
        width = self.kinds.embedding_dim
        self.reach = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.reach[2].weight)
        nn.init.zeros_(self.reach[2].bias)

    def forward(self, x: Tensor, angle: Tensor, reach: Tensor, labels: Tensor) -> Tensor:
        """The mean velocity from an angle down to the one that is `reach` below it."""
        told = self.kinds(labels) + self.reach(reach.view(-1, 1))
        return self.unet(x, timestep_of(angle), class_labels=told).sample


def timestep_of(angle: Tensor) -> Tensor:
    """The timestep of the cosine schedule at an angle, as a fraction (Nichol, eq. 17)."""
    return (angle / (math.pi / 2) * 1.008 - 0.008) * 1000 - 1


def mean_flow(seconds: float) -> Student:
    """Learn u = v - reach * du/dangle; the slope is that along the teacher's path."""
    data = prepare(load_images("digits", "drawn", count=4_000), 28, channels=1)
    student, top, h = MeanFlow(), torch.asin(rates(FIRST)[1]).item(), 0.02
    for update in updates(student, seconds, 3e-4):
        x0, labels = data.batch(torch.randint(len(data), (BATCH,)))
        angle = (0.05 + torch.rand(BATCH) * (top - 0.05)).where(torch.rand(BATCH) > 0.3, top)
        reach = (torch.rand(BATCH) * angle).where(torch.rand(BATCH) > 0.5, angle)
        wide = angle.view(-1, 1, 1, 1)
        noise = torch.randn_like(x0)
        x = torch.where(wide == top, noise, wide.cos() * x0 + wide.sin() * noise)
        u = student(x, angle, reach, labels)
        with torch.no_grad():
            v = TEACHER.model(x, timestep_of(angle), class_labels=labels).sample
            ahead = student(x - h * v, angle - h, reach - h, labels)
            slope = (u - ahead) / h
            target = v - reach.view(-1, 1, 1, 1) * slope
        far = (u - target).square().flatten(1).mean(1)
        update((far / (far.detach() + 1e-2)).mean())  # their eq. 22, p = 1

    @torch.inference_mode()
    def draw(x: Tensor, labels: Tensor, calls: int) -> Tensor:
        turns = torch.linspace(top, 0, calls + 1)
        for here, there in pairwise(turns):
            angle, reach = here.expand(len(x)), (here - there).expand(len(x))
            x = x - (here - there) * student(x, angle, reach, labels)
        return x.clamp(-1, 1)

    return draw


WAYS: dict[str, Callable[[float, int], Student]] = {
    "pairs": pairs,
    "consistency, taught": lambda seconds, seed: consistency(seconds, taught=True),
    "consistency, alone": lambda seconds, seed: consistency(seconds, taught=False),
    "mean flow": lambda seconds, seed: mean_flow(seconds),
}


def variety(images: Tensor, labels: Tensor) -> float:
    """The deviation of a pixel among the digits of one kind, on average."""
    kinds = [images[labels == k].std(0).square().mean() for k in range(10)]
    return torch.stack(kinds).mean().sqrt().item()


def main() -> None:
    """Print for each way, in one call and in two, means over the seeds and their deviation."""
    torch.set_num_threads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    ways = sys.argv[2:] or [*WAYS]
    to_read = load_images("digits", "drawn", count=2_000, first=500_000)
    reader = PictureReader(prepare(to_read, 28, channels=1))
    labels = torch.arange(ASKED) % 10
    noise, _ = initial_noise((1, 28, 28), range(ASKED))
    goal = by_teacher(noise, labels, 8)

    def scores(images: Tensor) -> tuple[float, float, float]:
        read = 100 * reader.read(images, labels).accuracy
        off = (images - goal).square().mean().sqrt().item()
        return read, variety(images, labels) / variety(goal, labels), off

    print(f"{seconds:.0f} seconds of one thread each, {ASKED} digits, seeds {SEEDS}")
    print("read as asked in %, variety as a share of the teacher's, distance from its pictures")
    print("{:21} {:.1f} {:.2f} {:.2f}".format("teacher, 8 calls", *scores(goal)))
    for name in ways:
        found: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
        for seed in SEEDS:
            torch.manual_seed(seed)
            draw = WAYS[name](seconds, seed)
            with torch.inference_mode():
                for calls, rows in found.items():
                    rows.append(scores(draw(noise, labels, calls)))
        for calls, rows in found.items():
            table = torch.tensor(rows)
            line = [f"{m:6.2f} ±{d:5.2f}" for m, d in zip(table.mean(0), table.std(0), strict=True)]
            print(f"{name}, {calls}".ljust(22) + "  ".join(line), flush=True)


if __name__ == "__main__":
    main()
