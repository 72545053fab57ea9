"""The pictures of a segmented scene show what they are given, and read it in bands."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from skimage.measure import block_reduce

from compactlib.figures import overviews as segment_figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


class Bands:
    """A scene that remembers how many pixels were asked for at once."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.dtype, self.most = pixels, pixels.shape, pixels.dtype, 0

    def __getitem__(self, key):
        part = self.pixels[key]
        self.most = max(self.most, part.shape[0] * part.shape[1])
        return part


def test_an_overview_is_the_mean_of_squares_and_reads_bands_only():
    scene = Bands(np.random.default_rng(0).integers(0, 256, (90, 123, 3)).astype(np.float32))
    small = segment_figures.overview(scene, longest=18)  # squares of 7 pixels
    expected = block_reduce(scene.pixels[:84, :119], (7, 7, 1), np.mean)
    assert small.shape == (12, 17, 3)
    np.testing.assert_allclose(small, expected, rtol=1e-5)
    assert scene.most <= 7 * 123


def test_an_overview_of_class_ids_invents_no_class():
    ids = np.random.default_rng(0).choice([0, 4, 255], (60, 80, 1)).astype(np.uint8)
    small = segment_figures.overview(ids, longest=20, labels=True)
    assert small.tolist() == ids[2::4, 2::4, 0].tolist()


@pytest.mark.parametrize("labels", [False, True])
def test_a_small_scene_stays_as_it_is(labels):
    scene = np.random.default_rng(0).integers(0, 9, (5, 7, 1)).astype(np.uint8)
    assert segment_figures.overview(scene, longest=400, labels=labels).ravel().tolist() == scene.ravel().tolist()


def test_pictures_and_masks_side_by_side_with_the_names_of_the_classes():
    picture, mask = np.full((6, 8, 4), 70, np.uint8), np.array([[0, 1], [255, 0]], np.uint8)
    figure = segment_figures.side_by_side({"scene": picture, "found": mask}, ("water", "road"))
    left, right = (axis.images[0].get_array() for axis in figure.axes)
    assert left.shape == (6, 8, 3) and right.shape == (2, 2, 3) and tuple(right[1, 0]) == (1, 1, 1)
    assert [axis.get_title() for axis in figure.axes] == ["scene", "found"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["water", "road"]


def test_a_picture_of_16_bits_is_stretched_to_what_can_be_shown():
    picture = np.arange(300, dtype=np.uint16).reshape(10, 10, 3) * 40
    shown = segment_figures.side_by_side({"scene": picture}, ("water",)).axes[0].images[0].get_array()
    assert shown.min() == 0 and shown.max() == 255 and 100 < shown.mean() < 155


def test_two_maps_have_one_scale():
    maps = {"a": np.array([[0.0, 3.0]]), "b": np.zeros((1, 2))}
    axes = segment_figures.same_scale(maps).axes
    assert [axis.images[0].get_clim() for axis in axes[:2]] == [(0, 3), (0, 3)]


def test_an_error_of_zero_is_drawn_on_the_floor():
    axis = segment_figures.seam_curves({"halo": np.zeros(5), "none": np.array([1.0, 0.1, np.nan])}).axes[0]
    halo, none = (line.get_ydata().tolist() for line in axis.lines)
    assert halo == [1e-8] * 5 and none[:2] == [1.0, 0.1] and np.isnan(none[2])
    assert axis.get_yscale() == "log" and axis.lines[0].get_linestyle() != axis.lines[1].get_linestyle()


def test_the_bars_of_the_confidence_stand_over_their_steps():
    figure = segment_figures.confidence(np.eye(4), np.array([np.nan, 0.2, 0.6, 0.9]))
    bars = figure.axes[1].patches
    assert [round(bar.get_x() + bar.get_width() / 2, 3) for bar in bars] == [0.125, 0.375, 0.625, 0.875]
    assert [bar.get_height() for bar in bars][1:] == [0.2, 0.6, 0.9] and np.isnan(bars[0].get_height())
