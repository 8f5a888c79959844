"""One trainer for all chapters, which a reader can read top to bottom.

Read it in this order: `config` (the numbers of a run, each a `setting`), `batches` (what happens
at step k), `loss`, `loop` (which puts them together), `fitting` (what goes together), `pace` (how
far along a run is), `memory` (what fits), `state` and `checkpoints` (what survives a crash),
`folder` and `report` with `grids`, `judging`, `tracking` and `fingerprint` (what is kept and
shown), `stopping` (Ctrl-C), `distributed` (one process or many), `task` and `recipes` (a data
set, a network and settings that go together), `planning` (the same for anybody's pictures, by
what has `proven` itself or from a trained network to `start` with), `cache` (trained once, used
again).
"""

from course_utils.training.batches import draw_batch, noise_and_levels, rows_of_step, seeded
from course_utils.training.cache import trained
from course_utils.training.config import TrainingConfig, steps_for_epochs
from course_utils.training.fitting import check_fit
from course_utils.training.loop import train
from course_utils.training.loss import diffusion_loss
from course_utils.training.memory import MemoryFullError
from course_utils.training.planning import Plan, plan
from course_utils.training.recipes import RECIPES, recipe
from course_utils.training.state import TrainingRun
from course_utils.training.task import Recipe

__all__ = [
    "RECIPES",
    "MemoryFullError",
    "Plan",
    "Recipe",
    "TrainingConfig",
    "TrainingRun",
    "check_fit",
    "diffusion_loss",
    "draw_batch",
    "noise_and_levels",
    "plan",
    "recipe",
    "rows_of_step",
    "seeded",
    "steps_for_epochs",
    "train",
    "trained",
]
