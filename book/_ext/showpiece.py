"""Draw the pictures of the first page, the README and the social card.

All of them come from the gallery: ``python book/_ext/showpiece.py`` cuts
them from the sheets that hang there, the first of each and none picked, and
writes them to ``book/images``. Run it after a network was renewed.
"""

from pathlib import Path

import matplotlib
import torch
import yaml
from PIL import Image, ImageDraw, ImageFont

from course_utils.data import to_pil
from course_utils.figures.plotting import CARD, INK
from course_utils.models import gallery
from course_utils.sampling import quick_scheduler, sample

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "book" / "images"
TILE, GAP = 64, 6
ACROSS = 8  # pictures in a row of a sheet
ROWS = ("sprites-16", "butterflies-32", "flowers-32")


def drawn(name: str, count: int) -> list[Image.Image]:
    """The first pictures of a network's sheet, each as large as a tile."""
    with Image.open(gallery.FOLDER / name / "samples.png") as sheet:
        side = sheet.width // ACROSS
        places = [
            (k % ACROSS * side, k // ACROSS * side) for k in range(count)
        ]
        return [
            enlarged(sheet.crop((x, y, x + side, y + side)))
            for x, y in places
        ]


def enlarged(picture: Image.Image) -> Image.Image:
    """A picture as large as a tile, its pixels still to be seen."""
    return picture.convert("RGB").resize(
        (TILE, TILE), Image.Resampling.NEAREST
    )


def board(tiles: list[Image.Image], columns: int) -> Image.Image:
    """Tiles in rows, with a gap around each."""
    rows, step = -(-len(tiles) // columns), TILE + GAP
    size = (columns * step + GAP, rows * step + GAP)
    picture = Image.new("RGB", size, CARD)
    for k, tile in enumerate(tiles):
        picture.paste(
            tile, (GAP + k % columns * step, GAP + k // columns * step)
        )
    return picture


def film() -> Image.Image:
    """A digit on its way: in hand above, what the network expects below."""
    artist = gallery.load("digits-28")
    run = sample(
        artist.model,
        quick_scheduler(artist.noise_scheduler),
        seeds=[13],
        class_labels=[3],
        num_inference_steps=50,
        keep_steps=True,
        progress=False,
    )
    moments = torch.linspace(0, 49, 8).long().tolist()[:-1]
    above = [run.steps[k] for k in moments] + [run.images]
    below = [run.predictions[k] for k in moments] + [run.images]
    return board([enlarged(p) for p in to_pil(torch.cat(above + below))], 8)


def social_card() -> Image.Image:
    """The title over three rows, at the size that previews have."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    picture = Image.new("RGB", (1200, 630), CARD)
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    write = ImageDraw.Draw(picture)
    for text, size, top in (
        (config["title"], 68, 70),
        ("Diffusion models that you train yourself", 34, 172),
    ):
        font = ImageFont.truetype(str(fonts / "DejaVuSans.ttf"), size)
        write.text((600, top), text, INK, font, anchor="mt")
    rows = garden(columns=14)
    picture.paste(
        rows.resize((1120, 1120 * rows.height // rows.width)), (40, 300)
    )
    return picture


def garden(columns: int = 10) -> Image.Image:
    """A row of each network that draws in colour."""
    return board(
        [t for name in ROWS for t in drawn(name, columns)], columns
    )


PIECES = {
    "digits.png": lambda: board(drawn("digits-28", 50), 10),
    "film.png": film,
    "garden.png": garden,
    "card.png": social_card,
}


if __name__ == "__main__":
    for file, make in PIECES.items():
        make().save(IMAGES / file, optimize=True)
        print(f"{IMAGES / file}: {(IMAGES / file).stat().st_size:,} bytes")
