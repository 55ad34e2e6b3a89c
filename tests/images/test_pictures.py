"""The one reader: what it converts, what it refuses, and that random views repeat."""

from io import BytesIO

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from horngate.pipelines.images import reader as pictures
from horngate.pipelines.images.reader import Change, Reader
from horngate.pipelines.spec.errors import Unreadable


def encoded(image, kind="PNG", **options) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


RED = picture((200, 30, 30), (40, 30))


def test_any_size_becomes_a_square_of_uint8():
    pixels = Reader(32).read(encoded(RED))
    assert pixels.shape == (32, 32, 3) and pixels.dtype == np.uint8
    assert abs(pixels.mean((0, 1)) - [200, 30, 30]).max() < 12


def test_stretch_crop_and_pad_differ_as_said():
    half = Image.new("RGB", (60, 20), "white")
    half.paste("black", (0, 0, 20, 20))
    data = encoded(half)
    assert Reader(30, "stretch").read(data)[15, :9].max() == 0
    assert Reader(20, "crop").read(data).min() == 255
    padded = Reader(60, "pad").read(data)
    assert padded[0].max() == 0 and padded[30, 40].min() == 255


def test_shrinking_is_antialiased():
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (64, 32)))
    assert abs(Reader(8).read(encoded(stripes)).astype(int) - 127).max() < 30


@pytest.mark.parametrize(
    ("image", "kind", "note"),
    [
        (RED.convert("L"), "PNG", "grey"),
        (RED.convert("1"), "PNG", "grey"),
        (RED.convert("RGBA"), "PNG", "alpha"),
        (RED.convert("P"), "GIF", "palette"),
        (RED.convert("CMYK"), "JPEG", "CMYK"),
        (Image.fromarray(np.full((20, 20), 51400, np.uint16)), "PNG", "16 bit"),
        (Image.fromarray(np.full((20, 20), 51400, np.uint16)), "TIFF", "16 bit"),
    ],
)
def test_other_kinds_of_pixels_are_converted_and_named(image, kind, note):
    data = encoded(image, kind)
    assert note in Reader(16).inspect(data).converted
    assert Reader(16).read(data).shape == (16, 16, 3)


def test_sixteen_bits_scale_by_a_fixed_factor():
    deep = Image.fromarray(np.full((20, 20), 51400, np.uint16))
    assert set(Reader(16).read(encoded(deep)).ravel()) == {200}


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert Reader(16).read(encoded(clear)).min() == 255


def test_a_turned_picture_is_set_upright():
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(upright.rotate(90, expand=True), "PNG", exif=exif)
    assert "EXIF rotation" in Reader(16).inspect(turned).converted
    pixels = Reader(20).read(turned)
    assert pixels[10, 2].tolist() == [255, 0, 0] and pixels[10, 17].tolist() == [255, 255, 255]


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("P", (20, 20), index) for index in range(5)]
    data = encoded(RED, "GIF", save_all=True, append_images=frames)
    assert "animation or pages: first one" in Reader(16).inspect(data).converted


PNG = encoded(RED)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a text that calls itself a picture", "no picture"),
        (b"<html><body>404</body></html>", "no picture"),
        (PNG[: len(PNG) // 2], "damaged or truncated"),
        (encoded(picture((9, 9, 9), (200, 200)), "JPEG")[:3000], "damaged or truncated"),
        (encoded(Image.new("RGB", (1, 1))), "too small: 1 × 1"),
        (encoded(Image.new("RGB", (400, 5))), "too small"),
        (encoded(Image.fromarray(np.ones((20, 20), np.float32)), "TIFF"), "floating-point"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "no picture"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_its_reason(data, reason):
    with pytest.raises(Unreadable, match=reason):
        Reader(16).read(data)
    with pytest.raises(Unreadable, match=reason):
        Reader(16).inspect(data)


def test_a_picture_bomb_is_refused_before_it_is_decoded(monkeypatch):
    bomb = encoded(Image.new("1", (30_000, 30_000)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(Unreadable, match="too many pixels: 30000 × 30000"):
        Reader(16).read(bomb)


def test_views_repeat_with_their_seed_and_differ_without():
    data = encoded(picture((90, 120, 150), (64, 64), seed=4))
    reader = Reader(32)
    views = [reader.read(data, Change("strong", "both", seed)) for seed in ((0, 1, 2), (0, 1, 2), (0, 1, 3))]
    assert np.array_equal(views[0], views[1]) and not np.array_equal(views[0], views[2])
    assert np.array_equal(reader.read(data, Change("none", "none", (0,))), reader.read(data))


def test_crops_stay_inside_and_keep_their_share():
    for seed in range(200):
        left, top, right, bottom = Change("light", "none", (seed,)).box((0.0, 0.0, 100.0, 50.0))
        assert 0 <= left < right <= 100 and 0 <= top < bottom <= 50
        assert (right - left) * (bottom - top) > 0.4 * 5000


def test_no_format_that_runs_programs_is_decoded():
    assert not {"EPS", "PDF", "WMF"} & set(pictures.FORMATS)
