"""Masks that come as arrays: brought to uint8 where nothing is lost, and held against the classes of their set."""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from .mask_values import IGNORE, class_values, value_counts

CHUNK = 256  # masks at a time


def mask_array(masks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Masks as uint8 of `shape` (n, h, w): other numbers are converted if all are whole and from 0 to 255.

    Raises ValueError, with what to do, for other shapes and numbers.
    """
    expected = f"masks must be uint8 of shape {shape}, not {masks.dtype} of shape {masks.shape}"
    if masks.shape != shape:
        raise ValueError(f"{expected}; {_reshape(masks, shape)}")
    if masks.dtype == np.uint8:
        return masks
    if masks.dtype == bool:
        return masks.view(np.uint8)
    if masks.dtype.kind not in "iuf":
        raise ValueError(f"{expected}; give class indices")
    out = np.empty(shape, np.uint8)
    for start in range(0, len(masks), CHUNK):
        part = masks[start : start + CHUNK]
        whole = (part >= 0) & (part <= IGNORE) & (part == np.floor(part))  # False for NaN
        if not whole.all():
            wrong = np.unique(part[~whole])[:6].tolist()
            shown = ", ".join(f"{value:g}" for value in wrong)
            if -1 in wrong:
                hint = "where -1 stands for no class, give np.where(masks < 0, 255, masks)"
            elif any(value != value for value in wrong):
                hint = "where NaN stands for no class, give np.nan_to_num(masks, nan=255)"
            elif all(0 < value < 1 for value in wrong):
                hint = "probabilities have to be cut at a threshold: masks > 0.5"
            else:
                hint = "give each class an index from 0 on, and 255 where no class is known"
            raise ValueError(f"{expected}; it cannot be converted, since it holds {shown}: {hint}")
        out[start : start + CHUNK] = part
    return out


def _reshape(masks: np.ndarray, shape: tuple[int, ...]) -> str:
    """What brings masks of another shape to the right one, if anything does."""
    height_width = shape[1:]
    if masks.shape == (*shape, 1):
        return "give masks[..., 0]"
    if masks.shape == (shape[0], 1, *height_width):
        return "give masks[:, 0]"
    if masks.ndim == 4 and masks.shape[:3] == shape:
        return "of colours make class indices first; of a channel for each class give masks.argmax(axis=-1)"
    if masks.ndim == 4 and (masks.shape[0], *masks.shape[2:]) == shape:
        return "of a channel for each class give masks.argmax(axis=1)"
    if masks.shape == (shape[0], *height_width[::-1]):
        return "height and width are exchanged: give masks.transpose(0, 2, 1)"
    if len(masks) != shape[0]:
        return f"there are {shape[0]} images and {len(masks)} masks"
    return "each image needs a mask of its height and width"


def check_masks(parts: Sequence[np.ndarray], class_names: Sequence[str], where: str) -> None:
    """Hold the masks (n, h, w) uint8 of a set's parts against its classes.

    Raises ValueError for numbers that are no class and not 255. Warns if the second of two classes is nowhere and 255
    is: many programs write it for 1, but here it is ignored.
    """
    highest = -1
    for masks in parts:
        for start in range(0, len(masks), CHUNK):  # 255 + 1 is 0 in uint8, below every class
            highest = max(highest, int((masks[start : start + CHUNK] + np.uint8(1)).max(initial=0)) - 1)
    if highest >= len(class_names):
        counts = Counter()
        for masks in parts:
            for mask in masks:
                counts.update(value_counts(mask))
        class_values(counts, class_names, where=where)
    if len(class_names) == 2 and highest == 0 and any((mask == IGNORE).any() for masks in parts for mask in masks):
        warnings.warn(
            f"{where} hold 0 and 255 and no pixel of {class_names[1]!r} (1); 255 is ignored. If it is that class, give "
            "MaskSet(images, (masks == 255).astype(np.uint8)).",
            stacklevel=4,
        )
