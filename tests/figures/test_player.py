"""The film is a piece of a page that carries its own frames; its buttons are tried in a browser."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from course_utils.figures import Player


def film(alt="A ramp"):
    frames = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 1, 4, 4)
    return Player(frames, [f"step {k}" for k in range(5)], alt)


def test_frames_are_inside_and_are_the_pictures():
    page = film()._repr_html_()
    frames = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)[1:]  # first: img
    greys = [np.asarray(Image.open(io.BytesIO(base64.b64decode(f)))) for f in frames]
    assert [int(grey[0, 0]) for grey in greys] == [0, 64, 128, 191, 255]
    assert "http" not in page


def test_words_are_escaped():
    page = film('Noise "before" <b>it</b>')._repr_html_()
    assert 'alt="Noise &quot;before&quot; &lt;b&gt;it&lt;/b&gt;"' in page
    captions = ["</script><b>", *"abcd"]
    page = Player(torch.zeros(5, 1, 2, 2), captions, "A film")._repr_html_()
    assert page.count("</script>") == 1


def test_tiles_have_their_names_above_them():
    frames = torch.zeros(1, 1, 2, 6)
    page = Player(frames, ["x"], "Three", tiles=["linear", "a<b", "cosine"])._repr_html_()
    assert re.findall(r'<span style="flex:1 1 0">(.*?)</span>', page) == [
        "linear",
        "a&lt;b",
        "cosine",
    ]
    assert page.index("cosine</span>") < page.index("<img")
    assert "flex:1 1 0" not in film()._repr_html_()
    with pytest.raises(ValueError, match="a name for each"):
        Player(frames, ["x"], "Three", tiles=["linear", " ", "cosine"])


def test_the_same_film_gives_the_same_page():
    assert film()._repr_html_() == film()._repr_html_()
    assert film()._repr_html_() != film("Another")._repr_html_()


def test_without_a_browser_it_says_what_it_is():
    assert repr(film()) == "Player(5 frames: A ramp)"


@pytest.mark.parametrize(
    ("frames", "captions", "alt", "match"),
    [(0, 0, "x", "0 frames"), (2, 1, "x", "1 captions"), (1, 1, " ", "alt is empty")],
)
def test_incomplete_films_are_refused(frames, captions, alt, match):
    with pytest.raises(ValueError, match=match):
        Player(torch.zeros(frames, 1, 2, 2), ["c"] * captions, alt)
