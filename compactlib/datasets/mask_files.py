"""A mask in a file: its numbers, or its colours as numbers, and these as class ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..raster.classes import class_ids
from ..raster.picture import Picture, PictureError, read_picture
from .errors import BadPair
from .mask_values import IGNORE, Number, value_counts

BITS = 16  # of a channel in a colour's number


@dataclass(frozen=True)
class MaskRule:
    """How the masks of a set are read. ids: which number is which class id. channels: of the colours that are the
    numbers (3, or 4 with alpha); 0 if the numbers are those of the file. named: the user has named the numbers, so they
    count even where the file calls a pixel missing."""

    ids: Mapping[Number, int]
    channels: int = 0
    named: bool = True

    def note(self, class_names: Sequence[str]) -> str:
        """What was taken for granted of the numbers, in brackets; "" where nothing was."""
        if self.named or all(number == index for number, index in self.ids.items()):
            return ""
        taken = [f"{number} is {class_names[index]!r}" for number, index in self.ids.items() if index != IGNORE]
        return f" (in its masks {', '.join(taken)})"

    def read(self, source: bytes | Path, name: str) -> np.ndarray:
        """The mask in a file, or in its bytes, as class ids uint8 (h, w). Raises BadPair."""
        mask = read_numbers(source, name, self.channels)
        out, known = np.full(mask.numbers.shape, IGNORE, np.uint8), ~mask.missing
        if self.named and mask.missing.any():
            for number in self.ids:
                known |= mask.numbers == number
        numbers = mask.numbers[known]
        counts = value_counts(numbers)
        ids = {number: self.ids[number] for number in counts if number in self.ids}  # few of many classes: faster
        try:
            out[known] = class_ids(numbers, ids if len(ids) == len(counts) else self.ids, name)
        except ValueError as error:
            raise BadPair(str(error)) from error
        return out


@dataclass(frozen=True, eq=False)
class Numbers:
    """A mask as it is in its file: numbers (h, w); missing, bool (h, w), where the file says that there are no data;
    the kind of the file. coloured: the numbers are colours, see `pack`."""

    numbers: np.ndarray
    missing: np.ndarray
    kind: str
    coloured: bool = False


def read_numbers(source: bytes | Path, name: str, channels: int = 0) -> Numbers:
    """The numbers of a mask. channels: see MaskRule. Raises BadPair for a file that is no picture or has no number, or
    colour, for each pixel."""
    picture = read_or_refuse(source, name, as_stored=not channels)
    pixels = picture.pixels
    missing = np.zeros(pixels.shape[:2], bool) if picture.missing is None else picture.missing
    if pixels.shape[2] not in (1, 3):
        raise BadPair(
            f"{name} has {pixels.shape[2]} channels; a mask has one, whose numbers name the class of each pixel, or "
            "three, whose colours do. Of channels that are one class each, save mask.argmax(axis=-1)."
        )
    grey = pixels.shape[2] == 1 or (pixels == pixels[..., :1]).all()
    if not channels and grey:
        return Numbers(pixels[..., 0], missing, picture.kind)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadPair(f"{name} has colours of {pixels.dtype}; expected 8 or 16 bits a channel.")
    pixels = np.repeat(pixels, 3, axis=-1) if pixels.shape[2] == 1 else pixels
    if channels == 4:
        opaque = np.full(pixels.shape[:2], np.iinfo(pixels.dtype).max, pixels.dtype)
        pixels = np.dstack([pixels, opaque if picture.alpha is None else picture.alpha])
    return Numbers(pack(pixels), missing, picture.kind, coloured=True)


def pack(colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3 or 4) as one uint64 each (...)."""
    numbers = np.zeros(colours.shape[:-1], np.uint64)
    for channel in range(colours.shape[-1]):
        numbers = numbers << np.uint64(BITS) | colours[..., channel].astype(np.uint64)
    return numbers


def unpack(number: int, channels: int) -> tuple[int, ...]:
    """The colour of a number of `pack`."""
    return tuple(number >> BITS * (channels - 1 - channel) & 0xFFFF for channel in range(channels))


def read_or_refuse(source: bytes | Path, name: str, as_stored: bool = False) -> Picture:
    """`read_picture`, whose error is BadPair here."""
    try:
        return read_picture(source, name, as_stored=as_stored)
    except PictureError as error:
        raise BadPair(str(error)) from error
