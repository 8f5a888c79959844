"""Figures show what they were given, and stay readable on a phone and on a dark page."""

import ast
import inspect
import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image

from course_utils.figures import (
    COLOURS,
    Stage,
    draw_unet,
    plot_card,
    plot_losses,
    plotting,
    set_style,
    show_images,
    show_source,
    trace_unet,
)

PHONE = 350  # pixels that a page of 390 pixels leaves for a figure


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        set_style()
        yield


def pixels(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.asarray(Image.open(buffer).convert("RGB"))


def smallest_text(figure):
    """Height in pixels of the smallest letters when the figure is as wide as a phone."""
    texts = [t for t in figure.findobj(mpl.text.Text) if t.get_text().strip() and t.get_visible()]
    return min(t.get_fontsize() for t in texts) / 72 * PHONE / figure.get_size_inches()[0]


def luminance(colour):
    rgb = np.asarray(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [*COLOURS.values(), plotting.INK])
def test_colours_stand_out_from_the_card(colour):
    assert contrast(colour, plotting.CARD) >= 4.5


def test_a_figure_is_opaque_so_that_the_dark_theme_cannot_hide_its_text():
    buffer = io.BytesIO()
    show_images(torch.zeros(1, 1, 4, 4), 1).savefig(buffer, format="png")
    alpha = np.asarray(Image.open(buffer).convert("RGBA"))[..., 3]
    assert (alpha == 255).all()


def test_every_picture_is_in_its_place():
    shades = torch.linspace(-1, 1, 6).view(6, 1, 1, 1).expand(6, 1, 4, 4)
    figure = show_images(shades, columns=3)
    shown = [ax.get_images()[0].get_array() for ax in figure.axes]
    expected = (np.linspace(0, 255, 6)).round()
    assert [int(array.mean()) for array in shown] == expected.astype(int).tolist()
    grid = {(round(ax.get_position().y0, 2)) for ax in figure.axes}
    assert len(grid) == 2  # two rows


def test_pictures_are_drawn_with_their_own_greys():
    """A flat dark picture stays dark: nothing is stretched to fill the range."""
    drawn = pixels(show_images(torch.full((1, 1, 4, 4), -0.5), 1))
    middle = drawn[drawn.shape[0] // 2, drawn.shape[1] // 2]
    np.testing.assert_allclose(middle, 64, atol=1)


def test_colour_pictures_keep_their_colours():
    red = torch.full((1, 3, 4, 4), -1.0)
    red[:, 0] = 1
    drawn = pixels(show_images(red, 1))
    assert drawn[drawn.shape[0] // 2, drawn.shape[1] // 2].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("shape", "titles", "match"),
    [((0, 1, 4, 4), [], "shape"), ((2, 2, 4, 4), [], "shape"), ((2, 1, 4, 4), ["a"], "titles")],
)
def test_show_images_refuses_what_it_cannot_lay_out(shape, titles, match):
    with pytest.raises(ValueError, match=match):
        show_images(torch.zeros(shape), 2, titles)


def test_loss_curve_is_the_running_mean():
    values = np.random.RandomState(0).rand(100)
    figure = plot_losses({"run": values}, window=10)
    drawn = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn, [values[k : k + 10].mean() for k in range(91)])
    assert "updates" in figure.axes[0].get_xlabel()
    assert "squared error" in figure.axes[0].get_ylabel()


CARD = {
    "on_the_way": [
        {"hours": 0.5, "read_as_asked": 0.8, "distance": 0.4},
        {"hours": 1.5, "read_as_asked": 0.9, "distance": 0.2},
    ],
    "real": {"read_as_asked": 0.95, "distance": 0.1},
}


def test_what_time_has_bought_is_drawn_beside_what_real_pictures_get():
    figure = plot_card(CARD)
    drawn = [[tuple(line.get_ydata()) for line in ax.lines] for ax in figure.axes]
    assert drawn == [[(0.8, 0.9), (0.95, 0.95)], [(0.4, 0.2), (0.1, 0.1)]]
    assert {tuple(ax.lines[0].get_xdata()) for ax in figure.axes} == {(0.5, 1.5)}
    assert [ax.get_ylabel() for ax in figure.axes] == ["share read as asked", "distance to nearest"]
    assert figure.axes[-1].get_xlabel() == "hours of training"


@pytest.mark.parametrize("levels", [2, 3, 4])
def test_trace_and_drawing_agree_with_the_network(levels):
    channels = (8, 16, 32, 64)[:levels]
    model = UNet2DModel(
        in_channels=3,
        out_channels=3,
        block_out_channels=channels,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        norm_num_groups=4,
        layers_per_block=2,
    )
    stages = trace_unet(model, torch.zeros(1, 3, 32, 32), 0)
    by_name = {stage.name: stage for stage in stages}
    assert [stage.name for stage in stages][-1] == "conv_out"
    assert by_name["mid"].output == (1, channels[-1], 32 >> levels - 1, 32 >> levels - 1)
    assert by_name["conv_out"].output == (1, 3, 32, 32)
    assert sum(len(stage.skips) for stage in stages) == 3 * levels
    assert not any(module._forward_hooks for module in model.modules())

    words = " ".join(t.get_text() for t in draw_unet(stages).findobj(mpl.text.Text))
    for level in range(levels):
        assert f"{32 >> level}×{32 >> level}" in words
        assert f"up {level}" in words
    assert "in: 3×32×32" in words
    assert "out: 3×32×32" in words


def test_drawing_says_the_channels_that_went_in_and_came_out():
    model = UNet2DModel(
        in_channels=1,
        out_channels=2,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
    )
    stages = trace_unet(model, torch.zeros(1, 1, 16, 16), 0)
    words = " ".join(t.get_text() for t in draw_unet(stages).findobj(mpl.text.Text))
    assert "in: 1×16×16" in words
    assert "out: 2×16×16" in words


def test_hooks_are_removed_when_the_network_fails():
    model = UNet2DModel(
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=4,
    )
    with pytest.raises(RuntimeError):
        trace_unet(model, torch.zeros(1, 3, 15, 15), 0)
    assert not any(module._forward_hooks for module in model.modules())


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="trace a U-Net"):
        draw_unet([Stage("conv_in", (1, 8, 4, 4))])


def test_letters_are_large_enough_for_a_phone():
    stages = [
        Stage("picture", (1, 1, 8, 8)),
        Stage("conv_in", (1, 8, 8, 8), ((1, 8, 8, 8),)),
        Stage("up 0", (1, 8, 8, 8)),
        Stage("conv_out", (1, 1, 8, 8)),
    ]
    figures = [
        show_images(torch.zeros(10, 1, 8, 8), 10, [str(k) for k in range(10)], ["row"]),
        plot_losses({"run": [1.0, 0.5, 0.2]}),
        draw_unet(stages),
        plot_card(CARD),
    ]
    for figure in figures:
        assert smallest_text(figure) >= 8


def test_shown_source_is_the_source_that_runs():
    shown = show_source(plot_losses)
    assert shown.language == "python"
    assert shown.data.startswith("def plot_losses(")
    assert '"""' not in shown.data
    body = ast.parse(inspect.getsource(plot_losses)).body[0].body[1:]
    assert ast.dump(ast.parse(shown.data).body[0].body[-1]) == ast.dump(body[-1])
    assert len(ast.parse(shown.data).body[0].body) == len(body)
