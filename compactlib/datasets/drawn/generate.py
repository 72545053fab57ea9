"""A procedural aerial scene on disk, of any size: drawn and compressed by several processes, written tile by tile."""

import math
import multiprocessing
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain, islice, starmap
from pathlib import Path
from typing import BinaryIO

import tifffile
from tqdm.auto import tqdm

from compactlib.files import atomic_open, check_room
from compactlib.raster.mosaic import check_tile, cut_tiles
from compactlib.workers import end_with_parent

from .aerial import aerial

COMPRESSIONS = {"none": 1, "deflate": 8, "lzw": 5, "zstd": 50000}
SPAN = 512  # pixels of a row of tiles that are drawn at once: more, and the processor's cache is too small for them
CLASSIC_BYTES = 2**32 - 2**25  # above that the offsets of a classic TIFF do not reach

# A place that is made up and valid: UTM zone 32 north on WGS 84, pixels of half a metre.
PIXEL, EAST, NORTH = 0.5, 500_000.0, 5_400_000.0
CITATION = "WGS 84 / UTM zone 32N|"
GEO_KEYS = (
    *(1, 1, 0, 5),  # version 1.1.0, five keys: (key, tag of the value or 0, count, value)
    *(1024, 0, 1, 1),  # GTModelType: projected
    *(1025, 0, 1, 1),  # GTRasterType: a pixel is an area
    *(1026, 34737, len(CITATION), 0),  # GTCitation: in the tag of texts
    *(3072, 0, 1, 32632),  # ProjectedCSType: its EPSG code
    *(3076, 0, 1, 9001),  # ProjLinearUnits: metre
)
GEO = {
    33550: (12, 3, (PIXEL, PIXEL, 0.0)),  # ModelPixelScale, doubles
    33922: (12, 6, (0.0, 0.0, 0.0, EAST, NORTH, 0.0)),  # ModelTiepoint: pixel -> place
    34735: (3, len(GEO_KEYS), GEO_KEYS),  # GeoKeyDirectory
    34737: (2, 0, CITATION),  # GeoAsciiParams
}


def write_scene(
    path: str | Path,
    height: int,
    width: int,
    seed: int = 0,
    mask: str | Path | None = None,
    tile: int = 256,
    compression: str = "deflate",
    workers: int = 1,
    geo: bool = True,
    progress: bool = False,
) -> Path:
    """Write the aerial scene that `seed` names (`aerial`), height x width pixels, as a tiled RGB TIFF.

    mask: where to write its mask as well, a TIFF of class ids. tile: pixels a side, a multiple of 16. compression:
    "none", "deflate", "lzw" or "zstd". workers: processes that draw; the file has the same bytes for any number. geo:
    with a made-up but valid georeference. BigTIFF where it must be.

    Memory does not grow with the scene: a few tiles of each process. The files appear when both are done, first the
    mask, so whoever finds the scene finds its mask. Returns the path. Raises ValueError for an argument out of its
    range, OSError where the disk has no room.

    With workers > 1 a script needs `if __name__ == "__main__":`, as for any pool of processes.
    """
    path, mask = Path(path), None if mask is None else Path(mask)
    for name, value in {"height": height, "width": width, "workers": workers}.items():
        if value < 1:
            raise ValueError(f"{name}={value}: expected 1 or more")
    check_tile(tile)
    if compression not in COMPRESSIONS:
        raise ValueError(f"compression={compression!r} is not known; expected one of {', '.join(COMPRESSIONS)}")
    if COMPRESSIONS[compression] not in tifffile.TIFF.COMPRESSORS:
        raise ValueError(f'compression="{compression}" needs the package imagecodecs; install it, or use "deflate"')
    if mask is not None and mask.resolve() == path.resolve():
        raise ValueError(f"The scene and its mask cannot both be {path}.")
    check_room(path.parent, height * width * (3 if mask is None else 4))

    tasks = _tasks(height, width, seed, tile, compression)
    tiles = -(-height // tile) * -(-width // tile)
    with ExitStack() as stack:
        file = stack.enter_context(atomic_open(path))
        drawn = stack.enter_context(closing(_in_order(tasks, workers)))
        bar = stack.enter_context(tqdm(desc=path.name, total=tiles, unit="tile", disable=not progress))
        if mask is None:
            _write_tiff(file, _images(drawn, bar), (height, width, 3), tile, compression, geo)
        else:
            mask_file = stack.enter_context(atomic_open(mask))
            aside, lengths = stack.enter_context(tempfile.TemporaryFile(dir=mask.parent)), []
            images = _images(drawn, bar, aside, lengths)
            _write_tiff(file, images, (height, width, 3), tile, compression, geo)
            aside.seek(0)
            _write_tiff(mask_file, (aside.read(n) for n in lengths), (height, width), tile, compression, geo)
    return path


def _tasks(height: int, width: int, seed: int, tile: int, compression: str) -> Iterator[tuple]:
    """The windows to draw, in the order of their tiles in the file: each a piece of one row of tiles."""
    span = max(tile, SPAN // tile * tile)
    for y in range(0, height, tile):
        for x in range(0, width, span):
            yield min(tile, height - y), min(span, width - x), seed, y, x, tile, compression


def _draw(height: int, width: int, seed: int, y: int, x: int, tile: int, compression: str) -> list[tuple[bytes, bytes]]:
    """The compressed tiles of a window: (image, mask) of each."""
    image, mask = aerial(height, width, seed, y, x)
    compress = tifffile.TIFF.COMPRESSORS[COMPRESSIONS[compression]]
    parts = zip(cut_tiles(image, tile), cut_tiles(mask[..., None], tile), strict=True)
    return [tuple(bytes(compress(part.tobytes())) for _, _, part in pair) for pair in parts]


def _in_order(tasks: Iterator[tuple], workers: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """What `_draw` returns for each task, in their order; a few tasks ahead at most, so that memory stays small."""
    if workers == 1:
        yield from starmap(_draw, tasks)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), end_with_parent)
    try:
        ahead = deque(pool.submit(_draw, *task) for task in islice(tasks, 2 * workers))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(_draw, *task) for task in islice(tasks, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _images(
    drawn: Iterable[list[tuple[bytes, bytes]]],
    bar: tqdm,
    aside: BinaryIO | None = None,
    lengths: list[int] | None = None,
) -> Iterator[bytes]:
    """Pass on the tiles of the image; put those of the mask aside, because the mask is written after the image."""
    for image, mask in chain.from_iterable(drawn):
        if aside is not None:
            aside.write(mask)
            lengths.append(len(mask))
        bar.update()
        yield image


def _write_tiff(
    file: BinaryIO, tiles: Iterator[bytes], shape: tuple[int, ...], tile: int, compression: str, geo: bool
) -> None:
    """Write compressed tiles of an image (h, w, 3) or a mask (h, w), one at a time."""
    with tifffile.TiffWriter(file, bigtiff=math.prod(shape) > CLASSIC_BYTES, ome=False) as tiff:
        tiff.write(
            tiles,
            shape=shape,
            dtype="uint8",
            tile=(tile, tile),
            photometric="rgb" if len(shape) == 3 else "minisblack",
            planarconfig="contig" if len(shape) == 3 else None,
            compression=COMPRESSIONS[compression],
            metadata=None,
            software="compactlib",
            extratags=[(code, *tag, True) for code, tag in GEO.items()] if geo else [],
        )
