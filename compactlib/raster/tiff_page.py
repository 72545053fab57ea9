"""One page of a TIFF file: found, checked as far as that goes without decoding, and described for who reads it."""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from compactlib.raster.beside import world_tags
from compactlib.raster.missing import Nodata
from compactlib.raster.tiff_chain import follow_chain
from compactlib.raster.tiff_decode import JPEGS, decoder, masks_inside
from compactlib.raster.tiff_meaning import Meaning, meaning
from compactlib.raster.tiff_parts import SceneError, check_file, count_pictures, find_page, levels_of, masks_of
from compactlib.raster.tiff_tags import GeoTags, geo_tags, nodata_value

__all__ = ["SceneError", "ScenePage", "count_pictures", "read_page"]

SEGMENT_LIMIT = 1 << 29  # bytes of a tile or strip that has to be decoded whole


@dataclass(frozen=True)
class ScenePage:
    """What is needed to read a page. A segment is a tile or a strip; they are counted row by row, plane by plane.

    Shape and dtype are those of the numbers in the file; `meaning` says what picture they make. mask: the page that is
    0 where this one has no data.
    """

    path: Path
    shape: tuple[int, int, int]  # H, W, C
    dtype: np.dtype  # of the pixels, in this machine's byte order
    stored: np.dtype  # the same, in the file's
    tile: tuple[int, int]  # rows and columns of a segment
    striped: bool
    planes: int  # 1, or C where each channel has segments of its own
    compression: str
    plain: bool  # the rows of a segment stand in the file as they are
    offsets: tuple[int, ...]  # of the segments, in bytes from the start of the file
    counts: tuple[int, ...]  # their bytes; 0: never written
    decode: Callable[[memoryview, int], np.ndarray]  # bytes and number of a segment -> (rows, columns, channels)
    nodata: Nodata
    geo: GeoTags
    meaning: Meaning
    mask: "ScenePage | None" = None

    @property
    def segment_bytes(self) -> int:
        """Bytes of a decoded segment."""
        return self.tile[0] * self.tile[1] * self.shape[2] // self.planes * self.dtype.itemsize


def read_page(path: Path, page: int, level: int) -> ScenePage:
    """Look at the file's directory; no pixel is read. Raises SceneError if the page could not be read later on.

    A world file, overviews and a mask beside the file (.tfw, .ovr, .msk) are read with it, as GDAL does; a warning
    names what cannot be used.
    """
    check_file(path)
    try:
        follow_chain(path)
        with TiffFile(path) as tif, ExitStack() as others:
            full, skipped = find_page(path, tif, page)
            levels, masks = levels_of(path, tif, full, page, others), masks_of(path, tif, page, others)
            if not 0 <= level < len(levels):
                raise SceneError(f"{path} has no level={level} of page {page}; it has {len(levels)}, counted from 0.")
            found = _describe(*levels[level], full, world_tags(path))
            found = replace(found, offsets=tuple(offset + skipped for offset in found.offsets)) if skipped else found
            return replace(found, mask=_mask_of(found, masks))
    except SceneError:
        raise
    except Exception as error:  # tifffile fails in many ways on a directory that is not what it should be
        raise SceneError(
            f"{path} begins as a TIFF file, but its directory of pages cannot be read ({error}): the file is cut off "
            "or damaged. Copy it again from its source."
        ) from error


def _mask_of(found: ScenePage, masks: list[tuple[Path, TiffPage]]) -> ScenePage | None:
    if not masks:
        return None
    for path, page in masks:
        if (page.imagelength, page.imagewidth) == found.shape[:2]:
            mask = _describe(path, page, page, {})
            return replace(mask, meaning=replace(mask.meaning, orientation=found.meaning.orientation))
    where, page = masks[0]
    warnings.warn(
        f"{where} has a mask of {page.imagelength} x {page.imagewidth} pixels and none of {found.shape[0]} x "
        f"{found.shape[1]}, so it says nothing of this picture: all of its pixels count as data.",
        stacklevel=4,
    )
    return None


def _describe(path: Path, page: TiffPage, full: TiffPage, world: GeoTags) -> ScenePage:
    """A page of the file `path`; what it does not say itself, the page `full` says for it."""
    sizes = {"ImageWidth": page.imagewidth, "ImageLength": page.imagelength}
    sizes |= {"TileWidth": page.tilewidth, "TileLength": page.tilelength} if page.is_tiled else {}
    sizes |= {} if page.is_tiled else {"RowsPerStrip": page.rowsperstrip}
    for name, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise SceneError(f"{path} is damaged: its tag {name} is {value!r}, expected one number, 1 or more. Save it "
                             "again from its source.")  # fmt: skip
    if page.axes not in ("YX", "YXS", "SYX") or 0 in page.shape:
        raise SceneError(f"{path} holds an array of {page.shape} ({page.axes}); expected rows, columns and channels.")
    planes, _, height, width, samples = page.shaped
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    segments = planes * -(-height // tile[0]) * -(-width // tile[1])
    if len(page.dataoffsets) < segments or len(page.databytecounts) < segments:
        raise SceneError(
            f"{path} lists {len(page.dataoffsets)} places and {len(page.databytecounts)} sizes of its {segments} "
            "segments: the file is cut off or damaged. Copy it again from its source."
        )
    offsets, counts = page.dataoffsets[:segments], page.databytecounts[:segments]
    size = path.stat().st_size
    end = max(offset + count if count else 0 for offset, count in zip(offsets, counts, strict=True))
    if end > size:
        raise SceneError(
            f"{path} is cut off: its pixels reach to byte {end:,}, the file ends at {size:,}. Copy it again from its "
            "source."
        )
    # Only now: where the file ends too early, tifffile goes on without the tags that say this.
    dtype = _check_dtype(path, page)
    plain = page.compression == 1 and page.fillorder == 1 and page.bitspersample >= 8
    if not plain and (decoded := tile[0] * tile[1] * samples * dtype.itemsize) > SEGMENT_LIMIT:
        kind = "tiles" if page.is_tiled else "strips"
        raise SceneError(
            f"{path} has {kind} of {tile[0]:,} x {tile[1]:,} pixels, {decoded:,} bytes to be decoded at once; expected "
            f"{SEGMENT_LIMIT:,} at most. Write it again with tiles of 512 pixels."
        )
    try:
        means = meaning(page, full, JPEGS)
    except ValueError as error:
        raise SceneError(f"{path} {error}.") from error
    try:
        decode = decoder(page)
    except Exception as error:  # tifffile says what it misses by errors of several types
        advice = (
            "Install it: pip install imagecodecs."
            if "imagecodecs" in str(error)
            else "Write it again with deflate, LZW, Zstandard, JPEG or no compression."
        )
        raise SceneError(f"{path} cannot be decoded: {error}. {advice}") from error
    channels = planes * samples
    if masks_inside(page) and dtype.kind != "f" and planes == 1 and means.alpha is None:
        channels += 1
        means = replace(means, channels=channels, alpha=samples, hidden=True)
    geo = geo_tags(full, page, world)
    if geo and means.orientation != 1:
        raise SceneError(
            f"{path} is to be turned (orientation {means.orientation}) and has a place on the map, which contradict "
            "each other. Write it again upright."
        )
    return ScenePage(
        path=path,
        shape=(height, width, channels),
        dtype=dtype,
        stored=dtype.newbyteorder(page.parent.byteorder),
        tile=tile,
        striped=not page.is_tiled,
        planes=planes,
        compression=COMPRESSION(page.compression).name.lower().removeprefix("adobe_"),
        plain=plain,
        offsets=offsets,
        counts=counts,
        decode=decode,
        nodata=nodata_value(page, full, dtype, planes * samples),
        geo=geo,
        meaning=means,
    )


def _check_dtype(path: Path, page: TiffPage) -> np.dtype:
    dtype, bits = page.dtype, page.bitspersample
    if dtype is not None and bits in (1, 2, 4) and dtype.kind in "ub":
        return np.dtype(np.uint8)
    if dtype is None or dtype.kind not in "uif" or dtype.itemsize * 8 != bits:
        kind = getattr(page.sampleformat, "name", page.sampleformat)
        raise SceneError(
            f"{path} has samples of {bits} bits ({kind}); expected integers or floats of 8, 16, 32 or 64 bits, or "
            "integers of 1, 2 or 4. Convert it first."
        )
    return dtype
