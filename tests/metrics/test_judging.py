"""The judge: error bars, floor and ceiling, whatever is judged; and faults that it finds."""

import json
from dataclasses import replace

import pytest
import torch

from course_utils.data import ImageTensors, load_images, prepare, to_pil
from course_utils.metrics import Artist, Row, Spread, draw, extractor, judge, untrained
from course_utils.models import gallery


def drawn(count, first):
    return prepare(load_images("sprites", "drawn", count=count, first=first), 16)


@pytest.fixture(scope="module")
def real():
    return drawn(800, 700_000)


@pytest.fixture(scope="module")
def others():
    return drawn(400, 710_000)


def rows_of(found, name="sprites-16"):
    return {row.measure: row for row in found.rows if (row.extractor or "-").startswith(name)}


def judged(what, real, **options):
    return judge(what, real, eyes=[extractor("sprites-16")], progress=False, **options)


def test_real_pictures_are_as_real_ones_and_far_from_noise(real, others):
    found = judged(others, real, learned=drawn(200, 0))
    assert (found.count, found.repeats) == (100, 4)
    for measure, row in (rows_of(found) | rows_of(found, "-")).items():
        if not row.note:
            bar = 4 * (row.drawn.deviation**2 + row.floor.deviation**2) ** 0.5
            assert abs(row.drawn.mean - row.floor.mean) <= bar, measure
    kernel = rows_of(found)["kernel distance"]
    assert kernel.ceiling.mean > 20 * abs(kernel.floor.mean)
    assert rows_of(found)["told apart"].ceiling.mean > 0.95
    assert rows_of(found, "-")["read as asked"].drawn.mean > 0.85
    assert "wants sets of 130, not 100" in found.table()


def test_copies_and_one_kind_and_blur_are_found(real, others):
    learned = drawn(100, 0)
    copies = learned.batch(list(range(100)) * 4)[0]
    found = rows_of(judged(copies, real, learned=learned), "-")
    assert found["copy score"].drawn.mean == 1
    assert found["copy score"].verdict == "copies"
    many = drawn(2_000, 720_000)
    heroes = many.batch((many.labels == 0).nonzero()[:, 0])[0]
    found = rows_of(judged(heroes, real))
    assert found["coverage"].drawn.mean < 0.4 < 0.8 < found["coverage"].floor.mean
    assert found["precision"].verdict == "as real ones"
    images = others.batch(range(400))[0]
    blurred = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    found = rows_of(judged(blurred, real))
    assert "of the way to noise" in found["kernel distance"].verdict


def test_a_network_is_judged_the_same_whatever_the_batch_and_leaves_chance_alone(real):
    artist = gallery.load("sprites-16")
    options = {"count": 20, "repeats": 2, "num_inference_steps": 4}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = judged(artist, real, batch_size=7, **options)
    assert torch.equal(torch.get_rng_state(), before)
    other = judged(artist, real, batch_size=40, **options)
    for mine, yours in zip(one.rows, other.rows, strict=True):
        if not mine.note:
            assert mine.drawn == pytest.approx(yours.drawn, rel=1e-3, abs=1e-3), mine.measure
            assert mine.floor == yours.floor
    names = [row.measure for row in one.rows if row.extractor is None]
    assert names == ["read as asked", "distance"]
    assert one.samples.shape == one.neighbours.shape == (16, 3, 16, 16)


def test_an_untrained_network_is_the_same_one_with_fresh_weights():
    artist = gallery.load("sprites-16")
    fresh = untrained(artist)
    assert torch.equal(fresh.model.conv_in.weight, untrained(artist).model.conv_in.weight)
    assert not torch.equal(fresh.model.conv_in.weight, artist.model.conv_in.weight)
    fresh.model.double()
    images, wanted = draw(Artist(fresh.model, fresh.noise_scheduler, artist.labels), range(7), 2)
    assert wanted == [0, 1, 2, 3, 4, 0, 1]
    again = draw(fresh, range(3, 5), 2)[0]  # in another batch, so sums may round otherwise
    assert (again - images[3:5]).abs().max() < 1e-5


def test_folders_are_judged_as_their_pictures(real, others, tmp_path):
    for name, data in (("drawn", others), ("real", real)):
        for k, picture in enumerate(to_pil(data.batch(range(120))[0])):
            kind = tmp_path / name / data.names[data.labels[k]]
            kind.mkdir(parents=True, exist_ok=True)
            picture.save(kind / f"{k:03}.png")
    found = judge(
        tmp_path / "drawn", str(tmp_path / "real"), image_size=16, repeats=2, progress=False
    )
    assert found.count == 60
    eyes = {row.extractor.split("@")[0] for row in found.rows if row.extractor}
    assert eyes == {"pixels-48"}
    assert rows_of(found, "-")["read as asked"].drawn.mean > 0.8
    assert json.loads(json.dumps(found.as_dict()))["rows"][0]["measure"] == "Fréchet distance"
    with pytest.raises(ValueError, match=r"real is .*nowhere.* no folder that exists"):
        judge(others, tmp_path / "nowhere")


def test_kinds_keep_their_share_in_every_set():
    from course_utils.metrics.judging import _deal

    labels = torch.arange(800) % 8
    for pairs in (_deal(labels, 100, 4), _deal(labels, 200, 3)):
        for against, floor in pairs:
            assert not set(against.tolist()) & set(floor.tolist())
            for rows in (against, floor):
                counts = torch.bincount(labels[rows], minlength=8)
                assert counts.max() - counts.min() <= 2
    used = torch.cat([rows for pair in _deal(labels, 100, 4) for rows in pair])
    assert len(used.unique()) == 800  # enough for all: no picture twice


def test_what_cannot_be_judged_is_refused(real, others):
    with pytest.raises(ValueError, match="repeats is 1"):
        judge(others, real, repeats=1)
    few = ImageTensors(others.images[:20], others.labels[:20], others.names)
    told = (
        "4 sets of 5 pictures cannot be made of 800 real and 20.*12 real ones, and all 4 sets 24 "
    )
    with pytest.raises(
        ValueError, match=told + r"drawn ones\. .*or lower repeats \(--repeats\)\.$"
    ):
        judge(few, real)
    fewer = replace(few, images=few.images[:11], labels=few.labels[:11])
    with pytest.raises(ValueError, match=r"24 drawn ones\. Take more pictures\.$"):
        judge(fewer, real)
    told = r"4 sets of 500 .* of 800 real: .* of 500, it takes 1000 real ones\. Lower count"
    with pytest.raises(ValueError, match=told):
        judge(gallery.load("sprites-16"), real, count=500)


def test_a_verdict_says_where_a_measure_stands():
    row = Row("kernel distance", "eye@1", Spread(0.5, 0.01), Spread(0.0, 0.01), Spread(1.0, 0.1))
    assert row.verdict == "50% of the way to noise"
    assert replace(row, drawn=Spread(0.02, 0.01)).verdict == "as real ones"
    assert replace(row, drawn=Spread(-0.5, 0.01)).verdict.startswith("beyond real ones")
    assert replace(row, drawn=None, note="wants more").verdict == "wants more"
