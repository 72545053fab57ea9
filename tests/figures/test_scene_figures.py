"""The pictures about scenes show what they are given."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from compactlib.figures import scenes as scene_figures
from compactlib.raster import Grid, Window
from compactlib.spark.scaling import simulate


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def boxes(axis) -> list[list[float]]:
    """Left, top, right and bottom of the rectangles in a picture."""
    return [patch.get_bbox().extents.tolist() for patch in axis.patches]


def test_the_grid_shows_patches_halo_and_cores():
    over = Grid(50, 70, size=32, step=24, halo=4)
    left, right = scene_figures.grid(np.zeros((50, 70, 3), np.uint8), over, row=0, column=1).axes
    assert [24, 0, 56, 32] in boxes(left) and [20, -4, 60, 36] in boxes(left)  # the patch, and with its halo
    assert len(boxes(left)) == len(over) + 3  # all patches, these two and the frame
    cores = boxes(right)[: len(over)]
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cores) == 50 * 70
    assert left.get_xlim() == (-4, 84) and left.images[0].get_array().shape[:2] == (64, 88)  # beyond the scene as well


def test_neighbouring_cores_have_different_colours():
    over = Grid(50, 70, size=32, step=24)
    right = scene_figures.grid(np.zeros((50, 70, 3), np.uint8), over, row=0, column=0).axes[1]
    colours = {place: patch.get_facecolor() for place, patch in zip(over, right.patches, strict=False)}
    for (row, column), colour in colours.items():
        assert all(
            colours.get(near) != colour for near in ((row + 1, column), (row, column + 1), (row + 1, column + 1))
        )


def test_pixels_of_any_type_become_visible():
    bands = np.random.default_rng(0).integers(0, 4000, (9, 9, 4)).astype(np.uint16)
    seen = scene_figures.visible(bands)
    assert seen.shape == (9, 9, 3) and seen.dtype == np.uint8 and seen.max() == 255 and seen.min() == 0
    assert scene_figures.visible(np.full((4, 4, 2), np.nan, np.float32)).shape == (4, 4, 1)
    same = np.zeros((4, 4, 3), np.uint8)
    assert scene_figures.visible(same) is same or np.array_equal(scene_figures.visible(same), same)


def test_the_window_is_marked_at_its_place():
    picture = np.zeros((10, 20, 3), np.uint8)
    left, right = scene_figures.place_and_zoom(picture, (100, 200), Window(10, 30, 40, 50), picture).axes
    assert boxes(left) == [[30, 10, 80, 50]] and "40 x 50" in right.get_title()


def test_a_panel_for_each_measure_and_a_bar_for_each_way_and_group():
    figure = scene_figures.cost_bars(
        {"MB": {"a": [1, 2], "b": [0, 3]}, "s": {"a": [1, 12.34], "b": [2, 2]}}, ["x", "y"]
    )
    assert [axis.get_title() for axis in figure.axes] == ["MB", "s"]
    assert [bar.get_height() for bar in figure.axes[0].patches] == [1, 2, 0, 3]
    assert {text.get_text() for text in figure.axes[1].texts} == {"1", "12", "2"}


def test_dots_stand_where_blocks_are_aligned():
    axis = scene_figures.decoded_curves({"a": [4, 3, 2, 1], "b": [2, 2, 2, 2]}, range(1, 5), {"a": 2}).axes[0]
    curve, dots, other = axis.lines
    assert dots.get_xydata().tolist() == [[2, 3], [4, 1]]
    assert len(curve.get_xdata()) == len(other.get_xdata()) == 4


def test_a_bar_for_each_task_where_the_worker_does_it():
    axis = scene_figures.gantt({"title": {"one": [1, 2], "two": [4]}}).axes[0]
    spans = [(x0, x1, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes(axis)]
    assert spans == [(0, 1, 0), (1, 3, 0), (0, 4, 1)]
    assert axis.lines[0].get_xdata()[0] == 4  # the end


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_tasks_are_dealt_as_the_simulation_deals_them(workers):
    lengths = [4, 3, 2, 7, 1, 1, 5]
    dealt = scene_figures.deal(lengths, workers)
    assert sorted(length for lengths in dealt.values() for length in lengths) == sorted(lengths)
    assert tuple(map(sum, dealt.values())) == simulate(lengths, workers).per_worker


def test_efficiency_in_per_cent():
    line = scene_figures.efficiency({"a": [1.0, 0.5]}, [1, 2]).axes[0].lines[0]
    assert line.get_xydata().tolist() == [[1, 100], [2, 50]]
