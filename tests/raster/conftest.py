"""Scenes on disk that several files of tests read."""

import numpy as np
import pytest
import tifffile

from tests.raster.pictures import noise


@pytest.fixture(scope="module")
def whole() -> np.ndarray:
    return noise(300, 421)


@pytest.fixture(scope="module")
def tiled(whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "tiled.tif"
    tifffile.imwrite(path, whole, tile=(64, 48), compression="deflate", photometric="rgb")
    return path


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """The same 4,000 x 4,000 pixels in tiles of 512 and in strips of 64 rows -> pixels, path of tiles, of strips."""
    pixels = np.random.default_rng(1).integers(0, 2, (4000, 4000, 1), np.uint8)
    folder = tmp_path_factory.mktemp("wide")
    tifffile.imwrite(folder / "tiles.tif", pixels[..., 0], tile=(512, 512), compression="deflate")
    tifffile.imwrite(folder / "strips.tif", pixels[..., 0], rowsperstrip=64, compression="deflate")
    return pixels, folder / "tiles.tif", folder / "strips.tif"
