"""From the bytes of a tile or strip to its numbers: tifffile's decoders, and the masks that LERC keeps inside."""

import zlib
from collections.abc import Callable

import numpy as np
from tifffile import TiffPage

JPEGS = (6, 7, 33007, 34892)  # their decoders want the tables that the page's segments share
LERC, LERC_PARAMETERS = 34887, 50674


def decoder(page: TiffPage) -> Callable[[memoryview, int], np.ndarray]:
    """The function (bytes, number of the segment) -> (rows, columns, channels). Raises, as tifffile does, where there
    is none."""
    if masks_inside(page):
        return _lerc(page)
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEGS else {}
    page.decode(None, 0, **tables)  # a segment that was never written: decodes nothing, but finds the codec

    def decode(data: memoryview, index: int) -> np.ndarray:
        pixels = page.decode(data, index, **tables)[0][0]  # (1, rows, columns, channels), where, size
        return pixels.view(np.uint8) if pixels.dtype == bool else pixels

    return decode


def masks_inside(page: TiffPage) -> bool:
    """Whether the compression can say of a pixel that it has no data."""
    return page.compression == LERC


def _lerc(page: TiffPage) -> Callable[[memoryview, int], np.ndarray]:
    """LERC's mask of valid pixels becomes NaN in floats, as in libtiff, and behind integers a channel of 0 and 1."""
    import imagecodecs

    outer = (*page.tags.valueof(LERC_PARAMETERS, (4, 0)), 0)[1]  # 1: deflated, 2: Zstandard
    unpack = {0: bytes, 1: zlib.decompress, 2: imagecodecs.zstd_decode}[outer]
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    appended = page.planarconfig == 1 and not any(int(kind) in (1, 2) for kind in np.ravel(page.extrasamples or ()))

    def decode(data: memoryview, index: int) -> np.ndarray:
        pixels, valid = imagecodecs.lerc_decode(unpack(data), masks=True)
        pixels = pixels.reshape(*pixels.shape[:2], samples)
        valid = np.ones(pixels.shape[:2], bool) if valid is None else np.asarray(valid, bool)
        valid = valid.all(axis=0) if valid.ndim == 3 else valid
        if pixels.dtype.kind == "f":
            pixels = pixels.copy()
            pixels[~valid] = np.nan
            return pixels
        return np.dstack([pixels, valid.astype(pixels.dtype)]) if appended else pixels

    return decode
