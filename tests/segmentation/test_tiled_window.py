"""Part of an image in tiles: the numbers of the whole, to the last bit, from no more pixels than it takes."""

import numpy as np
import pytest
import timm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.raster import Window
from compactlib.segmentation import predict_image, predict_tiled, tiles_source, tiling

UNPADDED = timm.create_model("unet_valid", in_chans=2, num_classes=3, width=2, depth=1)  # margin 8, grid of 2
PADDED = nn.Sequential(nn.Conv2d(2, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
POOLED = timm.create_model("unet", in_chans=2, num_classes=3, width=2, depth=2)  # tiles at multiples of 4


def image_of(height, width):
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 2), dtype=np.uint8)


@st.composite
def cases(draw):
    """An image, a window in it, and a way to tile it."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    (top, bottom), (left, right) = (
        sorted(draw(st.tuples(st.integers(0, side - 1), st.integers(0, side - 1)))) for side in (height, width)
    )
    model, tile, halo, mode = draw(
        st.one_of(
            st.tuples(st.just(UNPADDED), st.integers(2, 20).map(lambda n: 2 * n), st.just(8), st.just("crop")),
            st.tuples(st.just(PADDED), st.integers(3, 40), st.integers(0, 12), st.sampled_from(["crop", "blend"])),
            st.tuples(st.just(POOLED), st.integers(4, 40), st.integers(0, 12), st.just("blend")),
        )
    )
    return image_of(height, width), Window(top, left, bottom - top + 1, right - left + 1), model, tile, halo, mode


class Watched:
    """An image that remembers which pixels were asked for."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.asked = np.zeros(pixels.shape[:2], bool)

    def __getitem__(self, key):
        self.asked[key] = True
        return self.pixels[key]


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_window_has_the_numbers_of_the_whole(case):
    pixels, window, model, tile, halo, mode = case
    image = Watched(pixels)
    found = predict_tiled(model, image, tile, halo, mode, batch_size=1, window=window)
    whole = predict_tiled(model, pixels, tile, halo, mode, batch_size=1)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, whole[window.slices])

    rows, columns = (np.flatnonzero(image.asked.any(axis=axis)) for axis in (1, 0))
    source = tiles_source(model, pixels.shape, tile, halo, mode, window)
    assert (rows[0], rows[-1] + 1) == (source.y, source.y + source.height)
    assert (columns[0], columns[-1] + 1) == (source.x, source.x + source.width)


@pytest.mark.parametrize(("mode", "tiles"), [("crop", 4), ("blend", 9)])
def test_only_tiles_that_touch_the_window_are_computed(mode, tiles):
    seen, model = [], nn.Conv2d(2, 1, 1)
    model.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    image = image_of(640, 640)
    predict_tiled(model, image, 64, 8, mode, batch_size=3, window=Window(128, 256, 128, 128))
    assert sum(seen) == tiles  # 2 x 2 cores; blended, the tiles to the left and above reach in as well


def test_windows_go_into_what_is_given():
    image, window, out = image_of(60, 50), Window(10, 20, 30, 25), np.full((30, 25, 3), 7, np.float32)
    for mode in ("crop", "blend"):
        assert predict_tiled(PADDED, image, 16, 4, mode, window=window, out=out, batch_size=1) is out
        np.testing.assert_array_equal(out, predict_tiled(PADDED, image, 16, 4, mode, batch_size=1)[10:40, 20:45])
    with pytest.raises(ValueError, match=r"expected floats \(30, 25, 3\)"):
        predict_tiled(PADDED, image, 16, 4, window=window, out=np.zeros((60, 50, 3), np.float32))


@pytest.mark.parametrize("window", [(-1, 0, 5, 5), (0, 0, 61, 5), (0, 48, 5, 3), (3, 3, 0, 5)])
def test_a_window_outside_is_refused(window):
    with pytest.raises(ValueError, match="does not lie in the image of 60 x 50 pixels, or has no pixels"):
        predict_tiled(PADDED, image_of(60, 50), 16, 4, window=Window(*window))


class Fixed(nn.Conv2d):
    img_size = (32, 32)


def test_the_tiling_suits_the_model():
    unpadded, padded = timm.create_model("unet_valid", width=2), timm.create_model("unet", width=2)
    assert tiling(unpadded, (5000, 300, 1), 512) == (516, 92, "crop")  # 700 = 16 * 43 + 12 pixels a side
    assert tiling(unpadded, (40, 30, 1)) == (52, 92, "crop")
    assert tiling(padded, (5000, 300, 3), 512) == (384, 64, "blend")
    assert tiling(padded, (500, 300, 3), 512) == (512, 0, "blend")
    assert tiling(Fixed(3, 2, 1), (500, 300, 3)) == (24, 4, "blend")


@pytest.mark.parametrize("model", [UNPADDED, POOLED, Fixed(2, 3, 1)])
def test_the_tiling_is_that_of_a_whole_image(model):
    image = image_of(120, 90)
    tile, halo, mode = tiling(model, image.shape, 64)
    np.testing.assert_array_equal(
        predict_image(model, image, max_tile=64), predict_tiled(model, image, tile, halo, mode)
    )
