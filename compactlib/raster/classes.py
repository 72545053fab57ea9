"""From the numbers in a mask's file to class ids."""

from collections.abc import Mapping

import numpy as np

IGNORE = 255  # in a mask: no class is known


def class_ids(labels: np.ndarray, values: Mapping[int, int] | None, name: str) -> np.ndarray:
    """Class ids uint8 of the shape of `labels`, a new array.

    values: which number in the file is which class id (255: unknown); None: the numbers are the ids. Raises ValueError
    that calls the mask `name`, for numbers that `values` does not have, that are not whole, or beyond 0 to 255.
    """
    if values is None:
        if labels.dtype == np.uint8:
            return labels.copy()
        wrong = labels[~((labels >= 0) & (labels <= IGNORE) & (labels == np.floor(labels)))]
        if wrong.size:
            raise ValueError(
                f"{name} holds {_some(wrong)}; expected class ids, whole numbers from 0 to 255 (255: unknown). Give "
                "values={number in the file: class id, ...}"
            )
        return labels.astype(np.uint8)
    out, known = np.full(labels.shape, IGNORE, np.uint8), np.zeros(labels.shape, bool)
    for value, index in values.items():
        here = labels == value
        out[here] = index
        known |= here
    if not known.all():
        raise ValueError(
            f"{name} holds {_some(labels[~known])}, which values={dict(values)} does not name; give each number that "
            "the mask has a class id, or 255 for unknown"
        )
    return out


def _some(numbers: np.ndarray) -> str:
    found = np.unique(numbers).tolist()
    return ", ".join(f"{number:g}" for number in found[:6]) + (", ..." if len(found) > 6 else "")
