"""Are they any good? Measures of what a network has drawn.

`reader` says what each picture shows, `neighbours` whether it was drawn or copied. Taught in
chapters 01_unet2dmodel and 03_sprites.
"""

from course_utils.metrics.neighbours import copy_score, nearest
from course_utils.metrics.reader import PictureReader, Reading

__all__ = ["PictureReader", "Reading", "copy_score", "nearest"]
