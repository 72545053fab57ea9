"""Procedural microscopy: touching cells with exact instance masks, of any size, the same pixels on every machine.

The picture has what makes the real task hard (U-Net paper, Figure 3): cells as grey as the background and told from it
by relief and texture, outlines that touch or are hardly seen, uneven light, debris, noise.
"""

import numpy as np
from scipy import ndimage

from .noise import fractal, grain, hash_at, key, unit, value_noise

SPACING = 30.0  # pixels between two cells, on average
SMALLEST = 40  # pixels; a smaller piece of a cell is none
# Directions without a sine: (a, b) / c with a^2 + b^2 = c^2.
DIRECTIONS = np.array(((1, 0, 1), (4, 3, 5), (3, 4, 5), (0, 1, 1), (-3, 4, 5), (-4, 3, 5), (12, 5, 13), (-12, 5, 13)))


def cells(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of `height` x `width` pixels of cells in a dish, as differential interference contrast shows them.

    Returns the image, uint8 (height, width, 1), and the labels, uint16 (height, width): 0 is background, 1 to n the
    cells in the order in which their first pixels come. Cells that touch are separated by a line of background, one
    pixel wide, so that no two are neighbours even diagonally: `labels > 0` is the mask, and its connected components
    are the cells. Raises ValueError for a size below 1, or one with more cells than uint16 counts.
    """
    if height < 1 or width < 1:
        raise ValueError(f"A picture needs at least 1 x 1 pixel, not {height} x {width}.")
    if height * width > 65_535 * SPACING**2:
        raise ValueError(f"{height} x {width} pixels may hold more than 65,535 cells; make several smaller pictures.")
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    owner, body = _grow(seed, rows, columns)
    labels, body = _separate(owner, body)
    return _picture(seed, rows, columns, labels, body), labels


def _grow(seed: int, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which cell each pixel belongs to (0: none), and how deep inside it lies (1 in the middle, 0 at the outline).

    A cell is an ellipse around a point of a jittered lattice; a pixel belongs to the one that it lies deepest in, so
    neighbours press against each other. Slow noise bends the plane: the outlines are irregular.
    """
    y = rows + 9 * (fractal(key(seed, "bend y"), rows, columns, 24, 2) - 0.5)
    x = columns + 9 * (fractal(key(seed, "bend x"), rows, columns, 24, 2) - 0.5)
    i, j = np.floor(y / SPACING).astype(np.int64), np.floor(x / SPACING).astype(np.int64)
    # Few or many cells, by region and by picture.
    crowd = 0.5 + 0.4 * unit(hash_at(key(seed, "crowd"), np.zeros(1, int), np.zeros(1, int)))
    owner = np.zeros(y.shape, np.int64)
    deepest, second = np.zeros(y.shape), np.zeros(y.shape)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            a, b = i + di, j + dj
            bits = _cell_bits(seed, a, b)
            dy = y - (a + 0.2 + 0.6 * unit(bits)) * SPACING
            dx = x - (b + 0.2 + 0.6 * unit(bits * np.uint32(0x9E3779B1))) * SPACING
            p, q, r = np.moveaxis(DIRECTIONS[bits & np.uint32(7)], -1, 0)
            long = 15.0 + 0.45 * ((bits >> np.uint32(3)) & np.uint32(15))
            short = 11.0 + 0.30 * ((bits >> np.uint32(7)) & np.uint32(15))
            along, across = (p * dy + q * dx) / r / long, (p * dx - q * dy) / r / short
            depth = 1 - along * along - across * across
            depth = np.where(unit(bits * np.uint32(0x85EBCA77)) < crowd, depth, 0)
            better = depth > deepest
            owner[better] = ((a + 2) * 65_537 + (b + 2))[better]
            second = np.where(better, deepest, np.maximum(second, depth))
            deepest = np.where(better, depth, deepest)
    return owner, np.minimum(deepest, deepest - second + 0.08)  # a shallow groove where two cells touch


def _cell_bits(seed: int, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    return hash_at(key(seed, "cells"), i, j)


def _separate(owner: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the line between touching cells away, then what was cut off or is too small -> labels, depth."""
    padded = np.pad(owner, 1)
    height, width = owner.shape
    line = np.zeros(owner.shape, bool)
    for y in range(3):
        for x in range(3):
            other = padded[y : y + height, x : x + width]
            line |= (other > 0) & (other < owner)  # of two neighbours one gives way: the line is one pixel wide
    pieces, count = ndimage.label((owner > 0) & ~line, np.ones((3, 3), int))
    # Neighbouring pixels that are left have one owner, so a piece is of one cell; keep the largest of each.
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    cell_of = np.zeros(count + 1, np.int64)
    cell_of[pieces] = owner
    by_size = 1 + np.argsort(sizes[1:], kind="stable")
    best = {cell_of[piece]: piece for piece in by_size if sizes[piece] >= SMALLEST}  # the last one is the largest
    numbers = np.zeros(count + 1, np.uint16)
    for number, piece in enumerate(sorted(best.values()), 1):
        numbers[piece] = number
    labels = numbers[pieces]
    dropped = (owner > 0) & (labels == 0) & ~line
    return labels, np.where(dropped, 0, body)


def _picture(seed: int, rows: np.ndarray, columns: np.ndarray, labels: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The light: relief of the cells, their texture and rim, then the dish, the lamp and the camera."""
    granules = fractal(key(seed, "granules"), rows, columns, 5, 2) - 0.5
    inside = labels > 0
    # Thickness: a flat dome, rough inside. Its slope along the diagonal is what the contrast shows.
    thickness = np.minimum(body * 3, 1) * (10 + 9 * granules) + 4 * body
    smooth = _blur(np.floor(thickness * 256).astype(np.int64), 1)
    slope = np.zeros(body.shape)
    slope[1:, 1:] = (smooth[1:, 1:] - smooth[:-1, :-1]) / 256
    dish = 26 * (fractal(key(seed, "dish"), rows, columns, 60, 3) - 0.5)
    # The cells are a little brighter than the dish, here more, there less.
    tint = 6 + 20 * (value_noise(key(seed, "tint"), rows, columns, 90) - 0.5)
    lamp = 64 * (value_noise(key(seed, "lamp"), rows, columns, 170) - 0.5)
    dirt = fractal(key(seed, "dirt"), rows, columns, 9, 2)
    debris = np.where(dirt > 0.80, -220 * (dirt - 0.80), 0)
    light = 128 + lamp + dish + 7.5 * slope + np.where(inside, tint + 30 * granules, 0) + debris
    light = light + grain(key(seed, "grain"), rows, columns, 6.0)
    return np.floor(np.minimum(np.maximum(light + 0.5, 0), 255)).astype(np.uint8)[..., None]


def _blur(values: np.ndarray, radius: int) -> np.ndarray:
    """The mean of a square, as differences of running sums of integers; the picture goes on as at its border."""
    side = 2 * radius + 1
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(values, padding, mode="edge"), axis=axis)
        high, low = (slice(side, None), slice(None, -side)) if axis == 0 else (np.s_[:, side:], np.s_[:, :-side])
        values = sums[high] - sums[low]
    return values // side**2
