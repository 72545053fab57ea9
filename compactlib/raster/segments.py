"""Segments of a TIFF page (tiles or strips) -> pixels of a window: only the bytes that the window touches are read."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compactlib.raster.segment_cache import SegmentCache
from compactlib.raster.tiff_page import SceneError, ScenePage

GAP = 4096  # bytes between two segments that are rather read than skipped
AT_ONCE = 4 << 20  # bytes of neighbouring segments that are read together
NARROW = 4  # rows of an uncompressed segment that are this many times wider than the window are not read whole


@dataclass
class Counters:
    """What reading has cost so far. Pixels are of the scene's plane, whatever the number of channels.

    bytes_read: from the file. decoded_segments, decoded_pixels: tiles and strips with all their pixels, also those
    beyond the scene's edge; of uncompressed ones only the rows that were read. needed_pixels: pixels of the scene that
    were asked for, each time they were.
    """

    bytes_read: int = 0
    decoded_pixels: int = 0
    decoded_segments: int = 0
    needed_pixels: int = 0

    def reset(self) -> None:
        """Count from zero again."""
        self.bytes_read = self.decoded_pixels = self.decoded_segments = self.needed_pixels = 0


class Piece(NamedTuple):
    """What a segment and a window have in common."""

    index: int
    target: tuple[slice, slice, slice]  # in the window
    source: tuple[slice, slice]  # in the segment


class SegmentReader:
    """Reads a page. `os.pread` shares no position in the file, so that a forked process can go on with it."""

    def __init__(self, page: ScenePage, cache_bytes: int, counters: Counters):
        self.page, self.counters = page, counters
        self.cache = SegmentCache(cache_bytes)
        self._file = open(page.path, "rb", buffering=0)  # noqa: SIM115, closed by close()

    def close(self) -> None:
        self.cache.clear()
        self._file.close()

    def fill(self, out: np.ndarray, top: int, left: int) -> None:
        """Copy the pixels from (top, left) on into `out` (h, w, C); all of them are inside the scene."""
        self.counters.needed_pixels += out.shape[0] * out.shape[1]
        missing = []
        for piece in self._pieces(top, left, *out.shape[:2]):
            pixels = self.cache.get(piece.index)
            if pixels is not None:
                out[piece.target] = pixels[piece.source]
            elif not self.page.counts[piece.index]:
                out[piece.target] = self._unwritten(piece.target[2])
            elif self.page.plain:
                out[piece.target] = self._rows(piece)
            else:
                missing.append(piece)
        # Last, because new segments may drive the ones above out of the cache.
        for piece, data in self._bytes_of(missing):
            pixels = self._decode(piece.index, data)
            self.cache.put(piece.index, pixels)
            out[piece.target] = pixels[piece.source]

    def _pieces(self, top: int, left: int, height: int, width: int) -> Iterator[Piece]:
        rows, columns = self.page.tile
        down, across = -(-self.page.shape[0] // rows), -(-self.page.shape[1] // columns)
        for plane in range(self.page.planes):
            channels = slice(None) if self.page.planes == 1 else slice(plane, plane + 1)
            for i in range(top // rows, (top + height - 1) // rows + 1):
                y, y_out = _overlap(i * rows, rows, top, height)
                for j in range(left // columns, (left + width - 1) // columns + 1):
                    x, x_out = _overlap(j * columns, columns, left, width)
                    yield Piece((plane * down + i) * across + j, (y_out, x_out, channels), (y, x))

    def _unwritten(self, channels: slice) -> np.ndarray:
        """What GDAL reads where a segment was never written."""
        page = self.page
        stored = page.shape[2] - page.meaning.hidden
        values = page.nodata if isinstance(page.nodata, tuple) else (page.nodata or 0,) * stored
        # A mask from inside a compression says nothing of what was never compressed: data, as in GDAL.
        return np.array([*values, *(1,) * page.meaning.hidden])[channels]

    def _rows(self, piece: Piece) -> np.ndarray:
        """The window's part of an uncompressed segment, read without the rest: a strip may be as large as the scene."""
        page, (ys, xs) = self.page, piece.source
        samples = page.shape[2] // page.planes
        pixel = samples * page.dtype.itemsize
        height, width, row = ys.stop - ys.start, xs.stop - xs.start, page.tile[1] * pixel
        if ys.stop * row > page.counts[piece.index]:
            raise SceneError(
                f"{self._name(piece.index)} has {page.counts[piece.index]:,} bytes, too few for its pixels. The file "
                "is damaged: copy it again from its source."
            )
        start = page.offsets[piece.index] + ys.start * row
        if width * NARROW < page.tile[1]:
            lines = [self._pread(start + i * row + xs.start * pixel, width * pixel) for i in range(height)]
            data, wide, xs = b"".join(lines), width, slice(None)
        else:
            data, wide = self._pread(start, height * row), page.tile[1]
        self._count(piece.index, height * wide)
        return np.frombuffer(data, page.stored).reshape(height, wide, samples)[:, xs]

    def _bytes_of(self, pieces: list[Piece]) -> Iterator[tuple[Piece, memoryview]]:
        """The segments' bytes in the file's order; neighbours are read together."""
        offsets, counts = self.page.offsets, self.page.counts
        pieces = sorted(pieces, key=lambda piece: offsets[piece.index])
        first = 0
        while first < len(pieces):
            start = offsets[pieces[first].index]
            stop, last = start + counts[pieces[first].index], first + 1
            while last < len(pieces):
                offset = offsets[pieces[last].index]
                end = offset + counts[pieces[last].index]
                if offset > stop + GAP or end > start + AT_ONCE:
                    break
                stop, last = max(stop, end), last + 1
            data = memoryview(self._pread(start, stop - start))
            for piece in pieces[first:last]:
                offset = offsets[piece.index] - start
                yield piece, data[offset : offset + counts[piece.index]]
            first = last

    def _decode(self, index: int, data: memoryview) -> np.ndarray:
        try:
            pixels = self.page.decode(data, index)
        except Exception as error:  # each codec has its own
            raise SceneError(
                f"{self._name(index)} cannot be decoded ({error}). The file is damaged: copy it again from its source."
            ) from error
        page = self.page
        least = *self._inside(index), page.shape[2] // page.planes
        fits = pixels.ndim == 3 and pixels.shape[0] >= least[0] and pixels.shape[1] >= least[1]
        if not fits or pixels.shape[2] != least[2] or pixels.dtype.newbyteorder("=") != page.dtype:
            raise SceneError(
                f"{self._name(index)} holds pixels of shape {pixels.shape}, {pixels.dtype}; expected {least}, "
                f"{page.dtype}. The file is damaged: copy it again from its source."
            )
        self._count(index, pixels.shape[0] * pixels.shape[1])
        return pixels

    def _inside(self, index: int) -> tuple[int, int]:
        """Rows and columns of a segment that lie inside the picture."""
        (height, width), (rows, columns) = self.page.shape[:2], self.page.tile
        i, j = divmod(index % (len(self.page.counts) // self.page.planes), -(-width // columns))
        return min(rows, height - i * rows), min(columns, width - j * columns)

    def _pread(self, offset: int, count: int) -> bytes:
        data = os.pread(self._file.fileno(), count, offset)
        self.counters.bytes_read += len(data)
        if len(data) < count:
            raise SceneError(
                f"{self.page.path} has become shorter while it was read: expected {count:,} bytes at {offset:,}, found "
                f"{len(data):,}. Open it again when it is complete."
            )
        return data

    def _count(self, index: int, pixels: int) -> None:
        planes = self.page.planes
        plane = index * planes // len(self.page.counts)
        self.counters.decoded_segments += 1
        # Each plane counts for its share, so that all of them together give whole pixels.
        self.counters.decoded_pixels += pixels * (plane + 1) // planes - pixels * plane // planes

    def _name(self, index: int) -> str:
        page, (rows, columns) = self.page, self.page.tile
        across = -(-page.shape[1] // columns)
        i, j = divmod(index % (len(page.counts) // page.planes), across)
        start = page.offsets[index]
        return (
            f"{page.path}: the {'strip' if page.striped else 'tile'} at row {i * rows}, column {j * columns} (number "
            f"{index}, bytes {start:,} to {start + page.counts[index]:,})"
        )


def _overlap(start: int, length: int, window_start: int, window_length: int) -> tuple[slice, slice]:
    """What a segment and a window share on an axis, as positions in the segment and in the window."""
    low = max(start, window_start)
    high = min(start + length, window_start + window_length)
    return slice(low - start, high - start), slice(low - window_start, high - window_start)
