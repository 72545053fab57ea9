"""Pairs of an image and its mask: decode them, and say which file does not fit."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from ..raster.picture import Picture
from .errors import BadPair
from .mask_files import MaskRule, read_or_refuse
from .mask_values import IGNORE

AT_ONCE = 64  # pairs in memory in encoded form
QUICK = 20  # seconds; only what takes longer shows a progress bar


@dataclass(frozen=True)
class Pair:
    """An image and its mask, as bytes or as paths of files, with the names by which an error calls them."""

    image_name: str
    image: bytes | Path
    mask_name: str
    mask: bytes | Path

    def __str__(self) -> str:
        return self.image_name


def decode_pairs(
    pairs: Iterable[tuple[int, object]], count: int, decode: Callable[[object], tuple], label: str
) -> tuple[np.ndarray, ...]:
    """Decode `count` pairs, each with its place in the result, to images (n, h, w, c) and masks uint8 (n, h, w); and
    where `decode` gives a third array, pixels without data, bool (n, h, w).

    On a few threads (Pillow and NumPy release the GIL), with a progress bar where it takes long. Raises BadPair if the
    sizes or the types differ.
    """
    pairs, images, masks, missing, first = iter(pairs), None, None, None, None
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm(total=count, desc=label, leave=False, delay=QUICK) as bar,
    ):
        while batch := list(islice(pairs, AT_ONCE)):
            decoded = pool.map(decode, [pair for _, pair in batch])
            for (place, pair), (image, mask, *more) in zip(batch, decoded, strict=True):
                if images is None:
                    images, first = np.empty((count, *image.shape), image.dtype), pair
                    masks = np.empty((count, *mask.shape), np.uint8)
                if image.shape != images.shape[1:]:
                    raise BadPair(
                        f"{pair} is {_size(image)} pixels, {first} {_size(images[0])}. Images of one set need one "
                        f"size: give img_size to bring them to it."
                    )
                if image.dtype != images.dtype:
                    raise BadPair(
                        f"{pair} has pixels of {image.dtype}, {first} of {images.dtype}. Images of one set need one "
                        "type: save them all with 8 bits a channel, or all with 16."
                    )
                images[place], masks[place] = image, mask
                if more and more[0] is not None:
                    missing = np.zeros(masks.shape, bool) if missing is None else missing
                    missing[place] = more[0]
                bar.update()
    return (images, masks) if missing is None else (images, masks, missing)


def decode_pair(
    pair: Pair, rule: MaskRule, in_chans: int = 3, side: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Decode one pair: an image (h, w, in_chans) uint8 or uint16, a mask uint8 (h, w) of class indices, and where the
    image has no data, bool (h, w) or None; there the mask is 255.

    rule: how the mask is read. side: letterbox all to side x side pixels. Raises BadPair, with the name of the file.
    """
    image, classes = read_or_refuse(pair.image, pair.image_name), rule.read(pair.mask, pair.mask_name)
    pixels = _bands(image, pair.image_name, in_chans)
    if pixels.shape[:2] != classes.shape:
        raise BadPair(
            f"{pair.image_name} is {_size(pixels)} pixels, its mask {pair.mask_name} {_size(classes)}. Both need one "
            "size."
        )
    if image.missing is not None:
        classes[image.missing] = IGNORE
    if side is not None:
        return letterbox(pixels, classes, side, image.missing)
    return pixels, classes, image.missing


def _bands(image: Picture, name: str, in_chans: int) -> np.ndarray:
    """The pixels with `in_chans` channels: grey becomes colour and colour grey, more bands have to be as many."""
    pixels, bands = image.pixels, image.pixels.shape[2]
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadPair(f"{name} has pixels of {pixels.dtype}; expected whole numbers of 8 or 16 bits: scale it to them.")
    if bands == in_chans:
        return pixels
    if (bands, in_chans) == (1, 3):
        return np.repeat(pixels, 3, axis=-1)
    if (bands, in_chans) == (3, 1):
        if pixels.dtype == np.uint8:
            return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        return np.rint(pixels @ np.array([[0.299], [0.587], [0.114]])).astype(np.uint16)  # the same weights
    if image.alpha is not None and bands + 1 == in_chans:
        return np.concatenate([pixels, image.alpha[..., None]], axis=-1)
    raise BadPair(
        f"{name} has {bands} bands, in_chans is {in_chans}. Give in_chans={bands}, or save the bands that you want."
    )


def letterbox(
    image: np.ndarray, mask: np.ndarray, side: int, missing: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Fit a picture (h, w, c), its mask (h, w) and its pixels without data into a square of `side` pixels, in
    proportion and centred.

    The image is resized bilinear and antialiased and has a black rim; the mask takes the nearest pixel and has a rim
    of 255, which no loss and no metric counts.
    """
    if missing is not None:  # or their numbers would bleed into their neighbours
        image = _continued(image, missing)
    scale = side / max(image.shape[:2])
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])

    def fit(array: np.ndarray, method: Image.Resampling) -> np.ndarray:
        return np.asarray(Image.fromarray(array).resize((width, height), method))

    if image.dtype == np.uint8 and image.shape[2] in (1, 3):
        small = fit(image[..., 0] if image.shape[2] == 1 else image, Image.Resampling.BILINEAR)  # antialiases as well
        small = small.reshape(height, width, -1)
    else:
        bands = [fit(band.astype(np.float32), Image.Resampling.BILINEAR) for band in np.moveaxis(image, -1, 0)]
        small = np.rint(np.stack(bands, axis=-1)).astype(image.dtype)
    top, left = (side - height) // 2, (side - width) // 2
    place = slice(top, top + height), slice(left, left + width)
    out, out_mask = np.zeros((side, side, small.shape[2]), image.dtype), np.full((side, side), IGNORE, np.uint8)
    out[place], out_mask[place] = small, fit(mask, Image.Resampling.NEAREST)
    if missing is None:
        return out, out_mask, None
    out_missing = np.zeros((side, side), bool)
    out_missing[place] = fit(missing.astype(np.uint8), Image.Resampling.NEAREST)
    return out, out_mask, out_missing


def _continued(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """`image` with the nearest pixel that has data in the place of each that has none."""
    from scipy.ndimage import distance_transform_edt

    if missing.all():
        return image
    return image[tuple(distance_transform_edt(missing, return_distances=False, return_indices=True))]


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
