"""A TIFF that many processes write into at once: every tile has its place in the file before the first is written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import tifffile

from ..files import atomic_open, check_room
from .tiff_tags import GDAL_NODATA

PAGE = 4096  # tiles start at multiples of it, so that two processes never write into the same page of memory


def create_mosaic(
    path: str | Path,
    height: int,
    width: int,
    channels: int = 1,
    dtype: str | np.dtype = "uint8",
    tile: int = 512,
    geo: dict[int, tuple] | None = None,
    nodata: float | None = None,
) -> None:
    """Make a tiled, uncompressed BigTIFF of zeros for `Mosaic` to write into; an older file of that name is replaced.

    tile: pixels a side, a multiple of 16. geo: GeoTIFF tags as `Scene.geo` gives them, {code: (dtype, count, value)}.
    nodata: the value of pixels without data, written as GDAL does.

    A tile that nobody writes takes no room on disk and reads as zeros. Raises ValueError for an impossible size or
    tile, OSError where the disk has no room for the whole.
    """
    for name, value in {"height": height, "width": width, "channels": channels}.items():
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    check_tile(tile)
    dtype = np.dtype(dtype)
    tile_bytes = tile * tile * channels * dtype.itemsize
    check_room(Path(path).parent, -(-height // tile) * -(-width // tile) * tile_bytes)
    tags = dict(geo or {})
    if nodata is not None:
        tags[GDAL_NODATA] = (2, 0, str(nodata))  # 2: text
    with atomic_open(path) as file:
        with tifffile.TiffWriter(_Holes(file, tile_bytes), bigtiff=True, ome=False) as tiff:
            tiff.write(
                shape=(height, width, channels) if channels > 1 else (height, width),
                dtype=dtype,
                tile=(tile, tile),
                photometric="minisblack",  # also for 3 channels: they are not red, green and blue
                planarconfig="contig" if channels > 1 else None,
                metadata=None,
                software="compactlib",
                extratags=[(code, *tag, True) for code, tag in tags.items()],
                align=PAGE,
            )
        file.flush()
        offsets = _Layout(file.name).offsets
        file.truncate(int(offsets.max()) + tile_bytes)  # the last hole too belongs to the file


class Mosaic:
    """A TIFF made by `create_mosaic`, open for writing whole tiles from any number of processes, without locks.

    shape: (height, width, channels). dtype, and tile: pixels a side. Writing a window again gives the same file, so a
    task that was killed is done again. A context manager. Raises ValueError for a file with another layout.
    """

    def __init__(self, path: str | Path) -> None:
        layout = _Layout(path)
        self.path, self.shape, self.dtype, self.tile = Path(path), layout.shape, layout.dtype, layout.tile
        self._offsets = layout.offsets
        self._file = os.open(path, os.O_RDWR)

    def write(self, y: int, x: int, pixels: np.ndarray) -> None:
        """Write pixels (h, w) or (h, w, channels) at row y, column x: whole tiles, or up to the edge of the scene.

        Raises ValueError for pixels of another type or number of channels, and for a window that cuts a tile: another
        process may be writing the rest of it.
        """
        pixels = np.asarray(pixels)
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        self._check(y, x, pixels)
        across = -(-self.shape[1] // self.tile)
        for row, column, tile in cut_tiles(pixels, self.tile):
            index = (y // self.tile + row) * across + x // self.tile + column
            self._put(tile.tobytes(), int(self._offsets[index]))

    def flush(self) -> None:
        """Return when what this process has written is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check(self, y: int, x: int, pixels: np.ndarray) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != self.shape[2] or pixels.dtype != self.dtype:
            raise ValueError(
                f"{self.path.name} takes {self.dtype} pixels (height, width, {self.shape[2]}); "
                f"these are {pixels.dtype} {pixels.shape}"
            )
        for name, start, length, end in zip(("row", "column"), (y, x), pixels.shape[:2], self.shape[:2], strict=True):
            stop = start + length
            if start < 0 or start % self.tile or length < 1 or stop > end or (stop % self.tile and stop != end):
                raise ValueError(
                    f"{name}s {start} to {stop} are not whole tiles of {self.path.name}: expected multiples of "
                    f"{self.tile}, or up to its edge at {end}"
                )

    def _put(self, data: bytes, offset: int) -> None:
        while data:  # the system may take a part only
            written = os.pwrite(self._file, data, offset)
            data, offset = data[written:], offset + written


class _Layout:
    """Where the tiles of a mosaic lie: shape, dtype, tile, and the offset of each tile in the file."""

    def __init__(self, path: str | Path) -> None:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            self.shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
            self.dtype, self.tile = page.dtype, page.tilewidth
            self.offsets = np.array(page.dataoffsets, np.int64)
            size = page.tilewidth * page.tilelength * self.shape[2] * (page.bitspersample // 8)
            plain = page.is_tiled and page.compression == 1 and (page.planarconfig == 1 or self.shape[2] == 1)
        if not plain or page.tilelength != self.tile or set(page.databytecounts) != {size} or self.offsets.min() < 1:
            raise ValueError(
                f"{path} cannot be written by many processes: expected uncompressed square tiles that all have their "
                "place in the file; make it with create_mosaic"
            )


class _Holes:
    """A file in which the empty tiles that tifffile writes become holes: they are passed over."""

    def __init__(self, file: BinaryIO, tile_bytes: int) -> None:
        self._file, self._empty = file, bytes(tile_bytes)

    def write(self, data: bytes) -> int:
        if data == self._empty:
            self._file.seek(len(data), os.SEEK_CUR)
            return len(data)
        return self._file.write(data)

    def __getattr__(self, name: str):
        return getattr(self._file, name)


def check_tile(tile: int) -> None:
    """Raises ValueError for a side that TIFF does not allow."""
    if tile < 16 or tile % 16:
        raise ValueError(f"tile={tile}: the tiles of a TIFF have a multiple of 16 pixels a side")


def cut_tiles(pixels: np.ndarray, side: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """(row, column, tile) of pixels (h, w, channels), row by row: each (side, side, channels), filled up with 0."""
    height, width, channels = pixels.shape
    for row, top in enumerate(range(0, height, side)):
        for column, left in enumerate(range(0, width, side)):
            part = pixels[top : top + side, left : left + side]
            if part.shape[:2] != (side, side):
                tile = np.zeros((side, side, channels), pixels.dtype)
                tile[: part.shape[0], : part.shape[1]] = part
                part = tile
            yield row, column, part
