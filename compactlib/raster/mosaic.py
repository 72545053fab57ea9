"""A TIFF that many processes write into at once: every tile has its place in the file before the first is written."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import tifffile

from ..files import atomic_open, check_room, disk_full_named
from .tiff_tags import GDAL_NODATA, GeoTags

PAGE = 4096  # tiles start at multiples of it, so that two processes never write into the same page of memory
PIECE = 1 << 18  # numbers of a table that are in memory at once

# BigTIFF: its start, an entry of its directory of tags, tags by their codes, and types of their numbers.
HEADER = np.dtype([("magic", "V8"), ("directory", "<u8"), ("entries", "<u8")])
ENTRY = np.dtype([("code", "<u2"), ("type", "<u2"), ("count", "<u8"), ("value", "<u8")])
MAGIC, DIRECTORY, MOST_TAGS = b"II+\0\x08\0\0\0", 16, 1000
WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, PLANES = 256, 257, 258, 259, 277, 284
TILE_WIDTH, TILE_HEIGHT, OFFSETS, COUNTS, SAMPLE_FORMAT = 322, 323, 324, 325, 339
LONG, LONG8 = 4, 16
INTEGERS = {1: "u1", 3: "<u2", LONG: "<u4", LONG8: "<u8"}
KINDS = {1: "u", 2: "i", 3: "f"}  # of samples


def create_mosaic(
    path: str | Path,
    height: int,
    width: int,
    channels: int = 1,
    dtype: str | np.dtype = "uint8",
    tile: int = 512,
    geo: GeoTags | None = None,
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
    tile_bytes, tiles = tile * tile * channels * dtype.itemsize, -(-height // tile) * -(-width // tile)
    check_room(Path(path).parent, tiles * tile_bytes)
    with atomic_open(path) as file:
        start, entries = _template(channels, dtype, geo or {}, nodata)
        table = -(-len(start) // 8) * 8  # the places of the tiles, then their bytes
        first = -(-(table + 2 * 8 * tiles) // PAGE) * PAGE
        for code, value in {WIDTH: width, HEIGHT: height, TILE_WIDTH: tile, TILE_HEIGHT: tile}.items():
            _set(entries, code, LONG, 1, value)
        for code, place, only in ((OFFSETS, table, first), (COUNTS, table + 8 * tiles, tile_bytes)):
            _set(entries, code, LONG8, tiles, place if tiles > 1 else only)
        file.write(start)
        file.seek(HEADER.itemsize)
        file.write(entries.tobytes())
        file.seek(table)
        for number in range(0, tiles, PIECE):
            file.write((first + tile_bytes * np.arange(number, min(tiles, number + PIECE), dtype="<u8")).tobytes())
        for number in range(0, tiles, PIECE):
            file.write(np.full(min(tiles - number, PIECE), tile_bytes, "<u8").tobytes())
        file.truncate(first + tiles * tile_bytes)  # all tiles are holes


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
        with disk_full_named(self.path.parent):
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
        with disk_full_named(self.path.parent):
            while data:  # the system may take a part only
                written = os.pwrite(self._file, data, offset)
                data, offset = data[written:], offset + written


class _Layout:
    """Where the tiles of a mosaic lie: shape, dtype, tile, and the offset of each tile in the file.

    Read without tifffile, which makes a Python number of each offset: for a million million pixels that takes seconds
    and 300 MB in every worker.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            with open(path, "rb") as file:
                self._read(file)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"{path} cannot be written by many processes: expected uncompressed square tiles that all have their "
                f"place in a little-endian BigTIFF ({error}); make it with create_mosaic"
            ) from None

    def _read(self, file: BinaryIO) -> None:
        header = np.fromfile(file, HEADER, 1)[0]
        if header["magic"].tobytes() != MAGIC or header["entries"] > MOST_TAGS:
            raise ValueError("it begins otherwise")
        if header["directory"] != DIRECTORY:
            raise ValueError("its tags stand elsewhere")
        tags = {int(entry["code"]): entry for entry in np.fromfile(file, ENTRY, int(header["entries"]))}

        def numbers(code: int, count: int, default: int | None = None) -> np.ndarray:
            if code not in tags and default is not None:
                return np.array([default])
            return _numbers(file, tags[code], count)

        (height,), (width,), (tile,), (tile_height,) = (
            numbers(code, 1) for code in (HEIGHT, WIDTH, TILE_WIDTH, TILE_HEIGHT)
        )
        (channels,), (compression,), (planes,) = (numbers(code, 1, 1) for code in (SAMPLES, COMPRESSION, PLANES))
        self.shape, self.tile = (int(height), int(width), int(channels)), int(tile)
        (bits,), (kind,) = (
            np.unique(numbers(code, self.shape[2], default)) for code, default in ((BITS, 1), (SAMPLE_FORMAT, 1))
        )
        self.dtype = np.dtype(f"{KINDS[int(kind)]}{bits // 8}")
        if tile < 1 or tile_height != tile or compression != 1 or (planes != 1 and channels != 1) or bits % 8:
            raise ValueError("they are stored otherwise")
        tiles = -(-self.shape[0] // self.tile) * -(-self.shape[1] // self.tile)
        self.offsets = numbers(OFFSETS, tiles)
        if (
            numbers(COUNTS, tiles) != self.tile**2 * self.shape[2] * self.dtype.itemsize
        ).any() or not self.offsets.all():
            raise ValueError("some tiles have no place, or another size")


def _template(channels: int, dtype: np.dtype, geo: GeoTags, nodata: float | None) -> tuple[bytes, np.ndarray]:
    """A file of one small tile, as tifffile writes it, up to that tile; and the entries of its directory."""
    tags = dict(geo)
    if nodata is not None:
        tags[GDAL_NODATA] = (2, 0, str(nodata))  # 2: text
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=True, byteorder="<", ome=False) as tiff:
        tiff.write(
            shape=(16, 16, channels) if channels > 1 else (16, 16),
            dtype=dtype,
            tile=(16, 16),
            photometric="minisblack",  # also for 3 channels: they are not red, green and blue
            planarconfig="contig" if channels > 1 else None,
            metadata=None,
            software="compactlib",
            extratags=[(code, *tag, True) for code, tag in tags.items()],
        )
    data = file.getvalue()
    entries = np.frombuffer(data, ENTRY, int(np.frombuffer(data, HEADER, 1)[0]["entries"]), HEADER.itemsize).copy()
    (end,) = entries["value"][entries["code"] == OFFSETS]
    return data[: int(end)], entries


def _set(entries: np.ndarray, code: int, kind: int, count: int, value: int) -> None:
    entry = entries["code"] == code
    for name, number in (("type", kind), ("count", count), ("value", value)):
        entries[name][entry] = number


def _numbers(file: BinaryIO, entry: np.void, count: int) -> np.ndarray:
    """The numbers of a tag, which has `count` of them."""
    kind = np.dtype(INTEGERS[int(entry["type"])])
    if entry["count"] != count:
        raise ValueError(f"tag {entry['code']} has {entry['count']} numbers, not {count}")
    if count * kind.itemsize <= 8:
        return np.frombuffer(entry["value"].tobytes(), kind, count)
    if int(entry["value"]) + count * kind.itemsize > os.fstat(file.fileno()).st_size:
        raise ValueError(f"tag {entry['code']} reaches beyond the end of the file")
    file.seek(int(entry["value"]))
    return np.fromfile(file, kind, count)


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
