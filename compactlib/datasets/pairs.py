"""Pairs of an image and its mask: find them, decode them, and say which file does not fit."""

import io
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from .errors import BadPair

IGNORE = 255  # the value in a mask where nothing counts
AT_ONCE = 64  # pairs in memory in encoded form
QUICK = 8  # seconds; only what takes longer shows a progress bar


@dataclass(frozen=True)
class Pair:
    """An image and its mask, encoded, with the names by which an error calls them."""

    image_name: str
    image: bytes
    mask_name: str
    mask: bytes

    def __str__(self) -> str:
        return self.image_name


def match(images: Iterable[str], masks: Iterable[str], where: object) -> list[tuple[str, str]]:
    """Pair the names with equal stems, in the order of the numbers in them (2 before 10).

    Raises BadPair if a name is left alone or two have one stem; `where` is the folder or archive that they are in.
    """
    images, masks = (_by_stem(names, where) for names in (images, masks))
    alone = [f"{images[stem]} has no mask" for stem in images if stem not in masks]
    alone += [f"{masks[stem]} has no image" for stem in masks if stem not in images]
    if alone:
        more = f" (and {len(alone) - 5} more)" if len(alone) > 5 else ""
        raise BadPair(
            f"{where}: {'; '.join(alone[:5])}{more}. An image and its mask have the same name up to the extension."
        )
    return [(images[stem], masks[stem]) for stem in sorted(images, key=_natural)]


def _by_stem(names: Iterable[str], where: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        if stem in found:
            raise BadPair(f"{where}: {found[stem]} and {name} have one name up to the extension; keep one of them.")
        found[stem] = name
    return found


def _natural(stem: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", stem)]


def decode_pairs(
    pairs: Iterable[tuple[int, object]], count: int, decode: Callable[[object], tuple], label: str
) -> tuple[np.ndarray, np.ndarray]:
    """Decode `count` pairs, each with its place in the result, to images uint8 (n, h, w, c) and masks uint8 (n, h, w).

    On a few threads (Pillow and NumPy release the GIL), with a progress bar where it takes long. Raises BadPair if the
    sizes differ.
    """
    pairs, images, masks, first = iter(pairs), None, None, None
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm(total=count, desc=label, leave=False, delay=QUICK) as bar,
    ):
        while batch := list(islice(pairs, AT_ONCE)):
            decoded = pool.map(decode, [pair for _, pair in batch])
            for (place, pair), (image, mask) in zip(batch, decoded, strict=True):
                if images is None:
                    images, first = np.empty((count, *image.shape), np.uint8), pair
                    masks = np.empty((count, *mask.shape), np.uint8)
                if image.shape != images.shape[1:]:
                    raise BadPair(
                        f"{pair} is {_size(image)} pixels, {first} {_size(images[0])}. Images of one set need one "
                        f"size: give img_size to bring them to it."
                    )
                images[place], masks[place] = image, mask
                bar.update()
    return images, masks


def decode_pair(
    pair: Pair, values: dict[int, int], class_names: tuple[str, ...], in_chans: int = 3, side: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Decode one pair to an image uint8 (h, w, in_chans) and a mask uint8 (h, w) of class indices.

    values: which value in the file is which class index (or 255, ignore). side: letterbox both to side x side pixels.
    Raises BadPair, with the name of the file.
    """
    image, mask = _open(pair.image, pair.image_name), _open(pair.mask, pair.mask_name)
    if image.mode.startswith(("I", "F")):
        raise BadPair(f"{pair.image_name} has more than 8 bits a channel (Pillow mode {image.mode}); scale it to 8.")
    image = image.convert("RGB" if in_chans == 3 else "L")
    if image.size != mask.size:
        raise BadPair(
            f"{pair.image_name} is {_wide(image)} pixels, its mask {pair.mask_name} {_wide(mask)}. Both need one size."
        )
    classes = _classes(mask, pair.mask_name, values, class_names)
    if side is not None:
        return letterbox(image, classes, side)
    return _channels(image), classes


def _open(data: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:  # Pillow's decoders raise a dozen different types
        raise BadPair(f"{name} cannot be read as an image ({error}). Replace it with an intact copy.") from error
    return image


def _classes(mask: Image.Image, name: str, values: dict[int, int], class_names: tuple[str, ...]) -> np.ndarray:
    """The mask's values as class indices. A palette image counts by its indices, not by its colours."""
    array = np.asarray(mask)
    if array.ndim != 2:
        raise BadPair(
            f"{name} has {array.shape[2]} channels; a mask has one, whose values name the class of each pixel."
        )
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "ui":
        raise BadPair(f"{name} holds numbers of type {array.dtype}; a mask holds integers that name the classes.")
    found = np.unique(array)
    if unknown := [value for value in found.tolist() if value not in values]:
        shown = ", ".join(map(str, unknown[:10])) + (", ..." if len(unknown) > 10 else "")
        names = (*class_names, *[""] * 256)
        known = [f"{v} ({'ignored' if c == IGNORE else names[c]})" for v, c in sorted(values.items())]
        lossy = " JPEG changes values; masks want PNG or TIFF." if mask.format == "JPEG" else ""
        raise BadPair(f"{name} has the unknown values {shown}; known are {', '.join(known)}.{lossy}")
    table = np.zeros(int(found.max()) + 1, np.uint8)
    for value, index in values.items():
        if value < len(table):
            table[value] = index
    return table[array]


def letterbox(image: Image.Image, mask: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Fit a picture and its mask into a square of `side` pixels, in proportion and centred.

    The image is resized bilinear and antialiased and has a black rim; the mask takes the nearest pixel and has a rim
    of 255, which no loss and no metric counts.
    """
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = _channels(image.resize((width, height), Image.Resampling.BILINEAR))  # Pillow's resize always antialiases
    small_mask = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    top, left = (side - height) // 2, (side - width) // 2
    out, out_mask = np.zeros((side, side, small.shape[2]), np.uint8), np.full((side, side), IGNORE, np.uint8)
    out[top : top + height, left : left + width] = small
    out_mask[top : top + height, left : left + width] = small_mask
    return out, out_mask


def _channels(image: Image.Image) -> np.ndarray:
    array = np.asarray(image)
    return array if array.ndim == 3 else array[..., None]


def _wide(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
