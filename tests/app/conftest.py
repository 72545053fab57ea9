"""What the app's tests share: the models that it offers, and a scene with its mask."""

import pytest

from compactlib import app
from compactlib.app.uploads import Picture
from compactlib.datasets.drawn.aerial import aerial


@pytest.fixture(scope="module")
def offers():
    return {offer.path.stem: offer for offer in app.offers()}


@pytest.fixture(scope="module")
def scene():
    image, mask = aerial(320, 400, seed=91_000)
    return Picture("scene", image, "example", pixel_area=0.25), mask
