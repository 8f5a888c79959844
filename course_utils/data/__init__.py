"""Pictures: where they come from, and how they become batches and pictures again.

`looking` tells what is in a folder before it is used (`found` knows what lies there). `load` opens
the course's sets, the Hub's and yours (`folder`, `array` as `stored`, brought to `plain` grey or
colour), and `summary` says what was loaded; `drawing` draws pictures from a seed, `drawn` keeps
them. `duplicates` finds copies, `split` holds some pictures back, `mirror` tries whether they may
be mirrored. `tensors` makes batches of pictures that `fit` brought to one size, `anywhere` does
all of that at once, `pixels` makes pictures of batches. Shown on the page "The pictures".
"""

from course_utils.data.anywhere import load_tensors
from course_utils.data.drawing import KINDS, contact_sheet, draw, draw_many
from course_utils.data.duplicates import find_duplicates
from course_utils.data.load import DataUnavailableError, load_images
from course_utils.data.looking import Look, look
from course_utils.data.mirror import try_mirror
from course_utils.data.pixels import as_scanned, as_shown, image_grid, to_pil, to_uint8
from course_utils.data.split import hold_out, hold_out_groups, leaked_share
from course_utils.data.tensors import ImageTensors, prepare

__all__ = [
    "KINDS",
    "DataUnavailableError",
    "ImageTensors",
    "Look",
    "as_scanned",
    "as_shown",
    "contact_sheet",
    "draw",
    "draw_many",
    "find_duplicates",
    "hold_out",
    "hold_out_groups",
    "image_grid",
    "leaked_share",
    "load_images",
    "load_tensors",
    "look",
    "prepare",
    "to_pil",
    "to_uint8",
    "try_mirror",
]
