"""Checks of the arguments that `load` and `from_folder` share."""

import math

import numpy as np


def check_arguments(*, fraction: float, seed: int, val_fraction: float, img_size: int | None) -> None:
    """Raise ValueError for what cannot be used. Comparisons are written so that NaN fails them."""
    if not (is_number(fraction) and 0 < fraction <= 1):
        raise ValueError(f"fraction must be a number above 0 and at most 1 (1 keeps every image), not {fraction!r}.")
    if not (is_number(val_fraction) and 0 <= val_fraction < 1):
        raise ValueError(f"val_fraction must be a number from 0 to less than 1, not {val_fraction!r}.")
    if not (_is_integer(seed) and 0 <= seed < 2**32):
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, not {seed!r}.")
    if img_size is not None and not (_is_integer(img_size) and 1 <= img_size <= 4096):
        raise ValueError(f"img_size must be None (native size) or an integer from 1 to 4096, not {img_size!r}.")


def is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
