"""One page of a TIFF file: found, checked as far as that goes without decoding, and described for who reads it."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from compactlib.raster.tiff_tags import GDAL_NODATA, GeoTags, geo_tags, nodata_value

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, little and big endian
JPEGS = (6, 7, 33007, 34892)  # their decoders want the tables that the page's segments share
REDUCED, TRANSPARENCY = 1, 4  # bits of NewSubfileType


class SceneError(ValueError):
    """A scene that cannot be opened or decoded. The sentence names the file, what is wrong with it and what to do."""


@dataclass(frozen=True)
class ScenePage:
    """What is needed to read a page. A segment is a tile or a strip; they are counted row by row, plane by plane."""

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
    nodata: int | float | None
    geo: GeoTags

    @property
    def segment_bytes(self) -> int:
        """Bytes of a decoded segment."""
        return self.tile[0] * self.tile[1] * self.shape[2] // self.planes * self.dtype.itemsize


def read_page(path: Path, page: int, level: int) -> ScenePage:
    """Look at the file's directory; no pixel is read. Raises SceneError if the page could not be read later on."""
    size = _check_file(path)
    try:
        with TiffFile(path) as tif:
            full, chosen = _find(path, tif, page, level)
            return _describe(path, size, full, chosen)
    except SceneError:
        raise
    except Exception as error:  # tifffile fails in many ways on a directory that is not what it should be
        raise SceneError(
            f"{path} begins as a TIFF file, but its directory of pages cannot be read ({error}): the file is cut off "
            "or damaged. Copy it again from its source."
        ) from error


def _check_file(path: Path) -> int:
    """The file's size in bytes."""
    if path.is_dir():
        raise SceneError(f"{path} is a folder; expected one TIFF file.")
    if not path.exists():
        raise SceneError(f"{path} does not exist; check its name and the folder.")
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise SceneError(f"{path} cannot be opened: {error.strerror}.") from error
    if start not in MAGIC:
        raise SceneError(f"{path} is not a TIFF file: it begins with {start!r}. Convert it to TIFF first.")
    return path.stat().st_size


def _find(path: Path, tif: TiffFile, index: int, level: int) -> tuple[TiffPage, TiffPage]:
    """The page in full resolution, and the level of it that is wanted."""
    try:
        full = tif.pages[index] if index >= 0 else None
    except IndexError:
        full = None
    if full is None:
        if not len(tif.pages):
            raise ValueError("it begins beyond the end of the file")  # read_page makes it a sentence
        raise SceneError(
            f"{path} has no page={index}; it has {len(tif.pages)}, counted from 0. If there should be more, the file "
            "is cut off."
        )
    if level == 0:
        return full, full
    if full.pages:
        levels = [full, *full.pages]
    else:  # as GDAL writes overviews: the pages that follow, marked as reduced
        pictures = (p for p in itertools.islice(tif.pages, index + 1, None) if not p.subfiletype & TRANSPARENCY)
        levels = [full, *itertools.takewhile(lambda p: p.subfiletype & REDUCED, pictures)]
    if not 0 <= level < len(levels):
        raise SceneError(f"{path} has no level={level} of page {index}; it has {len(levels)}, counted from 0.")
    return full, levels[level]


def _describe(path: Path, size: int, full: TiffPage, page: TiffPage) -> ScenePage:
    if page.axes not in ("YX", "YXS", "SYX") or 0 in page.shape:
        raise SceneError(f"{path} holds an array of {page.shape} ({page.axes}); expected rows, columns and channels.")
    planes, _, height, width, samples = page.shaped
    tile = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, width)
    segments = planes * -(-height // tile[0]) * -(-width // tile[1])
    if len(page.dataoffsets) < segments or len(page.databytecounts) < segments:
        raise SceneError(
            f"{path} lists {len(page.dataoffsets)} places and {len(page.databytecounts)} sizes of its {segments} "
            "segments: the file is cut off or damaged. Copy it again from its source."
        )
    offsets, counts = page.dataoffsets[:segments], page.databytecounts[:segments]
    end = max(offset + count if count else 0 for offset, count in zip(offsets, counts, strict=True))
    if end > size:
        raise SceneError(
            f"{path} is cut off: its pixels reach to byte {end:,}, the file ends at {size:,}. Copy it again from its "
            "source."
        )
    # Only now: where the file ends too early, tifffile goes on without the tags that say this.
    dtype = _check_dtype(path, page)
    decode = _decoder(path, page)
    return ScenePage(
        path=path,
        shape=(height, width, planes * samples),
        dtype=dtype,
        stored=dtype.newbyteorder(page.parent.byteorder),
        tile=tile,
        striped=not page.is_tiled,
        planes=planes,
        compression=COMPRESSION(page.compression).name.lower().removeprefix("adobe_"),
        plain=page.compression == 1 and page.fillorder == 1,
        offsets=offsets,
        counts=counts,
        decode=decode,
        nodata=nodata_value(full if page.tags.get(GDAL_NODATA) is None else page, dtype),
        geo=geo_tags(full, page),
    )


def _check_dtype(path: Path, page: TiffPage) -> np.dtype:
    dtype = page.dtype
    if dtype is None or dtype.kind not in "uif" or dtype.itemsize * 8 != page.bitspersample:
        kind = getattr(page.sampleformat, "name", page.sampleformat)
        raise SceneError(
            f"{path} has samples of {page.bitspersample} bits ({kind}); expected integers or floats of 8, 16, 32 or 64 "
            "bits. Convert it first."
        )
    return dtype


def _decoder(path: Path, page: TiffPage) -> Callable[[memoryview, int], np.ndarray]:
    tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression in JPEGS else {}
    try:
        page.decode(None, 0, **tables)  # a segment that was never written: decodes nothing, but finds the codec
    except Exception as error:  # tifffile says what it misses by errors of several types
        advice = (
            "Install it: pip install imagecodecs."
            if "imagecodecs" in str(error)
            else "Write it again with deflate, LZW, Zstandard, JPEG or no compression."
        )
        raise SceneError(f"{path} cannot be decoded: {error}. {advice}") from error
    return lambda data, index: page.decode(data, index, **tables)[0][0]  # (1, rows, columns, channels), where, size
