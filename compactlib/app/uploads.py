"""From the bytes of an upload to a checked picture. Nothing in an upload is trusted: not its name, not its header."""

import logging
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from compactlib.raster.picture import PictureError, PictureTooLarge, kind_of, read_picture
from compactlib.raster.tiff_tags import GEO_KEYS, PIXEL_SCALE

# What tifffile logs about a damaged file, this module says itself.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

UPLOAD_LIMIT = 200_000_000  # bytes of a file
PIXEL_LIMIT = 50_000_000  # rows times columns, as the file's header states them, before anything is decoded
CHANNELS = (1, 3, 4)
LIMITS = (
    f"PNG, JPEG or TIFF, told by content, not by name; up to {UPLOAD_LIMIT // 10**6} MB and "
    f"{PIXEL_LIMIT // 10**6} megapixels; 8 or 16 bits; 1, 3 or 4 channels"
)
LARGER = "For larger scenes there is the command line: python -m compactlib segment scene.tif out/ --model FILE"

KINDS = ("PNG", "JPEG", "TIFF")
MODEL_TYPE, PROJECTED_SYSTEM, LINEAR_UNITS = 1024, 3072, 3076  # GeoKeys
PROJECTED, METRE = 1, 9001
UTM = {*range(32601, 32661), *range(32701, 32761)}  # EPSG codes on WGS 84: in metres


class UploadError(ValueError):
    """An upload that is no picture for this app. The sentence says what is wrong and what to do."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A checked picture.

    pixels: uint8 or uint16 (H, W, C), C of 1, 3 or 4. kind: "PNG", "JPEG", "TIFF" or "example". remarks: sentences on
    what was changed on the way here. geo: GeoTIFF tags, {} without any. pixel_area: of a pixel, m2, None if the file
    does not say. empty: bool (H, W), True where the file says that there are no data; None if it says nothing.
    """

    name: str
    pixels: np.ndarray = field(repr=False)
    kind: str
    remarks: tuple[str, ...] = ()
    geo: Mapping = field(default_factory=dict, repr=False)
    pixel_area: float | None = None
    empty: np.ndarray | None = field(default=None, repr=False)

    def __str__(self) -> str:
        height, width, channels = self.pixels.shape
        bits = 8 * self.pixels.dtype.itemsize
        return f"{self.name}: {height:,} x {width:,} pixels, {channels} channel{'s'[: channels - 1]}, {bits} bits"


def read_upload(name: str, data: bytes) -> Picture:
    """The picture in an upload: `name` as the browser sent it, `data` the content.

    Size in pixels and type are read from the header and checked before a pixel is decoded. Raises UploadError, and only
    that, for whatever is wrong with it.
    """
    name, data = clean_name(name), bytes(data)
    if not data:
        raise UploadError(f"{name} is empty: choose the file again.")
    if len(data) > UPLOAD_LIMIT:
        raise UploadError(f"{name} has {len(data):,} bytes; expected {UPLOAD_LIMIT:,} at most. {LARGER}")
    if kind_of(data) not in KINDS:
        raise UploadError(
            f"{name} is no PNG, JPEG or TIFF: it begins with {data[:6]!r}, whatever its name says. Save the picture in "
            "one of these formats."
        )
    try:
        read = read_picture(data, name, limit=PIXEL_LIMIT)
    except PictureTooLarge as error:
        raise UploadError(f"{error} {LARGER}") from None
    except PictureError as error:
        raise UploadError(str(error)) from None
    channels = read.pixels.shape[2]
    if read.pixels.dtype not in (np.uint8, np.uint16):
        raise UploadError(f"{name} has pixels of type {read.pixels.dtype}; expected uint8 or uint16. Convert it first.")
    if channels not in CHANNELS:
        raise UploadError(f"{name} has {channels} channels; expected 1, 3 or 4. Save those that the model knows.")
    remarks = list(read.remarks)
    if read.alpha is not None:
        remarks.append("Its alpha channel (transparency) was dropped.")
    if read.missing is not None and read.missing.any():
        remarks.append(f"{100 * read.missing.mean():.1f} % of its pixels have no data; they get no class.")
    return Picture(name, read.pixels, read.kind, tuple(remarks), read.geo, pixel_area(read.geo), read.missing)


def clean_name(name: str) -> str:
    """The last part of an untrusted file name, without what could hurt in a path, a header or on a screen."""
    name = unicodedata.normalize("NFC", str(name)).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isalnum() or c in " ._-()+" else "_" for c in name).strip(" .")
    return kept[-80:] or "picture"


def pixel_area(geo: Mapping) -> float | None:
    """Area of a pixel in m2, where GeoTIFF tags state its size and leave no doubt that it is in metres."""
    if PIXEL_SCALE not in geo or GEO_KEYS not in geo:
        return None
    keys, scale = np.ravel(geo[GEO_KEYS][2]), np.ravel(geo[PIXEL_SCALE][2])
    if keys.dtype.kind not in "iu" or keys.size % 4 or scale.dtype.kind not in "iuf" or scale.size < 2:
        return None  # damaged tags say nothing
    known = {key: value for key, place, _, value in keys.reshape(-1, 4)[1:].tolist() if place == 0}
    metres = known.get(LINEAR_UNITS) == METRE or known.get(PROJECTED_SYSTEM) in UTM
    area = float(scale[0]) * float(scale[1])
    return area if known.get(MODEL_TYPE) == PROJECTED and metres and 0 < area < math.inf else None
