"""What comes in is what it says by content, small enough by its header, and whole; everything else gets a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from compactlib.app import uploads
from compactlib.app.uploads import UploadError, clean_name, read_upload
from compactlib.datasets.drawn.generate import write_scene

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (40, 50, 3), np.uint8)


def encoded(pixels, kind="PNG", mode=None, **options) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels=None, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_of_a_tiff_come_as_they_are(shape, dtype):
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape, dtype)
    data = tiff(pixels, photometric="rgb" if len(shape) == 3 else "minisblack", compression="zlib")
    found = read_upload("a.tif", data)
    assert found.pixels.dtype == dtype and found.kind == "TIFF" and found.remarks == ()
    np.testing.assert_array_equal(found.pixels, pixels.reshape(40, 50, -1))


def test_png_and_jpeg_as_pillow_reads_them():
    np.testing.assert_array_equal(read_upload("a.png", encoded(COLOUR)).pixels, COLOUR)
    jpeg = encoded(COLOUR, "JPEG")
    np.testing.assert_array_equal(read_upload("a.jpg", jpeg).pixels, np.asarray(Image.open(io.BytesIO(jpeg))))
    assert read_upload("a.png", encoded(COLOUR[..., 0])).pixels.shape == (40, 50, 1)
    deep = RNG.integers(0, 65536, (40, 50), np.uint16)
    found = read_upload("deep.png", encoded(deep))
    assert found.pixels.dtype == np.uint16 and (found.pixels[..., 0] == deep).all()


def test_alpha_is_dropped_with_a_remark_and_a_fourth_band_is_kept():
    four = RNG.integers(0, 256, (40, 50, 4), np.uint8)
    for data in (encoded(four), tiff(four, photometric="rgb", extrasamples=["unassalpha"])):
        found = read_upload("a", data)
        assert "alpha" in found.remarks[0]
        np.testing.assert_array_equal(found.pixels, four[..., :3])
    kept = read_upload("infrared.tif", tiff(four, photometric="rgb", extrasamples=["unspecified"]))
    assert kept.pixels.shape == (40, 50, 4) and kept.remarks == ()
    grey = read_upload("a.png", encoded(four, mode="LA"))
    assert grey.pixels.shape == (40, 50, 1) and "alpha" in grey.remarks[0]


def test_other_modes_are_converted_and_it_is_said():
    assert "CMYK" in read_upload("a.jpg", encoded(COLOUR, "JPEG", mode="CMYK")).remarks[0]
    assert read_upload("a.png", encoded(COLOUR, mode="P")).pixels.shape == (40, 50, 3)
    assert set(np.unique(read_upload("a.png", encoded(COLOUR, mode="1")).pixels)) == {0, 255}


def test_a_photograph_is_turned_as_its_camera_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    found = read_upload("a.jpg", encoded(COLOUR, "JPEG", exif=exif))
    assert found.pixels.shape == (50, 40, 3) and "turned" in found.remarks[0]


def test_only_the_first_picture_of_several_is_taken():
    data = tiff(np.stack([COLOUR, 255 - COLOUR]), photometric="rgb")
    found = read_upload("a.tif", data)
    np.testing.assert_array_equal(found.pixels, COLOUR)
    assert found.remarks == ("It holds 2 pictures; this is the first.",)


def test_a_scene_keeps_its_place_the_area_of_a_pixel_and_what_has_no_data(tmp_path):
    scene = read_upload("scene.tif", write_scene(tmp_path / "scene.tif", 64, 80, seed=3).read_bytes())
    assert scene.pixel_area == 0.25 and 34735 in scene.geo  # half a metre
    half = COLOUR.copy()
    half[:20] = 0
    data = tiff(half, photometric="rgb", extratags=[(42113, 2, 0, "0", True)])
    found = read_upload("a.tif", data)
    assert found.pixel_area is None and found.empty[:20].all() and not found.empty[20:].any()
    assert "50.0 % of its pixels have no data" in found.remarks[0]


def gigapixels() -> bytes:
    """A TIFF of 100,000 x 100,000 pixels of which nothing is there but the directory."""
    entries = {256: 100_000, 257: 100_000, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100_000, 279: 10**9}
    table = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def sparse_tiff() -> bytes:
    """Ten gigapixels that are stored as tiles nobody wrote: a valid file of a few megabytes."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=True) as tif:
        empty = (b"" for _ in range(49 * 49))
        tif.write(empty, shape=(100_000, 100_000), dtype="uint8", tile=(2048, 2048), compression=8, metadata=None)
    return buffer.getvalue()


BANDS = dict(photometric="minisblack", planarconfig="contig")
BAD = {
    "nothing": (b"", "is empty"),
    "a text": (b"hello, world", "no PNG, JPEG or TIFF: it begins with b'hello,'"),
    "a pickle": (b"\x80\x04\x95\x10\x00\x00", "no PNG, JPEG or TIFF"),
    "a GIF": (encoded(COLOUR, "GIF", mode="P"), "no PNG, JPEG or TIFF"),
    "half a PNG": (encoded(COLOUR)[:900], "begins as a PNG and is damaged or cut off"),
    "half a JPEG": (encoded(COLOUR, "JPEG")[:500], "begins as a JPEG and is damaged or cut off"),
    "a PNG's first bytes": (b"\x89PNG\r\n\x1a\n", "begins as a PNG and is damaged"),
    "half a TIFF": (tiff(COLOUR, photometric="rgb", rowsperstrip=8)[:3000], "cut off"),
    "a TIFF's first bytes": (b"II*\0\x08\0\0\0", "cut off or damaged"),
    "a TIFF of noise": (b"II*\0" + bytes(range(256)) * 4, "cut off or damaged"),
    "ten gigapixels": (gigapixels(), "100,000 x 100,000 pixels, 10,000 megapixels; expected 50 at most"),
    "ten gigapixels, sparse": (sparse_tiff(), "python -m compactlib segment"),
    "a PNG of 100 megapixels": (png_header(10_000, 10_000), "10,000 x 10,000 pixels"),
    "a PNG bomb": (png_header(60_000, 60_000), "60,000 x 60,000 pixels"),
    "floats": (tiff(np.zeros((9, 9), np.float32)), "type float32; expected uint8 or uint16"),
    "five channels": (tiff(np.zeros((9, 9, 5), np.uint8), **BANDS), "5 channels; expected 1, 3 or 4"),
    "two channels": (tiff(np.zeros((9, 9, 2), np.uint8), **BANDS), "2 channels; expected 1, 3 or 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_in_a_sentence_that_names_the_file_and_no_folder(case):
    data, said = BAD[case]
    with pytest.raises(UploadError) as error:
        read_upload("my picture.png", data)
    assert said in str(error.value) and "my picture.png" in str(error.value)
    assert "/tmp" not in str(error.value) and "upload.tif" not in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_no_damage_of_any_kind_does_more_than_raise(kind):
    data = bytearray(tiff(COLOUR, photometric="rgb", compression="zlib") if kind == "TIFF" else encoded(COLOUR, kind))
    rng = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(data)
        for at in rng.integers(8, len(data), 4):
            broken[at] = rng.integers(0, 256)
        try:
            found = read_upload("a", bytes(broken[: rng.integers(20, len(data) + 1)]))
            assert found.pixels.ndim == 3
        except UploadError:
            pass


def test_a_strip_that_unpacks_to_far_more_than_it_should_is_refused():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        bomb = zlib.compress(bytes(50_000_000), 9)
        tif.write(iter([bomb]), shape=(16, 16), dtype="uint8", rowsperstrip=16, compression=8, metadata=None)
    with pytest.raises(UploadError, match="cannot be decoded"):
        read_upload("a.tif", buffer.getvalue())


def test_a_wrong_ending_does_not_matter():
    assert read_upload("a.exe", encoded(COLOUR)).kind == "PNG"


def test_the_limit_in_bytes(monkeypatch):
    monkeypatch.setattr(uploads, "UPLOAD_LIMIT", 1000)
    with pytest.raises(UploadError, match="1,000 at most"):
        read_upload("a.png", encoded(COLOUR))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\pictures\\a b.png", "a b.png"),
        ("../../etc/passwd", "passwd"),
        ('<img src=x onerror="alert(1)">.png', "_img src_x onerror__alert(1)__.png"),
        ("Straße.tif", "Straße.tif"),
        ("..", "picture"),
        ("a\r\nb\0.png", "a__b_.png"),
        ("x" * 300 + ".png", "x" * 76 + ".png"),
    ],
)
def test_a_name_is_not_trusted(given, kept):
    assert clean_name(given) == kept
