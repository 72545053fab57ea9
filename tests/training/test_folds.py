"""k-fold cross-validation: each image is held out once, and nothing of it is learned from."""

import numpy as np
import pytest

from compactlib import datasets
from compactlib.training import folds


def keys(part) -> list[bytes]:
    return [image.tobytes() for image in part.images]


@pytest.mark.parametrize("name", ["digits", "cells"])
@pytest.mark.parametrize("contiguous", [False, True])
def test_every_image_is_held_out_once(name, contiguous):
    data = datasets.load(name, img_size=32 if name == "cells" else None)
    parts = list(folds(data, 4, contiguous=contiguous))
    assert len(parts) == 4
    held_out = [key for part in parts for key in keys(part.val)]
    assert sorted(held_out) == sorted(keys(data.train) + keys(data.val))
    for part in parts:
        assert len(part.train) + len(part.val) == len(held_out) and part.test is data.test
        scaled = part.train.images / 255
        assert part.mean == pytest.approx(scaled.mean(axis=(0, 1, 2))) and part.std == pytest.approx(
            scaled.std(axis=(0, 1, 2))
        )


def test_labels_are_spread_evenly():
    for part in folds(datasets.load("digits"), 5, seed=3):
        counts = np.bincount(part.val.labels, minlength=10)
        assert counts.max() - counts.min() <= 4


def test_contiguous_folds_are_runs_of_neighbours():
    data = datasets.load("cells", img_size=32)
    order = {key: k for k, key in enumerate(keys(data.train) + keys(data.val))}
    for part in folds(data, 5, contiguous=True):
        places = [order[key] for key in keys(part.val)]
        assert places == list(range(places[0], places[0] + len(places)))


def test_the_seed_draws_other_folds():
    data = datasets.load("cells", img_size=32)
    first = [keys(next(folds(data, 4, seed=seed)).val) for seed in (0, 0, 1)]
    assert first[0] == first[1] != first[2]


@pytest.mark.parametrize("k", [1, 0, 10_000, 2.0, True])
def test_a_number_of_folds_that_cannot_be(k):
    with pytest.raises(ValueError, match="k must be an integer from 2 to"):
        folds(datasets.load("digits"), k)
