"""A scene: the picture in a TIFF file of any size, read window by window and never held whole."""

import operator
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np

from compactlib.raster.segments import Counters, SegmentReader
from compactlib.raster.tiff_page import SceneError, ScenePage, read_page
from compactlib.raster.tiff_tags import GeoTags
from compactlib.raster.windows import Window, mirror_indices, read_window

__all__ = ["Counters", "Scene", "SceneError", "open_scene"]


def open_scene(
    path: str | Path, page: int = 0, level: int = 0, border: str = "reflect", cache_bytes: int = 64 << 20
) -> "Scene":
    """Open one picture of a TIFF file for reading by windows.

    page: of the file, counted from 0 (OME: a plane of the first image). level: of its pyramid, 0 is full resolution.
    border: what `Scene.read` gives beyond the scene: "reflect" mirrors it (`mirror_indices`), "constant" gives 0.
    cache_bytes: for decoded tiles or strips; windows that follow one another should find the ones they share. 0: each
    window is decoded by itself.

    Raises SceneError, without decoding a pixel, if the file is missing, no TIFF, cut off, or in a form that cannot be
    read. Warns if decoded strips are too large to be kept: then each window decodes them anew.
    """
    scene = Scene(path, page, level, border, cache_bytes)
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

    def __init__(self, path: str | Path, page: int, level: int, border: str, cache_bytes: int):
        if border not in ("reflect", "constant"):
            raise ValueError(f"border={border!r} is not known; expected 'reflect' or 'constant'")
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes={cache_bytes}: expected 0 or more")
        self.path, self.page, self.level = Path(path), page, level
        self._absolute = self.path.absolute()  # the process that unpickles this may work in another folder
        self.border, self.cache_bytes = border, cache_bytes
        self.counters = Counters()
        self._closed = False

    @cached_property
    def _page(self) -> ScenePage:
        return read_page(self.path, self.page, self.level)

    @cached_property
    def _reader(self) -> SegmentReader:
        if self._closed:
            raise SceneError(f"{self.path} has been closed; open it again with open_scene.")
        return SegmentReader(self._page, self.cache_bytes, self.counters)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self._page.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels, in this machine's byte order."""
        return self._page.dtype

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns that are decoded together: of a tile, or of a strip, which is as wide as the scene."""
        return self._page.tile

    @property
    def striped(self) -> bool:
        """Whether the file has strips: a narrow window then decodes the full width. Read bands of it instead."""
        return self._page.striped

    @property
    def compression(self) -> str:
        """How the pixels are stored: "none", "deflate", "lzw", "jpeg", "zstd", ..."""
        return self._page.compression

    @property
    def nodata(self) -> int | float | None:
        """The value of pixels without data (tag GDAL_NODATA), if it is given and pixels can have it."""
        return self._page.nodata

    @property
    def geo(self) -> GeoTags:
        """The GeoTIFF tags: {code: (data type, count, value)}, for the pixels of this level; {} without any."""
        return self._page.geo

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        """The window (height, width, C) whose upper left pixel is (y, x), a new array; what lies beyond the scene comes
        by the border rule. Raises SceneError for a tile or strip that cannot be decoded."""
        y, x, height, width = (operator.index(number) for number in (y, x, height, width))
        if height < 1 or width < 1:
            raise ValueError(f"a window of {height} x {width} pixels; expected 1 x 1 or more")
        # The part inside the scene, in rows and columns of the window.
        top, bottom = (min(max(end - y, 0), height) for end in (0, self.shape[0]))
        left, right = (min(max(end - x, 0), width) for end in (0, self.shape[1]))
        whole = (top, left, bottom, right) == (0, 0, height, width)
        if not whole and self.border == "reflect":
            if top == bottom or left == right:
                return read_window(self, Window(y, x, height, width))
            rows = mirror_indices(y, y + height, self.shape[0]) - y
            columns = mirror_indices(x, x + width, self.shape[1]) - x
            above, below = max(0, -rows.min()), max(height, rows.max() + 1)
            before, behind = max(0, -columns.min()), max(width, columns.max() + 1)
            if (above, below, before, behind) != (0, height, 0, width):
                # Some pixels are mirrored from inside the scene, but outside the window: cut it out of a larger one.
                larger = self.read(y - above, x - before, above + below, before + behind)
                return larger[above:, before:][:height, :width].copy()
        out = (np.empty if whole else np.zeros)((height, width, self.shape[2]), self.dtype)
        if top < bottom and left < right:
            self._reader.fill(out[top:bottom, left:right], y + top, x + left)
        if not whole and self.border == "reflect":
            for outside in (slice(0, left), slice(right, width)):
                out[top:bottom, outside] = out[top:bottom, columns[outside]]
            for outside in (slice(0, top), slice(bottom, height)):
                out[outside] = out[rows[outside]]
        return out

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns inside the scene, as of an array: scene[a:b, c:d] is (b - a, d - c, C)."""
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, slice) for part in key)):
            raise IndexError("a scene is read by two slices, scene[a:b, c:d]")
        rows, columns = (range(*part.indices(length)) for part, length in zip(key, self.shape, strict=False))
        if rows.step != 1 or columns.step != 1:
            raise IndexError("a scene is read in steps of 1 pixel; slice the array that scene[a:b, c:d] gives")
        if not rows or not columns:
            return np.empty((len(rows), len(columns), self.shape[2]), self.dtype)
        return self.read(rows.start, columns.start, len(rows), len(columns))

    def close(self) -> None:
        """Close the file and forget the decoded pixels; what is known of the picture stays."""
        if "_reader" in self.__dict__:
            self._reader.close()
            del self._reader
        self._closed = True

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def __reduce__(self):
        return Scene, (self._absolute, self.page, self.level, self.border, self.cache_bytes)

    def __repr__(self) -> str:
        options = f"page={self.page}, level={self.level}, border={self.border!r}, cache_bytes={self.cache_bytes}"
        return f"Scene({str(self.path)!r}, {options})"
