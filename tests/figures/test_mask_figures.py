"""The pictures about masks show what they are given."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from compactlib.figures import masks as mask_figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_a_mask_gets_a_colour_for_each_class_and_white_for_ignored():
    names = ("background", "cell", "something new")
    colours = mask_figures.class_colours(names)
    assert len(set(colours)) == 3
    picture = mask_figures.colour_mask(np.array([[0, 1], [2, 255]], np.uint8), names)
    assert [tuple(p) for p in picture.reshape(-1, 3)] == [*map(to_rgb, colours), (1.0, 1.0, 1.0)]


def test_errors_are_red_where_the_masks_differ_and_nowhere_else():
    truth = np.array([[0, 1, 255]], np.uint8)
    red = mask_figures.error_map(truth, np.array([[0, 0, 1]], np.uint8))[0]
    assert red[1, 0] > 2 * red[1, 1] and tuple(red[2]) == (1, 1, 1) and len(set(red[0])) == 1


def test_a_column_an_image_and_two_rows_a_model():
    image, mask = np.zeros((3, 8, 8, 1), np.uint8), np.zeros((3, 8, 8), np.uint8)
    figure = mask_figures.masks(image, mask, ("background", "cell"), {"one": mask, "two": mask})
    assert len(figure.axes) == 3 * (2 + 2 * 2)
    assert [figure.axes[k].get_ylabel() for k in range(0, 18, 3)] == [
        "image",
        "truth",
        "one",
        "errors",
        "two",
        "errors",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["background", "cell"]


def test_the_u_names_every_size_and_joins_equal_levels():
    levels = [
        ("input", 1, 16),
        ("down 0", 4, 16),
        ("down 1", 8, 8),
        ("down 2", 16, 4),
        ("up 1", 8, 8),
        ("up 0", 4, 16),
        ("output", 2, 16),
    ]
    axis = mask_figures.u_shape(levels).axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert all(f"{side}²" in texts and str(channels) in texts for _, channels, side in levels)
    arrows = [text for text in axis.texts if text.get_text() == ""]
    assert len(arrows) == 2  # levels 0 and 1


def test_the_tile_that_is_read_surrounds_the_tile_that_is_predicted():
    axis = mask_figures.overlap_tile(np.zeros((50, 60), np.uint8), tile=20, halo=7, row=1, column=2).axes[0]
    blue, yellow = axis.patches[-2:]
    assert yellow.get_bbox().extents.tolist() == [40, 20, 60, 40]
    assert blue.get_bbox().extents.tolist() == [33, 13, 67, 47]


@pytest.mark.parametrize(("shift", "expected"), [(0, [4, 8]), (2, [2, 6, 10])])
def test_windows_are_drawn_where_attention_cuts(shift, expected):
    axis = plt.subplots()[1]
    mask_figures.windows(np.zeros((12, 12), np.uint8), window=4, shift=shift, axis=axis)
    across = sorted({line.get_ydata()[0] + 0.5 for line in axis.lines if len(set(line.get_ydata())) == 1})
    assert across == expected


def test_bars_leave_a_class_without_a_value_out():
    figure = mask_figures.class_bars({"a": [0.5, float("nan")], "b": [0.1, 0.2]}, ("x", "y"), "Dice")
    assert len(figure.axes[0].containers) == 2


def test_learning_without_a_validation_set():
    figure = mask_figures.learning({"a": [{"epoch": 1, "train_loss": 1.0}]})
    assert len(figure.axes[0].lines) == 1 and not figure.axes[1].lines
