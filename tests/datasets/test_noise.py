"""Noise: a pure function of the position, evenly distributed, smooth where it says so; windows agree to the bit."""

import numpy as np
import pytest
from scipy import stats

from compactlib.datasets.drawn.noise import fnv1a, fractal, grain, hash_at, hash_cells, key, unit, value_noise

ROWS, COLUMNS = np.arange(300)[:, None], np.arange(400)[None]


@pytest.mark.parametrize(
    "make",
    [
        lambda y, x: hash_at(7, y, x),
        lambda y, x: value_noise(7, y, x, 23.5),
        lambda y, x: fractal(7, y, x, 40, 4),
        lambda y, x: grain(7, y, x, 3.0),
        lambda y, x: hash_cells(7, y // 16, x // 16),
    ],
    ids=["hash_at", "value_noise", "fractal", "grain", "hash_cells"],
)
@pytest.mark.parametrize("origin", [(0, 0), (-150, -1000), (99_900, 3_000_000)])
def test_a_window_is_the_same_by_itself(make, origin):
    rows, columns = ROWS + origin[0], COLUMNS + origin[1]
    whole = make(rows, columns)
    assert (make(rows[100:130], columns[:, 57:80]) == whole[100:130, 57:80]).all()
    assert (make(rows[9:10], columns[:, 9:10]) == whole[9, 9]).all()


def test_bits_are_even_and_independent():
    bits = hash_at(3, np.arange(512)[:, None], np.arange(512)[None])
    ones = ((bits[..., None] >> np.arange(32, dtype=np.uint32)) & 1).reshape(-1, 32).mean(0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / 512  # five standard errors
    values = unit(bits)
    assert values.min() >= 0 and values.max() < 1
    assert stats.kstest(values.ravel(), "uniform").pvalue > 1e-3
    another_seed = unit(hash_at(4, np.arange(512)[:, None], np.arange(512)[None]))
    for other in (values[1:, :], values[:, 1:], values[1:, 1:], values[::-1], another_seed):
        first = values[: other.shape[0], : other.shape[1]]
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 5 / 512
    assert len(np.unique(bits)) > 0.9999 * bits.size


def test_cells_are_hashed_as_pixels_are():
    i, j = ROWS // 7 - 20, COLUMNS // 9
    assert (hash_cells(5, i, j) == hash_at(5, i, j)).all()
    assert (hash_cells(5, i + 0 * j, j + 0 * i) == hash_at(5, i, j)).all()


def test_value_noise_is_the_lattice_value_at_the_lattice_points():
    points = value_noise(11, 8.0 * np.arange(-3, 9)[:, None], 8.0 * np.arange(5)[None], 8)
    assert (points == unit(hash_at(11, np.arange(-3, 9)[:, None], np.arange(5)[None]))).all()


def test_value_noise_is_smooth_and_stays_in_its_range():
    fine = np.arange(0, 30, 0.01)
    line = value_noise(2, np.zeros(1), fine, 5.0)
    assert line.min() >= 0 and line.max() < 1
    # The polynomial is steepest in its middle, 15/8 of the mean slope.
    assert np.abs(np.diff(line)).max() < 15 / 8 * 0.01 / 5
    assert np.abs(np.diff(line, 2)).max() < 1e-4, "the slope has no jumps either"


def test_octaves_add_detail_and_keep_the_range():
    coarse, fine = (fractal(1, ROWS, COLUMNS, 64, octaves) for octaves in (1, 5))
    assert (coarse == value_noise(1, ROWS, COLUMNS, 64)).all()
    assert fine.min() >= 0 and fine.max() < 1
    assert np.abs(np.diff(fine)).mean() > 1.5 * np.abs(np.diff(coarse)).mean()


def test_grain_has_the_moments_of_a_gaussian():
    values = grain(9, np.arange(500)[:, None], np.arange(500)[None], 6.0).ravel()
    assert abs(values.mean()) < 5 * 6 / 500 and values.std() == pytest.approx(6, rel=0.01)
    # Four uniform bytes: no skew, and an excess kurtosis of -1.2 / 4.
    assert abs(stats.skew(values)) < 0.03 and stats.kurtosis(values) == pytest.approx(-0.3, abs=0.05)


def test_layers_have_keys_of_their_own():
    # The values that the authors of FNV publish.
    assert fnv1a("") == 0x811C9DC5 and fnv1a("a") == 0xE40C292C and fnv1a("foobar") == 0xBF9CF968
    assert len({key(seed, layer) for seed in range(300) for layer in ("a", "b", "town", "wood")}) == 1200
