"""Augmentation: what may change in a batch, and what may not."""

import numpy as np
import pytest
import torch

from compactlib.training.augment import BatchAugment, cutout, random_window, to_input
from compactlib.training.pictures import TrainingImages
from compactlib.training.recipe import Recipe

CPU = torch.device("cpu")


def test_to_input_scales_and_normalises():
    images = torch.randint(256, (4, 5, 6, 3), dtype=torch.uint8)
    x = to_input(images, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), torch.device("cpu"))
    assert x.shape == (4, 3, 5, 6) and x.dtype == torch.float32
    torch.testing.assert_close(x[2, 1, 3, 4], (images[2, 3, 4, 1] / 255 - 0.4) / 0.25)


def test_shifts_reach_every_offset_and_move_whole_images():
    x = torch.randn(300, 2, 5, 6)
    padded = torch.nn.functional.pad(x, [1] * 4)
    offsets = set()
    for before, after in zip(padded, random_window(x, 1), strict=True):
        found = [(i, j) for i in range(3) for j in range(3) if torch.equal(before[:, i : i + 5, j : j + 6], after)]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) == 9


@pytest.mark.parametrize(("border", "mode"), [("zeros", "constant"), ("reflect", "reflect")])
def test_a_shift_brings_in_what_the_border_says(border, mode):
    x = torch.arange(1.0, 17.0).view(1, 1, 4, 4).expand(200, 1, 4, 4)
    padded = np.pad(x[0, 0], 2, mode=mode)
    windows = {padded[i : i + 4, j : j + 4].tobytes() for i in range(5) for j in range(5)}
    assert {image.numpy().tobytes() for image in random_window(x, 2, border=border)} == windows


def test_small_crops_lie_inside_and_reach_every_place():
    x = torch.arange(36.0).view(1, 1, 6, 6).expand(300, 1, 6, 6)
    crops = random_window(x, 0, (4, 4))
    assert crops.shape == (300, 1, 4, 4)
    corners = {int(crop[0, 0, 0]) for crop in crops}
    assert corners == {6 * i + j for i in range(3) for j in range(3)}
    torch.testing.assert_close(crops, crops[:, :, :1, :1] + x[:, :, :4, :4])


def test_flips_mirror_about_half_of_the_images():
    x = torch.randn(400, 1, 3, 4)
    flipped = BatchAugment(Recipe(shift=0, flip=True), CPU)(x, torch.arange(400), 0, False)
    mirrored = (flipped == x.flip(-1)).all(dim=(1, 2, 3))
    assert ((flipped == x).all(dim=(1, 2, 3)) ^ mirrored).all() and 150 < mirrored.sum() < 250


def test_alternating_flips_show_each_image_both_ways_in_two_passes():
    x = torch.randn(400, 1, 3, 4)
    order = torch.randperm(400)
    ways = {}
    for seed in (0, 1):
        augment = BatchAugment(Recipe(shift=0, flip=True, alternate_flip=True, seed=seed), CPU)
        first, second, third = (augment(x[order], order, epoch, False) for epoch in range(3))
        torch.testing.assert_close(first, second.flip(-1), rtol=0, atol=0)
        torch.testing.assert_close(first, third, rtol=0, atol=0)
        ways[seed] = (augment(x, torch.arange(400), 0, False) != x).any(dim=(1, 2, 3))
        assert 150 < ways[seed].sum() < 250
    assert 100 < (ways[0] ^ ways[1]).sum() < 300  # the seed decides which way is first


def test_cutout_blanks_a_square_around_each_pixel_in_turn():
    hidden = cutout(torch.ones(2000, 2, 6, 7), 3) == 0
    assert (hidden[:, 0] == hidden[:, 1]).all()
    sizes = hidden[:, 0].sum(dim=(1, 2))
    assert set(sizes.tolist()) == {4, 6, 9}  # whole, cut by one border, cut by two
    share = hidden[:, 0].float().mean(dim=0)[2, 3].item()  # an inner pixel is hidden by 9 of the 42 centres
    assert abs(share - 9 / 42) < 0.04


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_keeps_type_and_shape_and_changes_pictures(channels):
    images = np.random.default_rng(0).integers(0, 256, (16, 12, 12, channels), dtype=np.uint8)
    recipe = Recipe(randaugment="rand-m9-mstd0.5-inc1", crop_scale=0.8)
    changed, labels, indices = TrainingImages(images, np.arange(16), (0.5,) * channels, recipe).__getitems__(
        list(range(16))
    )
    assert changed.shape == images.shape and changed.dtype == torch.uint8
    assert (changed.numpy() != images).any(axis=(1, 2, 3)).mean() > 0.5
    assert labels.tolist() == indices.tolist() == list(range(16))
