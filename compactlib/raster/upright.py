"""The eight ways a picture can lie in its file, numbered as by the tag Orientation of TIFF and EXIF; 1 is upright."""

from collections.abc import Callable, Sequence

import numpy as np

TRANSPOSED, FROM_BELOW, FROM_RIGHT = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)


def turn(array: np.ndarray, number: int) -> np.ndarray:
    """An array (h, w, ...) as it lies in the file -> as it is to be looked at; a view."""
    if number in TRANSPOSED:
        array = array.swapaxes(0, 1)
    if number in FROM_BELOW:
        array = array[::-1]
    return array[:, ::-1] if number in FROM_RIGHT else array


def place(y: int, x: int, height: int, width: int, shape: tuple[int, ...], number: int) -> tuple[int, int, int, int]:
    """The window of the upright picture of this (upright) shape, as row, column, rows and columns of the file."""
    if number in FROM_BELOW:
        y = shape[0] - y - height
    if number in FROM_RIGHT:
        x = shape[1] - x - width
    return (x, y, width, height) if number in TRANSPOSED else (y, x, height, width)


def fill_upright(
    fill: Callable[[np.ndarray, int, int], None],
    shape: Sequence[int],
    orientation: int,
    out: np.ndarray,
    y: int,
    x: int,
) -> None:
    """Write the window (y, x) of an upright picture of this shape (H, W, ...) into `out` (h, w, C).

    fill(out, y, x) does it for the picture as it lies in its file.
    """
    if orientation == 1:
        return fill(out, y, x)
    top, left, height, width = place(y, x, *out.shape[:2], shape, orientation)
    lying = np.empty((height, width, out.shape[2]), out.dtype)
    fill(lying, top, left)
    out[:] = turn(lying, orientation)
    return None
