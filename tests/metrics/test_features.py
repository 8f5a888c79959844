"""Extractors: named, repeatable, fit for their pictures only; and those of the package fresh."""

import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from course_utils.__main__ import main
from course_utils.data import ImageTensors
from course_utils.metrics import TAUGHT, WeightsUnavailableError, classifier, elsewhere, extractor
from course_utils.metrics.features import PixelExtractor, rounded


def pictures(count, seed=0, shape=(3, 16, 16)):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    return ImageTensors(images, torch.zeros(count, dtype=torch.int64), ("one",))


def in_range(data):
    return data.batch(range(len(data)))[0]


def test_pixels_are_scikit_learns_components_up_to_a_sign():
    real, others = pictures(120, shape=(1, 6, 6)), in_range(pictures(30, 1, (1, 6, 6)))
    ours = PixelExtractor(real, 5)(others).numpy()
    pca = PCA(5, svd_solver="full").fit(in_range(real).flatten(1).double())
    theirs = pca.transform(others.flatten(1).double())
    signs = np.sign((ours * theirs).sum(0))
    np.testing.assert_allclose(ours, theirs * signs, atol=1e-9)


def test_the_name_of_pixels_tells_what_they_were_taken_from():
    real = pictures(60)
    first = extractor("pixels", real).name
    assert first.startswith("pixels-48@")
    assert extractor("pixels", pictures(60)).name == first
    assert extractor("pixels", pictures(60, 1)).name != first
    changed = replace(real, images=real.images.clone())
    changed.images[3, 0, 0, 0] ^= 1
    assert extractor("pixels", changed).name != first


@pytest.mark.parametrize("name", TAUGHT)
def test_a_taught_extractor_is_as_its_lesson_says(name):
    """Teach it anew where this fails: python -m course_utils extractor NAME."""
    about = classifier.about(name)
    lesson = TAUGHT[name]
    told = asdict(lesson) | {"families": list(lesson.families)}
    assert about["lesson"] == told, f"{name} is stale: its lesson was another"
    now = lesson.pictures(classifier.SHOWN)
    assert about["pictures"] == now.digest, f"{name} is stale: the drawings have changed"
    assert about["kinds"] == list(now.names)
    assert about["read_rightly"] > 0.94
    assert (classifier.FOLDER / f"{name}.safetensors").stat().st_size < 300_000


@pytest.mark.parametrize("name", TAUGHT)
def test_a_taught_extractor_tells_kinds_apart_and_knows_them_by_its_head(name):
    """The nearest mean of the features says the kind of nearly all unseen pictures."""
    lesson, eye = TAUGHT[name], extractor(name)
    assert eye.name.startswith(f"{name}@")
    known, unseen = lesson.pictures(200), lesson.pictures(100, 900_000)
    features, others = eye(in_range(known)), eye(in_range(unseen))
    assert features.shape == (len(known), 64)
    kinds = range(len(known.names))
    means = torch.stack([features[known.labels == k].mean(0) for k in kinds])
    read = torch.cdist(others, means).argmin(1)
    assert (read == unseen.labels).double().mean() > 0.9


def test_a_picture_has_the_same_features_in_any_company():
    eye, images = extractor("sprites-16"), in_range(pictures(600))
    whole = eye(images)
    for rows in (slice(0, 1), slice(37, 99), slice(400, 600)):
        torch.testing.assert_close(eye(images[rows]), whole[rows], rtol=1e-4, atol=1e-5)


def test_pictures_are_rounded_as_a_file_would_round_them():
    images = in_range(pictures(5))
    nudged = (images + 0.003).clamp(-1, 1)  # less than half a level of 2 / 255
    assert not torch.equal(nudged, images)
    assert torch.equal(rounded(nudged), images)
    for eye in (extractor("sprites-16"), extractor("pixels", pictures(60))):
        assert torch.equal(eye(nudged), eye(images))


@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 3, 32, 32), (3, 16, 16)])
def test_pictures_of_another_shape_are_refused(shape):
    for eye in (extractor("sprites-16"), extractor("pixels", pictures(60))):
        with pytest.raises(ValueError, match=r"takes \(N, 3, 16, 16\)"):
            eye(torch.zeros(shape))


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"no extractor 'clip'; choose from pixels, .*sprites-16"):
        extractor("clip")
    with pytest.raises(ValueError, match="wants the real pictures"):
        extractor("pixels")
    with pytest.raises(ValueError, match=r"30 real pictures; 48 components want more: .* least 49"):
        extractor("pixels", pictures(30))


def test_without_the_package_of_large_networks_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ModuleNotFoundError, match="pip install torch-fidelity"):
        extractor("inception")


@pytest.mark.parametrize("name", elsewhere.LAYERS)
def test_without_their_weights_it_says_so(name, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torch_fidelity.utils.create_feature_extractor", offline)
    with pytest.raises(WeightsUnavailableError, match=rf"'{name}' could not .* no route to host"):
        extractor(name)


def test_a_large_network_is_shown_bytes_in_colour(monkeypatch):
    shown = []

    def network(images):
        shown.append(images)
        return (images.double().flatten(1)[:, :7],)

    made = {}
    monkeypatch.setattr(
        "torch_fidelity.utils.create_feature_extractor",
        lambda *args, **kwargs: made.update(args=args) or network,
    )
    eye = extractor("inception")
    grey = pictures(70, shape=(1, 8, 8))
    features = eye(in_range(grey))
    assert made["args"] == ("inception-v3-compat", ["2048"])
    assert eye.name.startswith("inception@torch-fidelity-")
    assert features.shape == (70, 7)
    seen = torch.cat(shown)
    assert seen.dtype == torch.uint8
    assert torch.equal(seen, grey.images.expand(-1, 3, -1, -1))


def test_the_command_teaches_one_and_keeps_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(classifier.teach, "__defaults__", (tmp_path,))
    monkeypatch.setattr(classifier.open_extractor, "__defaults__", (tmp_path,))
    small = replace(TAUGHT["sprites-16"], count=100, num_steps=40, batch_size=32)
    monkeypatch.setitem(TAUGHT, "sprites-16", small)
    assert main(["extractor", "sprites-16"]) == 0
    told = capsys.readouterr().out
    assert f"{extractor('sprites-16').name} reads" in told
    about = classifier.about("sprites-16", tmp_path)
    assert about["lesson"]["num_steps"] == 40
    assert about["read_rightly"] > 0.6
    assert f"{about['read_rightly']:.1%} of pictures rightly" in told


def test_the_command_wants_a_name_it_knows(capsys):
    assert main(["extractor"]) == 2
    assert main(["extractor", "cats"]) == 2
    assert "extractor {" in capsys.readouterr().err
