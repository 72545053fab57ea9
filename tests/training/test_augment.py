"""Augmentation: what may change in a batch, and what may not."""

import numpy as np
import pytest
import torch

from compactlib.training.augment import TrainingImages, random_flip, random_shift, to_input
from compactlib.training.recipe import Recipe


def test_to_input_scales_and_normalises():
    images = torch.randint(256, (4, 5, 6, 3), dtype=torch.uint8)
    x = to_input(images, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), torch.device("cpu"))
    assert x.shape == (4, 3, 5, 6) and x.dtype == torch.float32
    torch.testing.assert_close(x[2, 1, 3, 4], (images[2, 3, 4, 1] / 255 - 0.4) / 0.25)


def test_shifts_reach_every_offset_and_move_whole_images():
    x = torch.randn(300, 2, 5, 6)
    padded = torch.nn.functional.pad(x, [1] * 4)
    offsets = set()
    for before, after in zip(padded, random_shift(x, 1), strict=True):
        found = [(i, j) for i in range(3) for j in range(3) if torch.equal(before[:, i : i + 5, j : j + 6], after)]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) == 9


def test_flips_mirror_about_half_of_the_images():
    x = torch.randn(400, 1, 3, 4)
    flipped = random_flip(x)
    mirrored = (flipped == x.flip(-1)).all(dim=(1, 2, 3))
    assert ((flipped == x).all(dim=(1, 2, 3)) ^ mirrored).all() and 150 < mirrored.sum() < 250


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_keeps_type_and_shape_and_changes_pictures(channels):
    images = np.random.default_rng(0).integers(0, 256, (16, 12, 12, channels), dtype=np.uint8)
    recipe = Recipe(randaugment="rand-m9-mstd0.5-inc1", crop_scale=0.8)
    changed, labels = TrainingImages(images, np.arange(16), (0.5,) * channels, recipe).__getitems__(list(range(16)))
    assert changed.shape == images.shape and changed.dtype == torch.uint8
    assert (changed.numpy() != images).any(axis=(1, 2, 3)).mean() > 0.5
    assert labels.tolist() == list(range(16))
