"""Windows over an image: integer geometry that knows the image's size and nothing else, and mirrored reading."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compactlib.raster.missing import is_nodata, missing_pixels


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
    return _mirrored(lambda rows, columns: (np.asarray(image[rows, columns]), None), image.shape, window)[0]


def look_at_window(image, window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """`read_window` for a model, and which pixels are missing, bool (h, w); None if there are none.

    An image that knows more than its numbers say has a method `look` (a `Scene`). Where a float stands for "no data" in
    one band of a pixel that has others, it becomes NaN.
    """

    def look(rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray | None]:
        if hasattr(image, "look"):
            return image.look(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        pixels = np.asarray(image[rows, columns])
        return pixels, missing_pixels(pixels) if pixels.dtype.kind == "f" else None

    pixels, missing = _mirrored(look, image.shape, window)
    if missing is None:
        return pixels, None
    nodata = getattr(image, "nodata", None)
    if nodata is not None and pixels.dtype.kind == "f" and (holes := is_nodata(pixels, nodata)).any():
        return np.where(holes, pixels.dtype.type(np.nan), pixels), missing
    return pixels, missing if missing.any() else None


def rows_and_columns(key: object, shape: Sequence[int]) -> tuple[range, range]:
    """What two slices choose of an image of this shape. Raises IndexError for another key, and for steps."""
    if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, slice) for part in key)):
        raise IndexError("a scene is read by two slices, scene[a:b, c:d]")
    rows, columns = (range(*part.indices(length)) for part, length in zip(key, shape, strict=False))
    if rows.step != 1 or columns.step != 1:
        raise IndexError("a scene is read in steps of 1 pixel; slice the array that scene[a:b, c:d] gives")
    return rows, columns


def _mirrored(get: Callable, shape: Sequence[int], window: Window) -> tuple[np.ndarray, np.ndarray | None]:
    """What get(rows, columns) gives for a window inside the image, mirrored where it reaches beyond."""
    height, width = shape[:2]
    bottom, right = window.y + window.height, window.x + window.width
    if window.y >= 0 and window.x >= 0 and bottom <= height and right <= width:
        return get(*window.slices)
    rows, columns = mirror_indices(window.y, bottom, height), mirror_indices(window.x, right, width)
    top, left = int(rows.min()), int(columns.min())
    found = get(slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1))
    place = (rows - top)[:, None], columns - left
    return tuple(None if array is None else array[place] for array in found)


def read_bordered(
    fill: Callable[[np.ndarray, int, int], None],
    shape: Sequence[int],
    window: Window,
    channels: int,
    dtype: np.dtype,
    mirrored: bool,
) -> np.ndarray:
    """The pixels (h, w, channels) of a window of an image of this shape (H, W, ...), a new array.

    fill(out, y, x) writes the pixels from (y, x) on, all of them inside the image, into `out` (h, w, channels). Beyond
    the image pixels are mirrored (`mirror_indices`), or 0.
    """
    y, x, height, width = (operator.index(number) for number in (window.y, window.x, window.height, window.width))
    if height < 1 or width < 1:
        raise ValueError(f"a window of {height} x {width} pixels; expected 1 x 1 or more")
    # The part inside the image, in rows and columns of the window.
    top, bottom = (min(max(end - y, 0), height) for end in (0, shape[0]))
    left, right = (min(max(end - x, 0), width) for end in (0, shape[1]))
    whole = (top, left, bottom, right) == (0, 0, height, width)
    if mirrored and not whole:
        rows = mirror_indices(y, y + height, shape[0]) - y
        columns = mirror_indices(x, x + width, shape[1]) - x
        first, last = (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)
        if min(first) < 0 or last[0] > height or last[1] > width or top == bottom or left == right:
            # Some pixels are mirrored from inside the image, but outside the window: cut it out of another one.
            other = Window(y + first[0], x + first[1], last[0] - first[0], last[1] - first[1])
            pixels = read_bordered(fill, shape, other, channels, dtype, mirrored)
            return pixels[(rows - first[0])[:, None], columns - first[1]]
    out = (np.empty if whole else np.zeros)((height, width, channels), dtype)
    if top < bottom and left < right:
        fill(out[top:bottom, left:right], y + top, x + left)
    if mirrored and not whole:
        for outside in (slice(0, left), slice(right, width)):
            out[top:bottom, outside] = out[top:bottom, columns[outside]]
        for outside in (slice(0, top), slice(bottom, height)):
            out[outside] = out[rows[outside]]
    return out
