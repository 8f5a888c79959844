"""A film that plays in a page without a server: play, step, and a slider over the steps."""

import base64
import html
import json
from collections.abc import Sequence

from PIL.Image import Image
from torch import Tensor

from course_utils.data.pixels import png, to_pil
from course_utils.files import fingerprint

_TEMPLATE = """
<div class="course-player" id="{key}" role="group" aria-label="{label}"
     style="display:inline-block;max-width:100%;padding:.8em;border-radius:.5em;
            background:#fbfbf8;color:#333;font:15px/1.4 sans-serif">
  {tiles}<img src="{first}" alt="{alt}" style="display:block;width:{width}px;max-width:100%;
       image-rendering:pixelated;margin:0 auto .5em;background:none;filter:none">
  <div style="display:flex;gap:.4em;align-items:center">
    <button type="button" data-do="play" aria-label="Play" style="{button}">&#9654;</button>
    <button type="button" data-do="back" aria-label="One step back"
            style="{button}">&#8722;</button>
    <button type="button" data-do="on" aria-label="One step on" style="{button}">+</button>
    <input type="range" min="0" max="{last}" value="0" step="1" aria-label="Step"
           style="flex:1;min-width:5em;height:44px">
  </div>
  <output style="display:block;min-height:1.4em">{caption}</output>
</div>
<script>
(() => {{
  const root = document.getElementById("{key}");
  const frames = {frames}, captions = {captions};
  const image = root.querySelector("img"), slider = root.querySelector("input");
  const out = root.querySelector("output"), play = root.querySelector("[data-do=play]");
  let timer = null;
  const show = i => {{
    slider.value = i; image.src = frames[i]; out.textContent = captions[i];
    slider.setAttribute("aria-valuetext", captions[i]);
  }};
  const stop = () => {{
    clearInterval(timer); timer = null;
    play.textContent = "\\u25B6"; play.setAttribute("aria-label", "Play");
  }};
  const step = by => show(Math.min(Math.max(+slider.value + by, 0), frames.length - 1));
  const start = () => {{
    if (+slider.value === frames.length - 1) show(0);
    play.textContent = "\\u2016"; play.setAttribute("aria-label", "Pause");
    timer = setInterval(() => {{
      step(1); if (+slider.value === frames.length - 1) stop();
    }}, {milliseconds});
  }};
  play.onclick = () => timer ? stop() : start();
  root.querySelector("[data-do=back]").onclick = () => {{ stop(); step(-1); }};
  root.querySelector("[data-do=on]").onclick = () => {{ stop(); step(1); }};
  slider.oninput = () => {{ stop(); show(+slider.value); }};
}})();
</script>
"""

_BUTTON = (
    "min-width:44px;min-height:44px;border:1px solid #767676;border-radius:.3em;"
    "background:#fff;color:#333;font-size:17px;cursor:pointer"
)
_TILES = (
    '<div style="display:flex;width:{width}px;max-width:100%;margin:0 auto .2em;'
    'text-align:center;font-size:13px;line-height:1.2">{names}</div>\n  '
)


class Player:
    """A film of pictures with buttons and a slider, shown by naming it in a cell's last line.

    Works in the rendered book, in Jupyter and in Colab; the frames are inside the page. It
    is reached and driven by keyboard, and shows its first frame where scripts are off.

    Args:
        frames: Pictures of shape (N, C, H, W), N >= 1, C = 1 or 3, in [-1, 1].
        captions: A line of text for each frame.
        alt: What the film shows, for readers who do not see it.
        width: Width on the page in pixels.
        milliseconds: Time between two frames when it plays.
        tiles: Where each frame is some pictures side by side, equally wide: the name of each,
            which stands above it.

    Raises:
        ValueError: There are no frames, not as many captions as frames, no `alt` text, or a
            tile without a name.

    Example:
        >>> import torch
        >>> from course_utils.figures import Player
        >>> frames = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 1, 8, 8)
        >>> Player(frames, ["dark", "grey", "bright"], alt="A square grows bright")
        Player(3 frames: A square grows bright)

    Chapter: 1, "Watch one appear".
    """

    def __init__(
        self,
        frames: Tensor,
        captions: Sequence[str],
        alt: str,
        width: int = 224,
        milliseconds: int = 120,
        tiles: Sequence[str] = (),
    ) -> None:
        if len(frames) == 0 or len(frames) != len(captions):
            raise ValueError(f"{len(frames)} frames and {len(captions)} captions; want one each.")
        if not alt.strip():
            raise ValueError("alt is empty; say in words what the film shows.")
        if not all(name.strip() for name in tiles):
            raise ValueError(f"tiles are {list(tiles)}; want a name for each, or none at all.")
        self.frames = [_data_uri(image) for image in to_pil(frames)]
        self.captions = list(captions)
        self.alt = alt
        self.width = width
        self.milliseconds = milliseconds
        self.tiles = list(tiles)

    def _repr_html_(self) -> str:
        """The film as a piece of a page, the same bytes for the same film."""
        content = json.dumps([self.frames, self.captions, self.alt, self.tiles])
        names = "".join(f'<span style="flex:1 1 0">{html.escape(n)}</span>' for n in self.tiles)
        return _TEMPLATE.format(
            key="player-" + fingerprint(content.encode())[:12],
            label=html.escape("Film: " + self.alt),
            alt=html.escape(self.alt),
            first=self.frames[0],
            caption=html.escape(self.captions[0]),
            tiles=_TILES.format(width=self.width, names=names) if names else "",
            last=len(self.frames) - 1,
            width=self.width,
            milliseconds=self.milliseconds,
            button=_BUTTON,
            frames=json.dumps(self.frames),
            captions=json.dumps(self.captions).replace("<", "\\u003c"),
        )

    def __repr__(self) -> str:
        return f"Player({len(self.frames)} frames: {self.alt})"


def _data_uri(image: Image) -> str:
    """A picture as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()
