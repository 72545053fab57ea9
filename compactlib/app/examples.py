"""Pictures to try the app with, without an upload: drawn ones, and one that scikit-image brings along."""

from collections.abc import Callable

import numpy as np

from compactlib.app.uploads import Picture
from compactlib.datasets.drawn.aerial import aerial
from compactlib.datasets.drawn.cells import cells

METRES = 0.5  # side of a pixel of a drawn aerial scene
SEED = 90_100  # of scenes that no shipped model has learned from or was tested on


def _aerial(side: int) -> Picture:
    image, _ = aerial(side, side, SEED)
    return Picture(f"aerial-{side}", image, "example", pixel_area=METRES**2)


def _cells() -> Picture:
    image, _ = cells(512, 512, SEED)
    return Picture("cells-512", image, "example")


def _photograph() -> Picture:
    from skimage import data

    return Picture("coffee", np.ascontiguousarray(data.coffee()), "example")


EXAMPLES: dict[str, Callable[[], Picture]] = {
    "aerial scene, 768 x 768": lambda: _aerial(768),
    "aerial scene, 2,000 x 2,000": lambda: _aerial(2000),
    "cells, 512 x 512, grey": _cells,
    "photograph, a cup of coffee": _photograph,
}
