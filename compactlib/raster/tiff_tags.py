"""Two things that the tags of a TIFF page say of its pixels: where they lie on the Earth, and which have no data."""

import re
from typing import Any

import numpy as np

from compactlib.raster.missing import Nodata

PIXEL_SCALE, TIEPOINTS, TRANSFORMATION, GEO_KEYS = 33550, 33922, 34264, 34735
GEO_CODES = (PIXEL_SCALE, TIEPOINTS, TRANSFORMATION, GEO_KEYS, 34736, 34737)
GDAL_METADATA, GDAL_NODATA = 42112, 42113
RASTER_TYPE, PIXEL_IS_POINT = 1025, 2  # a GeoKey and its value

# (data type, count, value) of each tag by its code, as tifffile writes them.
GeoTags = dict[int, tuple[int, int, tuple | str]]


def geo_tags(full: Any, page: Any, world: GeoTags) -> GeoTags:
    """The GeoTIFF tags of a tifffile page; {} if it has none.

    A reduced page that has no place of its own gets that of the page `full`, with pixels that much larger. `world`: the
    place that a world file gives, for pages that have none.
    """
    placed = {PIXEL_SCALE, TIEPOINTS, TRANSFORMATION}
    source = page if placed & {tag.code for tag in page.tags} else full
    tags = {}
    for code in GEO_CODES:
        if (tag := source.tags.get(code)) is not None:
            value = tag.value if isinstance(tag.value, str) else tuple(np.ravel(tag.value).tolist())
            tags[code] = (int(tag.dtype), int(tag.count), value)
    if not placed & set(tags):
        tags |= world
    if source is page:
        return tags
    return _enlarged(tags, full.imagelength / page.imagelength, full.imagewidth / page.imagewidth)


def _enlarged(tags: GeoTags, down: float, across: float) -> GeoTags:
    """The tags for a picture with `down` times fewer rows and `across` times fewer columns over the same ground."""
    # Column i of the reduced picture is column (i + s) * across - s of the full one: s = 0 where whole numbers stand
    # for the corners of pixels, 1/2 where they stand for the middles.
    s = 0.5 if _pixel_is_point(tags) else 0.0
    new = dict(tags)
    if PIXEL_SCALE in tags:
        x, y, z = tags[PIXEL_SCALE][2]
        new[PIXEL_SCALE] = (*tags[PIXEL_SCALE][:2], (x * across, y * down, z))
    if TIEPOINTS in tags:
        points = np.reshape(tags[TIEPOINTS][2], (-1, 6))  # column, row, height; x, y, z
        points[:, 0] = (points[:, 0] + s) / across - s
        points[:, 1] = (points[:, 1] + s) / down - s
        new[TIEPOINTS] = (*tags[TIEPOINTS][:2], tuple(points.ravel().tolist()))
    if TRANSFORMATION in tags:
        matrix = np.reshape(tags[TRANSFORMATION][2], (4, 4))  # @ (column, row, height, 1) = (x, y, z, 1)
        matrix[:, 3] += matrix[:, 0] * (s * across - s) + matrix[:, 1] * (s * down - s)
        matrix[:, 0] *= across
        matrix[:, 1] *= down
        new[TRANSFORMATION] = (*tags[TRANSFORMATION][:2], tuple(matrix.ravel().tolist()))
    return new


def _pixel_is_point(tags: GeoTags) -> bool:
    keys = np.reshape(tags[GEO_KEYS][2], (-1, 4))[1:] if GEO_KEYS in tags else ()  # key, place, count, value
    return any(key == RASTER_TYPE and value == PIXEL_IS_POINT for key, _, _, value in keys)


def nodata_value(page: Any, full: Any, dtype: np.dtype, bands: int) -> Nodata:
    """The value of pixels without data, one number or one for each of the `bands`; None if nothing is said, and where
    no pixel of this type can have that value (-9999 in a picture of uint8).

    From the tag GDAL_NODATA of the page or else of the page `full`, or the item NODATA_VALUES of GDAL's metadata.
    """
    source = full if page.tags.get(GDAL_NODATA) is None else page
    text = str(source.tags.valueof(GDAL_NODATA, ""))
    if not text.strip():
        found = re.search(r'<Item name="NODATA_VALUES"[^>]*>([^<]*)</Item>', str(full.tags.valueof(GDAL_METADATA, "")))
        text = found[1] if found else ""
    words = text.replace("\0", " ").split()
    if len(words) == 1 and bands > 1 and words[0].count(",") == bands - 1:
        words = words[0].split(",")
    values = tuple(_number(word, dtype) for word in words)
    if len(values) <= 1 or len(set(map(repr, values))) == 1:
        return values[0] if values else None
    return values if len(values) == bands and None not in values else None


def _number(text: str, dtype: np.dtype) -> int | float | None:
    """A number that pixels of this type can have, or None. Windows writes NaN as 1.#QNAN, some programs 0,5 for 0.5."""
    text = text.strip().strip(",").replace(",", ".")
    try:
        value = float("nan") if re.fullmatch(r"-?1\.#\w+", text) else float(text)
    except ValueError:
        return None
    if dtype.kind == "f":
        return value
    if not np.isfinite(value) or not value.is_integer():
        return None
    value = int(text) if re.fullmatch(r"[+-]?\d+", text) else int(value)
    limits = np.iinfo(dtype)
    return value if limits.min <= value <= limits.max else None
