"""What a network has to beat: smooth the image, split it at a threshold."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy import ndarray

SIGMAS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class ThresholdBaseline:
    """Grey value after a Gaussian filter of `sigma` pixels, above `threshold` (0 to 255) one class, below the other.

    `bright_is` is the class of the bright side. Colours are averaged to grey. For masks of two classes.
    """

    sigma: float
    threshold: int
    bright_is: int

    @classmethod
    def fit(cls, images: ndarray, masks: ndarray) -> Self:
        """The filter and the threshold with the best mean IoU on images uint8 (n, h, w, c) and masks (n, h, w).

        All six widths, all 256 thresholds and both polarities are tried; pixels of the ignore label 255 do not count.
        Raises ValueError if a mask has another class than 0 and 1.
        """
        if extra := sorted(set(np.unique(masks).tolist()) - {0, 1, 255}):
            raise ValueError(f"a threshold tells two classes apart, 0 and 1; the masks also have {extra}")
        best, score = None, -1.0
        for sigma in SIGMAS:
            grey = _smooth(images, sigma)
            below = [np.cumsum(np.bincount(grey[masks == k], minlength=256)) for k in (0, 1)]  # pixels up to each level
            for bright in (0, 1):
                hits_dark, missed = below[1 - bright], below[bright]
                hits_bright, wrong = below[bright][-1] - missed, below[1 - bright][-1] - hits_dark
                errors = missed + wrong
                iou = (
                    hits_dark / np.maximum(1, hits_dark + errors) + hits_bright / np.maximum(1, hits_bright + errors)
                ) / 2
                level = int(iou.argmax())
                if iou[level] > score:
                    best, score = cls(sigma, level, bright), iou[level]
        return best

    def predict(self, images: ndarray) -> ndarray:
        """The class of each pixel, uint8 (n, h, w), of images uint8 (n, h, w, c)."""
        bright = _smooth(images, self.sigma) > self.threshold
        return np.where(bright, self.bright_is, 1 - self.bright_is).astype(np.uint8)


def _smooth(images: ndarray, sigma: float) -> ndarray:
    """Grey values uint8 (n, h, w), smoothed."""
    grey = images.astype(np.float64).mean(axis=-1)
    from skimage.filters import gaussian  # here: it takes long to import

    smooth = gaussian(grey, (0, sigma, sigma), mode="mirror", preserve_range=True) if sigma else grey
    return np.rint(smooth).astype(np.uint8)
