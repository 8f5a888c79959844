"""One trainer for all chapters, which a reader can read top to bottom.

Read it in this order: `config` (the numbers of a run), `batches` (what happens at step k),
`loss`, `loop` (which puts them together), `state` and `checkpoints` (what survives a crash),
`grids` and `output` (what is kept and shown), `processes` (one or many).
"""

from course_utils.training.batches import draw_batch as draw_batch
from course_utils.training.batches import noise_and_levels as noise_and_levels
from course_utils.training.batches import rows_of_step as rows_of_step
from course_utils.training.batches import seeded as seeded
from course_utils.training.config import TrainingConfig as TrainingConfig
from course_utils.training.config import steps_for_epochs as steps_for_epochs
from course_utils.training.loop import check_fit as check_fit
from course_utils.training.loop import train as train
from course_utils.training.loss import diffusion_loss as diffusion_loss
from course_utils.training.state import TrainingRun as TrainingRun
