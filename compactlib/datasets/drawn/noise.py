"""Noise as a pure function of seed and position: any window of a scene, however large, can be made by itself.

The same pixels on every machine. That forbids what a library or a processor may round in its own way: sine and
exponential, matrix products, filters, sums of floats in an order that is not given. What remains is enough: integer
hashes, and + - * / floor in float64, which IEEE 754 defines to the last bit.
"""

import numpy as np

SUM_STD = 147.8  # standard deviation of the sum of four bytes: sqrt(4 (256^2 - 1) / 12)


def key(seed: int, layer: str) -> int:
    """A seed of its own for each layer of a picture, so that no two layers show the same pattern."""
    return fnv1a(f"{seed}/{layer}")


def fnv1a(text: str) -> int:
    """The FNV-1a hash of a text, 32 bit. Unlike Python's `hash` it is the same in every process."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def hash_at(seed: int, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """32 random bits for each position. y, x: integer arrays that broadcast; uint32 of their common shape."""
    y, x = (np.asarray(axis).astype(np.int64).astype(np.uint32) for axis in (y, x))  # modulo 2^32, negative or not
    # uint32 arithmetic wraps around; each step is invertible, so no two columns of a row share all their bits.
    bits = _mix(x * np.uint32(0x9E3779B1) + np.uint32(seed & 0xFFFFFFFF))
    return _mix(_mix(y * np.uint32(0x85EBCA77) + np.uint32(0x27D4EB2F)) ^ bits)


def _mix(bits: np.ndarray) -> np.ndarray:
    """Spread every bit over the whole word (xor-shift and multiply; constants of C. Wellons, "lowbias32")."""
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> np.uint32(15))) * np.uint32(0x846CA68B)
    return bits ^ (bits >> np.uint32(16))


def hash_cells(seed: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """`hash_at` for positions that repeat, as the index of a lattice cell does at all pixels of the cell: hashes the
    bounding box once and looks the rest up."""
    i, j = np.asarray(i), np.asarray(j)
    i0, j0 = i.min(), j.min()
    box = hash_at(seed, np.arange(i0, i.max() + 1)[:, None], np.arange(j0, j.max() + 1)[None])
    return box.take((i - i0) * box.shape[1] + (j - j0))


def unit(bits: np.ndarray) -> np.ndarray:
    """uint32 to float64 in [0, 1), from the upper 24 bits."""
    return (bits >> np.uint32(8)) / 16777216.0


def value_noise(seed: int, y: np.ndarray, x: np.ndarray, cell: float) -> np.ndarray:
    """Smooth noise in [0, 1): a random value at each point of a lattice of `cell` pixels, between them a polynomial
    with continuous curvature. y, x: positions in pixels, any real numbers, arrays that broadcast."""
    y, x = np.asarray(y) / cell, np.asarray(x) / cell
    i, j = np.floor(y), np.floor(x)
    i0, j0 = int(i.min()), int(j.min())
    lattice = unit(hash_at(seed, np.arange(i0, int(i.max()) + 2)[:, None], np.arange(j0, int(j.max()) + 2)[None]))
    # Per lattice point: its value, the step to the right, the step down, and what the corner adds to both.
    level = lattice[:-1, :-1].ravel()
    right = lattice[:-1, 1:] - lattice[:-1, :-1]
    down = lattice[1:, :-1] - lattice[:-1, :-1]
    corner = lattice[1:, 1:] - lattice[1:, :-1] - right
    at = i * right.shape[1] + j  # whole numbers are exact in float64
    at -= i0 * right.shape[1] + j0
    at = at.astype(np.intp)
    s, t = _bend(y - i), _bend(x - j)
    # level + right * t + (down + corner * t) * s, in place: a new array for each step would cost more than the step.
    value, slope = right.take(at), corner.take(at)
    value *= t
    value += level.take(at)
    slope *= t
    slope += down.take(at)
    slope *= s
    value += slope
    return value


def _bend(f: np.ndarray) -> np.ndarray:
    """A fraction bent to an S: 6 f^5 - 15 f^4 + 10 f^3."""
    bent = f * 6
    bent -= 15
    bent *= f
    bent += 10
    cube = f * f
    cube *= f
    bent *= cube
    return bent


def fractal(seed: int, y: np.ndarray, x: np.ndarray, cell: float, octaves: int) -> np.ndarray:
    """Octaves of value noise in [0, 1), each with half the cell and half the weight of the one before."""
    total, weight, weights = value_noise(seed, y, x, cell), 1.0, 1.0
    for octave in range(1, octaves):
        weight /= 2
        weights += weight
        total += weight * value_noise(seed + octave * 0x9E3779B9, y, x, cell / 2**octave)
    total /= weights
    return total


def grain(seed: int, y: np.ndarray, x: np.ndarray, sigma: float) -> np.ndarray:
    """Independent noise of each pixel, nearly Gaussian (the sum of four uniform bytes), mean 0, standard deviation
    `sigma`; float64. y, x: integer arrays that broadcast."""
    bits = hash_at(seed, y, x)
    total = sum((bits >> np.uint32(shift)) & np.uint32(255) for shift in (0, 8, 16, 24)).astype(np.float64)
    return (total - 510) * (sigma / SUM_STD)
