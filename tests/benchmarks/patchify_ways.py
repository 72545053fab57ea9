"""The ways that patchify_scene.py compares.

Each cuts the TIFF `scene` into patches of 256 pixels, 224 apart, writes them into the folder `out` (the report's way
only collects them), and returns how many there are.

A way keeps what it starts (a session, a pool), so that only its first call pays for it.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from numpy.lib.stride_tricks import sliding_window_view

from compactlib.files import atomic_open

SIZE, STEP, BLOCK = 256, 224, 16  # BLOCK: patches a side of a block, which is then 7 tiles of 512 pixels
CACHED_TILES = 128


@cache
def _session():
    from compactlib.spark import session

    return session("local[2,4]")


def spark(scene: Path, out: Path) -> int:
    """patchify on a session that stays."""
    from compactlib.spark import patchify

    return patchify(scene, out, SIZE, STEP, engine="spark", session=_session(), progress=False).patches


def local(scene: Path, out: Path) -> int:
    """patchify's own pool, started anew in each call."""
    from compactlib.spark import patchify

    return patchify(scene, out, SIZE, STEP, engine="local", workers=2, progress=False).patches


# The hand-tuned pool: no Spark, no manifest, no resume, nothing but uint8 RGB in tiles.


def pool(scene: Path, out: Path) -> int:
    """Two processes; a block of 16 x 16 patches is read in one window; Parquet parts with the same statistics."""
    return _on_pool(_parquet_part, scene, out)


def pool_npy(scene: Path, out: Path) -> int:
    """The same with one .npy file a block, and no statistics."""
    return _on_pool(_npy_part, scene, out)


@cache
def _two_processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


def _on_pool(part, scene: Path, out: Path) -> int:
    height, width = tifffile.TiffFile(scene).pages[0].shape[:2]
    rows, columns = (-(-max(0, side - SIZE) // STEP) + 1 for side in (height, width))
    blocks = [
        (row, column, min(BLOCK, rows - row), min(BLOCK, columns - column))
        for row in range(0, rows, BLOCK)
        for column in range(0, columns, BLOCK)
    ]
    blocks.sort(key=lambda block: -block[2] * block[3])
    return sum(_two_processes().map(partial(part, scene, out), blocks))


@lru_cache(maxsize=1)
def _page(scene: Path) -> tuple[int, tifffile.TiffPage]:
    return os.open(scene, os.O_RDONLY), tifffile.TiffFile(scene).pages[0]


@lru_cache(maxsize=CACHED_TILES)
def _tile(scene: Path, index: int) -> np.ndarray:
    file, page = _page(scene)
    data = os.pread(file, page.databytecounts[index], page.dataoffsets[index])
    return page.decode(data, index)[0][0]


def _block(scene: Path, block: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of a block of patches, mirrored where it reaches beyond the scene."""
    _, page = _page(scene)
    (height, width), tile = page.shape[:2], page.tilewidth
    row, column, rows, columns = block
    y, x = row * STEP, column * STEP
    bottom, right = y + (rows - 1) * STEP + SIZE, x + (columns - 1) * STEP + SIZE
    inside = np.empty((min(bottom, height) - y, min(right, width) - x, 3), np.uint8)
    across = -(-width // tile)
    for i in range(y // tile, -(-(y + len(inside)) // tile)):
        for j in range(x // tile, -(-(x + inside.shape[1]) // tile)):
            pixels = _tile(scene, i * across + j)
            top, left = max(y, i * tile), max(x, j * tile)
            low, far = min(y + len(inside), (i + 1) * tile), min(x + inside.shape[1], (j + 1) * tile)
            inside[top - y : low - y, left - x : far - x] = pixels[
                top - i * tile : low - i * tile, left - j * tile : far - j * tile
            ]
    beyond = bottom - y - len(inside), right - x - inside.shape[1]
    return np.pad(inside, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "reflect") if any(beyond) else inside


def _views(pixels: np.ndarray) -> np.ndarray:
    """The patches (rows, columns, 256, 256, 3) of a picture, as a view; what does not fill one is left out."""
    return sliding_window_view(pixels, (SIZE, SIZE), axis=(0, 1))[::STEP, ::STEP].transpose(0, 1, 3, 4, 2)


def _parquet_part(scene: Path, out: Path, block: tuple[int, int, int, int]) -> int:
    row, column, rows, columns = block
    numbers = dict.fromkeys(("scene", "row", "column"), pa.int32()) | dict.fromkeys(("y", "x"), pa.int64())
    numbers |= dict.fromkeys(("low", "high", "mean", "valid"), pa.float32())
    schema = pa.schema({**numbers, "pixels": pa.binary(SIZE * SIZE * 3)})
    patches = np.empty((columns, SIZE, SIZE, 3), np.uint8)  # used for each row of patches again
    options = dict(compression="none", use_dictionary=False, write_statistics=list(numbers))
    with (
        atomic_open(out / f"part-{row:04d}-{column:04d}.parquet") as file,
        pa.OSFile(file.name, "wb") as native,
        pq.ParquetWriter(native, schema, **options) as writer,
    ):
        for i, views in enumerate(_views(_block(scene, block))):
            np.copyto(patches, views)
            flat = patches.reshape(columns, -1)
            across = np.arange(column, column + columns)
            values = [np.zeros(columns), np.full(columns, row + i), across]
            values += [np.full(columns, (row + i) * STEP), across * STEP]
            values += [flat.min(1), flat.max(1), flat.sum(1, dtype=np.uint32) / flat.shape[1], np.ones(columns)]
            arrays = [
                pa.array(v.astype(kind.to_pandas_dtype())) for v, kind in zip(values, numbers.values(), strict=True)
            ]
            pixels = pa.FixedSizeBinaryArray.from_buffers(
                schema.field("pixels").type, columns, [None, pa.py_buffer(patches.reshape(-1))]
            )
            writer.write_table(pa.Table.from_arrays([*arrays, pixels], schema=schema))
    return rows * columns


def _npy_part(scene: Path, out: Path, block: tuple[int, int, int, int]) -> int:
    patches = np.ascontiguousarray(_views(_block(scene, block)))
    with atomic_open(out / f"part-{block[0]:04d}-{block[1]:04d}.npy") as file:
        np.save(file, patches)
    return patches.shape[0] * patches.shape[1]


# The course's source: the image goes into an RDD, is cut by flatMap, and the patches are collected.


@cache
def _plain_session(memory: str):
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", memory)
    running = builder.config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false").getOrCreate()
    running.sparkContext.addPyFile(__file__)  # the workers need `_split`
    return running


def _split(image: np.ndarray):
    for y in range(0, image.shape[0] - SIZE + 1, STEP):
        for x in range(0, image.shape[1] - SIZE + 1, STEP):
            yield y, x, image[y : y + SIZE, x : x + SIZE]


def report_2g(scene: Path, out: Path) -> int:
    """As `report`, with a heap of 2 GB."""
    return report(scene, out, "2g")


def report(scene: Path, out: Path, memory: str = "8g") -> int:
    """parallelize([image]).flatMap(split).collect(); nothing is written."""
    context = _plain_session(memory).sparkContext
    return len(context.parallelize([tifffile.imread(scene)]).flatMap(_split).collect())


def report_broadcast(scene: Path, out: Path) -> int:
    """The same with the image broadcast, and only the patches' corners in the RDD; nothing is written."""
    context = _plain_session("8g").sparkContext
    image = tifffile.imread(scene)
    shared = context.broadcast(image)
    corners = [(y, x) for y, x, _ in _split(image)]
    found = context.parallelize(corners).map(lambda at: (*at, shared.value[at[0] : at[0] + SIZE, at[1] : at[1] + SIZE]))
    return len(found.collect())


# What people use without Spark. The whole picture is in memory.


def patchify_package(scene: Path, out: Path) -> int:
    """The package patchify, and one .npy file for all; the margins are dropped."""
    from patchify import patchify

    views = patchify(tifffile.imread(scene), (SIZE, SIZE, 3), step=STEP)
    with atomic_open(out / "patches.npy") as file:
        np.save(file, views)
    return views.shape[0] * views.shape[1]


def dask_array(scene: Path, out: Path) -> int:
    """dask.array: chunks of 16 x 16 patches with their overlap, mirrored at the end, and one .npy file a chunk."""
    import dask.array as da

    depth = SIZE - STEP

    def cut(pixels: np.ndarray, block_info=None) -> np.ndarray:
        patches = np.ascontiguousarray(_views(pixels[depth:, depth:]))
        i, j, _ = block_info[0]["chunk-location"]
        with atomic_open(out / f"part-{i}-{j}.npy") as file:
            np.save(file, patches)
        return np.full((1, 1, 1), patches.shape[0] * patches.shape[1])

    chunks = (BLOCK * STEP, BLOCK * STEP, 3)
    image = da.from_array(tifffile.imread(scene), chunks)
    grown = da.overlap.overlap(image, {0: depth, 1: depth, 2: 0}, {0: "reflect", 1: "reflect", 2: "none"})
    counts = grown.map_blocks(cut, dtype=np.int64, chunks=(1, 1, 1), meta=np.empty((0, 0, 0), np.int64))
    return int(counts.sum().compute(scheduler="threads", num_workers=2))


def numpy_loop(scene: Path, out: Path) -> int:
    """Slices of the picture, one .npy file a patch, which nobody flushes to the disk; the margins are dropped."""
    image = tifffile.imread(scene)
    saved = [np.save(out / f"{y}-{x}.npy", patch) for y, x, patch in _split(image)]
    return len(saved)


WAYS = {
    "spark": spark,
    "pool": pool,
    "local": local,
    "pool_npy": pool_npy,
    "report": report,
    "report_2g": report_2g,
    "report_broadcast": report_broadcast,
    "patchify_package": patchify_package,
    "dask": dask_array,
    "numpy_loop": numpy_loop,
}
