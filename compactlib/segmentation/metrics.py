"""How good a segmentation is: overlap and distance of two masks, confusion of classes, errors of a membrane map.

What an absent class counts as: where neither prediction nor truth has a pixel of it, dice and IoU are nan, and means
leave it out (a class that is not there is neither a hit nor a miss). Where only one of the two has it, dice and IoU are
0 and the Hausdorff distance is inf: a mean must not improve because an object was missed.
"""

import math

import numpy as np
import torch
from numpy import ndarray
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from compactlib.segmentation.weights import label_instances

Mask = ndarray | Tensor


def dice(pred: Mask, target: Mask, absent: float = math.nan) -> float:
    """2 |P and T| / (|P| + |T|) of two boolean masks of one shape, 2-D or 3-D; `absent` if both are empty."""
    pred, target = _masks(pred, target)
    pixels = np.count_nonzero(pred) + np.count_nonzero(target)
    return 2 * np.count_nonzero(pred & target) / pixels if pixels else absent


def iou(pred: Mask, target: Mask, absent: float = math.nan) -> float:
    """|P and T| / |P or T| (Jaccard) of two boolean masks of one shape, 2-D or 3-D; `absent` if both are empty."""
    pred, target = _masks(pred, target)
    pixels = np.count_nonzero(pred | target)
    return np.count_nonzero(pred & target) / pixels if pixels else absent


def hd95(pred: Mask, target: Mask, spacing: float | tuple[float, ...] | None = None) -> float:
    """95 % Hausdorff distance of two boolean masks of one shape, 2-D or 3-D, in pixels or in the unit of `spacing`.

    The distances from each surface pixel of one mask to the nearest surface pixel of the other are put together in both
    directions; 95 % of them are at most this long (medpy's definition). Surface: pixels of the mask with an edge
    neighbour outside it, or at the image's border. inf where one mask is empty, nan where both are. spacing: size of a
    pixel along each axis.
    """
    pred, target = _masks(pred, target)
    spacing = _spacing(spacing, pred.ndim)
    if not (pred.any() and target.any()):
        return math.inf if pred.any() or target.any() else math.nan
    box = _bounding_box(pred | target)  # nothing outside it is in a mask, or nearer
    surfaces = [mask[box] & ~binary_erosion(mask[box]) for mask in (pred, target)]
    to_pred, to_target = (distance_transform_edt(~surface, sampling=spacing) for surface in surfaces)
    return float(np.percentile(np.concatenate([to_target[surfaces[0]], to_pred[surfaces[1]]]), 95))


def swin_unet_scores(pred: Mask, target: Mask) -> tuple[float, float]:
    """(dice, hd95) as Swin-Unet's published evaluation counts them; only for comparison with its tables.

    Like `dice` and `hd95` where both masks have pixels. An empty truth with a prediction counts as (1, 0), an empty
    prediction as (0, 0), also where both are empty.
    """
    pred, target = _masks(pred, target)
    if pred.any() and target.any():
        return dice(pred, target), hd95(pred, target)
    return (1.0, 0.0) if pred.any() else (0.0, 0.0)


def confusion(pred: Mask, target: Mask, num_classes: int) -> Tensor:
    """Pixel counts int64 (k, k) of class ids of one shape: row = true class, column = predicted; truth 255 is left out.

    Tensors stay on their device. Counts of batches may be added. ValueError for numbers that are no class ids: floats
    (probabilities have to be made classes first), and ids outside 0 to k - 1.
    """
    pred, target = (  # a tensor cannot look at an array from behind, as a flipped one does
        torch.as_tensor(ids) if isinstance(ids, Tensor) else torch.from_numpy(np.ascontiguousarray(ids))
        for ids in (pred, target)
    )
    for name, ids in {"prediction": pred, "truth": target}.items():
        if ids.is_floating_point() or ids.is_complex():
            raise ValueError(
                f"the {name} is {ids.dtype}; expected whole class ids (of scores take .argmax(axis=-1), of "
                "whole numbers .astype(int))"
            )
    pred, target = pred.long(), target.long()
    if pred.shape != target.shape:
        raise ValueError(f"prediction of shape {tuple(pred.shape)} and truth of shape {tuple(target.shape)} differ")
    counted = target != 255
    for name, ids in {"prediction": pred, "truth": target}.items():
        outside = counted & ((ids < 0) | (ids >= num_classes))
        if outside.any():
            wrong = ids[outside].unique().tolist()[:5]
            raise ValueError(f"the {name} has the class ids {wrong}; expected 0 to {num_classes - 1}")
    pairs = target[counted] * num_classes + pred[counted]
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_iou(confusion: Mask) -> ndarray:
    """IoU of each class (k,) from a confusion matrix; nan for a class that is neither there nor predicted."""
    hits, true, predicted = _totals(confusion)
    return _divide(hits, true + predicted - hits)


def class_dice(confusion: Mask) -> ndarray:
    """Dice of each class (k,) from a confusion matrix; nan for a class that is neither there nor predicted."""
    hits, true, predicted = _totals(confusion)
    return _divide(2 * hits, true + predicted)


def mean_iou(confusion: Mask) -> float:
    """Mean of `class_iou` over the classes that are there or predicted; nan without any."""
    return _mean(class_iou(confusion))


def mean_dice(confusion: Mask) -> float:
    """Mean of `class_dice` over the classes that are there or predicted; nan without any."""
    return _mean(class_dice(confusion))


def pixel_accuracy(confusion: Mask) -> float:
    """Share of the counted pixels that have their true class; nan without any."""
    hits, true, _ = _totals(confusion)
    return float(_divide(hits.sum(), true.sum()))


def pixel_error(pred: Mask, target: Mask) -> float:
    """Share of pixels in which two boolean masks of one shape differ; one of the three errors of ISBI 2012."""
    pred, target = _masks(pred, target)
    return float((pred != target).mean())


def rand_error(pred: Mask, target: Mask) -> float:
    """Rand error of two masks that are true inside cells and false on membranes (H, W), 0 is best: 1 - F.

    Cells are the connected parts (edge neighbours) of each mask. F is the harmonic mean of the precision and recall of
    "these two pixels are in one cell" over pairs of pixels that lie in cells of the truth, as in the ISBI 2012
    challenge; there the least error over thresholds of the probability map is reported. nan if the truth has no cell of
    two pixels or more.
    """
    pred, target = _masks(pred, target)
    truth = label_instances(target)
    if truth.max() == 0 or np.bincount(truth.ravel())[1:].max() < 2:
        return math.nan
    from skimage.metrics import adapted_rand_error  # here: it takes long to import

    return float(adapted_rand_error(truth, label_instances(pred))[0])


def _masks(*masks: Mask) -> list[ndarray]:
    """Boolean arrays of one shape; ValueError for class ids, or where the shapes differ."""
    arrays = [mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask) for mask in masks]
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(f"prediction of shape {arrays[0].shape} and truth of shape {arrays[1].shape} differ")
    for array in arrays:
        if array.dtype != bool and not np.isin(array, (0, 1)).all():
            raise ValueError(
                f"a mask of {array.dtype} goes from {array.min()} to {array.max()}; expected booleans or 0 and 1"
            )
    return [array.astype(bool) for array in arrays]


def _spacing(spacing: float | tuple[float, ...] | None, ndim: int) -> tuple[float, ...]:
    sizes = np.ones(ndim) if spacing is None else np.broadcast_to(spacing, ndim) if np.ndim(spacing) == 0 else spacing
    if len(sizes) != ndim or not all(size > 0 for size in sizes):
        raise ValueError(f"spacing={spacing}: expected a number above 0, or one for each of {ndim} axes")
    return tuple(float(size) for size in sizes)


def _bounding_box(mask: ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all true pixels of a mask that is not empty."""
    axes = range(mask.ndim)
    lines = (np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes)
    return tuple(slice(line[0], line[-1] + 1) for line in lines)


def _totals(confusion: Mask) -> tuple[ndarray, ndarray, ndarray]:
    """Hits, true pixels and predicted pixels of each class, float64 (k,)."""
    counts = confusion.cpu().numpy() if isinstance(confusion, Tensor) else np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix of shape {counts.shape}; expected (classes, classes)")
    return counts.diagonal().astype(float), counts.sum(axis=1).astype(float), counts.sum(axis=0).astype(float)


def _divide(a: ndarray, b: ndarray) -> ndarray:
    with np.errstate(invalid="ignore"):  # 0 / 0 is nan here on purpose
        return a / b


def _mean(values: ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else math.nan
