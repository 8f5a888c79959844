"""Any picture in a folder is converted to plain grey or RGB, or named in an error."""

import numpy as np
import pytest
from PIL import Image

from course_utils.data import load_images
from course_utils.data.folder import load_folder, to_plain

GREY = np.tile(np.linspace(0, 255, 16).round().astype(np.uint8), (16, 1))
RED = np.zeros((8, 8, 3), np.uint8)
RED[..., 0] = 200


def save(folder, label, name, image, **how):
    (folder / label).mkdir(exist_ok=True)
    image.save(folder / label / name, **how)


def only_image(folder):
    dataset = load_folder(folder)
    assert len(dataset) == 1
    return dataset[0]["image"]


def test_subfolders_become_labels_in_alphabetical_order(tmp_path):
    for label in ("wolf", "ant"):
        for k in range(3):
            save(tmp_path, label, f"{k}.png", Image.fromarray(RED))
    dataset = load_images("digits", source=tmp_path)
    assert dataset.features["label"].names == ["ant", "wolf"]
    assert dataset["label"][:] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(np.asarray(dataset[0]["image"]), RED)


def test_pictures_without_subfolders_get_one_label(tmp_path):
    Image.fromarray(RED).save(tmp_path / "b.PNG")
    Image.fromarray(RED).save(tmp_path / "a.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    dataset = load_folder(tmp_path)
    assert dataset["label"][:] == [0, 0]
    assert dataset.features["label"].names == [tmp_path.name]


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    save(tmp_path, "a", "deep.png", Image.fromarray(deep))
    image = only_image(tmp_path)
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), GREY)


def test_cmyk_becomes_rgb_of_the_same_colour(tmp_path):
    save(tmp_path, "a", "print.jpg", Image.fromarray(RED).convert("CMYK"), quality=100)
    image = only_image(tmp_path)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image).astype(int), RED, atol=4)


def test_palette_becomes_rgb(tmp_path):
    save(tmp_path, "a", "p.gif", Image.fromarray(RED).quantize(4))
    image = only_image(tmp_path)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image).astype(int), RED, atol=2)


def test_see_through_parts_are_laid_on_white(tmp_path):
    layers = np.dstack([RED, np.full((8, 8), 255, np.uint8)])
    layers[:4, :, 3] = 0
    save(tmp_path, "a", "rgba.png", Image.fromarray(layers))
    pixels = np.asarray(only_image(tmp_path))
    assert (pixels[:4] == 255).all()
    np.testing.assert_array_equal(pixels[4:], RED[4:])


def test_see_through_palette_and_grey_are_laid_on_white():
    grey = Image.fromarray(np.dstack([GREY, np.zeros_like(GREY)]))
    assert to_plain(grey).mode == "L"
    assert (np.asarray(to_plain(grey)) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([10, 20, 30])
    palette.info["transparency"] = 0
    assert (np.asarray(to_plain(palette)) == 255).all()


def test_grey_and_one_bit_stay_grey():
    assert np.array_equal(np.asarray(to_plain(Image.fromarray(GREY))), GREY)
    bits = to_plain(Image.fromarray(GREY > 127))
    assert bits.mode == "L"
    assert set(np.asarray(bits).ravel()) == {0, 255}


def test_float_pixels_are_refused_by_name(tmp_path):
    save(tmp_path, "a", "height.tiff", Image.fromarray(GREY.astype(np.float32)))
    with pytest.raises(ValueError, match=r"height\.tiff.*floating-point"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"not a picture", lambda b: b""]
)
def test_broken_files_are_named_and_good_ones_are_not(tmp_path, damage):
    noise = np.random.RandomState(0).randint(0, 256, (64, 64, 3)).astype(np.uint8)
    for name in ("good.png", "bad.jpg"):
        save(tmp_path, "a", name, Image.fromarray(noise))
    bad = tmp_path / "a" / "bad.jpg"
    bad.write_bytes(damage(bad.read_bytes()))
    with pytest.raises(ValueError, match="1 of 2 pictures") as error:
        load_folder(tmp_path)
    assert "bad.jpg" in str(error.value)
    assert "good.png" not in str(error.value)


def test_many_broken_files_are_counted_and_the_first_ten_named(tmp_path):
    for k in range(12):
        (tmp_path / f"{k:02}.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="12 of 12") as error:
        load_folder(tmp_path)
    assert "09.png" in str(error.value)
    assert "10.png" not in str(error.value)


def test_empty_folder_says_what_counts_as_a_picture(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="no pictures") as error:
        load_folder(tmp_path)
    assert ".png" in str(error.value)


def test_loose_pictures_beside_subfolders_are_an_error(tmp_path):
    Image.fromarray(RED).save(tmp_path / "loose.png")
    save(tmp_path, "a", "in.png", Image.fromarray(RED))
    with pytest.raises(ValueError, match=r"loose\.png"):
        load_folder(tmp_path)


def test_phone_pictures_are_turned_upright(tmp_path):
    tall = np.zeros((4, 8, 4), np.uint8)
    tall[..., 3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    save(tmp_path, "a", "turned.png", Image.fromarray(tall), exif=exif)
    save(tmp_path, "a", "turned.jpg", Image.fromarray(tall[..., :3]), exif=exif)
    assert [row["image"].size for row in load_folder(tmp_path)] == [(4, 8), (4, 8)]
