"""Aerial scenes: windows of one scene agree to the pixel, every machine draws the same, masks are exact."""

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from compactlib.datasets.drawn.aerial import AERIAL_CLASSES, BUILDING, FIELD, FOREST, ROAD, WATER, aerial
from tests.datasets.other_processors import checksums_without

# The first 32 digits of the SHA-256 of image and mask. Whoever changes one makes earlier runs incomparable.
PINNED = {
    (128, 128, 0, 0, 0): ("8a7e637f7749e2372d846b28ee82dedf", "24c18cb1fba37fdd3fef54ac45144fcf"),
    (96, 160, 5, 5000, -300): ("6f607edbd31c6bf9c9517f83c8ef918d", "1d024052cb2a5b478d9ea6a4ec0aacac"),
    (64, 64, 1, 99_936, 99_936): ("8ad31df076dfaa79f989584946dcbeaf", "26c0c67949b24987b0590576420de416"),
}


@pytest.fixture(scope="module")
def scenes():
    """Twelve scenes of 256 pixels: images (12, 256, 256, 3), masks (12, 256, 256)."""
    return tuple(map(np.stack, zip(*(aerial(256, 256, seed) for seed in range(12)), strict=True)))


@pytest.mark.parametrize("window", PINNED, ids=str)
def test_the_pixels_are_pinned(window):
    image, mask = aerial(*window)
    assert image.shape == (*window[:2], 3) and image.dtype == np.uint8
    assert mask.shape == window[:2] and mask.dtype == np.uint8
    assert tuple(hashlib.sha256(array.tobytes()).hexdigest()[:32] for array in (image, mask)) == PINNED[window]


def test_the_pixels_do_not_depend_on_the_vector_units_of_the_processor():
    found = checksums_without("aerial", list(PINNED))
    assert found == [list(pinned) for pinned in PINNED.values()]


@pytest.mark.parametrize("origin", [(0, 0), (-70, 300), (50_000, 99_000)])
def test_a_window_of_a_scene_is_the_same_by_itself(origin):
    y, x = origin
    image, mask = aerial(200, 240, 4, y, x)
    # Corner, middle, an odd size, a single pixel, and windows with a common border.
    for top, left, height, width in (
        (0, 0, 64, 64),
        (70, 91, 33, 57),
        (199, 239, 1, 1),
        (64, 0, 64, 64),
        (0, 64, 64, 9),
    ):
        part, part_mask = aerial(height, width, 4, y + top, x + left)
        assert (part == image[top : top + height, left : left + width]).all()
        assert (part_mask == mask[top : top + height, left : left + width]).all()


def test_another_seed_is_another_scene(scenes):
    _, masks = scenes
    same = [(a == b).mean() for i, a in enumerate(masks) for b in masks[:i]]
    assert np.mean(same) < 0.5


def test_all_classes_occur(scenes):
    _, masks = scenes
    assert AERIAL_CLASSES == ("field", "forest", "water", "road", "building")
    shares = np.bincount(masks.ravel(), minlength=5) / masks.size
    assert len(shares) == 5 and (shares > 0.02).all() and shares.max() < 0.6
    assert np.mean([len(np.unique(mask)) == 5 for mask in masks]) > 0.75


def test_roads_are_a_network(scenes):
    """Not scattered pieces: nearly all road pixels of a window hang together, or leave it by the border."""
    _, masks = scenes
    loose = 0
    for mask in masks:
        pieces, count = ndimage.label(mask == ROAD, np.ones((3, 3)))
        border = set(pieces[[0, -1]].ravel()) | set(pieces[:, [0, -1]].ravel())
        loose += sum((pieces == piece).sum() for piece in range(1, count + 1) if piece not in border)
    assert loose < 0.05 * (masks == ROAD).sum()


def test_buildings_are_whole_and_dry(scenes):
    """A house is not cut by a shore, and is of a house's size."""
    _, masks = scenes
    sizes, wet = [], 0
    for mask in masks:
        pieces, count = ndimage.label(mask == BUILDING)
        inner = set(range(1, count + 1)) - set(pieces[[0, -1]].ravel()) - set(pieces[:, [0, -1]].ravel())
        sizes += [int((pieces == piece).sum()) for piece in inner]
        wet += (ndimage.binary_dilation(mask == BUILDING) & (mask == WATER)).sum()
    assert len(sizes) > 80 and np.median(sizes) > 60 and max(sizes) < 1500
    assert np.mean(np.array(sizes) < 30) < 0.05
    assert wet < 0.02 * (masks == BUILDING).sum()


def test_colour_alone_is_not_enough(scenes):
    """The best that a rule on the colour of one pixel could do, even one fitted to the very pixels that it is tried on
    (16 steps a channel), stays far from the truth; surroundings must count."""
    images, masks = scenes
    bins = (images.astype(int) // 16 * [256, 16, 1]).sum(-1).ravel()
    table = np.zeros((4096, 5), np.int64)
    np.add.at(table, (bins, masks.ravel()), 1)
    accuracy = table.max(1).sum() / masks.size
    assert 0.5 < accuracy < 0.8
    best = table.argmax(1)[bins].reshape(masks.shape)
    iou = [((best == c) & (masks == c)).sum() / ((best == c) | (masks == c)).sum() for c in range(5)]
    assert np.mean(iou) < 0.55


def test_shadow_darkens_the_ground_beside_houses_and_leaves_the_mask(scenes):
    """The sun stands in the upper left: ground at the lower right of a house is darker than at its upper left."""
    images, masks = scenes
    ground = np.isin(masks, (FIELD, ROAD))
    grey = images.astype(int).sum(-1)
    house = masks == BUILDING
    lower_right = np.zeros_like(house)
    lower_right[:, 2:, 2:] = house[:, :-2, :-2]
    upper_left = np.zeros_like(house)
    upper_left[:, :-2, :-2] = house[:, 2:, 2:]
    shaded, lit = lower_right & ~upper_left & ground, upper_left & ~lower_right & ground
    assert shaded.sum() > 1000 and lit.sum() > 1000, "the ground in the shadow keeps its class"
    assert grey[shaded].mean() < 0.8 * grey[lit].mean()


def test_forest_is_rougher_than_water(scenes):
    images, masks = scenes
    rough = np.abs(np.diff(ndimage.uniform_filter(images[..., 1].astype(float), (0, 3, 3)), axis=2))
    pure = (masks[:, :, :-1], masks[:, :, 1:])
    forest, water = (rough[(pure[0] == c) & (pure[1] == c)].mean() for c in (FOREST, WATER))
    assert forest > 1.5 * water


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_an_empty_window_is_an_error(height, width):
    with pytest.raises(ValueError, match=f"at least 1 x 1 pixel, not {height} x {width}"):
        aerial(height, width, 0)
