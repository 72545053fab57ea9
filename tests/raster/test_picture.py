"""One file, one picture: the same pixels by every door, or a sentence."""

import io
import os

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from compactlib.app import UploadError, read_upload
from compactlib.datasets import from_folder
from compactlib.raster import PictureError, open_scene, read_picture

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (24, 16), np.uint8), RNG.integers(0, 256, (24, 16, 3), np.uint8)
DEEP = RNG.integers(0, 65536, (24, 16, 3), np.uint16)
INDICES = RNG.integers(0, 9, (24, 16), np.uint8)
PALETTE = RNG.integers(0, 256, (256, 3), np.uint8)
INKS = RNG.integers(0, 256, (24, 16, 4), np.uint8)


def tiff(pixels, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def pillow(pixels, kind="PNG", mode=None, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, kind, **options)
    return buffer.getvalue()


def turned(number: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return pillow(COLOUR, kind, exif=exif)


def palette_png(**options) -> bytes:
    image = Image.fromarray(INDICES, "P")
    image.putpalette(PALETTE.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


COLOURMAP = PALETTE.T.astype(np.uint16) * 257
# The bytes of a file, and what a viewer shows.
FILES = {
    "grey": (tiff(GREY, photometric="minisblack"), GREY),
    "white is zero": (tiff(255 - GREY, photometric="miniswhite"), GREY),
    "white is zero, 16 bits": (tiff(65535 - DEEP[..., 0], photometric="miniswhite", tile=(16, 16)), DEEP[..., 0]),
    "one bit": (tiff(GREY > 99, photometric="minisblack"), np.where(GREY > 99, 255, 0).astype(np.uint8)),
    "one bit, packed": (tiff(GREY > 99, photometric="miniswhite", compression="packbits", rowsperstrip=5),
                        np.where(GREY > 99, 0, 255).astype(np.uint8)),
    "palette": (tiff(INDICES, photometric="palette", colormap=COLOURMAP, tile=(16, 16)), PALETTE[INDICES]),
    "CMYK": (tiff(INKS, photometric="separated"), np.asarray(Image.fromarray(INKS, "CMYK").convert("RGB"))),
    "16 bits": (tiff(DEEP, photometric="rgb"), DEEP),
    "planes": (tiff(np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate"), COLOUR),
    "PNG palette": (palette_png(), PALETTE[INDICES]),
    "PNG one bit": (pillow(GREY > 99), np.where(GREY > 99, 255, 0).astype(np.uint8)),
    "PNG 16 bits grey": (pillow(DEEP[..., 0]), DEEP[..., 0]),
    "BMP": (pillow(COLOUR, "BMP"), COLOUR),
}  # fmt: skip


def folder_of(tmp_path, data: bytes, mask: np.ndarray, suffix: str):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(5):
        (tmp_path / f"images/{number}{suffix}").write_bytes(data)
        Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_the_same_pixels_from_all_doors(tmp_path, name):
    data, shown = FILES[name]
    shown = shown.reshape(24, 16, -1)
    read = read_picture(data, name)
    np.testing.assert_array_equal(read.pixels, shown)
    assert read.pixels.dtype == shown.dtype and read.missing is None
    if name != "BMP":
        np.testing.assert_array_equal(read_upload("a", data).pixels, shown)
    if read.kind == "TIFF":
        (tmp_path / "scene.tif").write_bytes(data)
        with open_scene(tmp_path / "scene.tif") as scene:
            np.testing.assert_array_equal(scene.read(3, 2, 20, 11), shown[3:23, 2:13])
    folder = folder_of(tmp_path, data, INDICES % 2, ".tif" if read.kind == "TIFF" else ".png")
    found = from_folder(folder, ("a", "b"), in_chans=shown.shape[2]).train
    np.testing.assert_array_equal(found.images[0], shown)
    assert found.images.dtype == shown.dtype


@pytest.mark.parametrize("number", range(1, 9))
def test_every_orientation_of_every_kind(tmp_path, number):
    exif = Image.Exif()
    exif[0x0112] = number
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(turned(number, "PNG")))))
    np.testing.assert_array_equal(read_picture(turned(number, "PNG"), "a").pixels, shown)
    jpeg = turned(number, "JPEG")
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg))))
    np.testing.assert_array_equal(read_picture(jpeg, "a").pixels, expected)
    for options in ({"tile": (16, 16)}, {"rowsperstrip": 5}, {"rowsperstrip": 5, "compression": "zlib"}):
        tags = [(274, 3, 1, number, True)]
        (tmp_path / "a.tif").write_bytes(tiff(COLOUR, photometric="rgb", extratags=tags, **options))
        with open_scene(tmp_path / "a.tif") as scene:
            assert scene.shape == shown.shape
            np.testing.assert_array_equal(scene.read(0, 0, *shown.shape[:2]), shown)
            padded = np.pad(shown, [(3, 30), (4, 25), (0, 0)], mode="reflect")
            np.testing.assert_array_equal(scene.read(-3, -4, shown.shape[0] + 33, shown.shape[1] + 29), padded)


def test_transparent_is_missing_and_ignored_in_the_loss(tmp_path):
    alpha = np.where(INDICES < 3, 0, 255).astype(np.uint8)
    rgba = np.dstack([COLOUR, alpha])
    hidden = INDICES < 3
    key = tuple(COLOUR[4, 5].tolist())
    cases = {
        "PNG": (pillow(rgba), hidden),
        "PNG of a colour": (pillow(COLOUR, transparency=key), (key == COLOUR).all(-1)),
        "palette": (palette_png(transparency=bytes([0, 0, 0, 255])), hidden),
        "TIFF": (tiff(rgba, photometric="rgb", extrasamples=["unassalpha"]), hidden),
        "nodata": (tiff(np.where(hidden[..., None], 9, COLOUR | 16), photometric="rgb",
                        extratags=[(42113, "s", 0, "9", True)]), hidden),
    }  # fmt: skip
    for number, (name, (data, expected)) in enumerate(cases.items()):
        read = read_picture(data, name)
        np.testing.assert_array_equal(read.missing, expected, name)
        assert read.pixels.shape == (24, 16, 3)
        np.testing.assert_array_equal(read_upload("a", data).empty, expected)
        path = tmp_path / str(number)
        path.mkdir()
        data = from_folder(folder_of(path, data, INDICES % 2, ".tif" if read.kind == "TIFF" else ".png"), ("a", "b"))
        np.testing.assert_array_equal(data.train.masks[0] == 255, expected)
        there = read.pixels[~expected].astype(float)
        np.testing.assert_allclose(data.mean, there.mean(0) / 255, atol=1e-9)
        np.testing.assert_allclose(data.std, there.std(0) / 255, atol=1e-9)
        assert (abs(data.train.images[0][expected] / 255 - np.array(data.mean)) <= 0.5 / 255 + 1e-9).all()


def test_bands_and_16_bits_from_a_folder(tmp_path):
    five = RNG.integers(0, 3000, (24, 16, 5), np.uint16)
    buffer = io.BytesIO()
    np.save(buffer, five)
    for number, data in enumerate([tiff(five, photometric="minisblack", planarconfig="contig"), buffer.getvalue()]):
        path = tmp_path / str(number)
        path.mkdir()
        folder = folder_of(path, data, INDICES % 2, (".tif", ".npy")[number])
        found = from_folder(folder, ("a", "b"), in_chans=5)
        np.testing.assert_array_equal(found.train.images[0], five)
        np.testing.assert_allclose(found.mean, five.mean((0, 1)) / 65535, rtol=1e-9)
        with pytest.raises(ValueError, match="5 bands"):
            from_folder(folder, ("a", "b"))


pickled = io.BytesIO()
np.save(pickled, np.array([{}]), allow_pickle=True)
REFUSED = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(hurt) print\n",
    "GIF": pillow(GREY, "GIF"),
    "pickle": b"\x80\x04\x95\x10\x00\x00",
    "pickled npy": pickled.getvalue(),
    "LAB": tiff(COLOUR, photometric="cielab"),
    "tiny PNG of 49 megapixels": b"",
    "pages in a circle": b"",
}  # fmt: skip


def circle() -> bytes:
    data = bytearray(tiff(GREY, photometric="minisblack"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        first, order = tif.pages.first.offset, "big" if tif.byteorder == ">" else "little"
    tags = int.from_bytes(data[first : first + 2], order)
    data[first + 2 + 12 * tags : first + 6 + 12 * tags] = first.to_bytes(4, order)
    return bytes(data)


def small_png() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", 7000, 7000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named_by_every_door(tmp_path, name):
    data = {"tiny PNG of 49 megapixels": small_png, "pages in a circle": circle}.get(name, lambda: REFUSED[name])()
    with pytest.raises(PictureError, match="^picture-7"):
        read_picture(data, "picture-7")
    with pytest.raises(UploadError, match="picture-7"):
        read_upload("picture-7", data)
    with pytest.raises(ValueError, match="0.png"):
        from_folder(folder_of(tmp_path, data, INDICES % 2, ".png"), ("a", "b"))


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "zero.png", "folder.png", "nothing.png"):
        with pytest.raises(PictureError, match=name):
            read_picture(tmp_path / name, name)
        with pytest.raises(ValueError, match=name):
            open_scene(tmp_path / name)


def test_damaged_exif_says_nothing_of_the_picture():
    for exif in (b"Exif\0\0", b"Exif\0\0" + b"\xff" * 24, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01"):
        data = pillow(COLOUR, "JPEG", exif=exif)
        read = read_picture(data, "a")
        np.testing.assert_array_equal(read.pixels, np.asarray(Image.open(io.BytesIO(data))))


def test_a_large_tile_is_refused_before_it_is_decoded(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        options = dict(dtype="uint8", compression=8, metadata=None, tile=(32768, 32768))
        tif.write(iter([b"few bytes"]), shape=(16, 16), photometric="minisblack", **options)
    with pytest.raises(ValueError, match="a.tif.*32,768 x 32,768"):
        open_scene(tmp_path / "a.tif")
    with pytest.raises(UploadError):
        read_upload("a.tif", (tmp_path / "a.tif").read_bytes())


def test_masks_have_the_numbers_of_the_file():
    np.testing.assert_array_equal(read_picture(palette_png(), "a", as_stored=True).pixels[..., 0], INDICES)
    coloured = tiff(INDICES, photometric="palette", colormap=COLOURMAP)
    np.testing.assert_array_equal(read_picture(coloured, "a", as_stored=True).pixels[..., 0], INDICES)
    for data in (tiff(GREY > 99, photometric="minisblack"), pillow(GREY > 99)):
        np.testing.assert_array_equal(read_picture(data, "a", as_stored=True).pixels[..., 0], GREY > 99)
