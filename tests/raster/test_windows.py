"""Windows: every pixel once, mirrored where the image ends, and nothing read that is not needed."""

import itertools
import math

import numpy as np
import pytest

from compactlib.raster import Window, axis_cores, mirror_indices, read_window, windows

SIZES = [(1, 1, 1), (7, 3, 3), (7, 3, 2), (388, 388, 384), (389, 388, 384), (100, 388, 384), (97, 20, 16), (64, 16, 16)]


@pytest.mark.parametrize(("length", "tile", "step"), SIZES)
def test_cores_cover_an_axis_once_and_start_at_multiples_of_the_step(length, tile, step):
    cores = axis_cores(length, tile, step)
    assert [p for start, stop in cores for p in range(start, stop)] == list(range(length))
    assert all(start % step == 0 and stop - start <= tile for start, stop in cores)
    assert len(cores) == max(1, math.ceil((length - tile) / step) + 1)  # no fewer would do


def test_windows_cover_each_pixel_once():
    seen = np.zeros((37, 23), int)
    for window in windows(37, 23, tile=10, step=8):
        seen[window.slices] += 1
    assert (seen == 1).all()


def test_a_huge_scene_costs_nothing():
    first = list(itertools.islice(windows(100_000, 100_000, tile=388, step=384), 300))
    assert first[0] == Window(0, 0, 384, 384) and first[261].y == 384
    assert first[260] == Window(0, 99_840, 384, 160)  # the last of the first row


@pytest.mark.parametrize(
    ("tile", "step", "said"),
    [(0, None, "tile=0"), (4, 5, "step=5 is above tile=4"), (2.5, None, "tile=2.5"), (4, 0, "step=0")],
)
def test_impossible_windows(tile, step, said):
    with pytest.raises(ValueError, match=said):
        list(windows(8, 8, tile, step))


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_mirroring_is_numpys_reflect(length):
    expected = np.pad(np.arange(length), 25, mode="reflect")
    np.testing.assert_array_equal(mirror_indices(-25, length + 25, length), expected)


def test_mirroring_nothing():
    with pytest.raises(ValueError, match="without pixels"):
        mirror_indices(0, 1, 0)


@pytest.mark.parametrize("shape", [(9, 7, 3), (1, 5, 1), (2, 1, 2)])
@pytest.mark.parametrize(
    "window", [Window(0, 0, 4, 4), Window(-11, -8, 30, 26), Window(1, -3, 2, 5), Window(6, 4, 9, 9)]
)
def test_reading_equals_padding(shape, window):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    padded = np.pad(image, [(20, 20), (20, 20), (0, 0)], mode="reflect")
    y, x = window.y + 20, window.x + 20
    np.testing.assert_array_equal(read_window(image, window), padded[y : y + window.height, x : x + window.width])


def test_only_what_is_needed_is_read():
    class Image:
        shape, read = (10_000, 10_000, 1), []

        def __getitem__(self, key):
            sides = [part.stop - part.start for part in key]
            self.read.append(sides)
            return np.zeros((*sides, 1), np.uint8)

    image = Image()
    assert read_window(image, Window(9_990, 50, 30, 30)).shape == (30, 30, 1)
    assert image.read == [[21, 30]]  # 20 mirrored rows, of those above the last


def test_grown():
    assert Window(3, 4, 10, 20).grown(5) == Window(-2, -1, 20, 30)
