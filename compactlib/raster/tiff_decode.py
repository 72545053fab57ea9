"""From the bytes of a tile or strip to its numbers: tifffile's decoders, and the masks that LERC keeps inside.

A tile of a few bytes may hold a picture that says it is as large as a house, whatever the TIFF says of the tile. What
it claims is looked at before room is made for it.
"""

import math
import struct
from collections.abc import Callable

import numpy as np
from tifffile import TIFF, TiffPage

JPEGS = (6, 7, 33007, 34892)  # their decoders want the tables that the page's segments share
JPEGS_2000 = (33003, 33004, 33005, 34712)
WEBP = 50001
PICTURES = (*JPEGS_2000, 22610, 34933, 34934, WEBP, 50002, 52546)  # JPEG XR, PNG, JPEG XL: files of their own in a tile
LERC, LERC_PARAMETERS = 34887, 50674
SPARE = 4  # times the size of a tile: some JPEG strips say that they have all rows of the picture

Decode = Callable[[memoryview, int], np.ndarray]


def decoder(page: TiffPage) -> Decode:
    """The function (bytes, number of the segment) -> (rows, columns, channels). Raises, as tifffile does, where there
    is none."""
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEGS else {}
    page.decode(None, 0, **tables)  # a segment that was never written: decodes nothing, but finds the codec
    if masks_inside(page):
        return _lerc(page)
    if page.compression in PICTURES:
        return _picture(page)

    def decode(data: memoryview, index: int) -> np.ndarray:
        if page.compression in JPEGS:
            _check(_jpeg_size(bytes(data)) or _jpeg_size(page.jpegheader or b""), _shape(page, index))
        pixels = page.decode(data, index, **tables)[0][0]  # (1, rows, columns, channels), where, size
        return pixels.view(np.uint8) if pixels.dtype == bool else pixels

    return decode


def masks_inside(page: TiffPage) -> bool:
    """Whether the compression can say of a pixel that it has no data."""
    return page.compression == LERC


def _shape(page: TiffPage, index: int) -> tuple[int, int, int]:
    """Rows, columns and channels of a segment; the last strip may have fewer rows than the others."""
    return page.decode(None, index)[2][1:]


def _check(claimed: tuple[int, int] | None, shape: tuple[int, int, int]) -> None:
    if claimed and math.prod(claimed) > SPARE * math.prod(shape[:2]):
        raise ValueError(f"it holds a picture of {claimed[0]:,} x {claimed[1]:,} pixels, not {shape[0]} x {shape[1]}")


def _picture(page: TiffPage) -> Decode:
    """These codecs refuse a picture that does not fit into `out`, all but JPEG 2000 before they decode it."""
    codec = TIFF.DECOMPRESSORS[page.compression]

    def decode(data: memoryview, index: int) -> np.ndarray:
        shape = _shape(page, index)
        if page.compression in JPEGS_2000:
            _check(_jpeg_2000_size(bytes(data)), shape)
        out = np.empty(shape[: 2 if shape[2] == 1 else 3], page.dtype)
        options = {"hasalpha": True} if page.compression == WEBP and shape[2] == 4 else {}  # it leaves out opaque ones
        return codec(data, out=out, **options).reshape(shape)

    return decode


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns by the frame header of a JPEG; None where there is none."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack(">HH", data[at + 5 : at + 9])
        if marker == 0xFF:  # padding
            at += 1
        elif 0xD0 <= marker <= 0xD8:  # stands alone
            at += 2
        else:
            at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None


def _jpeg_2000_size(data: bytes) -> tuple[int, int] | None:
    """Rows and columns by the first codestream."""
    at = data.find(b"\xff\x4f\xff\x51")
    columns, rows = struct.unpack(">II", data[at + 8 : at + 16]) if 0 <= at <= len(data) - 16 else (0, 0)
    return (rows, columns) if at >= 0 else None


def _lerc(page: TiffPage) -> Decode:
    """LERC's mask of valid pixels becomes NaN in floats, as in libtiff, and behind integers a channel of 0 and 1."""
    import imagecodecs

    outer = (*np.ravel(page.tags.valueof(LERC_PARAMETERS, (4, 0))).tolist(), 0)[1]  # 1: deflated, 2: Zstandard
    unpack = {1: imagecodecs.zlib_decode, 2: imagecodecs.zstd_decode}
    appended = page.planarconfig == 1 and not any(int(kind) in (1, 2) for kind in np.ravel(page.extrasamples or ()))

    def decode(data: memoryview, index: int) -> np.ndarray:
        rows, columns, samples = shape = _shape(page, index)
        most = 2 * math.prod(shape) * page.dtype.itemsize + (1 << 16)
        blob = bytes(unpack[outer](data, out=most)) if outer in unpack else bytes(data)
        if blob.count(b"Lerc2 ") > samples or not blob.startswith(b"Lerc2 "):
            raise ValueError(f"it holds no LERC of {samples} channels")
        at = 14 if struct.unpack("<i", blob[6:10])[0] >= 3 else 10  # newer versions have a checksum
        if struct.unpack("<ii", blob[at : at + 8]) != (rows, columns):
            raise ValueError(f"it holds a picture of another size than {rows} x {columns}")
        pixels, valid = imagecodecs.lerc_decode(blob, masks=True)
        valid = np.ones((rows, columns), bool) if valid is None else np.asarray(valid, bool)
        if pixels.shape == (samples, rows, columns) != shape:  # a blob for each channel
            pixels = np.moveaxis(pixels, 0, -1)
            valid = np.moveaxis(valid, 0, -1) if valid.ndim == 3 else valid
        pixels = pixels.reshape(shape)
        if pixels.dtype.kind == "f":
            pixels = pixels.copy()
            pixels[~valid] = np.nan  # of one channel, or of all
            return pixels
        valid = valid.all(axis=-1) if valid.ndim == 3 else valid
        return np.dstack([pixels, valid.astype(pixels.dtype)]) if appended else pixels

    return decode
