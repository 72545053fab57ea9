"""`load`: from a name to arrays for training, validation and test."""

from .arguments import check_arguments
from .cards import read_card
from .data import ImageData, SegmentationData
from .decoded import decode
from .locate import locate
from .splitting import data_set


def load(
    name: str,
    fraction: float = 1.0,
    seed: int = 0,
    *,
    val_fraction: float = 0.1,
    img_size: int | None = None,
) -> ImageData | SegmentationData:
    """Load the data set `name` (see `names()`), from this machine where it is there, else from its official place.

    fraction: share of the training images to keep, of every class (0 < fraction <= 1; the paper's Figure 4). For one
        seed the images of a smaller fraction are among those of a larger one. Validation and test are not thinned.
    seed: of the validation part and of `fraction`. The test part is the official one; "digits" has none and gets a
        stratified fifth that is the same for every seed.
    val_fraction: share of the official training images that becomes the validation part, of every class (0 to less
        than 1; 0 gives an empty one). A set with a validation part of its own (flowers102) keeps that one, whatever
        the value; only 0 adds it to the training images.
    img_size: side in pixels to resize to (bilinear, antialiased); None keeps the native size. flowers102, whose
        pictures differ in size, is cut to squares of 224 pixels by default.

    A set for segmentation comes as SegmentationData. Its draws are of all images alike, since an image has no one
    class; the validation part of "membranes", a stack of sections, is its last block before the test. Masks are
    resized to the nearest pixel. "pets", whose pictures differ in size, is fitted into squares of 224 pixels by
    default, with a rim of 255 in the mask. "cells" and "aerial" are drawn at `img_size` (128 by default).

    Raises ValueError for an unknown name or a value out of range, DatasetNotFound if the files are neither here nor
    to be downloaded, DamagedFile if a file does not have its checksum.
    """
    card = read_card(name)
    check_arguments(fraction=fraction, seed=seed, val_fraction=val_fraction, img_size=img_size)
    located = locate(card)
    return data_set(
        decode(card, located, img_size),
        card,
        source=located.source.title,
        comparable=located.source.comparable,
        fraction=fraction,
        seed=seed,
        val_fraction=val_fraction,
        img_size=img_size,
    )
