"""k-fold cross-validation over the images that are not in the test part."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from compactlib.datasets import ImageData, MaskSet, SegmentationData, channel_statistics

Data = ImageData | SegmentationData


def folds(data: Data, k: int, *, seed: int = 0, contiguous: bool = False) -> Iterator[Data]:
    """`data` k times, each time with another k-th of its training and validation images as `val`; test stays.

    Mean and standard deviation are those of each fold's training images. Labels are spread evenly over the folds
    (scikit-learn's StratifiedKFold), masks at random (KFold). contiguous: folds of neighbouring images, in their order,
    for slices of one volume, where an image next to one of the training set would be no test. Raises ValueError for a
    `k` below 2 or above the number of images.
    """
    joined = {name: np.concatenate([array, getattr(data.val, name)]) for name, array in vars(data.train).items()}
    count = len(joined["images"])
    if isinstance(k, bool) or not isinstance(k, int) or not 2 <= k <= count:
        raise ValueError(f"k must be an integer from 2 to {count}, the number of images in train and val, not {k!r}")
    return _folds(data, joined, k, seed, contiguous)


def _folds(data: Data, joined: dict[str, np.ndarray], k: int, seed: int, contiguous: bool) -> Iterator[Data]:
    from sklearn.model_selection import KFold, StratifiedKFold  # here: it takes seconds to import

    # Validation images of a contiguous split stand after the training images, so joined they are in their order.
    if contiguous:
        splitter, labels = KFold(k), None
    elif isinstance(data.train, MaskSet):
        splitter, labels = KFold(k, shuffle=True, random_state=seed), None
    else:
        splitter, labels = StratifiedKFold(k, shuffle=True, random_state=seed), joined["labels"]
    part = type(data.train)
    for train, val in splitter.split(joined["images"], labels):
        mean, std = channel_statistics(joined["images"][train])
        yield replace(
            data, mean=mean, std=std,
            train=part(**{name: array[train] for name, array in joined.items()}),
            val=part(**{name: array[val] for name, array in joined.items()}),
        )  # fmt: skip
