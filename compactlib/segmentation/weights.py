"""U-Net's pixel weights: classes in balance, and narrow borders between cells made heavy (paper, Section 3)."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray
from scipy.ndimage import distance_transform_edt, find_objects, minimum_filter

FAR = 8  # in sigmas: where d1 + d2 is above this, the border term is below 2e-14 w0 and left at 0


def weight_map(labels: ndarray, w0: float = 10, sigma: float = 5, border: str = "everywhere") -> ndarray:
    """w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)), float32 (H, W); equation 2 of the U-Net paper.

    labels: int (H, W), 0 = background, another number for each cell. w_c is `class_balance`, d1 and d2 are the
    distances in pixels to the nearest and second nearest cell (`cell_distances`). border: "everywhere" is the formula
    as printed, which raises the rims of neighbouring cells too; "background" keeps the second term between the cells
    only, as many later implementations do. Cells that touch have no background between them: see `touching_cut`.

    Time grows with the summed area of the cells' surroundings (8 sigma on each side), memory with the image.
    """
    return (class_balance(labels) + border_term(labels, w0, sigma, border)).astype(np.float32)


def class_balance(labels: ndarray) -> ndarray:
    """w_c, float32 (H, W): inverse frequency of background and cell in this image, scaled to mean 1 over its pixels.

    The paper does not print w_c. An image of one class only has 1 everywhere.
    """
    cell = _check(labels) > 0
    share = cell.mean()
    if share in (0, 1):
        return np.ones(labels.shape, np.float32)
    return np.where(cell, 0.5 / share, 0.5 / (1 - share)).astype(np.float32)


def balanced_class_weights(counts: Sequence[int] | ndarray) -> ndarray:
    """Weight of each class that gives all classes the same total: n / (k count), float64 (k,), of n pixels.

    counts: pixels of each of the k classes. This is scikit-learn's compute_class_weight("balanced"). ValueError for a
    class without a pixel, which has no such weight.
    """
    counts = np.asarray(counts, np.float64)
    if absent := np.flatnonzero(counts == 0).tolist():
        raise ValueError(f"no pixel is of class {', '.join(map(str, absent))}: it has no balanced weight")
    return counts.sum() / (len(counts) * counts)


def border_term(labels: ndarray, w0: float = 10, sigma: float = 5, border: str = "everywhere") -> ndarray:
    """The second term of `weight_map`, float32 (H, W), 0 to w0: greatest where two cells are near, 0 without two."""
    if border not in ("everywhere", "background"):
        raise ValueError(f"border={border!r} is unknown; choose 'everywhere' or 'background'")
    if not (w0 >= 0 and sigma > 0):
        raise ValueError(f"w0={w0}, sigma={sigma}: expected w0 of 0 or more and sigma above 0 pixels")
    d1, d2 = cell_distances(labels, reach=FAR * sigma)
    term = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return np.where(labels == 0, term, 0).astype(np.float32) if border == "background" else term.astype(np.float32)


def cell_distances(labels: ndarray, reach: float = np.inf) -> tuple[ndarray, ndarray]:
    """d1, d2, float32 (H, W): Euclidean distances in pixels to the nearest and the second nearest cell.

    A pixel's own cell is at distance 0. inf where there is no such cell, or none within `reach` pixels. One distance
    transform per cell, over the cell and `reach` pixels around it; only the two smallest distances are kept.
    """
    labels = _renumbered(_check(labels))
    d1, d2 = np.full((2, *labels.shape), np.inf, np.float32)
    grow = int(min(np.ceil(reach), max(labels.shape)))
    for cell, box in enumerate(find_objects(labels), start=1):
        around = tuple(slice(max(0, side.start - grow), side.stop + grow) for side in box)
        distance = distance_transform_edt(labels[around] != cell)
        distance[distance > reach] = np.inf
        d2[around] = np.minimum(d2[around], np.maximum(d1[around], distance))
        d1[around] = np.minimum(d1[around], distance)
    return d1, d2


def touching_cut(labels: ndarray) -> ndarray:
    """A copy of `labels` where a one-pixel line of background parts cells that touch, corners included.

    The larger cell of two gives the pixels, so that a small one does not vanish. The paper cuts such borders before it
    computes the weights.
    """
    sizes = np.bincount(_renumbered(_check(labels)).ravel())
    rank = np.empty(len(sizes), np.int64)  # 0 for the background, then cells from small to large
    rank[np.concatenate([[0], 1 + np.argsort(sizes[1:], kind="stable")])] = np.arange(len(sizes))
    ranks = rank[_renumbered(labels)]
    smallest = minimum_filter(np.where(ranks > 0, ranks, len(sizes)), size=3)  # smallest cell among the 3 x 3
    return np.where(smallest < ranks, 0, labels).astype(labels.dtype)


def label_instances(mask: ndarray, connectivity: int = 1) -> ndarray:
    """Connected parts of a mask of class ids (H, W), numbered from 1, int32; 0 where the mask is 0 or 255 (ignored).

    connectivity 1: neighbours share an edge; 2: or a corner. Neighbours of different classes are different parts.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise ValueError(f"mask of type {mask.dtype} and shape {mask.shape}; expected integers (H, W)")
    from skimage.measure import label  # here: it takes long to import

    return label(np.where(mask == 255, 0, mask).astype(np.int64), background=0, connectivity=connectivity).astype(
        np.int32
    )


def _check(labels: ndarray) -> ndarray:
    if not isinstance(labels, ndarray) or labels.ndim != 2 or labels.dtype.kind not in "ui" or labels.size == 0:
        what = f"{labels.dtype} of shape {labels.shape}" if isinstance(labels, ndarray) else type(labels).__name__
        raise ValueError(
            f"labels are {what}; expected an integer array (H, W), 0 = background, another number for each cell "
            "(label_instances makes one from a mask)"
        )
    if labels.min() < 0:
        raise ValueError(f"labels go down to {labels.min()}; expected 0 for the background and cells from 1")
    return labels


def _renumbered(labels: ndarray) -> ndarray:
    """`labels` with the numbers 1, 2, 3 ... in the order of theirs; 0 stays 0."""
    from skimage.segmentation import relabel_sequential  # here: it takes long to import

    return relabel_sequential(labels)[0]
