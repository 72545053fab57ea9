"""Windows over an image: integer geometry that knows the image's size and nothing else, and mirrored reading."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: its upper left corner and its sides. It may reach beyond the image."""

    y: int
    x: int
    height: int
    width: int

    def grown(self, halo: int) -> "Window":
        """This window with `halo` more pixels on each of its four sides."""
        return Window(self.y - halo, self.x - halo, self.height + 2 * halo, self.width + 2 * halo)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, for `image[window.slices]`; only for a window inside the image."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


def axis_cores(length: int, tile: int, step: int | None = None) -> list[tuple[int, int]]:
    """(start, stop) of the cores along one axis of `length` pixels: every pixel belongs to exactly one.

    Cores start at multiples of `step` (default: `tile`). The last one is as long as the image asks, at most `tile`:
    where step < tile that can save a core at the end.
    """
    step = tile if step is None else step
    for name, value in {"length": length, "tile": tile, "step": step}.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r}: expected a whole number of pixels, 1 or more")
    if step > tile:
        raise ValueError(f"step={step} is above tile={tile}: pixels would be left out; expected step <= tile")
    last = max(0, -(-(length - tile) // step))  # rounded up
    return [(i * step, (i + 1) * step if i < last else length) for i in range(last + 1)]


def windows(height: int, width: int, tile: int, step: int | None = None) -> Iterator[Window]:
    """The cores of an image, row by row: windows of at most tile x tile pixels that cover each pixel exactly once.

    Made one at a time, so that a scene of 100,000 x 100,000 pixels costs nothing. See `axis_cores` for `step`.
    """
    columns = axis_cores(width, tile, step)
    for top, bottom in axis_cores(height, tile, step):
        for left, right in columns:
            yield Window(top, left, bottom - top, right - left)


def mirror_indices(start: int, stop: int, length: int) -> np.ndarray:
    """For the positions start ... stop - 1, the pixels of an axis that stand there when it is mirrored at its ends.

    Mirrored about the middle of the border pixel, which is not repeated (NumPy's "reflect"), as often as it takes:
    for length 3, positions -3 ... 5 are 1 2 1 0 1 2 1 0 1. An axis of length 1 is repeated.
    """
    if length < 1:
        raise ValueError(f"length={length}: an axis without pixels cannot be mirrored")
    period = max(1, 2 * (length - 1))
    position = np.arange(start, stop) % period
    return np.minimum(position, period - position) if length > 1 else position


def read_window(image, window: Window) -> np.ndarray:
    """The pixels of `window` from an image (H, W, ...), mirrored where the window reaches beyond it.

    The image is anything that gives an array when sliced (NumPy, memmap, zarr); only what the window needs is read.
    """
    height, width = image.shape[:2]
    bottom, right = window.y + window.height, window.x + window.width
    if window.y >= 0 and window.x >= 0 and bottom <= height and right <= width:
        return np.asarray(image[window.slices])
    rows, columns = mirror_indices(window.y, bottom, height), mirror_indices(window.x, right, width)
    top, left = int(rows.min()), int(columns.min())
    block = np.asarray(image[top : int(rows.max()) + 1, left : int(columns.max()) + 1])
    return block[(rows - top)[:, None], columns - left]
