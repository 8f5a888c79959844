"""The companion package of *From Noise to Butterflies*.

Importing it is light: none of torch, diffusers, datasets or accelerate is loaded before a
function that needs it runs. The parts are reached by name, as in
``from course_utils.data import load_images``.
"""

from course_utils.budget import BUDGETS, by_budget, current_budget
from course_utils.chapter import Chapter, finish_chapter, start_chapter

__all__ = ["BUDGETS", "Chapter", "by_budget", "current_budget", "finish_chapter", "start_chapter"]
__version__ = "0.1.0"
