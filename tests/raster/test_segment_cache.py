"""The cache of segments against the plainest one that could be: a list, the one used last at its end."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from compactlib.raster.segment_cache import SegmentCache


@given(
    limit=st.integers(0, 20),
    sizes=st.lists(st.integers(1, 22), min_size=4, max_size=4),
    used=st.lists(st.integers(0, 3), min_size=10, max_size=40),
)
@example(limit=2, sizes=[1, 1, 1, 1], used=[0, 1, 0, 2, 0, 1])  # 0 was used again, so that 1 goes
def test_what_was_not_used_for_longest_goes(limit, sizes, used):
    cache, kept = SegmentCache(limit), []
    arrays = [np.zeros(size, np.uint8) for size in sizes]
    for index in used:
        found = cache.get(index)
        assert found is (arrays[index] if index in kept else None)
        if found is not None:
            kept.remove(index)
        else:
            cache.put(index, arrays[index])
        if sizes[index] <= limit:
            kept.append(index)
            while sum(sizes[i] for i in kept) > limit:
                kept.pop(0)
        assert len(cache) == len(kept) and cache.nbytes == sum(sizes[i] for i in kept) <= limit
    cache.clear()
    assert len(cache) == cache.nbytes == 0
