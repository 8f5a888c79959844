"""A U-Net drawn from what flowed through it.

The numbers in the drawing come from forward hooks on a running network, not from its
settings, so the drawing cannot disagree with the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from course_utils.figures.plotting import COLOURS, WIDTH

if TYPE_CHECKING:
    from course_utils.models.base import Denoiser

    class UNet(Denoiser, Protocol):
        """A `Denoiser` with the parts of a U-Net, by the names that diffusers gives them."""

        conv_in: nn.Module
        down_blocks: nn.ModuleList
        mid_block: nn.Module | None
        up_blocks: nn.ModuleList
        conv_out: nn.Module


@dataclass(frozen=True)
class Stage:
    """What one part of a U-Net gave out.

    Attributes:
        name: Name of the part, for instance ``"down 0"``.
        output: Shape of what it passes on, (N, C, H, W).
        skips: Shapes of what it puts aside for the way up; empty for most parts.
    """

    name: str
    output: tuple[int, ...]
    skips: tuple[tuple[int, ...], ...] = ()


def trace_unet(
    model: "UNet", sample: Tensor, timestep: Tensor | int, class_labels: Tensor | None = None
) -> list[Stage]:
    """Run a U-Net once and write down what each part gave out.

    Args:
        model: A `diffusers.UNet2DModel`, or a network with the same parts by name.
        sample: Pictures, shape (N, C, H, W).
        timestep: Noise level, one for all pictures or one for each, in [0, T).
        class_labels: Labels, shape (N,), for a network with classes.

    Returns:
        A `Stage` for the picture that goes in, then one for each part in the order they ran.

    Example:
        >>> import torch
        >>> from course_utils.figures import trace_unet
        >>> from course_utils.models import UNet
        >>> model = UNet(hidden_dims=(8, 16), image_size=8)
        >>> stages = trace_unet(model, torch.randn(1, 3, 8, 8), 10)
        >>> stages[0].name, stages[0].output
        ('picture', (1, 3, 8, 8))

    Source:
        ``torch.nn.Module.register_forward_hook``.

    Chapter: 1, "The shape of a U".
    """
    parts: dict[str, nn.Module] = {"conv_in": model.conv_in}
    parts |= {f"down {i}": block for i, block in enumerate(model.down_blocks)}
    parts |= {"mid": model.mid_block} if model.mid_block is not None else {}
    parts |= {f"up {i}": block for i, block in enumerate(model.up_blocks)}
    parts |= {"conv_out": model.conv_out}
    stages = [Stage("picture", tuple(sample.shape))]

    def remember(name: str) -> Callable[[nn.Module, tuple, Tensor | tuple], None]:
        def hook(module: nn.Module, inputs: tuple, output: Tensor | tuple) -> None:
            hidden, skips = output if isinstance(output, tuple) else (output, ())
            skips = (hidden,) if name == "conv_in" else skips
            stages.append(Stage(name, tuple(hidden.shape), tuple(tuple(s.shape) for s in skips)))

        return hook

    handles = [part.register_forward_hook(remember(name)) for name, part in parts.items()]
    try:
        model(sample, timestep, class_labels=class_labels)
    finally:
        for handle in handles:
            handle.remove()
    return stages


def draw_unet(stages: Sequence[Stage]) -> Figure:
    """Draw a traced U-Net: down on the left, up on the right, a row for each resolution.

    Args:
        stages: What `trace_unet` wrote down, or the same gathered by hooks of your own.

    Returns:
        A figure. Each box names its part, its resolution and its channels; each arrow
        across names the channels of the maps that skip the lower levels.

    Raises:
        ValueError: There are no stages with skips, so there is no U to draw.

    Example:
        >>> import torch
        >>> from course_utils.figures import draw_unet, trace_unet
        >>> from course_utils.models import UNet
        >>> model = UNet(hidden_dims=(8, 16), image_size=8)
        >>> draw_unet(trace_unet(model, torch.randn(1, 3, 8, 8), 10)).savefig("unet.svg")

    Source:
        The drawing of Ronneberger et al. 2015, arXiv 1505.04597, figure 1.

    Chapter: 1, "The shape of a U".
    """
    skips = [skip for stage in stages for skip in stage.skips]
    if not skips:
        raise ValueError("No stage put anything aside; trace a U-Net first.")
    levels = sorted({skip[-1] for skip in skips}, reverse=True)
    fig, ax = plt.subplots(figsize=(WIDTH, 0.95 * len(levels) + 1.1))
    ax.set(xlim=(0, 10), ylim=(-len(levels) - 0.35, 1.0))
    ax.axis("off")
    ups = [stage for stage in stages if stage.name.startswith("up")]
    for row, size in enumerate(levels):
        kept = [skip for skip in skips if skip[-1] == size]
        _box(ax, 0.1, -row, f"{size}×{size}", _kept_names(stages, size), COLOURS["noisy"])
        up = ups[len(levels) - 1 - row]
        _box(
            ax, 6.7, -row, f"{size}×{size}", f"{up.name} → {up.output[1]} ch", COLOURS["predicted"]
        )
        label = "skips: " + " + ".join(str(skip[1]) for skip in kept) + " ch"
        _arrow(ax, (3.35, -row), (6.65, -row), label)
        if row:
            _arrow(ax, (1.7, 0.62 - row), (1.7, 0.38 - row))
            _arrow(ax, (8.3, 0.38 - row), (8.3, 0.62 - row))
    _draw_middle(ax, stages, -len(levels))
    ax.text(1.7, 0.55, "in: " + _shape(stages[0]), ha="center", fontsize=9)
    ax.text(8.3, 0.55, "out: " + _shape(stages[-1]), ha="center", fontsize=9)
    plt.close(fig)
    return fig


def _shape(stage: Stage) -> str:
    """Channels × height × width, in words."""
    return "×".join(str(number) for number in stage.output[1:])


def _kept_names(stages: Sequence[Stage], size: int) -> str:
    """The parts whose maps are kept at one resolution, each named once."""
    names = [stage.name for stage in stages if any(skip[-1] == size for skip in stage.skips)]
    return ", ".join(names)


def _draw_middle(ax: Axes, stages: Sequence[Stage], y: float) -> None:
    """The part at the bottom of the U, if the network has one."""
    middle = [stage for stage in stages if stage.name == "mid"]
    if not middle:
        return
    channels, _, size = middle[0].output[1:]
    _box(ax, 3.4, y, f"{size}×{size}", f"mid → {channels} ch", COLOURS["clean"])
    _arrow(ax, (1.7, y + 0.62), (3.35, y))
    _arrow(ax, (6.65, y), (8.3, y + 0.62))


def _box(ax: Axes, x: float, y: float, title: str, text: str, colour: str) -> None:
    """A rounded box with a title and a line below it, 3.2 wide, centred on y."""
    box = FancyBboxPatch(
        (x, y - 0.3), 3.2, 0.6, "round,pad=0,rounding_size=0.12", fc="white", ec=colour, lw=1.6
    )
    ax.add_patch(box)
    ax.text(
        x + 1.6, y + 0.11, title, ha="center", va="center", fontsize=10, color=colour, weight="bold"
    )
    ax.text(x + 1.6, y - 0.14, text, ha="center", va="center", fontsize=8.5)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], label: str = "") -> None:
    """An arrow, with a label above its middle where there is one."""
    ax.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": "#555555"})
    if label:
        ax.text((start[0] + end[0]) / 2, start[1] + 0.12, label, ha="center", fontsize=8.5)
