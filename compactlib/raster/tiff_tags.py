"""Two things that the tags of a TIFF page say of its pixels: where they lie on the Earth, and which have no data."""

from typing import Any

import numpy as np

PIXEL_SCALE, TIEPOINTS, TRANSFORMATION, GEO_KEYS = 33550, 33922, 34264, 34735
GEO_CODES = (PIXEL_SCALE, TIEPOINTS, TRANSFORMATION, GEO_KEYS, 34736, 34737)
GDAL_NODATA = 42113
RASTER_TYPE, PIXEL_IS_POINT = 1025, 2  # a GeoKey and its value

# (data type, count, value) of each tag by its code, as tifffile writes them.
GeoTags = dict[int, tuple[int, int, tuple | str]]


def geo_tags(full: Any, page: Any) -> GeoTags:
    """The GeoTIFF tags of a tifffile page; {} if it has none.

    A reduced page that has no place of its own gets that of the page `full`, with pixels that much larger.
    """
    placed = {PIXEL_SCALE, TIEPOINTS, TRANSFORMATION} & {tag.code for tag in page.tags}
    source = page if placed else full
    tags = {}
    for code in GEO_CODES:
        if (tag := source.tags.get(code)) is not None:
            value = tag.value if isinstance(tag.value, str) else tuple(np.ravel(tag.value).tolist())
            tags[code] = (int(tag.dtype), int(tag.count), value)
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


def nodata_value(page: Any, dtype: np.dtype) -> int | float | None:
    """The value of pixels without data, from GDAL's tag; None without the tag, and where no pixel of this type can have
    that value (-9999 in a picture of uint8)."""
    text = str(page.tags.valueof(GDAL_NODATA, "")).strip().replace(",", ".")
    if dtype.kind == "f":
        return _number(float, text)
    value = _number(int, text)
    if value is None:  # "255.0" in a picture of integers
        real = _number(float, text)
        value = int(real) if real is not None and real.is_integer() else None
    limits = np.iinfo(dtype)
    return value if value is not None and limits.min <= value <= limits.max else None


def _number(kind: type, text: str) -> int | float | None:
    try:
        return kind(text)
    except ValueError:
        return None
