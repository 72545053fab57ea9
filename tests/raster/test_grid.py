"""The grid: patches where padding and sliding windows put them, every pixel owned once, stitching without a change."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.util import view_as_windows

from compactlib.raster import Window, read_window
from compactlib.raster.grid import Block, Grid, stitch

MODES = {"reflect": "reflect", "constant": "constant", "drop": "reflect"}  # NumPy's names for what a reader gives
many = settings(max_examples=200, deadline=None)


@st.composite
def grids(draw) -> Grid:
    border = draw(st.sampled_from(list(MODES)))
    size = draw(st.integers(1, 20))
    smallest = size if border == "drop" else 1
    height, width = draw(st.integers(smallest, 70)), draw(st.integers(smallest, 70))
    halo = draw(st.integers(0, min(9, min(height, width) - 1)))
    return Grid(height, width, size, draw(st.integers(1, size)), halo, border)


def reach(grid: Grid) -> tuple[int, int]:
    """The rows and columns of the scene that belong to patches: all of them, except where the border is dropped."""
    last = grid.patch(grid.rows - 1, grid.columns - 1)
    return min(grid.height, last.y + grid.size), min(grid.width, last.x + grid.size)


def class_map(grid: Grid, seed: int, kind: type) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (grid.height, grid.width), kind, endpoint=True)


def padded(image: np.ndarray, grid: Grid) -> np.ndarray:
    """The image as it is beyond its border, by NumPy: a halo before it, and enough for the last patch after it."""
    pads = [(grid.halo, grid.halo + grid.size + grid.step)] * 2
    return np.pad(image, pads, mode=MODES[grid.border])


@many
@given(grids())
def test_cores_own_each_pixel_once(grid):
    owners = np.zeros((grid.height, grid.width), int)
    for row, column in grid:
        core, patch = grid.core(row, column), grid.patch(row, column)
        assert core.height > 0 and core.width > 0
        assert patch.y <= core.y and core.y + core.height <= patch.y + grid.size
        assert patch.x <= core.x and core.x + core.width <= patch.x + grid.size
        owners[core.slices] += 1
    bottom, right = reach(grid)
    assert (owners[:bottom, :right] == 1).all()
    assert not owners[bottom:].any() and not owners[:, right:].any()


@many
@given(grids())
def test_no_patch_too_few_and_none_too_many(grid):
    """Against the definition, counted one patch at a time."""
    for count, length in ((grid.rows, grid.height), (grid.columns, grid.width)):
        stops = [index * grid.step + grid.size for index in range(count + 1)]
        if grid.border == "drop":
            assert stops[count - 1] <= length < stops[count]
        else:
            assert length <= stops[count - 1] and (count == 1 or stops[count - 2] < length)
    assert len(grid) == len(list(grid)) == grid.rows * grid.columns


@many
@given(grids(), st.integers(0, 9), st.sampled_from([np.uint8, np.uint16, np.int32]))
def test_patches_are_those_of_sliding_windows_over_the_padded_image(grid, seed, kind):
    image = class_map(grid, seed, kind)
    side = grid.size + 2 * grid.halo
    sliding = view_as_windows(padded(image, grid), (side, side), grid.step)
    for row, column in grid:
        source = grid.source(row, column)
        assert (source.height, source.width) == (side, side)
        if grid.border == "constant":  # read_window mirrors
            y, x = source.y + grid.halo, source.x + grid.halo
            np.testing.assert_array_equal(padded(image, grid)[y : y + side, x : x + side], sliding[row, column])
        else:
            np.testing.assert_array_equal(read_window(image, source), sliding[row, column])


@many
@given(grids(), st.integers(0, 9), st.sampled_from([np.uint8, np.uint16, np.int32]), st.booleans())
def test_stitching_gives_the_class_map_back_to_the_bit(grid, seed, kind, channels):
    """Cut by NumPy and scikit-image, every pixel outside a core spoilt, stitched in a random order."""
    image = class_map(grid, seed, kind)
    image = np.stack([image, image[::-1]], -1) if channels else image
    rng = np.random.default_rng(seed)
    planes = np.moveaxis(image, -1, 0) if channels else image[None]
    side = grid.size + 2 * grid.halo
    sliding = np.stack([view_as_windows(padded(plane, grid), (side, side), grid.step) for plane in planes], -1)
    patches = []
    for row, column in rng.permutation(list(grid)).tolist():
        pixels = sliding[row, column, grid.halo : grid.halo + grid.size, grid.halo : grid.halo + grid.size]
        patch, core = grid.patch(row, column), grid.core(row, column)
        spoilt = rng.integers(0, 100, pixels.shape).astype(kind)
        own = np.s_[core.y - patch.y :, core.x - patch.x :]
        spoilt[own][: core.height, : core.width] = pixels[own][: core.height, : core.width]
        patches.append((row, column, spoilt if channels else spoilt[..., 0]))
    out = stitch(grid, patches, np.full_like(image, 77))
    bottom, right = reach(grid)
    np.testing.assert_array_equal(out[:bottom, :right], image[:bottom, :right])
    assert (out[bottom:] == 77).all() and (out[:, right:] == 77).all()


@many
@given(grids(), st.integers(1, 9), st.integers(1, 9))
def test_blocks_cover_the_grid_once_and_know_their_pixels(grid, rows, columns):
    blocks = grid.blocks(rows, columns)
    assert sorted(patch for block in blocks for patch in block) == list(grid)
    assert len(blocks) == math.ceil(grid.rows / rows) * math.ceil(grid.columns / columns)
    assert blocks == sorted(blocks, key=lambda block: (block.row, block.column))
    for block in blocks:
        sources = [grid.source(row, column) for row, column in block]
        top, left = min(s.y for s in sources), min(s.x for s in sources)
        bottom, right = max(s.y + s.height for s in sources), max(s.x + s.width for s in sources)
        assert grid.block_source(block) == Window(top, left, bottom - top, right - left)


@many
@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 20))
def test_blocks_start_at_tiles_where_that_does_not_make_them_large(step, tile_16, at_least):
    tile, grid = 16 * tile_16, Grid(5000, 5000, 300, step)
    side = grid.block_side(tile, at_least)
    aligned = [n for n in range(at_least, 33) if n * step % tile == 0]
    assert side == (aligned[0] if aligned else max(16, at_least))


@pytest.mark.parametrize(("step", "tile", "side"), [(224, 512, 16), (256, 512, 8), (224, 256, 8), (200, 512, 16)])
def test_block_sides_of_common_grids(step, tile, side):
    assert Grid(12_000, 12_000, 256, step).block_side(tile) == side


def test_neighbours_share_their_overlap_in_the_middle():
    grid = Grid(12_000, 12_000, 256, 224)
    assert (grid.rows, grid.columns) == (54, 54)
    assert grid.core(0, 0) == Window(0, 0, 240, 240)
    assert grid.core(1, 2) == Window(240, 464, 224, 224)
    assert grid.patch(53, 53) == Window(11_872, 11_872, 256, 256)  # 128 pixels beyond the scene
    assert grid.core(53, 53) == Window(11_888, 11_888, 112, 112)


@pytest.mark.parametrize(
    ("length", "rows", "dropped"), [(256, 1, 1), (257, 2, 1), (479, 2, 1), (480, 2, 2), (481, 3, 2)]
)
def test_the_last_row_to_the_pixel(length, rows, dropped):
    assert Grid(length, 999, 256, 224).rows == Grid(length, 999, 256, 224, border="constant").rows == rows
    assert Grid(length, 999, 256, 224, border="drop").rows == dropped


def test_a_scene_smaller_than_a_patch_is_one_patch():
    grid = Grid(5, 300, 256, 128, halo=4)
    assert list(grid) == [(0, 0), (0, 1)] and grid.core(0, 1) == Window(0, 192, 5, 108)
    assert grid.source(0, 0) == Window(-4, -4, 264, 264)


def test_a_huge_scene_costs_nothing():
    grid = Grid(10**9, 10**9, 256, 224)
    assert len(grid) == (math.ceil((10**9 - 256) / 224) + 1) ** 2 and next(iter(grid)) == (0, 0)
    last = grid.core(grid.rows - 1, 0)
    assert last.y + last.height == 10**9


def test_whole_numbers_of_numpy_go_into_json():
    grid = Grid(np.int64(100), np.uint16(90), np.int32(32), np.int8(16))
    assert json.loads(json.dumps(asdict(grid))) == asdict(Grid(100, 90, 32, 16))


GOOD = {"height": 100, "width": 80, "size": 32, "step": 16}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"step": 33}, "step=33 is above size=32: pixels would be left out; expected step <= size"),
        ({"step": 0}, "step=0: expected a whole number of pixels, 1 or more"),
        ({"step": 8.0}, "step=8.0: expected a whole number"),
        ({"height": 0}, "height=0"),
        ({"width": "80"}, "width='80'"),
        ({"halo": -1}, "halo=-1: expected a whole number of pixels, 0 or more"),
        ({"border": "mirror"}, "border='mirror' is not known; expected one of reflect, constant, drop"),
        ({"halo": 80}, "halo=80 is larger than the scene of 100 x 80 pixels gives at its border; expected 79 or less"),
        ({"halo": 81, "border": "constant"}, "expected 80 or less"),
        ({"size": 81, "border": "drop"}, "The scene of 100 x 80 pixels is smaller than a patch of 81 x 81"),
    ],
    ids=str,
)
def test_impossible_grids(bad, said):
    with pytest.raises(ValueError, match=said):
        Grid(**GOOD | bad)


def test_the_largest_halo_that_fits():
    assert Grid(**GOOD, halo=79).source(0, 0) == Window(-79, -79, 190, 190)
    assert Grid(**GOOD, halo=80, border="constant").source(0, 0).y == -80


@pytest.mark.parametrize("patch", [(-1, 0), (0, -1), (6, 0), (0, 4)])
def test_a_patch_that_is_not_there(patch):
    grid = Grid(**GOOD)  # 6 x 4 patches
    for window in (grid.patch, grid.source, grid.core):
        with pytest.raises(IndexError, match=r"no patch \(-?\d, -?\d\) in a grid of 6 x 4 patches"):
            window(*patch)


def test_impossible_blocks():
    with pytest.raises(ValueError, match="columns=0: expected a whole number of patches"):
        Grid(**GOOD).blocks(2, 0)
    with pytest.raises(IndexError, match="no patch"):
        Grid(**GOOD).block_source(Block(4, 0, 3, 1))


def test_stitching_what_does_not_fit():
    grid = Grid(**GOOD, halo=2)
    with pytest.raises(ValueError, match=r"out has the shape \(80, 100\); the grid is over 100 x 80"):
        stitch(grid, [], np.zeros((80, 100)))
    with pytest.raises(
        ValueError, match=r"patch \(0, 1\) has the shape \(36, 36\); expected 32 x 32 .*without the halo"
    ):
        stitch(grid, [(0, 1, np.zeros((36, 36)))], np.zeros((100, 80)))
