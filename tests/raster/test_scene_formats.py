"""Every form of TIFF that is promised: windows of it are windows of what tifffile.imread gives for the whole."""

import itertools
import struct

import numpy as np
import pytest
import tifffile

from compactlib.raster import open_scene
from tests.raster.pictures import BORDERS, padded

pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: TIFF with LZW, JPEG or predictors")

HEIGHT, WIDTH = 70, 93
CODINGS = {
    "none": {},
    "deflate": {"compression": "deflate"},
    "deflate, predictor": {"compression": "deflate", "predictor": True},  # of integers or of floats
    "lzw": {"compression": "lzw"},
    "lzw, predictor": {"compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd"},
    "zstd, predictor": {"compression": "zstd", "predictor": True},
}
SEGMENTS = {"tiles": {"tile": (32, 16)}, "strips": {"rowsperstrip": 8}, "one strip": {"rowsperstrip": HEIGHT}}


def picture(dtype: str, *shape: int) -> np.ndarray:
    """A smooth picture with noise that uses the range of its type; (H, W), (H, W, C) or (C, H, W)."""
    if len(shape) == 3 and shape[0] < shape[2]:
        return np.moveaxis(picture(dtype, *shape[1:], shape[0]), -1, 0)
    values = np.add.outer(np.sin(np.arange(shape[0]) / 20), np.cos(np.arange(shape[1]) / 30))
    values = values.reshape(shape[:2] + (1,) * (len(shape) - 2)) + np.random.default_rng(0).normal(0, 0.1, shape)
    values = (values - values.min()) / np.ptp(values)
    if np.dtype(dtype).kind == "f":
        return (values * 2000 - 1000).astype(dtype)
    limits = np.iinfo(dtype)
    return (values * (limits.max - limits.min) * 0.999 + limits.min).astype(dtype)


def check(path, whole: np.ndarray, **options) -> None:
    """Windows of the scene against those of `whole` (H, W) or (H, W, C)."""
    whole = whole.reshape(*whole.shape[:2], -1)
    height, width, _ = whole.shape
    rng = np.random.default_rng(0)
    for border in BORDERS:
        with open_scene(path, border=border, **options) as scene:
            assert scene.shape == whole.shape and scene.dtype == whole.dtype and scene.dtype.isnative
            windows = [(0, 0, height, width), (-height // 3, -width // 3, 2 * height, 2 * width), (1, 2, 3, 4)]
            windows += [(*rng.integers(-40, (height, width)), *rng.integers(1, 99, 2)) for _ in range(3)]
            for window in windows:
                np.testing.assert_array_equal(scene.read(*window), padded(whole, *window, border))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32", "float64"])
def test_types_and_codings(tmp_path, dtype, coding):
    """With each of them: tiles and strips, little and big endian, classic and BigTIFF, one channel and several, their
    samples side by side or in planes."""
    shapes = {None: (HEIGHT, WIDTH), "contig": (HEIGHT, WIDTH, 3), "separate": (4, HEIGHT, WIDTH)}
    for (segments, layout), byteorder, planar in itertools.product(SEGMENTS.items(), "<>", shapes):
        path, array = tmp_path / "a.tif", picture(dtype, *shapes[planar])
        options = layout | CODINGS[coding] | {"byteorder": byteorder, "bigtiff": segments == "strips"}
        tifffile.imwrite(path, array, planarconfig=planar, photometric="minisblack", **options)
        with tifffile.TiffFile(path) as tif:  # it is what it is meant to be
            page = tif.pages[0]
            assert (tif.is_bigtiff, tif.byteorder, page.is_tiled) == (segments == "strips", byteorder, "tile" in layout)
            assert (page.planarconfig == 2, page.predictor != 1) == (planar == "separate", "predictor" in coding)
        whole = tifffile.imread(path)
        np.testing.assert_array_equal(whole, array)
        check(path, np.moveaxis(whole, 0, -1) if planar == "separate" else whole)
        with open_scene(path) as scene:
            assert scene.compression == coding.split(",")[0] and scene.striped == ("tile" not in layout)
            scene.read(0, 0, HEIGHT, WIDTH)
            rows = HEIGHT if "tile" not in layout or coding == "none" else 3 * 32
            columns = 6 * 16 if "tile" in layout else WIDTH
            assert scene.counters.decoded_pixels == rows * columns, "of the plane, whatever the channels"


@pytest.mark.parametrize("segments", SEGMENTS)
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((HEIGHT, WIDTH), {"photometric": "minisblack"}),
        ((HEIGHT, WIDTH, 3), {"photometric": "rgb"}),
        ((HEIGHT, WIDTH, 3), {"photometric": "ycbcr"}),
        ((HEIGHT, WIDTH, 3), {"photometric": "ycbcr", "subsampling": (2, 2)}),
        ((3, HEIGHT, WIDTH), {"photometric": "rgb", "planarconfig": "separate"}),
    ],
    ids=["grey", "rgb", "ycbcr", "subsampled", "planes"],
)
def test_jpeg(tmp_path, shape, options, segments):
    """Lossy, so against what tifffile decodes."""
    layout = {"tile": (32, 16)} if segments == "tiles" else {"rowsperstrip": 16 if segments == "strips" else HEIGHT}
    tifffile.imwrite(tmp_path / "a.tif", picture("uint8", *shape), compression="jpeg", **layout, **options)
    whole = tifffile.imread(tmp_path / "a.tif")
    check(tmp_path / "a.tif", np.moveaxis(whole, 0, -1) if "planarconfig" in options else whole)


@pytest.mark.parametrize("compression", ["packbits", "lzma", "jpeg2000", "webp", "lerc"])
def test_other_codecs_that_tifffile_knows(tmp_path, compression):
    options = {"compressionargs": {"level": 100, "lossless": True}} if compression == "webp" else {}
    array = picture("uint8", HEIGHT, WIDTH, 3)
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, tile=(32, 32), photometric="rgb", **options)
    check(tmp_path / "a.tif", tifffile.imread(tmp_path / "a.tif"))


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint64", "float16"])
def test_other_types(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", picture(dtype, HEIGHT, WIDTH), compression="deflate", tile=(32, 32))
    check(tmp_path / "a.tif", tifffile.imread(tmp_path / "a.tif"))


def test_bits_in_reversed_order(tmp_path):
    """FillOrder 2, without compression: the bytes are not the pixels, and segments are decoded and cached."""
    array = picture("uint8", HEIGHT, WIDTH)
    reverse = np.array([int(f"{value:08b}"[::-1], 2) for value in range(256)], np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, reverse[array], tile=(32, 16), extratags=[(65000, "H", 1, 2, True)])
    private, fill_order = (struct.pack("<HHI", code, 3, 1) for code in (65000, 266))
    assert path.read_bytes().count(private) == 1
    path.write_bytes(path.read_bytes().replace(private, fill_order))  # tifffile does not write this tag
    np.testing.assert_array_equal(tifffile.imread(path), array)
    check(path, array)


@pytest.mark.parametrize("options", [{"tile": (32, 32)}, {"rowsperstrip": 10}, {"rowsperstrip": HEIGHT}], ids=str)
def test_pages_of_a_file(tmp_path, options):
    sizes = [(HEIGHT, WIDTH), (40, 70, 3), (HEIGHT, WIDTH)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for i, size in enumerate(sizes):
            tif.write(picture("uint8", *size) // (i + 1), compression="deflate", metadata=None, **options)
    for i in range(3):
        check(tmp_path / "a.tif", tifffile.imread(tmp_path / "a.tif", key=i), page=i)


@pytest.mark.parametrize(("axes", "shape"), [("CYX", (5, HEIGHT, WIDTH)), ("YXS", (HEIGHT, WIDTH, 3))])
def test_ome_with_a_pyramid(tmp_path, axes, shape):
    """Channels that are pages of their own are read by `page`; reduced copies of each hang below it."""
    array = picture("uint16", *shape)
    reduced = [array[..., ::2, ::2] if axes == "CYX" else array[::2, ::2]]
    reduced.append(reduced[0][..., ::2, ::2] if axes == "CYX" else reduced[0][::2, ::2])
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True, bigtiff=True) as tif:
        options = {"tile": (32, 16), "compression": "deflate"}
        options["photometric"] = "minisblack" if axes == "CYX" else "rgb"
        tif.write(array, subifds=2, metadata={"axes": axes}, **options)
        for level in reduced:
            tif.write(level, subfiletype=1, **options)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tif:
        assert tif.is_ome and [level.shape for level in tif.series[0].levels] == [shape, *(r.shape for r in reduced)]
    for level in range(3):
        whole = tifffile.imread(tmp_path / "a.ome.tif", series=0, level=level)
        for page in range(5 if axes == "CYX" else 1):
            check(tmp_path / "a.ome.tif", whole[page] if axes == "CYX" else whole, page=page, level=level)


def test_overviews_as_gdal_writes_them(tmp_path):
    """Reduced pages follow the full one; masks of transparency stand between; then comes another picture."""
    array, other = picture("uint8", HEIGHT, WIDTH, 3), picture("uint8", 99, 98, 3)
    mask = array[..., 0] > 127
    written = [(array, 0), (mask, 4), (array[::2, ::2], 1), (mask[::2, ::2], 5), (array[::4, ::4], 1)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for pixels, kind in [*written, (other, 0), (other[::2, ::2], 1)]:
            tif.write(pixels, subfiletype=kind, tile=(32, 16), compression="deflate", metadata=None)
    for level in range(3):
        check(tmp_path / "a.tif", array[:: 2**level, :: 2**level], level=level)
    check(tmp_path / "a.tif", other[::2, ::2], page=5, level=1)


@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("layout", [{"tile": (32, 16)}, {"rowsperstrip": 8}], ids=str)
@pytest.mark.parametrize("compression", ["deflate", None])
def test_segments_that_were_never_written(tmp_path, compression, layout, nodata):
    """They read as "no data", or zeros, and cost nothing."""
    path, whole = tmp_path / "a.tif", picture("int16", HEIGHT, WIDTH)
    tags = [(42113, "s", 0, str(nodata), True)] if nodata is not None else []
    tifffile.imwrite(path, whole, compression=compression, extratags=tags, **layout)
    with tifffile.TiffFile(path, mode="r+") as tif:
        places, sizes = (tif.pages[0].tags[code] for code in ((324, 325) if "tile" in layout else (273, 279)))
        for tag in (places, sizes):
            tag.overwrite([0 if i % 2 else value for i, value in enumerate(tag.value)])
    rows, columns = layout.get("tile", (8, WIDTH))
    number = np.arange(HEIGHT)[:, None] // rows * -(-WIDTH // columns) + np.arange(WIDTH) // columns
    whole = np.where(number % 2, nodata or 0, whole)
    check(path, whole.astype(np.int16))
    with open_scene(path) as scene:
        assert scene.nodata == nodata
        scene.read(0, 0, HEIGHT, WIDTH)
        assert scene.counters.decoded_segments == number.max() // 2 + 1
