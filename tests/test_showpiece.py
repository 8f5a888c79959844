"""The pictures of the first page and of previews are the gallery's."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT, extension

showpiece = extension("showpiece")
COMMAND = "python book/_ext/showpiece.py draws them anew"


def stored(name):
    with Image.open(showpiece.IMAGES / name) as picture:
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("name", ["digits.png", "garden.png"])
def test_the_pictures_are_cut_from_the_sheets_of_the_gallery(name):
    assert (stored(name) == np.asarray(showpiece.PIECES[name]())).all(), COMMAND


def test_the_card_has_the_size_of_previews_and_the_same_rows():
    old, new = stored("card.png"), np.asarray(showpiece.social_card())
    assert old.shape == new.shape == (630, 1200, 3)
    assert (old[300:] == new[300:]).all(), COMMAND  # above, letters depend on the machine
    assert old[:300].min() < 100  # the title


def preview(url):
    options = {"repository_url": url, "repository_branch": "dev"}
    config = SimpleNamespace(html_theme_options=options, project="The <course>")
    context = {"title": "Noise", "metatags": "<meta/>"}
    extension("course_page").add_preview(SimpleNamespace(config=config), "", "", context, None)
    return context["metatags"]


def test_previews_have_a_title_and_a_picture_once_there_is_an_address():
    told = preview("https://github.com/ada/course")
    assert told.startswith("<meta/>")
    assert 'property="og:title" content="Noise · The &lt;course&gt;"' in told
    picture = "https://github.com/ada/course/raw/dev/book/images/card.png"
    assert f'property="og:image" content="{picture}"' in told
    assert (ROOT / "book/images/card.png").exists()
    assert preview("https://github.com/--no-address-yet--/course") == "<meta/>"
