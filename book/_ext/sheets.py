"""Train a chapter's own network, and keep what it draws.

``python book/_ext/sheets.py sprites-16`` runs the chapter's cells at the
laptop budget as far as its network is trained, lets it draw from the first
seeds, and puts all of them, none picked, into the package, where chapter 6
judges them beside the gallery's. Run it after a recipe has changed; without
a name it renews all of them.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from course_utils.models.gallery import SHEETS

BOOK = Path(__file__).resolve().parents[1]
COUNT, STEPS = 300, 20  # as many steps as chapter 6 gives the gallery


@dataclass(frozen=True)
class Place:
    """Where a chapter has its network, in the words of its own cells.

    Attributes:
        chapter: The notebook.
        trained: The cell that trains it, the last one to be run.
        model: The network.
        scheduler: What it was trained with.
        losses: Its losses, one for each update.
        labels: What its kinds are called; one word if it was told none.
    """

    chapter: str
    trained: str
    model: str = "run.ema_model"
    scheduler: str = "noise_scheduler"
    losses: str = "run.losses"
    labels: str = "list(data.names)"


PLACES = {
    "digits-28": Place(
        "01_unet2dmodel", "package-train", scheduler="better_scheduler"
    ),
    "sprites-16": Place("03_sprites", "kind-train", scheduler="cosine"),
    "butterflies-32": Place(
        "04_butterflies", "launch-run", labels="['butterfly']"
    ),
    "flowers-32": Place(
        "05_flowers", "long-run", model="trained", losses="long_curve"
    ),
}

BEGIN = """
import time

before_training = time.process_time()
"""
DRAW = """
minutes = (time.process_time() - before_training) / 60
import json
from pathlib import Path

from course_utils.data import image_grid
from course_utils.metrics import Artist, draw
from course_utils.threads import machine

labels = {labels}
artist = Artist(
    {model}.eval(), {scheduler}, labels if len(labels) > 1 else ()
)
images, _ = draw(artist, range({count}), {steps})
image_grid(images).save({page!r}, optimize=True)
card = {{
    "minutes": round(minutes, 1),
    "image_size": images.shape[-1],
    "drawn": len(images),
    "steps": {steps},
    "labels": labels,
    "updates": len({losses}),
    "pictures": len(data),
    "parameters": sum(p.numel() for p in artist.model.parameters()),
    "machine": machine(),
}}
Path({card!r}).write_text(json.dumps(card))
"""


def learn_and_draw(place: Place, page: Path, card: Path) -> None:
    """Run the chapter that far, and draw."""
    notebook = nbformat.read(BOOK / f"{place.chapter}.ipynb", as_version=4)
    ids = [cell["id"] for cell in notebook.cells]
    last = ids.index(place.trained)
    del notebook.cells[last + 1 :]
    notebook.cells.insert(last, nbformat.v4.new_code_cell(BEGIN))
    words = {"count": COUNT, "steps": STEPS, "page": str(page)}
    source = DRAW.format(**vars(place), **words, card=str(card))
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    os.environ |= {"COURSE_BUDGET": "laptop", "TQDM_DISABLE": "1"}
    with tempfile.TemporaryDirectory() as empty:
        os.environ["COURSE_CACHE"] = empty  # trained now, not found
        where = {"metadata": {"path": empty}}
        NotebookClient(notebook, timeout=None, resources=where).execute()


def renew(name: str) -> None:
    """Draw a sheet anew, and keep it with how it was made."""
    place = PLACES[name]
    with tempfile.TemporaryDirectory() as folder:
        page, told = Path(folder, "page.png"), Path(folder, "card.json")
        learn_and_draw(place, page, told)
        card = {
            "chapter": int(place.chapter[:2]),
            "command": f"python book/_ext/sheets.py {name}",
        } | json.loads(told.read_text())
        SHEETS.mkdir(exist_ok=True)
        (SHEETS / f"{name}.png").write_bytes(page.read_bytes())
        (SHEETS / f"{name}.json").write_text(
            json.dumps(card, indent=1) + "\n"
        )
    print(name, card)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PLACES:
        renew(wanted)
