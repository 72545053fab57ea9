"""Weights with which overlapping tiles are added up, one axis at a time."""

import numpy as np


def hann_weights(length: int, overlap: int) -> np.ndarray:
    """Weights (length,) of a tile along one axis: 1 in the middle, Hann ramps over `overlap` pixels at both ends.

    sin^2(pi (p + 1/2) / (2 overlap)) at the p-th pixel of a ramp. Tiles that start length - overlap apart add up to 1,
    because sin^2 + cos^2 = 1. Raises ValueError where two ramps do not fit: 2 * overlap > length.
    """
    if not 0 <= 2 * overlap <= length:
        raise ValueError(f"overlap={overlap} does not fit into length={length}; expected 0 to {length // 2}")
    weights = np.ones(length)
    if overlap:
        ramp = np.sin(np.pi * (np.arange(overlap) + 0.5) / (2 * overlap)) ** 2
        weights[:overlap], weights[length - overlap :] = ramp, ramp[::-1]
    return weights


def blending_starts(length: int, size: int, step: int, align: int = 1) -> list[int]:
    """Where tiles of `size` pixels start along an axis so that they cover it: 0, step, 2 step, ...

    The last one is moved back to the end of the axis, as far as `align` (starts are its multiples) lets it.
    """
    end = -(-max(0, length - size) // align) * align
    return [*range(0, end, step), end]


def blending_weights(length: int, size: int, overlap: int, starts: list[int]) -> list[np.ndarray]:
    """For each tile, its weights (size,) on an axis of `length` pixels; at each pixel those of all tiles add up to 1.

    Hann ramps of `overlap` pixels (half a tile at most), divided by their sum, which is known without an image: an
    image's weights are the product of the two axes' weights. Pixels of a tile beyond the axis have weight 0.
    """
    hann = hann_weights(size, min(overlap, size // 2))
    total = np.zeros(max(length, starts[-1] + size))
    for start in starts:
        total[start : start + size] += hann
    shares = []
    for start in starts:
        share = hann / total[start : start + size]
        share[max(0, length - start) :] = 0
        shares.append(share.astype(np.float32))
    return shares
