"""k-fold cross-validation over the images that are not in the test part."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from compactlib.datasets import ImageData, Part, SegmentationData, channel_statistics
from compactlib.datasets.part import join

Data = ImageData | SegmentationData


def folds(data: Data, k: int, *, seed: int = 0, contiguous: bool = False) -> Iterator[Data]:
    """`data` k times, each time with another k-th of its training and validation images as `val`; test stays.

    Mean and standard deviation are those of each fold's training images. Labels are spread evenly over the folds
    (scikit-learn's StratifiedKFold), masks at random (KFold). contiguous: folds of neighbouring images, in their order,
    for slices of one volume, where an image next to one of the training set would be no test. Raises ValueError for a
    `k` below 2 or above the number of images.
    """
    whole = join([data.train, data.val])
    count = len(whole)
    if isinstance(k, bool) or not isinstance(k, int) or not 2 <= k <= count:
        raise ValueError(f"k must be an integer from 2 to {count}, the number of images in train and val, not {k!r}")
    return _folds(data, whole, k, seed, contiguous)


def _folds(data: Data, whole: Part, k: int, seed: int, contiguous: bool) -> Iterator[Data]:
    from sklearn.model_selection import KFold, StratifiedKFold  # here: it takes seconds to import

    # Validation images of a contiguous split stand after the training images, so joined they are in their order.
    if contiguous:
        splitter = KFold(k)
    else:
        kind = StratifiedKFold if len(np.unique(whole.strata)) > 1 else KFold
        splitter = kind(k, shuffle=True, random_state=seed)
    for train, val in splitter.split(whole.images, whole.strata):
        learn = whole.take(train)
        mean, std = channel_statistics(learn.images)
        yield replace(data, mean=mean, std=std, train=learn, val=whole.take(val))
