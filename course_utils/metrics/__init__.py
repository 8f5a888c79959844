"""Are they any good? Measures of what a network has drawn.

`features` makes numbers of pictures: of their pixels, or by the hidden layer of a `classifier`
that the course has taught, or with networks from `elsewhere`. Sets of them are compared by the
distances `frechet` and `kernel`, by their `neighbours`, which also tell copies, and by a
`two_sample` test. `reader` says what each picture shows. `judging` measures all that on `sets`
of pictures, and makes a `judgement`. Taught in chapters 01_unet2dmodel, 03_sprites and 06_judging.
"""

from course_utils.metrics.classifier import TAUGHT
from course_utils.metrics.elsewhere import WeightsUnavailableError
from course_utils.metrics.features import Extractor, extractor
from course_utils.metrics.frechet import frechet_distance, frechet_distance_at_infinity
from course_utils.metrics.judgement import Judgement, Row, Spread
from course_utils.metrics.judging import judge, picture_scores
from course_utils.metrics.kernel import kernel_distance
from course_utils.metrics.neighbours import (
    copy_score,
    density_coverage,
    nearest,
    precision_recall,
)
from course_utils.metrics.reader import PictureReader, Reading
from course_utils.metrics.sets import Artist, draw, untrained
from course_utils.metrics.two_sample import TwoSample, two_sample_test

__all__ = [
    "TAUGHT",
    "Artist",
    "Extractor",
    "Judgement",
    "PictureReader",
    "Reading",
    "Row",
    "Spread",
    "TwoSample",
    "WeightsUnavailableError",
    "copy_score",
    "density_coverage",
    "draw",
    "extractor",
    "frechet_distance",
    "frechet_distance_at_infinity",
    "judge",
    "kernel_distance",
    "nearest",
    "picture_scores",
    "precision_recall",
    "two_sample_test",
    "untrained",
]
