"""Figures that stay readable on a phone and in the dark theme.

Every function returns a figure of its own that a cell shows by naming it in its last line;
none of them calls ``plt.show``. The background is opaque and light, so that text is legible
whatever the colour of the page.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.data.pixels import to_uint8

if TYPE_CHECKING:
    from IPython.display import Code

COLOURS = MappingProxyType(
    {"clean": "#0072B2", "noise": "#A85503", "noisy": "#8E4585", "predicted": "#00735C"}
)
"""One colour for each role in every chapter, told apart by colour-blind readers."""

CARD = "#fbfbf8"
INK = "#333333"
WIDTH = 5.0
"""Inches. At this width 10 points of text are still 10 pixels on a phone 390 pixels wide."""


def set_style() -> None:
    """Set the look of every figure: colours, text size, and a light card behind it.

    Example:
        >>> from course_utils.figures import set_style
        >>> set_style()

    Source:
        Colours after Okabe and Ito's palette, darkened for contrast.
    """
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.0),
            "figure.dpi": 144,
            "figure.facecolor": CARD,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": CARD,
            "axes.facecolor": CARD,
            "axes.prop_cycle": plt.cycler(color=list(COLOURS.values())),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10.5,
            "axes.grid": True,
            "grid.color": "#dddddd",
            "font.size": 10,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )


def show_images(
    images: Tensor,
    columns: int = 10,
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
) -> Figure:
    """Lay pictures out in a grid, row by row.

    Args:
        images: Shape (N, C, H, W), C = 1 or 3, in [-1, 1]; the rest is clamped.
        columns: Pictures in a row, at least 1.
        column_titles: Words above the columns, one for each, or none at all.
        row_titles: Words beside the rows, one for each, or none at all.

    Returns:
        A figure as wide as the page allows, each picture enlarged without smoothing.

    Raises:
        ValueError: No pictures, another shape, or titles that do not fit the grid.

    Example:
        >>> import torch
        >>> from course_utils.figures import show_images
        >>> figure = show_images(torch.zeros(6, 3, 8, 8), columns=3, row_titles=["before", "after"])
        >>> len(figure.axes)
        6

    Chapter: 1, "The data".
    """
    if images.ndim != 4 or len(images) == 0 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"images have shape {tuple(images.shape)}; expected (N >= 1, 1 or 3, H, W)."
        )
    rows = -(-len(images) // columns)
    if len(column_titles) not in (0, columns) or len(row_titles) not in (0, rows):
        raise ValueError(
            f"{len(column_titles)} column and {len(row_titles)} row titles do not fit a grid "
            f"of {columns} columns and {rows} rows."
        )
    tile = WIDTH / columns
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH, tile * rows * 1.02 + 0.3 * bool(column_titles)),
        squeeze=False,
    )
    fig.set_layout_engine("constrained", w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)
    pixels = (
        to_uint8(images)
        .permute(0, 2, 3, 1)
        .cpu()
        .numpy()
        .squeeze(-1 if images.shape[1] == 1 else ())
    )
    for ax, picture in zip(axes.flat, pixels, strict=False):
        ax.imshow(picture, vmin=0, vmax=255)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], frame_on=False)
    for ax, title in zip(axes[0], column_titles, strict=False):
        ax.set_title(title, fontsize=9)
    for ax, title in zip(axes[:, 0], row_titles, strict=False):
        ax.set_ylabel(title, fontsize=9, rotation=0, ha="right", va="center")
    plt.close(fig)
    return fig


def plot_losses(losses: Mapping[str, Sequence[float]], window: int = 25) -> Figure:
    """Draw loss curves: the mean over a window in full colour, single updates behind it.

    Args:
        losses: For each run its name and the loss of every update.
        window: How many updates the drawn mean runs over, at least 1.

    Returns:
        A figure with the number of updates across and the mean squared error up.

    Example:
        >>> from course_utils.figures import plot_losses
        >>> figure = plot_losses({"small": [1.0, 0.5, 0.4], "large": [1.0, 0.4, 0.2]}, window=1)
        >>> figure.savefig("losses.svg")

    Chapter: 1, "Training".
    """
    fig, ax = plt.subplots()
    for name, values in losses.items():
        width = min(window, len(values))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        (line,) = ax.plot(np.arange(width, len(values) + 1), mean, label=name, linewidth=2)
        ax.plot(
            np.arange(1, len(values) + 1), values, color=line.get_color(), alpha=0.25, linewidth=0.6
        )
    ax.set(xlabel="optimiser updates", ylabel="mean squared error", yscale="log")
    ax.legend()
    plt.close(fig)
    return fig


def plot_card(card: Mapping[str, Any]) -> Figure:
    """Draw what more time has bought a network of the gallery.

    Args:
        card: The network's card, with its checkpoints' scores and hours.

    Returns:
        Two panels over the hours of training, with the share of pictures read as asked and the
        median distance to the nearest picture that no network has seen (root mean square of
        the pixels' differences, 2 from black to white). Dashed: what real pictures get.

    Example:
        >>> from course_utils.figures import plot_card
        >>> from course_utils.models import gallery
        >>> plot_card(gallery.load("sprites-16").card).savefig("hours.svg")

    Chapter: 3, "And after hours?".
    """
    measures = {"read_as_asked": "share read as asked", "distance": "distance to nearest"}
    way = card["on_the_way"]
    fig, axes = plt.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True)
    for ax, (measure, label) in zip(axes, measures.items(), strict=True):
        ax.plot([at["hours"] for at in way], [at[measure] for at in way], "o-", markersize=4)
        ax.axhline(card["real"][measure], color=INK, linestyle="--", zorder=1)
        ax.set(ylabel=label)
        ax.margins(y=0.15)  # the dashed line is not to lie on the frame
    axes[-1].set(xlabel="hours of training")
    plt.close(fig)
    return fig


def show_source(obj: Callable[..., Any]) -> "Code":
    """Show the package's own lines of a function or class, without its docstring.

    Args:
        obj: A function or class of this package.

    Returns:
        The source with coloured syntax, for the last line of a cell. What is shown is what
        runs; the docstring is on the book's page of the package.

    Example:
        >>> from course_utils.figures import show_source
        >>> from course_utils.noise import snr
        >>> "def snr(" in show_source(snr).data
        True

    Source:
        ``inspect.getsource``.

    Chapter: 1, "The same through the package".
    """
    from IPython.display import Code

    source = textwrap.dedent(inspect.getsource(obj))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    lines = source.splitlines()
    if ast.get_docstring(definition) is not None:
        docstring = definition.body[0]
        del lines[docstring.lineno - 1 : docstring.end_lineno]
    return Code("\n".join(lines), language="python")
