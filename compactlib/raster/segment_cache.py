"""A store of decoded segments that forgets the one not used for longest, bounded by bytes."""

from collections import OrderedDict

import numpy as np


class SegmentCache:
    """Arrays by number, at most `limit` bytes of them at any time; what is larger than that is not kept."""

    def __init__(self, limit: int):
        self.limit = limit
        self.nbytes = 0
        self._arrays: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, index: int) -> np.ndarray | None:
        """The array of this number, which from now on is the one used last; None if it is not here."""
        array = self._arrays.get(index)
        if array is not None:
            self._arrays.move_to_end(index)
        return array

    def put(self, index: int, array: np.ndarray) -> None:
        """Keep an array that is not here yet. Room is made before it comes, so the limit holds at every moment."""
        if array.nbytes > self.limit:
            return
        while self.nbytes + array.nbytes > self.limit:
            self.nbytes -= self._arrays.popitem(last=False)[1].nbytes
        self._arrays[index] = array
        self.nbytes += array.nbytes

    def clear(self) -> None:
        self._arrays.clear()
        self.nbytes = 0
