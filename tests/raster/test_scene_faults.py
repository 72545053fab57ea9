"""Scenes that cannot be read: one sentence that names the file, when it is opened, or when its damaged part is read."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tifffile

from compactlib.paths import ROOT
from compactlib.raster import SceneError, open_scene
from tests.raster.pictures import noise


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scene.tif"


def refused(path, *parts: str, **options) -> None:
    with pytest.raises(SceneError) as caught:
        open_scene(path, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} ") and sentence.endswith("."), sentence
    for part in parts:
        assert part in sentence


# When it is opened


def test_no_such_file(path):
    refused(path, "does not exist")
    refused(path.parent, "is a folder; expected one TIFF file")


@pytest.mark.parametrize("content", [b"", b"II", b"\x89PNG\r\n\x1a\n" + bytes(99), b"id,name\n1,a\n"], ids=str)
def test_not_a_tiff(path, content):
    path.write_bytes(content)
    refused(path, "is not a TIFF file", repr(content[:4]))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read every file")
def test_a_file_that_may_not_be_read(path):
    tifffile.imwrite(path, noise(9, 9))
    path.chmod(0)
    refused(path, "cannot be opened: Permission denied")


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{"tile": (32, 32)}, {"rowsperstrip": 5}], ids=str)
@pytest.mark.parametrize("compression", ["deflate", None])
def test_a_file_cut_off_anywhere(path, layout, bigtiff, compression):
    """Also where its second page's directory stands, which lies behind the pixels of the first."""
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tif:
        for seed in (0, 1):
            tif.write(noise(96, 110, seed=seed), compression=compression, metadata=None, photometric="rgb", **layout)
    content = path.read_bytes()
    with tifffile.TiffFile(path) as tif:
        ends = [max(np.add(page.dataoffsets, page.databytecounts)) for page in tif.pages]
        behind = tif.pages[1].offset
    assert ends[0] <= behind < ends[1] <= len(content)
    for page, end in enumerate(ends):
        lengths = {4, 5, 8, 9, 16, 17, end // 2, end - 1, *range(30, 300, 7), *range(behind, behind + 250, 9)}
        for length in sorted(lengths):
            if length < end:
                path.write_bytes(content[:length])
                refused(path, "cut off", page=page)
        path.write_bytes(content[:end])
        if page == 1:
            open_scene(path, page=page).close()


def test_how_much_is_missing(path):
    tifffile.imwrite(path, noise(512, 512), rowsperstrip=512)
    size = path.stat().st_size
    os.truncate(path, size - 100_000)
    refused(path, f"its pixels reach to byte {size:,}, the file ends at {size - 100_000:,}")


def test_pages_and_levels_that_are_not_there(path):
    with tifffile.TiffWriter(path) as tif:
        tif.write(noise(64, 64), subifds=1, metadata=None)
        tif.write(noise(32, 32), subfiletype=1, metadata=None)
        tif.write(noise(40, 40), metadata=None)
    for page in (2, -1, 99):
        refused(path, f"has no page={page}; it has 2, counted from 0", page=page)
    for level in (2, -1):
        refused(path, f"has no level={level} of page 0; it has 2, counted from 0", level=level)
    refused(path, "has no level=1 of page 1; it has 1", page=1, level=1)


@pytest.mark.parametrize(
    ("array", "options", "part"),
    [
        (np.zeros((32, 32), np.complex64), {}, "samples of 64 bits (COMPLEXIEEEFP)"),
        (np.zeros((32, 32), np.uint16), {"bitspersample": 12}, "samples of 12 bits"),
        (np.zeros((4, 32, 32), np.uint8), {"volumetric": True, "tile": (2, 16, 16)}, "holds an array of (4, 32, 32)"),
    ],
    ids=["complex", "twelve bits", "volume"],
)
def test_pixels_of_another_kind(path, array, options, part):
    tifffile.imwrite(path, array, photometric="minisblack", **options)
    refused(path, part, "expected")


@pytest.mark.parametrize(("code", "part"), [(34676, "SGILOG"), (4321, "4321"), (65000, "65000")])
def test_a_compression_that_nobody_knows(path, code, part):
    tifffile.imwrite(path, noise(64, 64), compression="deflate", tile=(32, 32))
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[259].overwrite(code)
    refused(path, "cannot be decoded", part, "Write it again with deflate")


def test_a_predictor_that_nobody_knows(path):
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: TIFF with predictors")
    tifffile.imwrite(path, noise(64, 64), compression="deflate", predictor=True)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[317].overwrite(77)
    refused(path, "cannot be decoded", "77")


def test_lists_that_do_not_fit_the_picture(path):
    """The directory says that there are more tiles than it lists."""
    tifffile.imwrite(path, noise(64, 64), tile=(32, 32), compression="deflate")
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags[257].overwrite(200)
    refused(path, "lists 4 places and 4 sizes of its 14 segments")


def test_without_imagecodecs(tmp_path):
    pytest.importorskip("imagecodecs", reason="imagecodecs is not installed: nothing to write LZW with")
    for compression in ("lzw", "jpeg", "deflate"):
        tifffile.imwrite(tmp_path / f"{compression}.tif", noise(64, 64), compression=compression, tile=(32, 32))
    code = f"""
import sys
sys.modules["imagecodecs"] = None  # as if it were not installed
from compactlib.raster import SceneError, open_scene
print(open_scene({str(tmp_path / "deflate.tif")!r}).read(0, 0, 64, 64).sum())
for name in ({str(tmp_path / "lzw.tif")!r}, {str(tmp_path / "jpeg.tif")!r}):
    try:
        open_scene(name)
    except SceneError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    total, lzw, jpeg = done.stdout.splitlines()
    assert int(total) == noise(64, 64).sum()
    for line, name in ((lzw, "lzw.tif"), (jpeg, "jpeg.tif")):
        assert name in line and line.endswith("Install it: pip install imagecodecs.")


def test_strips_too_large_for_the_cache_are_announced(path):
    """Each window would decode them anew. Without compression it does not, and without a cache that was the wish."""
    tifffile.imwrite(path, noise(64, 64), rowsperstrip=64, compression="deflate")
    with pytest.warns(
        RuntimeWarning, match=r"strips of 64 x 64 pixels, 12,288 bytes each, and cache_bytes=9,000 is too"
    ):
        open_scene(path, cache_bytes=9000).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_scene(path, cache_bytes=0).close()
        open_scene(path, cache_bytes=12_288).close()
        tifffile.imwrite(path, noise(64, 64), rowsperstrip=64)
        open_scene(path, cache_bytes=9000).close()


# When it is read


@pytest.mark.parametrize("compression", ["deflate", "lzw", "zstd", "jpeg"])
@pytest.mark.parametrize(
    ("layout", "place"),
    [
        ({"tile": (32, 48)}, "the tile at row 32, column 48 (number 4, bytes "),
        ({"rowsperstrip": 16}, "the strip at row 64, column 0 (number 4, bytes "),
    ],
    ids=["tiles", "strips"],
)
def test_a_damaged_segment(path, compression, layout, place):
    if compression != "deflate":
        pytest.importorskip("imagecodecs", reason=f"imagecodecs is not installed: TIFF with {compression}")
    tifffile.imwrite(path, noise(96, 110), compression=compression, photometric="rgb", **layout)
    whole = tifffile.imread(path)
    with tifffile.TiffFile(path) as tif:
        start, count = (values[4] for values in (tif.pages[0].dataoffsets, tif.pages[0].databytecounts))
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\xff" * count)
    with open_scene(path) as scene:
        for _ in range(2):
            with pytest.raises(SceneError) as caught:
                scene.read(50, 40, 30, 30)
            sentence = str(caught.value)
            assert sentence.startswith(f"{path}: {place}{start:,} to {start + count:,}) cannot be decoded (")
            assert sentence.endswith("). The file is damaged: copy it again from its source.")
        np.testing.assert_array_equal(scene.read(0, 0, 32, 40), whole[:32, :40])  # the rest can be read


def test_the_position_in_a_file_of_planes(path):
    tifffile.imwrite(path, np.moveaxis(noise(96, 110), -1, 0), compression="deflate", tile=(32, 48), photometric="rgb")
    with tifffile.TiffFile(path) as tif:
        offsets = tif.pages[0].dataoffsets
    assert len(offsets) == 3 * 3 * 3
    with open(path, "r+b") as file:
        file.seek(offsets[9 + 5])  # of the second plane
        file.write(bytes(40))
    with (
        open_scene(path) as scene,
        pytest.raises(SceneError, match=r"the tile at row 32, column 96 \(number 14, bytes"),
    ):
        scene.read(0, 0, 96, 110)


def test_a_file_that_shrinks_while_it_is_open(path):
    tifffile.imwrite(path, noise(96, 96), tile=(32, 32))
    with open_scene(path) as scene:
        scene.read(0, 0, 10, 10)
        os.truncate(path, 5000)
        with pytest.raises(
            SceneError, match="scene.tif has become shorter while it was read: expected [0-9,]+ bytes at"
        ):
            scene.read(60, 60, 36, 36)


def test_an_uncompressed_strip_that_is_too_short(path):
    """Its size in the list is less than its rows need: reading on would give the pixels of another."""
    tifffile.imwrite(path, noise(96, 96), rowsperstrip=32)
    with tifffile.TiffFile(path, mode="r+") as tif:
        assert tif.pages[0].databytecounts == (9216, 9216, 9216)
        tif.pages[0].tags[279].overwrite((9216, 9000, 9216))
    with open_scene(path) as scene:
        scene.read(0, 0, 62, 96)  # 30 rows of the second strip are there
        with pytest.raises(SceneError, match=r"the strip at row 32, column 0 \(number 1, .* 9,000 bytes, too few"):
            scene.read(0, 0, 64, 96)
