"""The eight ways a picture can lie in its file, numbered as by the tag Orientation of TIFF and EXIF; 1 is upright."""

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
