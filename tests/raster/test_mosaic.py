"""The mosaic: a TIFF that tifffile reads as the whole array, whoever wrote its tiles, in which order and how often."""

import multiprocessing
import os
import struct
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import tifffile
from PIL import Image

from compactlib.datasets.drawn.generate import GEO
from compactlib.raster.mosaic import Mosaic, create_mosaic


def picture(height: int, width: int, channels: int = 1, kind: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(0).integers(1, 250, (height, width, channels))
    return values.astype(kind) if kind != "float32" else (values / 7).astype(kind)


def write_some(path: str, whole: np.ndarray, corners: list[tuple[int, int]], side: int) -> None:
    """What a worker does; a module's function, because another process runs it."""
    with Mosaic(path) as mosaic:
        for y, x in corners:
            mosaic.write(y, x, whole[y : y + side, x : x + side])
        mosaic.flush()


def corners(whole: np.ndarray, side: int) -> list[tuple[int, int]]:
    return [(y, x) for y in range(0, whole.shape[0], side) for x in range(0, whole.shape[1], side)]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize(
    ("height", "width", "tile"), [(100, 70, 32), (64, 96, 32), (16, 16, 16), (5, 9, 16), (1, 33, 16)]
)
def test_tifffile_reads_what_was_written(tmp_path, height, width, tile, kind, channels):
    path, whole = tmp_path / "mosaic.tif", picture(height, width, channels, kind)
    create_mosaic(path, height, width, channels, kind, tile)
    with Mosaic(path) as mosaic:
        assert (mosaic.shape, mosaic.dtype, mosaic.tile) == ((height, width, channels), np.dtype(kind), tile)
        mosaic.write(0, 0, whole)
    found = tifffile.imread(path)
    assert found.dtype == kind
    np.testing.assert_array_equal(found, whole[..., 0] if channels == 1 else whole)


def test_many_processes_in_any_order_and_twice_give_the_bytes_of_one(tmp_path):
    whole, side = picture(700, 500, 2), 128
    alone, together = tmp_path / "alone.tif", tmp_path / "together.tif"
    for path in (alone, together):
        create_mosaic(path, *whole.shape, tile=64)
    write_some(alone, whole, corners(whole, side), side)
    rng = np.random.default_rng(1)
    twice = rng.permutation(corners(whole, side) * 2).tolist()
    shares = [twice[part::3] for part in range(3)]
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(write_some, together, whole, side=side), shares))
    assert together.read_bytes() == alone.read_bytes()
    np.testing.assert_array_equal(tifffile.imread(together), whole)


def test_what_is_not_written_takes_no_room_and_reads_as_zeros(tmp_path):
    path = tmp_path / "mosaic.tif"
    create_mosaic(path, 20_000, 30_000)
    size = os.stat(path).st_size
    assert size > 20_000 * 30_000 and os.stat(path).st_blocks * 512 < 200_000
    with Mosaic(path) as mosaic:
        mosaic.write(512, 29_696, np.full((512, 304), 9, np.uint8))  # the last column of tiles
    assert os.stat(path).st_size == size and os.stat(path).st_blocks * 512 < 600_000
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        places = np.array(page.dataoffsets)
        assert len(places) == 40 * 59 and (np.diff(places) == 512 * 512).all(), "tile after tile, as read in order"
        assert places[-1] + page.databytecounts[-1] == size, "the file reaches to the end of its last tile"
        for tile, value in ((58 + 59, 9), (58, 0), (2359, 0)):
            tiff.filehandle.seek(places[tile])
            pixels = page.decode(tiff.filehandle.read(page.databytecounts[tile]), tile)[0]
            assert (pixels[..., :304, :] == value).all()


def test_it_says_what_other_readers_need(tmp_path):
    """BigTIFF, black is 0 for any number of channels, a georeference, pixels without data, types of samples."""
    path = tmp_path / "mosaic.tif"
    geo = {**GEO, 34736: (12, 2, (0.25, 6378137.0))}
    create_mosaic(path, 100, 100, 3, "float32", 32, geo, nodata=-9999.0)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        tags = {tag.code: tag for tag in page.tags}
        assert tiff.is_bigtiff and tiff.is_geotiff and len(tiff.pages) == 1
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK and page.planarconfig == 1
        assert page.sampleformat == tifffile.SAMPLEFORMAT.IEEEFP and page.bitspersample == 32
        assert page.extrasamples == (0, 0) and page.compression == 1
        assert {code: tags[code].value for code in geo} == {code: value for code, (_, _, value) in geo.items()}
        assert tags[42113].value == "-9999.0" and page.nodata == -9999.0
        places = np.array(page.dataoffsets)
        assert (places % 4096 == 0).all() and set(page.databytecounts) == {32 * 32 * 3 * 4}
        assert tiff.geotiff_metadata["ProjectedCSTypeGeoKey"] == 32632
    create_mosaic(path, 100, 100, nodata=255)  # another one takes its place
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.nodata == 255 and not tiff.is_geotiff
    assert [file.name for file in tmp_path.iterdir()] == ["mosaic.tif"]


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_pillow_reads_it_too(tmp_path, kind):
    path, whole = tmp_path / "mosaic.tif", picture(130, 100, 1, kind)
    create_mosaic(path, 130, 100, 1, kind, 32, GEO, nodata=255)
    write_some(path, whole, corners(whole, 64), 64)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), whole[..., 0])


@pytest.mark.parametrize(
    ("y", "x", "shape", "said"),
    [
        (8, 0, (32, 32), "rows 8 to 40 are not whole tiles of mosaic.tif: expected multiples of 32, or up to its edge"),
        (0, 16, (32, 32), "columns 16 to 48 are not whole tiles"),
        (0, 0, (32, 31), "columns 0 to 31 are not whole tiles"),
        (64, 0, (32, 32), "rows 64 to 96 .* edge at 70"),
        (64, 0, (5, 32), "rows 64 to 69"),
        (-32, 0, (32, 32), "rows -32 to 0"),
        (0, 0, (0, 32), "rows 0 to 0"),
        (96, 0, (32, 32), "rows 96 to 128"),
        (0, 0, (32, 32, 2), r"takes uint8 pixels \(height, width, 1\); these are uint8 \(32, 32, 2\)"),
        (0, 0, (32,), r"these are uint8 \(32,\)"),
    ],
)
def test_windows_that_are_not_whole_tiles(tmp_path, y, x, shape, said):
    path = tmp_path / "mosaic.tif"
    create_mosaic(path, 70, 100, tile=32)
    before = path.read_bytes()
    with Mosaic(path) as mosaic, pytest.raises(ValueError, match=said):
        mosaic.write(y, x, np.ones(shape, np.uint8))
    assert path.read_bytes() == before


def test_pixels_of_another_type(tmp_path):
    create_mosaic(tmp_path / "mosaic.tif", 32, 32, tile=32)
    with Mosaic(tmp_path / "mosaic.tif") as mosaic, pytest.raises(ValueError, match="takes uint8 .* these are float64"):
        mosaic.write(0, 0, np.ones((32, 32)))


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"tile": 100}, "tile=100: the tiles of a TIFF have a multiple of 16"),
        ({"tile": 0}, "tile=0"),
        ({"height": 0}, "height=0: expected 1 or more"),
        ({"channels": 0}, "channels=0"),
    ],
)
def test_impossible_mosaics(tmp_path, bad, said):
    with pytest.raises(ValueError, match=said):
        create_mosaic(**{"path": tmp_path / "mosaic.tif", "height": 50, "width": 50} | bad)
    assert not list(tmp_path.iterdir())


def test_no_room(tmp_path):
    with pytest.raises(OSError, match="No room in .* GB are needed"):
        create_mosaic(tmp_path / "deep" / "mosaic.tif", 2**31, 2**31)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32), "compression": "deflate"}, {"tile": (32, 16)}], ids=str)
def test_a_tiff_of_another_layout(tmp_path, options):
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((64, 64), np.uint8), **options)
    with pytest.raises(
        ValueError, match="other.tif cannot be written by many processes: .* make it with create_mosaic"
    ):
        Mosaic(tmp_path / "other.tif")


def test_tables_of_millions_of_tiles_are_written_and_read_in_little_memory(tmp_path):
    path, side = tmp_path / "mosaic.tif", 31_250  # in tiles of 16 as many as 10^6 x 10^6 pixels have in tiles of 512
    tiles = (side // 16 + 1) ** 2
    tracemalloc.start()
    create_mosaic(path, side, side, tile=16)
    assert tracemalloc.get_traced_memory()[1] < 20e6 < 8 * tiles
    with Mosaic(path) as mosaic:
        mosaic.write(side - side % 16, side - side % 16, np.full((2, 2), 7, np.uint8))
    assert tracemalloc.get_traced_memory()[1] < 100e6  # two tables of 8 bytes a tile; as Python numbers 5 times that
    tracemalloc.stop()
    with open(path, "rb") as file:
        file.seek(-256, os.SEEK_END)
        assert file.read(1) == b"\7"
    assert os.stat(path).st_blocks * 512 < 2.2 * 8 * tiles


def test_a_mosaic_of_an_older_version_is_written_on(tmp_path):
    """It had tifffile write every tile."""
    whole = picture(100, 70)[..., 0]
    tifffile.imwrite(tmp_path / "old.tif", np.zeros_like(whole), tile=(32, 32), bigtiff=True, align=4096, metadata=None)
    write_some(tmp_path / "old.tif", whole, corners(whole, 32), 32)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "old.tif"), whole)


def test_a_damaged_mosaic_is_refused_in_a_sentence(tmp_path):
    create_mosaic(tmp_path / "whole.tif", 70, 100, tile=32)
    head = (tmp_path / "whole.tif").read_bytes()[:600]
    damaged = [head[:end] for end in range(0, 400, 3)]
    for at in range(0, 400, 4):  # a number that is too large, or none, at every place in the tags
        damaged += [head[:at] + struct.pack("<Q", number) + head[at + 8 :] for number in (2**63 + 5, 0)]
    refused = 0
    for content in damaged:
        (tmp_path / "damaged.tif").write_bytes(content)
        try:
            Mosaic(tmp_path / "damaged.tif").close()
        except ValueError as error:
            assert "damaged.tif cannot be written by many processes" in str(error)
            refused += 1
    assert refused > 200
