"""A part of a data set: named arrays with one leading axis, and one way to split, thin and iterate them."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch.utils.data import Dataset

from .splits import FRACTION, VAL, share_of, stratified


class Part(Dataset):
    """Arrays of one length under their names: images and labels, images alone, token ids with lengths and labels, ...

    `Part(tokens=ids, labels=y)` has the attributes `tokens` and `labels`. An item is one row of each array, in order:
    also a map-style torch Dataset. Raises ValueError for arrays of different lengths, or none at all.
    """

    def __init__(self, **arrays: np.ndarray):
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"the arrays of a part have one length; these have {lengths or 'no names at all'}")
        for name, array in arrays.items():
            object.__setattr__(self, name, np.asarray(array))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays under their names."""
        return dict(vars(self))

    @property
    def strata(self) -> np.ndarray:
        """(n,) integers: what a draw is even over. The labels, where each item has one; else all items are alike."""
        labels = self.arrays.get("labels")
        single = labels is not None and labels.ndim == 1 and labels.dtype.kind in "iu"
        return labels if single else np.zeros(len(self), np.int64)

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """One row of each array; a number as Python's own."""
        rows = (array[index] for array in vars(self).values())
        return tuple(row.item() if np.ndim(row) == 0 else row for row in rows)

    def take(self, which: np.ndarray | slice) -> Self:
        """The items that a mask (n,), indices or a slice name."""
        return type(self)(**{name: array[which] for name, array in vars(self).items()})

    def drawn(self, share: float, *, seed: int, stream: int, consecutive: bool = False) -> np.ndarray:
        """A mask (n,) of a share of the items: drawn evenly over `strata` (see `stratified`), or the last block of a
        stack or a film, whose neighbours are alike (consecutive)."""
        if consecutive:
            return np.arange(len(self)) >= len(self) - share_of(len(self), share)
        return stratified(self.strata, share, seed=seed, stream=stream)

    def split(self, share: float, *, seed: int = 0, stream: int = VAL, consecutive: bool = False) -> tuple[Self, Self]:
        """(what is left, a share of the items); see `drawn`."""
        drawn = self.drawn(share, seed=seed, stream=stream, consecutive=consecutive)
        return self.take(~drawn), self.take(drawn)

    def fraction(self, share: float, *, seed: int = 0) -> Self:
        """A share of the items, of every class; for one seed a larger share contains a smaller one."""
        return self.take(self.drawn(share, seed=seed, stream=FRACTION)) if share < 1 else self

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {'x'.join(map(str, array.shape[1:])) or '1'}" for name, array in vars(self).items())
        return f"{type(self).__name__}({len(self):,} items: {shapes})"


def join(parts: Sequence[Part]) -> Part:
    """One part of the items of several, in their order; they have the same arrays."""
    names = parts[0].arrays
    return type(parts[0])(**{name: np.concatenate([part.arrays[name] for part in parts]) for name in names})
