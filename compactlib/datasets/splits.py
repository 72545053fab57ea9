"""Stratified draws. Same arguments, same draw, on every machine; a larger share contains a smaller one."""

import numpy as np

VAL, FRACTION, TEST = 1, 2, 3  # streams of `stratified`
TEST_SEED = 0  # a test part drawn here is the same for every seed


def share_of(count: int, share: float) -> int:
    """`share` of `count`, rounded, but at least one if share > 0."""
    return max(1, int(share * count + 0.5)) if share > 0 else 0


def stratified(labels: np.ndarray, share: float, *, seed: int, stream: int) -> np.ndarray:
    """Draw `share` of every class.

    labels: (n,) integers. share: 0 to 1; a class gives `share` of its images, rounded, but at least one if share > 0.
    stream: sets apart draws with the same seed that must not follow each other (validation part, training fraction).
    Returns a mask (n,), True where drawn. The images of a class are shuffled once, whatever the share, and the first
    ones taken: draws of growing share are nested.
    """
    mask = np.zeros(len(labels), dtype=bool)
    # RandomState rather than default_rng: NumPy promises never to change its stream, so a split stays what it was.
    random = np.random.RandomState([seed, stream])
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        mask[members[: share_of(len(members), share)]] = True
    return mask


def interleaved(labels: np.ndarray) -> np.ndarray:
    """The order (n,) that takes the first image of every class, then the second of every class, and so on.

    For sources stored class by class: the first few images then show all classes. The order inside a class is kept.
    """
    position = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        position[members] = np.arange(len(members))
    return np.lexsort((labels, position))
