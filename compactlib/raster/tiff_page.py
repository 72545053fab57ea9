"""One page of a TIFF file: found, checked as far as that goes without decoding, and described for who reads it."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from compactlib.raster.beside import beside, world_tags
from compactlib.raster.missing import Nodata
from compactlib.raster.tiff_chain import check_chain
from compactlib.raster.tiff_decode import JPEGS, decoder, masks_inside
from compactlib.raster.tiff_meaning import Meaning, meaning
from compactlib.raster.tiff_tags import GeoTags, geo_tags, nodata_value

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, little and big endian
REDUCED, TRANSPARENCY = 1, 4  # bits of NewSubfileType
SEGMENT_LIMIT = 1 << 29  # bytes of a tile or strip that has to be decoded whole


class SceneError(ValueError):
    """A scene that cannot be opened or decoded. The sentence names the file, what is wrong with it and what to do."""


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
    _check_file(path)
    try:
        check_chain(path)
        with TiffFile(path) as tif, ExitStack() as others:
            full, skipped = _find(path, tif, page)
            levels = [(path, one) for one in _levels(tif, full, page)]
            masks = [(path, one) for one in _masks(tif, page)]
            if page == 0:
                levels += _outside(path, ".ovr", others) if len(levels) == 1 else []
                masks += _outside(path, ".msk", others)
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


def size_of(path: Path) -> tuple[int, int, int]:
    """Rows, columns, and the pixels of a tile or strip of the first page, from its directory alone; zeros if that is
    damaged, which `read_page` says."""
    try:
        with TiffFile(path) as tif:
            page = tif.pages.first
            height, width = page.imagelength, page.imagewidth
            tile = page.tilelength * page.tilewidth if page.is_tiled else min(page.rowsperstrip, height) * width
            return height, width, tile
    except Exception:  # tifffile fails in many ways on a damaged directory
        return 0, 0, 0


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise SceneError(f"{path} is a folder; expected one TIFF file.")
    if not path.exists():
        raise SceneError(f"{path} does not exist; check its name and the folder.")
    if not path.is_file():
        raise SceneError(f"{path} is no regular file (a pipe or a device); expected one TIFF file.")
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise SceneError(f"{path} cannot be opened: {error.strerror}.") from error
    if start not in MAGIC:
        raise SceneError(f"{path} is not a TIFF file: it begins with {start!r}. Convert it to TIFF first.")


def _find(path: Path, tif: TiffFile, index: int) -> tuple[TiffPage, int]:
    """The page in full resolution, and the bytes from the pixels that its directory names to its own.

    Stacks larger than 4 GB have one directory, as ImageJ writes them: the planes follow one another.
    """
    if not len(tif.pages):
        raise ValueError("it begins beyond the end of the file")  # read_page makes it a sentence
    if 0 <= index < len(tif.pages):
        return tif.pages[index], 0
    first, series = tif.pages.first, tif.series[0] if len(tif.pages) == 1 else None
    planes = series.size // first.size if series is not None and series.dataoffset is not None else 1
    if not 0 <= index < max(planes, len(tif.pages)):
        held = max(planes, len(tif.pages))
        raise SceneError(
            f"{path} has no page={index}; it has {held}, counted from 0. If there should be more, the file is cut off."
        )
    return first, index * first.nbytes


def count_pictures(path: Path) -> int:
    """How many pages of a file that `read_page` has read are pictures of their own: neither overviews nor masks."""
    with TiffFile(path) as tif:
        return sum(not page.subfiletype & (REDUCED | TRANSPARENCY) for page in tif.pages)


def _levels(tif: TiffFile, full: TiffPage, index: int) -> list[TiffPage]:
    """The page and its overviews: its own, or as GDAL writes them the pages that follow, marked as reduced."""
    if full.pages:
        return [full, *full.pages]
    return [full, *(page for page in _belonging(tif, index) if not page.subfiletype & TRANSPARENCY)]


def _masks(tif: TiffFile, index: int) -> list[TiffPage]:
    return [page for page in _belonging(tif, index) if page.subfiletype & TRANSPARENCY]


def _belonging(tif: TiffFile, index: int) -> Iterator[TiffPage]:
    """The overviews and masks that follow a page, up to the next picture."""
    following = itertools.islice(tif.pages, index + 1, None)
    return itertools.takewhile(lambda page: page.subfiletype & (REDUCED | TRANSPARENCY), following)


def _outside(path: Path, suffix: str, files: ExitStack) -> list[tuple[Path, TiffPage]]:
    """The pages of the file beside `path` that GDAL gives this suffix; a warning if it cannot be read."""
    other = beside(path, suffix)
    if other is None:
        return []
    try:
        _check_file(other)
        check_chain(other)
        return [(other, page) for page in files.enter_context(TiffFile(other)).pages]
    except Exception as error:
        warnings.warn(
            f"{other} stands beside {path.name} and cannot be read ({error}); it is passed over.", stacklevel=5
        )
        return []


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
        means = meaning(page, page.compression, JPEGS)
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
