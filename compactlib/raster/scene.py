"""A scene: the picture in a TIFF file of any size, read window by window and never held whole."""

import operator
import warnings
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from compactlib.raster.missing import Nodata, check_nodata, missing_in_file
from compactlib.raster.segments import Counters, SegmentReader
from compactlib.raster.tiff_page import SceneError, ScenePage, count_pictures, read_page
from compactlib.raster.tiff_tags import GeoTags
from compactlib.raster.upright import TRANSPOSED, fill_upright
from compactlib.raster.windows import Window, read_bordered, rows_and_columns

__all__ = ["Counters", "Scene", "SceneError", "open_scene"]


def open_scene(
    path: str | Path,
    page: int = 0,
    level: int = 0,
    border: str = "reflect",
    cache_bytes: int = 64 << 20,
    *,
    bands: Sequence[int] | None = None,
    nodata: Nodata = None,
    as_stored: bool = False,
) -> "Scene":
    """Open one picture of a TIFF file for reading by windows.

    page: of the file, counted from 0 (OME: a plane of the first image). level: of its pyramid, 0 is full resolution.
    border: what `Scene.read` gives beyond the scene: "reflect" mirrors it (`mirror_indices`), "constant" gives 0.
    cache_bytes: for decoded tiles or strips; windows that follow one another should find the ones they share. 0: each
    window is decoded by itself. bands: which channels, counted from 0 and in this order; default: all, alpha too.
    nodata: the value of pixels without data, or one for each band; default: what the file says.

    The pixels are the picture that a viewer shows: upright as the tag Orientation says, a palette and CMYK as RGB,
    WhiteIsZero turned round, 1 to 4 bits spread to 255. as_stored: upright, but with the numbers of the file, as class
    ids want it.

    Raises SceneError, without decoding a pixel, if the file is missing, no TIFF, cut off, or in a form that cannot be
    read. Warns if decoded strips are too large to be kept: then each window decodes them anew.
    """
    scene = Scene(path, page, level, border, cache_bytes, bands, nodata, as_stored)
    described = scene._page
    if 0 < cache_bytes < described.segment_bytes and not described.plain:
        warnings.warn(
            f"{path}: each window decodes {'strips' if described.striped else 'tiles'} of {described.tile[0]} x "
            f"{described.tile[1]} pixels, {described.segment_bytes:,} bytes each, and cache_bytes={cache_bytes:,} is "
            "too small to keep even one. Write the file again with tiles of 512 pixels, or raise cache_bytes.",
            RuntimeWarning,
            stacklevel=2,
        )
    scene._reader  # noqa: B018, opens the file
    return scene


class Scene:
    """A picture (H, W, C) in a TIFF file; see `open_scene`. Use it in `with`, or call `close`.

    Pickled, it is its path and options, and opens the file again where it is first used. A forked process may go on
    with it. It is not for several threads at once: give each its own.
    """

    def __init__(
        self,
        path: str | Path,
        page: int = 0,
        level: int = 0,
        border: str = "reflect",
        cache_bytes: int = 64 << 20,
        bands: Sequence[int] | None = None,
        nodata: Nodata = None,
        as_stored: bool = False,
    ):
        if border not in ("reflect", "constant"):
            raise ValueError(f"border={border!r} is not known; expected 'reflect' or 'constant'")
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes={cache_bytes}: expected 0 or more")
        self.path, self.page, self.level = Path(path), page, level
        self._absolute = self.path.absolute()  # the process that unpickles this may work in another folder
        self.border, self.cache_bytes, self.as_stored = border, cache_bytes, as_stored
        self.bands = None if bands is None else tuple(operator.index(band) for band in bands)
        self._nodata = None
        if nodata is not None:
            means = self._page.meaning
            alpha = None if means.hidden else means.alpha
            self._nodata = check_nodata(nodata, means.channels - means.hidden, alpha, path)
        self.counters = Counters()
        self._closed = False
        if self.bands is not None and not (self.bands and all(0 <= band < self._channels for band in self.bands)):
            known = f"{path} has {self._channels} bands; expected some of 0 to {self._channels - 1}"
            raise ValueError(f"bands={bands!r}: {known}")

    @cached_property
    def _page(self) -> ScenePage:
        return read_page(self.path, self.page, self.level)

    @cached_property
    def _reader(self) -> SegmentReader:
        return self._open(self._page, self.counters)

    @cached_property
    def _mask_reader(self) -> SegmentReader:
        return self._open(self._page.mask, Counters())

    def _open(self, page: ScenePage, counters: Counters) -> SegmentReader:
        if self._closed:
            raise SceneError(f"{self.path} has been closed; open it again with open_scene.")
        return SegmentReader(page, self.cache_bytes, counters)

    @property
    def _channels(self) -> int:
        """Of the picture, before bands are chosen."""
        means = self._page.meaning
        return means.channels - means.hidden if self.as_stored else means.shape

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width = self._page.shape[:2][:: -1 if self._page.meaning.orientation in TRANSPOSED else 1]
        return height, width, self._channels if self.bands is None else len(self.bands)

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, in this machine's byte order."""
        return self._page.dtype

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns that are decoded together: of a tile, or of a strip, which is as wide as the scene."""
        return self._page.tile[:: -1 if self._page.meaning.orientation in TRANSPOSED else 1]

    @property
    def striped(self) -> bool:
        """Whether the file has strips: a narrow window then decodes the full width. Read bands of it instead."""
        return self._page.striped and self._page.meaning.orientation not in TRANSPOSED

    @property
    def compression(self) -> str:
        """How the pixels are stored: "none", "deflate", "lzw", "jpeg", "zstd", ..."""
        return self._page.compression

    @property
    def nodata(self) -> Nodata:
        """The value of pixels without data, or one for each band: what `open_scene` was told, or else the file's own
        (tag GDAL_NODATA), if pixels can have it."""
        nodata = self._all_nodata
        return tuple(nodata[band] for band in self.bands) if isinstance(nodata, tuple) and self.bands else nodata

    @property
    def _all_nodata(self) -> Nodata:
        return self._page.nodata if self._nodata is None else self._nodata

    @property
    def pages(self) -> int:
        """Pictures of full resolution in the file."""
        return count_pictures(self.path)

    @property
    def alpha(self) -> int | None:
        """The number of the channel that says by 0 where there are no data, among all channels of the picture."""
        means = self._page.meaning
        if means.alpha is None or means.hidden:
            return None
        return means.alpha + (0 if self.as_stored else means.shape - means.channels)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what else the file holds, and on what the picture is not as the file has it."""
        which = f"number {self.page + 1}" if self.page else "the first"
        more = (f"It holds {self.pages} pictures; this is {which}.",) if self.pages > 1 else ()
        return more + self._page.meaning.remarks(self.as_stored)

    @property
    def complete(self) -> bool:
        """Whether each pixel has data, whatever its numbers: nothing in the file could say otherwise."""
        means = self._page.meaning
        return self.nodata is None and self._page.mask is None and means.alpha is None and self.dtype.kind != "f"

    @property
    def geo(self) -> GeoTags:
        """The GeoTIFF tags: {code: (data type, count, value)}, for the pixels of this level; {} without any."""
        return self._page.geo

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        """The window (height, width, C) whose upper left pixel is (y, x), a new array; what lies beyond the scene comes
        by the border rule. Raises SceneError for a tile or strip that cannot be decoded."""
        return self._picture(self._bordered(y, x, height, width))

    def look(self, y: int, x: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
        """`read`, and where its pixels are missing, bool (height, width); None if the scene is `complete`. See
        `compactlib.raster.missing` for the rule."""
        stored = self._bordered(y, x, height, width)
        return self._picture(stored), self._missing(stored, y, x)

    def _missing(self, stored: np.ndarray, y: int, x: int) -> np.ndarray | None:
        if self.complete:
            return None
        means = self._page.meaning
        # A palette's colours and CMYK's RGB are no channels of the file: then all of those count.
        bands = self.bands if self.as_stored or means.shape == means.channels - means.hidden else None
        missing = missing_in_file(stored, self._all_nodata, means.alpha, bands)
        if self._page.mask is not None:
            missing |= (self._bordered(y, x, *missing.shape, mask=True) == 0).all(axis=-1)
        return missing

    def _picture(self, stored: np.ndarray) -> np.ndarray:
        means = self._page.meaning
        if not self.as_stored:
            stored = means.picture(stored)
        elif means.hidden:
            stored = stored[..., :-1]
        return stored if self.bands is None else np.ascontiguousarray(stored[..., list(self.bands)])

    def _bordered(self, y: int, x: int, height: int, width: int, mask: bool = False) -> np.ndarray:
        page, reader = (self._page.mask, self._mask_reader) if mask else (self._page, self._reader)
        fill = partial(fill_upright, reader.fill, self.shape, self._page.meaning.orientation)
        window, mirrored = Window(y, x, height, width), self.border == "reflect"
        return read_bordered(fill, self.shape, window, page.shape[2], page.dtype, mirrored=mirrored)

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns inside the scene, as of an array: scene[a:b, c:d] is (b - a, d - c, C)."""
        rows, columns = rows_and_columns(key, self.shape)
        if not rows or not columns:
            return np.empty((len(rows), len(columns), self.shape[2]), self.dtype)
        return self.read(rows.start, columns.start, len(rows), len(columns))

    def close(self) -> None:
        """Close the file and forget the decoded pixels; what is known of the picture stays."""
        for name in ("_reader", "_mask_reader"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()
        self._closed = True

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def arguments(self, **changed: Any) -> tuple:
        """What this scene was made with, in the order that Scene takes it, its path absolute; `changed`: other ones."""
        names = ("page", "level", "border", "cache_bytes", "bands", "_nodata", "as_stored")
        return self._absolute, *(changed.get(name.lstrip("_"), getattr(self, name)) for name in names)

    def __reduce__(self):
        return Scene, self.arguments()

    def __repr__(self) -> str:
        options = f"page={self.page}, level={self.level}, border={self.border!r}, cache_bytes={self.cache_bytes}"
        return f"Scene({str(self.path)!r}, {options})"
