"""Pictures for the tests of scenes, and what NumPy makes of their borders."""

import numpy as np

BORDERS = ("reflect", "constant")  # ours; np.pad has the same names for them


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def padded(whole: np.ndarray, y: int, x: int, height: int, width: int, border: str) -> np.ndarray:
    """The window of `whole` by NumPy: as much padding as the window reaches beyond it."""
    margins = [
        (max(0, -start), max(0, start + length - side))
        for start, length, side in zip((y, x), (height, width), whole.shape, strict=False)
    ]
    (top, _), (left, _) = margins
    return np.pad(whole, [*margins, (0, 0)], mode=border)[y + top :, x + left :][:height, :width]
