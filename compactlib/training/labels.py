"""Labels and masks of a data set, looked at before any work: on a GPU a wrong one ends in an assertion far away."""

import numpy as np
from torch import nn

from compactlib.datasets import ImageData, SegmentationData
from compactlib.models import unwrap

IGNORE = 255  # in masks


def check_labels(data: ImageData | SegmentationData, *splits: str) -> None:
    """ValueError, with the values, if labels or masks of `splits` have others than 0 ... data.num_classes - 1 (255 in
    masks: does not count)."""
    k = data.num_classes
    for split in splits:
        part = getattr(data, split)
        masks = "masks" in part.arrays
        found = np.flatnonzero(pixel_counts(part.masks)) if masks else np.unique(part.labels)
        wrong = [int(value) for value in found if not 0 <= value < k and not (masks and value == IGNORE)]
        if not wrong:
            continue
        values = ", ".join(map(str, wrong[:8])) + (f" and {len(wrong) - 8} more" if len(wrong) > 8 else "")
        what, rest = ("masks", f", and {IGNORE} where nothing counts") if masks else ("labels", "")
        advice = (
            "count the classes from 0: subtract 1" if wrong == [k] and found.min() > 0 else "give each class a number"
        )
        raise ValueError(
            f"{data.name}: {what} of the {split!r} split have the values {values}; expected 0 to {k - 1} for its {k} "
            f"classes{rest} ({advice}, or name all classes in class_names)"
        )


def pixel_counts(masks: np.ndarray) -> np.ndarray:
    """How many pixels of masks uint8 (n, h, w) have each value, int64 (256,)."""
    counts = np.zeros(256, np.int64)
    for mask in masks:
        counts += np.bincount(mask.ravel(), minlength=256)
    return counts


def check_outputs(model: nn.Module, data: ImageData | SegmentationData, exactly: bool = True) -> None:
    """ValueError if the model says that it has other outputs than the data have classes, or fewer (not `exactly`)."""
    outputs, k = getattr(unwrap(model), "num_classes", None), data.num_classes
    if isinstance(outputs, int) and (outputs != k if exactly else outputs < k):
        raise ValueError(f"the model has {outputs} outputs, {data.name} has {k} classes")
