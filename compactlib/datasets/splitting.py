"""From the arrays of a set for segmentation to its parts: validation, fraction, size, statistics."""

import warnings

import numpy as np

from .cards import Card
from .data import MaskSet, SegmentationData
from .images import channel_statistics, resize, resize_masks
from .reader import Part
from .splits import FRACTION, TEST, TEST_SEED, VAL, share_of, stratified


def segmentation_data(
    raw: dict[str, Part],
    card: Card,
    *,
    source: str,
    comparable: bool,
    fraction: float,
    seed: int,
    val_fraction: float,
    img_size: int | None = None,
    test_fraction: float = 0.2,
) -> SegmentationData:
    """Split, thin and resize; the arguments are those of `load`. raw: "train", "test" and perhaps "val", or "all"."""
    raw = _complete(raw)
    if "all" in raw:
        chosen = _draw(len(raw["all"][0]), test_fraction, card, seed=TEST_SEED, stream=TEST)
        raw = {"train": _take(raw["all"], ~chosen), "test": _take(raw["all"], chosen)}
    train = raw["train"]
    if "val" not in raw:
        chosen = _draw(len(train[0]), val_fraction, card, seed=seed, stream=VAL)
        train, val = _take(train, ~chosen), _take(train, chosen)
    elif val_fraction == 0:
        train, val = tuple(map(np.concatenate, zip(train, raw["val"], strict=True))), _take(raw["val"], slice(0))
    else:
        val = raw["val"]
    if not len(train[0]):
        raise ValueError(f"val_fraction={val_fraction} leaves no training image of {card.name}; choose a smaller one.")
    train, val, test = (
        (resize(images, img_size), *(resize_masks(masks, img_size) for masks in more))
        for images, *more in (train, val, raw["test"])
    )
    mean, std = channel_statistics(train[0], *train[2:])
    for images, _, *missing in (train, val, test):
        for where in missing:  # what has no data is the mean: 0 for a model
            images[where] = np.rint(np.array(mean) * np.iinfo(images.dtype).max)
    if fraction < 1:
        nobody = np.zeros(len(train[0]), np.int64)  # one class: a draw of all images alike
        train = _take(train, stratified(nobody, fraction, seed=seed, stream=FRACTION))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what these masks mean has been decided, and said, from their files
        return SegmentationData(
            name=card.name,
            train=MaskSet(*train[:2]),
            val=MaskSet(*val[:2]),
            test=MaskSet(*test[:2]),
            class_names=card.class_names,
            mean=mean,
            std=std,
            card=card,
            source=source,
            comparable=comparable,
        )


def _draw(count: int, share: float, card: Card, *, seed: int, stream: int) -> np.ndarray:
    """Which of `count` images are set aside: a random draw, of a stack its last block (neighbours are alike)."""
    if not card.consecutive:
        return stratified(np.zeros(count, np.int64), share, seed=seed, stream=stream)
    return np.arange(count) >= count - share_of(count, share)


def _take(part: Part, which: np.ndarray | slice) -> Part:
    return tuple(array[which] for array in part)


def _complete(raw: dict[str, Part]) -> dict[str, Part]:
    """Parts that all say which pixels have no data, where one of them does."""
    if all(len(part) == 2 for part in raw.values()):
        return raw
    return {name: part if len(part) == 3 else (*part, np.zeros(part[1].shape, bool)) for name, part in raw.items()}
