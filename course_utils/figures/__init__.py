"""What the page shows, readable on a phone and in the dark.

`plotting` lays out pictures and draws curves, `player` is a film with buttons, `unet_diagram`
draws a network from what flowed through it. Used in every chapter.
"""

from course_utils.figures.player import Player
from course_utils.figures.plotting import (
    COLOURS,
    plot_card,
    plot_losses,
    set_style,
    show_images,
    show_source,
)
from course_utils.figures.unet_diagram import Stage, draw_unet, trace_unet

__all__ = [
    "COLOURS",
    "Player",
    "Stage",
    "draw_unet",
    "plot_card",
    "plot_losses",
    "set_style",
    "show_images",
    "show_source",
    "trace_unet",
]
