"""From the numbers in a mask's file to class ids."""

from collections.abc import Mapping

import numpy as np

IGNORE = 255  # in a mask: no class is known


def class_ids(
    labels: np.ndarray, values: Mapping[int, int] | None, name: str, missing: np.ndarray | None = None
) -> np.ndarray:
    """Class ids uint8 of the shape of `labels`, a new array.

    values: which number in the file is which class id (255: unknown); None: the numbers are the ids. missing: bool
    (h, w), where the mask has no data: 255, whatever its number is. Raises ValueError that calls the mask `name`, for
    numbers that `values` does not have, that are not whole, or beyond 0 to 255.
    """
    if missing is not None and missing.any():
        out = np.full(labels.shape, IGNORE, np.uint8)
        out[~missing] = class_ids(labels[~missing], values, name)
        return out
    if values is None:
        if labels.dtype == np.uint8:
            return labels.copy()
        known = (labels >= 0) & (labels <= IGNORE) & (labels == np.floor(labels))
        if not known.all():
            raise ValueError(
                f"{name} holds {_some(labels[~known])}; expected ids, whole numbers from 0 to 255 (255: unknown). Give "
                "values={number in the file: class id, ...}"
            )
        return labels.astype(np.uint8)
    if labels.dtype in (np.uint8, np.uint16):  # a table is much faster than sorting
        where, numbers = labels, np.arange(np.iinfo(labels.dtype).max + 1)
        found = np.bincount(labels.ravel(), minlength=len(numbers)) > 0
    else:
        numbers, where = np.unique(labels, return_inverse=True)
        found = np.ones(len(numbers), bool)
    known = np.isin(numbers, list(values))
    if not known[found].all():
        raise ValueError(
            f"{name} holds {_some(numbers[found & ~known])}, which values={dict(values)} does not name; give each "
            "number that the mask has a class id, or 255 for unknown"
        )
    ids = np.array([values.get(number, IGNORE) for number in numbers.tolist()], np.uint8)
    return ids[where].reshape(labels.shape)


def _some(numbers: np.ndarray) -> str:
    found = np.unique(numbers).tolist()
    return ", ".join(f"{number:g}" for number in found[:6]) + (", ..." if len(found) > 6 else "")
