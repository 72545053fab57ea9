"""One Spark for all tests, and scenes for it."""

import os

import numpy as np
import pytest
import tifffile

from compactlib.paths import ROOT
from compactlib.spark.session import java_available
from compactlib.spark.session import session as spark_session

# Spark's workers and the drivers that tests start import the tests' own functions.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="session")
def spark():
    """A local Spark of two workers; one JVM for the whole run."""
    if not java_available():
        pytest.skip("Java 17 or newer was not found: what needs a real Spark is left out")
    session = spark_session("local[2,4]")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (500, 700, 3), np.uint8)


@pytest.fixture(scope="session")
def scene(pixels, tmp_path_factory):
    """500 x 700 pixels in tiles of 64: with patches of 32, 24 apart, 21 x 29 patches in 12 blocks."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    tifffile.imwrite(path, pixels, tile=(64, 64), compression="deflate", photometric="rgb")
    return path
