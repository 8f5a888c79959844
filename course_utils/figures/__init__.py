"""What the page shows: pictures in grids, curves, a film, a network drawn from its own shapes."""

from course_utils.figures.player import Player
from course_utils.figures.plotting import COLOURS, plot_losses, set_style, show_images, show_source
from course_utils.figures.unet_diagram import Stage, draw_unet, trace_unet

__all__ = [
    "COLOURS",
    "Player",
    "Stage",
    "draw_unet",
    "plot_losses",
    "set_style",
    "show_images",
    "show_source",
    "trace_unet",
]
