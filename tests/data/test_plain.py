"""Any picture file is converted to plain grey or RGB, or named in an error."""

import struct
import warnings
import zlib
from io import BytesIO

import datasets
import numpy as np
import pytest
from PIL import Image

from course_utils.data import find_duplicates, prepare
from course_utils.data.folder import load_folder
from course_utils.data.plain import OpenedPicture, open_picture, to_plain

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


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    save(tmp_path, "a", "deep.png", Image.fromarray(deep))
    image = only_image(tmp_path)
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), GREY)


def test_values_of_sixteen_bits_are_rounded():
    deep = Image.fromarray(np.array([[0, 1_000, 1_200, 65_407]], np.uint16))
    assert np.asarray(to_plain(deep)).tolist() == [[0, 4, 5, 255]]


def png(values, colour_type, clear=b""):
    """A 16-bit PNG by hand: Pillow writes none in colour, and none with a see-through colour."""

    def chunk(kind, content):
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in values.astype(">u2"))
    parts = chunk(b"IHDR", head) + (chunk(b"tRNS", clear) if clear else b"")
    parts += chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_a_see_through_grey_of_sixteen_bits_lies_on_white(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    (tmp_path / "a.png").write_bytes(png(deep, 0, struct.pack(">H", 17 * 257)))
    pixels = np.asarray(only_image(tmp_path))
    np.testing.assert_array_equal(pixels, np.where(GREY == 17, 255, GREY))


def test_a_see_through_colour_of_sixteen_bits_lies_on_white(tmp_path):
    deep = RED.astype(np.uint16) * 257
    deep[:2] = 51_300
    (tmp_path / "a.png").write_bytes(png(deep, 2, struct.pack(">HHH", 51_300, 51_300, 51_300)))
    pixels = np.asarray(only_image(tmp_path))
    assert (pixels[:2] == 255).all()
    np.testing.assert_array_equal(pixels[2:], RED[2:])


@pytest.mark.parametrize(
    ("content", "found", "brightest"),
    [
        (lambda: png(GREY.astype(np.uint16) * 16, 0), "0 to 4,080", 15),
        (lambda: png(GREY.astype(np.uint16) * 16, 0, b"\0\0"), "0 to 4,080", 15),
        (lambda: png(np.dstack([GREY.astype(np.uint16) * 16] * 3), 2), "0 to 4,095", 15),
        (lambda: saved(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "0 to 255", 0),
    ],
)
def test_values_that_do_not_fill_their_range_are_told_and_warned_of(
    tmp_path, content, found, brightest
):
    (tmp_path / "a.png").write_bytes(content())
    with pytest.warns(UserWarning, match=rf"brightest value .* is {brightest} of 255"):
        line = load_folder(tmp_path).info.description
    assert f"1 of 16 bits or more (a.png), values {found} of 65,535" in line


def test_one_dark_scan_among_bright_pictures_is_warned_of(tmp_path):
    (tmp_path / "a.png").write_bytes(png(GREY.astype(np.uint16) * 16, 0))
    Image.fromarray(GREY).save(tmp_path / "b.png")
    with pytest.warns(UserWarning, match=r"pictures of 16 bits or more .* is 15 of 255"):
        load_folder(tmp_path)


def test_dark_pictures_of_eight_bits_are_warned_of_and_others_are_not(tmp_path):
    Image.fromarray(GREY // 26).save(tmp_path / "a.png")  # a mask of ten classes, say
    with pytest.warns(UserWarning, match=r"value of the pictures in .* is 9 of 255"):
        load_folder(tmp_path)
    Image.fromarray(GREY).save(tmp_path / "b.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_folder(tmp_path)


def saved(image, kind, **how):
    buffer = BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


@pytest.mark.parametrize("values", [GREY.astype(np.int32) * 300, GREY.astype(np.int32) - 1])
def test_values_beyond_sixteen_bits_are_named_and_not_cut(tmp_path, values):
    (tmp_path / "a.tif").write_bytes(saved(Image.fromarray(values), "TIFF"))
    with pytest.raises(
        ValueError,
        match=r"a\.tif: its values, .* do not fit into 16 bits \(0 to 65,535\); scale them, and",
    ):
        load_folder(tmp_path)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_a_film_the_first_frame_is_kept_and_that_is_said(tmp_path, kind):
    first, second = Image.fromarray(RED), Image.fromarray(RED[..., ::-1])
    film = saved(first, kind, save_all=True, append_images=[second], lossless=True)
    (tmp_path / f"film.{kind.lower()}").write_bytes(film)
    dataset = load_folder(tmp_path)
    np.testing.assert_allclose(np.asarray(dataset[0]["image"]), RED, atol=2)
    told = f"1 film or of many pages, the first frame kept (film.{kind.lower()})"
    assert told in dataset.info.description


def test_pictures_that_are_no_films_are_not_called_so(tmp_path):
    Image.fromarray(RED).save(tmp_path / "a.gif")
    assert "first frame" not in load_folder(tmp_path).info.description


def test_pictures_are_turned_as_a_viewer_shows_them_in_every_format(tmp_path):
    """A plain file keeps its bytes and is turned by datasets, another one by us: once each."""
    upright = np.zeros((8, 4, 4), np.uint8)
    upright[:4] = 255  # white above, clear black below
    lying = Image.fromarray(upright).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned by 90 degrees
    for name in ("a.jpg", "b.png", "c.webp", "d.tif"):
        lying.convert("RGB").save(tmp_path / name, exif=exif, quality=95)
    lying.save(tmp_path / "e.png", exif=exif)
    Image.fromarray(np.asarray(lying)[..., 0].astype(np.uint16) * 257).save(
        tmp_path / "f.png", exif=exif
    )
    dataset = load_folder(tmp_path)
    for row in dataset:
        assert row["image"].size == (4, 8)
        pixels = np.asarray(row["image"].convert("L"))
        assert pixels[:3].min() > 240
    assert "6 turned as the EXIF data say" in dataset.info.description
    assert "4×8 pixels" in dataset.info.description


def test_a_picture_with_an_upright_note_is_not_called_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.fromarray(RED).save(tmp_path / "a.jpg", exif=exif)
    assert "EXIF" not in load_folder(tmp_path).info.description


def test_prepare_and_find_duplicates_see_what_a_folder_would_give(tmp_path):
    """Pictures of other sources, the Hub's say, come see-through or in 16 bits as well."""
    layers = Image.fromarray(np.dstack([RED, np.zeros((8, 8), np.uint8)]))
    deep = Image.fromarray(np.full((8, 8), 51_400, np.uint16))
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["a"])}
    rows = {"image": [layers, deep], "label": [0, 0]}
    dataset = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    assert prepare(dataset, 8).images.amin((1, 2, 3)).tolist() == [255, 200]
    assert find_duplicates(dataset, threshold=50) == []
    assert find_duplicates(dataset, threshold=60) == [[0, 1]]


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


def test_every_mode_that_pillow_has_becomes_plain_or_is_refused():
    for mode in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        image = Image.new(mode, (4, 4))
        grey = mode in ("1", "L", "LA", "La")
        assert to_plain(image).mode == ("L" if grey else "RGB"), mode
    for mode in ("I", "I;16", "I;16B"):
        assert to_plain(Image.new(mode, (4, 4))).mode == "L"
    assert (np.asarray(to_plain(Image.new("La", (4, 4)))) == 255).all()  # clear


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


def test_an_empty_file_and_a_link_to_nowhere_are_named(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match="2 of 2") as error:
        load_folder(tmp_path)
    assert "empty.png: the file is empty" in str(error.value)
    assert "link.png: a link to" in str(error.value)


def test_whatever_a_reader_of_pillows_raises_the_file_is_named(tmp_path, monkeypatch):
    Image.fromarray(RED).save(tmp_path / "odd.png")

    def torn(*_):
        raise struct.error("unpack requires a buffer of 4 bytes")

    monkeypatch.setattr(Image.Image, "getexif", torn)
    with pytest.raises(ValueError, match=r"odd\.png: unpack requires"):
        load_folder(tmp_path)


def test_many_broken_files_are_counted_and_the_first_ten_named(tmp_path):
    for k in range(12):
        (tmp_path / f"{k:02}.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="12 of 12") as error:
        load_folder(tmp_path)
    lines = str(error.value).splitlines()
    assert lines[0] == "12 of 12 pictures cannot be read; mend or remove:"
    assert lines[10].startswith(f"  {tmp_path / '09.png'}: there is no picture in it")
    assert lines[11:] == ["  … and 2 more"]
    (tmp_path / "11.png").unlink()
    with pytest.raises(ValueError, match=r"… and 1 more$"):
        load_folder(tmp_path)
    (tmp_path / "10.png").unlink()
    with pytest.raises(ValueError, match="10 of 10") as error:
        load_folder(tmp_path)
    assert len(str(error.value).splitlines()) == 11


def test_what_is_noted_of_a_file(tmp_path):
    for kind in ("png", "bmp", "ppm"):
        Image.fromarray(GREY).save(tmp_path / f"a.{kind}")
        path = str((tmp_path / f"a.{kind}").resolve())
        wanted = OpenedPicture(
            stored={"path": path, "bytes": None},
            size=(16, 16),
            brightest=255,
            kind=kind.upper(),
            mode="L",
        )
        assert open_picture(tmp_path / f"a.{kind}") == wanted
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    deep = open_picture(tmp_path / "deep.png")
    assert deep.stored.keys() == {"path", "bytes"}
    assert deep.stored["path"] is None
    assert deep.stored["bytes"].startswith(b"\x89PNG")
    assert (deep.brightest, deep.deep) == (255, (0, 65_535))
    Image.new("LA", (2, 3)).save(tmp_path / "clear.png")
    clear = open_picture(tmp_path / "clear.png")
    assert (clear.clear, clear.size, clear.brightest) == (True, (2, 3), 255)
    (tmp_path / "b.png").write_bytes(png(np.full((4, 4, 3), 0x1234, np.uint16), 2))
    assert open_picture(tmp_path / "b.png").deep == (0x1200, 0x12FF)


@pytest.mark.parametrize("note", range(10))
def test_which_notes_of_exif_turn_a_picture(tmp_path, note):
    exif = Image.Exif()
    exif[0x0112] = note
    Image.fromarray(RED).save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(tmp_path / "a.jpg").turned is (2 <= note <= 8)
