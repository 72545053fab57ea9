"""U-Net's weight map, against one distance transform per cell."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, maximum_filter
from sklearn.utils.class_weight import compute_class_weight

from compactlib.segmentation import (
    balanced_class_weights,
    border_term,
    cell_distances,
    label_instances,
    touching_cut,
    weight_map,
)


@pytest.fixture
def cells():
    """40 cells, some touching, with numbers that have gaps."""
    rng = np.random.default_rng(0)
    labels = np.zeros((180, 150), np.int32)
    y, x = np.mgrid[:180, :150]
    for cell in range(1, 41):
        r = rng.uniform(2, 12)
        labels[(y - rng.uniform(0, 180)) ** 2 + (x - rng.uniform(0, 150)) ** 2 < r * r] = 3 * cell
    return labels


def test_looking_only_around_each_cell_changes_nothing(cells):
    each = np.sort([distance_transform_edt(cells != cell) for cell in np.unique(cells) if cell], axis=0)
    np.testing.assert_allclose(cell_distances(cells), each[:2], rtol=1e-6)
    for w0, sigma in ((10, 5), (3, 1.5)):
        expected = w0 * np.exp(-((each[0] + each[1]) ** 2) / (2 * sigma**2))
        np.testing.assert_allclose(border_term(cells, w0, sigma), expected, rtol=1e-5, atol=1e-12 * w0)


def test_few_cells():
    labels = np.zeros((9, 11), np.int32)
    assert (weight_map(labels) == 1).all()
    labels[2:5, 3:6] = 7
    assert (border_term(labels) == 0).all()
    assert weight_map(labels).mean() == pytest.approx(1) and weight_map(labels)[0, 0] < 1 < weight_map(labels)[3, 4]
    assert (weight_map(np.ones((4, 4), np.uint8)) == 1).all() and weight_map(labels).dtype == np.float32


def test_numbers_of_the_cells_do_not_matter(cells):
    np.testing.assert_array_equal(weight_map(cells), weight_map((cells.astype(np.int64) * 1001) % 100_003))


def test_touching_cells_are_cut_apart(cells):
    cut = touching_cut(cells)
    assert cut.dtype == cells.dtype
    removed = cut != cells
    assert removed.any() and (cut[removed] == 0).all()
    assert set(np.unique(cut)) == set(np.unique(cells))  # no cell is lost here
    # No pixel of a cell has another cell among its 8 neighbours any more; nothing removed where there was none.
    greatest = maximum_filter(cut, 3)
    least = -maximum_filter(np.where(cut > 0, -cut, -10_000), 3)
    assert (greatest == least)[cut > 0].all()
    least = -maximum_filter(np.where(cells > 0, -cells, -10_000), 3)
    assert (maximum_filter(cells, 3) > least)[removed].all()
    np.testing.assert_array_equal(touching_cut(cut), cut)


def test_a_cut_takes_one_pixel_of_the_larger_cell():
    labels = np.array([[1, 1, 1, 2, 2, 0, 0, 3]] * 2)
    assert touching_cut(labels)[0].tolist() == [1, 1, 0, 2, 2, 0, 0, 3]


def test_instances_of_a_mask():
    mask = np.array([[1, 1, 0, 1], [0, 0, 1, 255], [2, 1, 1, 0]], np.uint8)
    labels = label_instances(mask)
    assert labels.dtype == np.int32 and (labels > 0).tolist() == ((mask > 0) & (mask < 255)).tolist()
    assert labels.max() == 4 and labels[2, 0] != labels[2, 1] == labels[1, 2]
    assert label_instances(mask, connectivity=2).max() == 2  # both classes


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros((3, 3), bool), "label_instances"),
        (np.zeros((3, 3)), "float64"),
        (np.zeros((2, 3, 3), int), "integer array \\(H, W\\)"),
        (np.full((3, 3), -1), "down to -1"),
        ([[0, 1]], "list"),
    ],
)
def test_labels_that_are_none(labels, said):
    for function in (weight_map, touching_cut):
        with pytest.raises(ValueError, match=said):
            function(labels)


def test_settings_that_are_none():
    labels = np.eye(4, dtype=int)
    with pytest.raises(ValueError, match="'everywhere' or 'background'"):
        weight_map(labels, border="inside")
    with pytest.raises(ValueError, match="sigma above 0"):
        weight_map(labels, sigma=0)


def test_balanced_class_weights_are_those_of_scikit_learn():
    labels = np.random.default_rng(0).choice(4, 500, p=[0.7, 0.2, 0.06, 0.04])
    theirs = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(balanced_class_weights(np.bincount(labels)), theirs)
    with pytest.raises(ValueError, match="class 1"):
        balanced_class_weights([3, 0, 5])


@pytest.mark.parametrize("mask", [np.ones((4, 4)), np.ones((4, 4), np.float16), np.ones((4, 4, 1), np.uint8)])
def test_only_class_ids_of_one_picture_have_instances(mask):
    with pytest.raises(ValueError, match=str(mask.dtype)):
        label_instances(mask)
