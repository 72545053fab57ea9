"""Blending weights: they add up to one wherever tiles lie."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal.windows import hann

from compactlib.raster import blending_starts, blending_weights, hann_weights


def test_ramps_are_scipys_hann_window():
    np.testing.assert_allclose(
        hann_weights(16, 8), hann(33)[1::2], atol=1e-12
    )  # between its samples, where no weight is 0


@pytest.mark.parametrize(("length", "overlap"), [(10, 0), (10, 3), (10, 5), (11, 5)])
def test_shifted_tiles_add_up_to_one(length, overlap):
    step, total = length - overlap, np.zeros(8 * length)
    for start in range(0, 7 * length, step):
        total[start : start + length] += hann_weights(length, overlap)
    np.testing.assert_allclose(total[length : 6 * length], 1)
    assert (hann_weights(length, overlap) > 0).all()


def test_ramps_that_do_not_fit():
    with pytest.raises(ValueError, match="expected 0 to 5"):
        hann_weights(10, 6)


@pytest.mark.parametrize("length", [1, 30, 64, 65, 100, 257])
@pytest.mark.parametrize(("size", "step", "align"), [(64, 64, 1), (64, 48, 16), (64, 32, 1), (64, 10, 1), (64, 48, 48)])
def test_weights_of_all_tiles_add_up_to_one(length, size, step, align):
    starts = blending_starts(length, size, step, align)
    total = np.zeros(max(length, starts[-1] + size))
    for start, weights in zip(starts, blending_weights(length, size, size - step, starts), strict=True):
        assert start % align == 0 and weights.dtype == np.float32
        total[start : start + size] += weights
    np.testing.assert_allclose(total[:length], 1, atol=1e-6)
    assert (total[length:] == 0).all()
    assert all(b - a <= step for a, b in pairwise(starts))
    assert starts[-1] + size < max(length, size) + align  # only the alignment reaches beyond the end
