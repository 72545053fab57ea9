"""From the arrays that a source holds to a data set: test and validation part, size, statistics, fraction."""

import warnings

import numpy as np

from .cards import Card
from .data import ImageData, ImageSet, MaskSet, SegmentationData
from .images import channel_statistics, resize, resize_masks
from .part import Part, join
from .reader import Arrays
from .splits import TEST, TEST_SEED, VAL

NAMES = {"classification": ("images", "labels"), "segmentation": ("images", "masks", "missing")}
KINDS = {"classification": (ImageData, ImageSet), "segmentation": (SegmentationData, MaskSet)}
RESIZE = {"images": resize, "masks": resize_masks, "missing": resize_masks}


def data_set(
    raw: dict[str, Arrays],
    card: Card,
    *,
    source: str,
    comparable: bool,
    fraction: float,
    seed: int,
    val_fraction: float,
    img_size: int | None = None,
    test_fraction: float = 0.2,
) -> ImageData | SegmentationData:
    """Split, thin and resize; the arguments are those of `load`. raw: the arrays of "train", "test" and perhaps "val",
    or of "all" where there is no official split. Raises ValueError if nothing is left to train on."""
    parts = _parts(raw, NAMES[card.task])
    if "all" in parts:
        options = dict(seed=TEST_SEED, stream=TEST, consecutive=card.consecutive)
        parts["train"], parts["test"] = parts.pop("all").split(test_fraction, **options)
    if "val" not in parts:
        parts["train"], parts["val"] = _validation(parts["train"], val_fraction, seed, card)
    elif val_fraction == 0:
        parts = parts | {"train": join([parts["train"], parts["val"]]), "val": parts["val"].take(slice(0))}
    parts = {name: _resized(part, img_size) for name, part in parts.items()}
    train = parts["train"].arrays
    mean, std = channel_statistics(train["images"], train.get("missing"))
    for part in parts.values():
        if (missing := part.arrays.get("missing")) is not None:  # what has no data is the mean: 0 for a model
            part.images[missing] = np.rint(np.array(mean) * np.iinfo(part.images.dtype).max)
    parts["train"] = parts["train"].fraction(fraction, seed=seed)
    data_class, part_class = KINDS[card.task]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what masks mean has been decided, and said, from their files
        final = {
            name: part_class(**{key: array for key, array in parts[name].arrays.items() if key != "missing"})
            for name in ("train", "val", "test")
        }
        facts = dict(class_names=card.class_names, mean=mean, std=std, card=card, source=source, comparable=comparable)
        return data_class(name=card.name, **final, **facts)


def _parts(raw: dict[str, Arrays], names: tuple[str, ...]) -> dict[str, Part]:
    """The arrays under their names; where one part says which pixels have no data, all do."""
    parts = {name: Part(**dict(zip(names, arrays, strict=False))) for name, arrays in raw.items()}
    if any("missing" in part.arrays for part in parts.values()):
        for name, part in parts.items():
            nowhere = {"missing": np.zeros(part.masks.shape, bool)}
            parts[name] = Part(**(nowhere | part.arrays))
    return parts


def _resized(part: Part, img_size: int | None) -> Part:
    return Part(
        **{name: RESIZE[name](array, img_size) if name in RESIZE else array for name, array in vars(part).items()}
    )


def _validation(train: Part, share: float, seed: int, card: Card) -> tuple[Part, Part]:
    drawn = train.drawn(share, seed=seed, stream=VAL, consecutive=card.consecutive)
    if not set(train.strata[drawn]) <= set(train.strata[~drawn]):
        some = "some class of " if len(set(train.strata)) > 1 else ""
        raise ValueError(f"val_fraction={share} leaves no training image of {some}{card.name}; choose a smaller one.")
    return train.take(~drawn), train.take(drawn)
