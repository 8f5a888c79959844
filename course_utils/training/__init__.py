"""One trainer for all chapters, which a reader can read top to bottom.

Read it in this order: `config` (the numbers of a run, each a `setting`), `batches` (what happens
at step k), `loss`, `loop` (which puts them together), `state` and `checkpoints` (what survives a
crash), `folder` and `report` with `grids`, `judging`, `tracking` and `fingerprint` (what is
kept and shown), `stopping` (Ctrl-C), `distributed` (one process or many), `task` and `recipes`
(a data set, a network and settings that go together), `command` (all of it from the shell),
`cache` (trained once, used again).
"""

from course_utils.training.batches import draw_batch, noise_and_levels, rows_of_step, seeded
from course_utils.training.cache import trained
from course_utils.training.config import TrainingConfig, steps_for_epochs
from course_utils.training.loop import check_fit, train
from course_utils.training.loss import diffusion_loss
from course_utils.training.recipes import RECIPES, recipe
from course_utils.training.state import TrainingRun
from course_utils.training.task import Recipe

__all__ = [
    "RECIPES",
    "Recipe",
    "TrainingConfig",
    "TrainingRun",
    "check_fit",
    "diffusion_loss",
    "draw_batch",
    "noise_and_levels",
    "recipe",
    "rows_of_step",
    "seeded",
    "steps_for_epochs",
    "train",
    "trained",
]
