"""What `load` returns: three sets of images with their labels or masks, and what is needed to use and to quote them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .cards import Card
from .mask_arrays import check_masks, mask_array
from .part import Part


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet(Part):
    """Images and their labels; an item is an image and its class index.

    images: uint8 array (n, height, width, channels). labels: int64 array (n,) of class indices.
    Raises ValueError for other types or shapes.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 of shape (n, height, width, channels), "
                f"not {self.images.dtype} of shape {self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must be int64 of shape ({len(self.images)},), "
                f"not {self.labels.dtype} of shape {self.labels.shape}"
            )

    def __repr__(self) -> str:
        height, width, channels = self.images.shape[1:]
        return f"ImageSet({len(self):,} images, {height}x{width}x{channels})"


@dataclass(frozen=True, eq=False, repr=False)
class MaskSet(Part):
    """Images and their masks; an item is an image and its mask.

    images: uint8 or uint16 array (n, height, width, channels). masks: uint8 array (n, height, width) of class indices,
    255 where the truth is unknown and nothing counts. Masks of another type (bool, int64, float) become uint8 where no
    number is lost by it. Raises ValueError for other types or shapes, with what to do.
    """

    images: np.ndarray
    masks: np.ndarray

    def __post_init__(self) -> None:
        for name, array in vars(self).items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"{name} must be a NumPy array, not {type(array).__name__}; give np.asarray({name})")
        if self.images.dtype not in (np.uint8, np.uint16) or self.images.ndim != 4:
            raise ValueError(
                f"images must be uint8 or uint16 of shape (n, height, width, channels), "
                f"not {self.images.dtype} of shape {self.images.shape}"
            )
        object.__setattr__(self, "masks", mask_array(self.masks, self.images.shape[:3]))

    def __repr__(self) -> str:
        height, width, channels = self.images.shape[1:]
        return f"MaskSet({len(self):,} images, {height}x{width}x{channels})"


@dataclass(frozen=True, eq=False, repr=False)
class _Data:
    """A data set split for training.

    mean, std: per channel, in units where white is 1, of the training images after the validation part is taken out
    and before `fraction` thins them; so the normalization of a model does not change with `fraction`.
    source: in words, which files were read. comparable: whether these are the official pixels in the official split,
    so that an accuracy may stand beside a published one.
    """

    name: str
    train: Part
    val: Part
    test: Part
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    card: Card
    source: str
    comparable: bool

    @property
    def img_size(self) -> tuple[int, int]:
        """(height, width) of every image, pixels."""
        return self.train.images.shape[1:3]

    @property
    def in_chans(self) -> int:
        """Channels: 1 for grey, 3 for RGB."""
        return self.train.images.shape[3]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def __repr__(self) -> str:
        height, width = self.img_size
        counts = f"{len(self.train):,} train / {len(self.val):,} val / {len(self.test):,} test"
        size = f"{height}x{width}x{self.in_chans}, {self.num_classes} classes"
        return f"{type(self).__name__}({self.name}: {counts}, {size}, from {self.source})"


@dataclass(frozen=True, eq=False, repr=False)
class ImageData(_Data):
    __doc__ = _Data.__doc__

    task: ClassVar[str] = "classification"
    train: ImageSet
    val: ImageSet
    test: ImageSet


@dataclass(frozen=True, eq=False, repr=False)
class SegmentationData(_Data):
    __doc__ = f"""{_Data.__doc__}    Each part is a MaskSet: every pixel has a class, or is 255.

    Raises ValueError for masks with numbers that are no class. Warns if of two classes the second is nowhere and 255
    is: many programs write it for 1, but here it is ignored.
    """

    task: ClassVar[str] = "segmentation"
    train: MaskSet
    val: MaskSet
    test: MaskSet

    def __post_init__(self) -> None:
        check_masks((self.train.masks, self.val.masks, self.test.masks), self.class_names, f"the masks of {self.name}")
