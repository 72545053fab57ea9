"""Any named arrays of one length are split, thinned and iterated alike: texts, pictures without labels, our own."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from compactlib.datasets import ImageSet, Part, load
from compactlib.datasets.part import join

RNG = np.random.default_rng(0)
COUNT = 60


def texts() -> Part:
    """Token ids, lengths and labels of three classes, of which the last is rare."""
    labels = np.repeat([0, 1, 2], [40, 15, 5])
    return Part(tokens=RNG.integers(0, 99, (COUNT, 12)), lengths=RNG.integers(1, 13, COUNT), labels=labels)


def unlabelled() -> Part:
    return Part(images=np.arange(COUNT, dtype=np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2))


@pytest.mark.parametrize("make", [texts, unlabelled])
def test_a_split_keeps_rows_together_and_loses_none(make):
    whole = make()
    rest, drawn = whole.split(0.2, seed=3)
    assert len(rest) + len(drawn) == COUNT and len(drawn) == 12
    rows = [tuple(np.asarray(value).tobytes() for value in part[i]) for part in (rest, drawn) for i in range(len(part))]
    assert sorted(rows) == sorted(tuple(np.asarray(value).tobytes() for value in whole[i]) for i in range(COUNT))
    again = whole.split(0.2, seed=3)[1]
    assert all((again.arrays[name] == array).all() for name, array in drawn.arrays.items())
    assert repr(join([rest, drawn])) == repr(whole)


def test_labels_are_drawn_evenly_and_fractions_are_nested():
    whole = texts()
    assert np.bincount(whole.split(0.2)[1].labels).tolist() == [8, 3, 1]
    small, large = whole.fraction(0.2, seed=1), whole.fraction(0.5, seed=1)
    assert {row.tobytes() for row in small.tokens} < {row.tobytes() for row in large.tokens}
    assert whole.fraction(1.0) is whole


def test_a_stack_is_split_at_its_end():
    rest, last = unlabelled().split(0.1, consecutive=True)
    assert last.images[:, 0, 0, 0].tolist() == list(range(54, 60)) and len(rest) == 54


def test_a_loader_makes_batches_of_each():
    tokens, lengths, labels = next(iter(DataLoader(texts(), batch_size=8)))
    assert tokens.shape == (8, 12) and lengths.dtype == labels.dtype == torch.int64 and labels.tolist() == [0] * 8
    (images,) = next(iter(DataLoader(unlabelled(), batch_size=8)))
    assert images.shape == (8, 4, 4, 1) and images.dtype == torch.uint8


def test_our_own_sets_are_parts():
    digits = load("digits", fraction=0.2)
    rest, drawn = digits.train.split(0.5)
    assert isinstance(drawn, ImageSet) and len(rest) + len(drawn) == len(digits.train)
    assert digits.train.fraction(0.5).labels.shape == (len(digits.train.fraction(0.5)),)


def test_arrays_of_several_lengths_are_no_part():
    with pytest.raises(ValueError, match="'a': 2.*'b': 3"):
        Part(a=np.zeros(2), b=np.zeros(3))
    with pytest.raises(ValueError, match="no names"):
        Part()
