"""How the land of an aerial scene is divided: blocks between roads, and lots within a block."""

from dataclasses import dataclass

import numpy as np

from .noise import hash_at, hash_cells, key, unit, value_noise

BLOCK = 104.0  # pixels between two roads, on average
TURNS = ((1, 0, 1), (4, 3, 5), (12, 5, 13), (15, 8, 17), (21, 20, 29))  # rotations without a sine: a^2 + b^2 = c^2


def plane(seed: int, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane (u, v) in which the roads are straight: the pixel grid turned, and bent by slow noise."""
    a, b, c = TURNS[key(seed, "turn") % len(TURNS)]
    bend = [110 * value_noise(key(seed, f"bend {axis}"), rows, columns, 420) for axis in "uv"]
    return (a * columns + b * rows) / c + bend[0], (a * rows - b * columns) / c + bend[1]


@dataclass(frozen=True)
class Plan:
    """The division of the land at each pixel. i, j: the block. s, t: pixels from its edges at lower u and v.
    width, depth: its size. near: for each of the four edges, pixels to it (infinite where no road runs there)."""

    i: np.ndarray
    j: np.ndarray
    s: np.ndarray
    t: np.ndarray
    width: np.ndarray
    depth: np.ndarray
    near: tuple[np.ndarray, ...]

    def take(self, at: np.ndarray) -> "Plan":
        """The plan at some of the pixels, by their position in the flattened arrays."""
        fields = (self.i, self.j, self.s, self.t, self.width, self.depth)
        return Plan(*(field.take(at) for field in fields), tuple(edge.take(at) for edge in self.near))


def divide(seed: int, u: np.ndarray, v: np.ndarray) -> Plan:
    """The plan of the scene that `seed` names, at points of its plane."""
    i, s, width = _between(key(seed, "lines u"), u)
    j, t, depth = _between(key(seed, "lines v"), v)
    near = []
    for name, edge, across in (("u", (i, i + 1), (s, width - s)), ("v", (j, j + 1), (t, depth - t))):
        for line, distance in zip(edge, across, strict=True):
            segment = (line, j) if name == "u" else (i, line)
            # Every second line is a through road; of the others, a third of the segments is missing.
            built = (line % 2 == 0) | (unit(hash_cells(key(seed, f"segments {name}"), *segment)) > 0.35)
            near.append(np.where(built, distance, np.inf))
    return Plan(i, j, s, t, width, depth, tuple(near))


def _between(seed: int, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between which two of the parallel, unevenly spaced lines each point lies: index of the lower line, distance
    from it, distance of the two lines."""
    index = np.floor(u / BLOCK).astype(np.int64)
    first = int(index.min()) - 1
    lines = np.arange(first, int(index.max()) + 2)
    lines = (lines + 0.5 * unit(hash_at(seed, lines, np.zeros(1)))) * BLOCK
    index -= first
    index -= u < lines.take(index)
    low = lines.take(index)
    return index + first, u - low, lines.take(index + 1) - low


@dataclass(frozen=True)
class Lots:
    """The lot at each pixel: random bits, half the sides of its house, and the pixel's place from the house's centre.
    trade: a block of halls. to_edges: pixels from the centre to the edges of the block."""

    trade: np.ndarray
    bits: np.ndarray
    half_s: np.ndarray
    half_t: np.ndarray
    ds: np.ndarray
    dt: np.ndarray
    to_edges: tuple[np.ndarray, ...]


def lots_of(seed: int, plan: Plan) -> Lots:
    """The lots of the blocks at each pixel of a plan, along all four edges of a block and within it."""
    trade = unit(hash_cells(key(seed, "trade"), plan.i, plan.j)) < 0.22
    lot = np.where(trade, 44.0, 25.0)
    across, down = (np.maximum(np.floor(size / lot), 1) for size in (plan.width, plan.depth))
    a, b = (
        np.floor(part * n / size).astype(np.int64)
        for part, n, size in ((plan.s, across, plan.width), (plan.t, down, plan.depth))
    )
    bits = hash_cells(key(seed, "lots"), plan.i * 8 + a, plan.j * 8 + b)
    # The centre of the house in the lot, and half its sides.
    middle_s = (a + 0.5) * plan.width / across + ((bits & np.uint32(3)).astype(np.int64) - 1)
    middle_t = (b + 0.5) * plan.depth / down + (((bits >> np.uint32(2)) & np.uint32(3)).astype(np.int64) - 1)
    stretch = np.where(trade, 2.0, 1.0)
    half_s = (4.0 + ((bits >> np.uint32(4)) & np.uint32(3))) * stretch
    half_t = (4.0 + ((bits >> np.uint32(6)) & np.uint32(3))) * stretch
    to_edges = (middle_s, plan.width - middle_s, middle_t, plan.depth - middle_t)
    return Lots(trade, bits, half_s, half_t, plan.s - middle_s, plan.t - middle_t, to_edges)
