"""Cells: labels are exact and come back from the mask, every machine draws the same, a threshold is not enough."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import gaussian, threshold_local, threshold_otsu
from skimage.measure import euler_number, label

from compactlib.datasets.drawn.cells import SMALLEST, cells
from tests.datasets.other_processors import checksums_without

# The first 32 digits of the SHA-256 of image and labels. Whoever changes one makes earlier runs incomparable.
PINNED = {
    (128, 128, 0): ("1c943e4d47d48c5740e374bc1ba3ba5c", "a8f6ff81fab208360ed1d42d2972b124"),
    (200, 90, 17): ("d6904ee96b07bd0226631fd9a4d35dd9", "74e1ef92707928d0aff7753ea5f1280f"),
}
SIZES = [(128, 128), (37, 210), (1, 1), (3, 400), (64, 64)]


@pytest.fixture(scope="module")
def pictures():
    return [cells(128, 128, seed) for seed in range(24)]


@pytest.mark.parametrize("arguments", PINNED, ids=str)
def test_the_pixels_are_pinned(arguments):
    image, labels = cells(*arguments)
    assert image.shape == (*arguments[:2], 1) and image.dtype == np.uint8
    assert labels.shape == arguments[:2] and labels.dtype == np.uint16
    assert tuple(hashlib.sha256(array.tobytes()).hexdigest()[:32] for array in (image, labels)) == PINNED[arguments]


def test_the_pixels_do_not_depend_on_the_vector_units_of_the_processor():
    found = checksums_without("cells", list(PINNED))
    assert found == [list(pinned) for pinned in PINNED.values()]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_the_components_of_the_mask_are_the_cells(size, seed):
    """With diagonal neighbours connected (scikit-image and SciPy) and without: the line between two cells holds."""
    _, labels = cells(*size, seed)
    for connectivity in (1, 2):
        assert (label(labels > 0, connectivity=connectivity) == labels).all()
    assert (ndimage.label(labels > 0, np.ones((3, 3)))[0] == labels).all()


def test_labels_count_up_and_cells_have_a_size(pictures):
    for _, labels in pictures:
        numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
        assert numbers.tolist() == list(range(1, len(numbers) + 1)) and len(numbers) >= 5
        assert sizes.min() >= SMALLEST and sizes.max() < 1500
        assert all(euler_number(labels == number, connectivity=1) == 1 for number in numbers), "no holes"


def test_many_cells_touch(pictures):
    """Two cells with nothing but the line between them: one step of growth makes neighbours of them."""
    touching = total = 0
    for _, labels in pictures:
        pairs = set()
        for y, x in ((0, 2), (2, 0), (2, 2)):  # across the line
            a, b = labels[: -y or None, : -x or None], labels[y:, x:]
            pairs |= {tuple(sorted(p)) for p in zip(a[(a != b)], b[(a != b)], strict=True) if min(p) > 0}
        touching += len({cell for pair in pairs for cell in pair})
        total += labels.max()
    assert touching > 0.6 * total


def test_the_line_between_two_cells_is_one_pixel_wide(pictures):
    """A pixel of background that touches two cells has a neighbour in each: nothing wider lies between them."""
    for _, labels in pictures:
        grown = ndimage.grey_dilation(labels.astype(int), size=3)
        low = ndimage.grey_erosion(np.where(labels == 0, 10**6, labels), size=3)
        line = (labels == 0) & (grown > 0) & (low < 10**6) & (grown != low)
        # Closing the line joins the cells: taking it into the mask leaves fewer components.
        if line.any():
            assert label((labels > 0) | line).max() < labels.max()
    assert 0.3 < np.mean([(labels > 0).mean() for _, labels in pictures]) < 0.7


def test_a_threshold_merges_cells_and_misses_many(pictures):
    """Global (Otsu) and local thresholds, smoothed, whichever sign fits better: not half of the overlap."""
    overlap = []
    for image, labels in pictures:
        smooth, truth = gaussian(image[..., 0], 1.5, preserve_range=True), labels > 0
        guesses = [smooth > threshold_otsu(smooth), smooth > threshold_local(smooth, 51)]
        guesses += [~guess for guess in guesses]
        overlap.append(max((guess & truth).sum() / (guess | truth).sum() for guess in guesses))
    assert np.mean(overlap) < 0.6


def test_the_picture_shows_the_cells(pictures):
    """What the mask says can be seen: the picture changes more inside a cell and at its outline than in the dish."""
    inside, outside = [], []
    for image, labels in pictures:
        relief = np.abs(image[1:, 1:, 0].astype(int) - image[:-1, :-1, 0])
        grown = ndimage.binary_dilation(labels > 0, iterations=2)[1:, 1:]
        inside.append(relief[grown].mean())
        outside.append(relief[~grown].mean())
    assert np.mean(inside) > 1.3 * np.mean(outside)


def test_other_seeds_are_other_pictures(pictures):
    assert len({image.tobytes() for image, _ in pictures}) == len(pictures)
    assert len({int(labels.max()) for _, labels in pictures}) > 5, "crowded dishes and others"


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, -1)])
def test_an_empty_picture_is_an_error(height, width):
    with pytest.raises(ValueError, match=f"at least 1 x 1 pixel, not {height} x {width}"):
        cells(height, width, 0)


def test_a_picture_with_more_cells_than_labels_is_refused_before_work_starts():
    with pytest.raises(ValueError, match="more than 65,535 cells; make several smaller"):
        cells(20_000, 20_000, 0)
