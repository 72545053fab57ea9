"""Scenes on disk: the pixels of `aerial`, the same bytes from any number of processes, there whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from compactlib.datasets.drawn.aerial import aerial
from compactlib.datasets.drawn.generate import write_scene


@pytest.fixture(scope="module")
def scene():
    """Image and mask of 150 x 610 pixels: with tiles of 64 more than one task in each row, and edges in part."""
    return aerial(150, 610, seed=3)


@pytest.mark.parametrize("compression", ["none", "deflate", "lzw", "zstd"])
def test_the_pixels_are_those_of_the_scene(tmp_path, scene, compression):
    path = write_scene(tmp_path / "new" / "scene.tif", 150, 610, 3, tmp_path / "mask.tif", 64, compression)
    assert path == tmp_path / "new" / "scene.tif"
    image, mask = tifffile.imread(path), tifffile.imread(tmp_path / "mask.tif")
    assert image.dtype == mask.dtype == np.uint8
    np.testing.assert_array_equal(image, scene[0])
    np.testing.assert_array_equal(mask, scene[1])
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        assert (page.tilelength, page.tilewidth) == (64, 64) and page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.compression.name in {compression.upper(), f"ADOBE_{compression.upper()}"} and not tiff.is_bigtiff


def test_pillow_reads_them_too(tmp_path, scene):
    write_scene(tmp_path / "scene.tif", 150, 610, 3, tmp_path / "mask.tif", 64)
    for name, pixels in zip(("scene", "mask"), scene, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"{name}.tif")), pixels)


def test_a_scene_beyond_the_offsets_of_a_classic_tiff(tmp_path, scene, monkeypatch):
    monkeypatch.setattr("compactlib.datasets.drawn.generate.CLASSIC_BYTES", 150 * 610 * 3 - 1)
    write_scene(tmp_path / "scene.tif", 150, 610, 3, tmp_path / "mask.tif", 64)
    for name, big, pixels in (("scene", True, scene[0]), ("mask", False, scene[1])):
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as tiff:
            assert tiff.is_bigtiff == big
            np.testing.assert_array_equal(tiff.asarray(), pixels)


def test_the_same_bytes_from_any_number_of_processes(tmp_path):
    files = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        write_scene(folder / "scene.tif", 700, 600, 1, folder / "mask.tif", tile=64, workers=workers)
        files[workers] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files[1] == files[2] and set(files[1]) == {"scene.tif", "mask.tif"}


def test_both_have_their_place_on_the_map(tmp_path):
    write_scene(tmp_path / "scene.tif", 40, 30, mask=tmp_path / "mask.tif", tile=32)
    for name in ("scene", "mask"):
        with tifffile.TiffFile(tmp_path / f"{name}.tif") as tiff:
            found = tiff.geotiff_metadata
        assert found["ProjectedCSTypeGeoKey"] == 32632 and found["GTModelTypeGeoKey"].name == "Projected"
        assert found["GTRasterTypeGeoKey"].name == "IsArea" and found["ProjLinearUnitsGeoKey"].name == "Meter"
        assert found["GTCitationGeoKey"] == "WGS 84 / UTM zone 32N"
        assert found["ModelPixelScale"] == [0.5, 0.5, 0.0]
        easting, northing = found["ModelTiepoint"][3:5]
        assert found["ModelTiepoint"][:3] == [0, 0, 0] and 166_000 < easting < 834_000 and 0 < northing < 9_330_000
    write_scene(tmp_path / "plain.tif", 40, 30, tile=32, geo=False)
    with tifffile.TiffFile(tmp_path / "plain.tif") as tiff:
        assert not tiff.is_geotiff
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "mask.tif", "plain.tif"}


def test_progress_is_counted_in_tiles(tmp_path, capsys):
    write_scene(tmp_path / "scene.tif", 40, 70, tile=32, progress=True)
    assert "6/6" in capsys.readouterr().err
    write_scene(tmp_path / "scene.tif", 40, 70, tile=32)
    assert not capsys.readouterr().err


KILLED = """
import sys
from compactlib.datasets.drawn.generate import write_scene
if __name__ == "__main__":
    write_scene(sys.argv[1] + "/scene.tif", 20_000, 20_000, mask=sys.argv[1] + "/mask.tif", workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_in_the_middle_there_is_no_scene(tmp_path, workers):
    script = tmp_path / "write.py"
    script.write_text(KILLED)
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, str(script), str(out), str(workers)], cwd=Path(__file__).parents[2])
    try:
        while not any(path.stat().st_size > 300_000 for path in out.glob(".scene.tif.*")):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        workers_left = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(workers_left) >= (workers if workers > 1 else 0)
    assert not psutil.wait_procs(workers_left, timeout=30)[1], "they end with their parent"
    assert not (out / "scene.tif").exists() and not (out / "mask.tif").exists()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"height": 0}, "height=0: expected 1 or more"),
        ({"workers": 0}, "workers=0"),
        ({"tile": 100}, "tile=100: the tiles of a TIFF have a multiple of 16"),
        ({"compression": "jpeg"}, "compression='jpeg' is not known; expected one of none, deflate, lzw, zstd"),
        ({"mask": "scene.tif"}, "The scene and its mask cannot both be scene.tif"),
    ],
)
def test_impossible_scenes(tmp_path, monkeypatch, bad, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        write_scene(**{"path": "scene.tif", "height": 50, "width": 50} | bad)
    assert not list(tmp_path.iterdir())


def test_a_compression_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(tifffile, "TIFF", SimpleNamespace(COMPRESSORS={1: bytes, 8: bytes}))
    with pytest.raises(ValueError, match='compression="zstd" needs the package imagecodecs; install it'):
        write_scene(tmp_path / "scene.tif", 50, 50, compression="zstd")
    assert not list(tmp_path.iterdir())


def test_no_room(tmp_path):
    with pytest.raises(OSError, match="No room in .* GB are needed and .* GB are free"):
        write_scene(tmp_path / "deep" / "scene.tif", 2**31, 2**31)
    assert not list(tmp_path.iterdir())
