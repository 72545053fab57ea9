"""`load`: from a name to arrays for training, validation and test."""

import math

import numpy as np

from .cards import read_card
from .data import ImageData, ImageSet
from .decoded import decode
from .images import resize
from .locate import locate
from .splits import stratified

TEST_SHARE, TEST_SEED = 0.2, 0
VAL, FRACTION, TEST = 1, 2, 3  # streams of `stratified`


def load(
    name: str,
    fraction: float = 1.0,
    seed: int = 0,
    *,
    val_fraction: float = 0.1,
    img_size: int | None = None,
) -> ImageData:
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

    Raises ValueError for an unknown name or a value out of range, DatasetNotFound if the files are neither here nor
    to be downloaded, DamagedFile if a file does not have its checksum.
    """
    card = read_card(name)
    _check(fraction=fraction, seed=seed, val_fraction=val_fraction, img_size=img_size)
    located = locate(card)
    raw = decode(card, located, img_size)

    if "all" in raw:  # no official split
        images, labels = raw["all"]
        drawn = stratified(labels, TEST_SHARE, seed=TEST_SEED, stream=TEST)
        raw = {"train": (images[~drawn], labels[~drawn]), "test": (images[drawn], labels[drawn])}
    images, labels = raw["train"]
    if "val" not in raw:
        drawn = stratified(labels, val_fraction, seed=seed, stream=VAL)
        if drawn.all() or not set(labels[drawn]) <= set(labels[~drawn]):
            raise ValueError(
                f"val_fraction={val_fraction} leaves no training image of some class of {name}; choose a smaller one."
            )
        raw["val"] = images[drawn], labels[drawn]
        images, labels = images[~drawn], labels[~drawn]
    elif val_fraction == 0:
        images, labels = (np.concatenate(pair) for pair in zip(raw["train"], raw["val"], strict=True))
        raw["val"] = images[:0], labels[:0]

    images, val, test = (resize(part, img_size) for part in (images, raw["val"][0], raw["test"][0]))
    mean, std = channel_statistics(images)
    kept = stratified(labels, fraction, seed=seed, stream=FRACTION) if fraction < 1 else slice(None)
    return ImageData(
        name=name,
        train=ImageSet(images[kept], labels[kept]),
        val=ImageSet(val, raw["val"][1]),
        test=ImageSet(test, raw["test"][1]),
        class_names=card.class_names,
        mean=mean,
        std=std,
        card=card,
        source=located.source.title,
        comparable=located.source.comparable,
    )


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (n, h, w, c), in units where 255 is 1.

    Sums of integers, so that every machine finds the same digits, and in chunks, so that memory stays small.
    """
    channels = images.shape[-1]
    total, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    for start in range(0, len(images), 2048):
        chunk = images[start : start + 2048].reshape(-1, channels)
        for channel in range(channels):
            counts = np.bincount(chunk[:, channel], minlength=256)
            total[channel] += counts @ np.arange(256)
            squares[channel] += counts @ np.arange(256) ** 2
    count = images.size // channels
    mean = total / count
    std = np.sqrt(squares / count - mean**2)
    return tuple((mean / 255).tolist()), tuple((std / 255).tolist())


def _check(*, fraction: float, seed: int, val_fraction: float, img_size: int | None) -> None:
    """Raise ValueError for what `load` cannot use. Comparisons are written so that NaN fails them."""
    if not (_is_number(fraction) and 0 < fraction <= 1):
        raise ValueError(f"fraction must be a number above 0 and at most 1 (1 keeps every image), not {fraction!r}.")
    if not (_is_number(val_fraction) and 0 <= val_fraction < 1):
        raise ValueError(f"val_fraction must be a number from 0 to less than 1, not {val_fraction!r}.")
    if not (_is_integer(seed) and 0 <= seed < 2**32):
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, not {seed!r}.")
    if img_size is not None and not (_is_integer(img_size) and 1 <= img_size <= 4096):
        raise ValueError(f"img_size must be None (native size) or an integer from 1 to 4096, not {img_size!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
