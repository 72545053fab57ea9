"""Windows of a scene are those of the whole picture, inside it and beyond."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from compactlib.paths import ROOT
from compactlib.raster import SceneError, Window, open_scene, read_window
from tests.raster.pictures import BORDERS, noise, padded

SATELLITE = ROOT.parent / "shared" / "datasets" / "satellite_scenes"


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(
    "window",
    [
        (0, 0, 300, 421),
        (10, 20, 1, 1),
        (63, 47, 2, 2),  # four tiles meet
        (100, 100, 90, 200),
        (-20, -30, 400, 500),  # all around
        (-5, 300, 60, 200),
        (250, -7, 50, 20),
        (290, 400, 150, 150),  # what is mirrored is not in the window itself
        (-150, 10, 151, 20),  # nor here: one row inside
        (-100, 10, 60, 20),  # nothing inside
        (320, 430, 9, 9),
        (-1300, -900, 2900, 1500),  # mirrored again and again
    ],
    ids=str,
)
def test_a_window_is_what_numpy_pads(tiled, whole, window, border):
    with open_scene(tiled, border=border) as scene:
        found = scene.read(*window)
    assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.writeable
    np.testing.assert_array_equal(found, padded(whole, *window, border))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore:.*each window decodes:RuntimeWarning")  # a cache too small is drawn, too
def test_any_window_of_any_scene(data, tmp_path_factory):
    def whole_number(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    pixels = noise(whole_number(1, 90), whole_number(1, 90), whole_number(1, 4))
    path = tmp_path_factory.getbasetemp() / "any.tif"
    segments = (
        {"tile": (16 * whole_number(1, 3), 16 * whole_number(1, 3))}
        if data.draw(st.booleans())
        else {"rowsperstrip": whole_number(1, 90)}
    )
    compression = data.draw(st.sampled_from(["deflate", None]))
    layout = {"photometric": "minisblack", "planarconfig": "contig" if pixels.shape[2] > 1 else None}
    tifffile.imwrite(path, pixels, **segments, **layout, compression=compression)
    border = data.draw(st.sampled_from(BORDERS))
    with open_scene(path, border=border, cache_bytes=4**6 * whole_number(0, 9)) as scene:
        for _ in range(3):
            window = whole_number(-120, 120), whole_number(-120, 120), whole_number(1, 130), whole_number(1, 130)
            np.testing.assert_array_equal(scene.read(*window), padded(pixels, *window, border))


def test_a_scene_is_sliced_like_an_array(tiled, whole):
    with open_scene(tiled) as scene:
        assert scene.shape == whole.shape and scene.dtype == whole.dtype
        for key in (
            np.s_[:1, :1],
            np.s_[:, 5:],
            np.s_[-9:, -9:-2],
            np.s_[290:999, 7:7],
            np.s_[np.int64(3) : np.int32(9), 400:],
        ):
            np.testing.assert_array_equal(scene[key], whole[key])
        beyond = Window(-40, 390, 100, 60)
        np.testing.assert_array_equal(read_window(scene, beyond), read_window(whole, beyond))
        for key in (3, np.s_[:], np.s_[1:2, 3], np.s_[:, :, :], ...):
            with pytest.raises(IndexError, match="two slices"):
                scene[key]
        with pytest.raises(IndexError, match="steps of 1 pixel"):
            scene[::2, :]


def test_what_a_scene_says_of_itself(tiled, wide):
    with open_scene(tiled) as scene, open_scene(wide[2]) as strips:
        assert (scene.tile, scene.striped, scene.compression) == ((64, 48), False, "deflate")
        assert (scene.nodata, scene.geo, scene.page, scene.level, scene.path) == (None, {}, 0, 0, tiled)
        assert (strips.tile, strips.striped, strips.shape) == ((64, 4000), True, (4000, 4000, 1))


@pytest.mark.skipif(not SATELLITE.is_dir(), reason="no folder shared/datasets/satellite_scenes beside the repository")
@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("sentinel2_coast_rgbn.tif", ((2201, 2629, 4), "uint8", (256, 256), "deflate", None)),
        ("landsat7_1999_stack.tif", ((250, 250, 8), "int16", (2, 250), "none", -9999)),
        ("landsat7_2002_stack.tif", ((250, 250, 8), "int16", (2, 250), "none", None)),
    ],
)
def test_real_scenes(name, about):
    pixels = tifffile.imread(SATELLITE / name)
    height, width, _ = pixels.shape
    with open_scene(SATELLITE / name) as scene:
        assert (scene.shape, scene.dtype.name, scene.tile, scene.compression, scene.nodata) == about
        assert set(scene.geo) == {33550, 33922, 34735, 34737}
        for window in ((height // 3, width // 2, 100, 90), (-30, -40, height + 50, width + 70)):
            np.testing.assert_array_equal(scene.read(*window), padded(pixels, *window, "reflect"))


def test_a_closed_scene(tiled):
    with open_scene(tiled) as scene:
        scene.read(0, 0, 9, 9)
    assert scene.shape == (300, 421, 3)
    with pytest.raises(SceneError, match="tiled.tif has been closed; open it again"):
        scene.read(0, 0, 9, 9)
    scene.close()  # twice is once


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"border": "edge"}, "border='edge' is not known; expected 'reflect' or 'constant'"),
        ({"cache_bytes": -1}, "cache_bytes=-1: expected 0 or more"),
    ],
)
def test_options_that_cannot_be(tiled, options, message):
    with pytest.raises(ValueError, match=message):
        open_scene(tiled, **options)


def test_windows_that_cannot_be(tiled):
    with open_scene(tiled) as scene:
        for height, width in ((0, 5), (5, -1)):
            with pytest.raises(ValueError, match=f"a window of {height} x {width} pixels; expected 1 x 1 or more"):
                scene.read(0, 0, height, width)
        with pytest.raises(TypeError, match="float"):
            scene.read(0.5, 0, 3, 3)


def test_rasters_are_imported_without_tifffile():
    code = """
import sys
sys.modules["tifffile"] = None  # as if it were not installed
import compactlib.raster
assert compactlib.raster.Grid(10, 10, 4, 2).rows == 4 and "open_scene" in dir(compactlib.raster)
try:
    compactlib.raster.open_scene
except ImportError as error:
    print(error)
try:
    compactlib.raster.open_scenes
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    first, second = done.stdout.splitlines()
    assert first.startswith("open_scene reads or writes TIFF files and needs tifffile: pip install")
    assert second == "module 'compactlib.raster' has no attribute 'open_scenes'"
