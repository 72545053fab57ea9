"""Accuracy against a cost: names and numbers that can be read."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from compactlib.figures import scatter

CROWD = [(3_000_000 + 40_000 * k, 90 + 0.4 * k, f"network {k}") for k in range(8)]
POINTS = {"crowd": CROWD, "alone": [(3_000_000, 50.0, "one"), (3_100_000, 40.0, "one")]}


@pytest.fixture(params=[72, 144])
def axis(request):
    figure, axis = plt.subplots(figsize=(6, 5), layout="constrained", dpi=request.param)
    scatter.draw_points(axis, POINTS, list(POINTS))
    scatter.cost_axis(axis, "parameters", [cost for group in POINTS.values() for cost, _, _ in group])
    yield axis
    plt.close(figure)


def test_no_name_lies_on_another_or_on_a_point(axis):
    scatter.name_points(axis, CROWD)
    scatter.name_points(axis, POINTS["alone"], "grey")
    axis.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axis.texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    places = axis.transData.transform(np.vstack([points.get_offsets() for points in axis.collections]))
    assert len(places) == 10 and not any(box.contains(*place) for box in boxes for place in places)
    assert {"network 7", "one"} <= {text.get_text() for text in axis.texts}  # the best, and who stands alone


def test_a_name_stands_once_at_its_best_point(axis):
    scatter.name_points(axis, POINTS["alone"])
    (text,) = axis.texts
    assert text.get_text() == "one" and text.xy == (3_000_000, 50.0)


def test_the_axis_has_numbers_also_within_a_decade(axis):
    axis.figure.draw_without_rendering()
    low, high = axis.get_xlim()
    shown = [tick for tick in axis.get_xticklabels() if low <= tick.get_position()[0] <= high]
    assert [tick.get_text() for tick in shown] == ["2M", "5M"]  # not one of them is a power of ten


def test_a_family_keeps_colour_and_marker_whatever_else_is_drawn(axis):
    other = plt.subplots()[1]
    scatter.draw_points(other, {"alone": POINTS["alone"]}, list(POINTS))
    ours, theirs = axis.collections[1], other.collections[0]
    np.testing.assert_array_equal(ours.get_facecolor(), theirs.get_facecolor())
    np.testing.assert_array_equal(ours.get_paths()[0].vertices, theirs.get_paths()[0].vertices)
    plt.close(other.figure)
