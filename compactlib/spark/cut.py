"""What a worker does with a block of patches: read its pixels from the scene, strip by strip, and write its part.

A strip is one row of patches: `size` + 2 * `halo` rows of pixels, as wide as the block. It becomes one row group of the
part's Parquet file. So memory is that of a strip and of the decoded tiles below it, whatever the size of the scene.
"""

import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compactlib.files import atomic_open
from compactlib.raster import Block, Grid, Scene, Window, open_scene
from compactlib.raster.classes import IGNORE, class_ids
from compactlib.spark.measure import Result, Task

FACTS = b"compactlib"  # the key of a part's facts in its Parquet metadata

_scenes: OrderedDict[tuple, Scene] = OrderedDict()  # what this worker has open: the last scene and its mask


def cut_block(task: Task) -> Result:
    """Write the part of one block; returns what reading it cost.

    task: scene, mask (paths; mask may be None), number and name of the scene, grid (as of Grid), block (as of Block),
    nodata, bands, values (pairs of number and class id), cache (bytes of decoded tiles to keep) and part (path of the
    file). A part that is there is left as it is:
    the worker that wrote it was killed before it could say so.
    """
    part = Path(task["part"])
    grid, block = Grid(**task["grid"]), Block(*task["block"])
    cost = {"part": part.name, "bytes_read": 0, "decoded_pixels": 0, "decoded_segments": 0, "needed_pixels": 0}
    if not part.exists():
        sources = [_open(task["scene"], grid.border, task["cache"], task["bands"], task["nodata"])]
        sources += [_open(task["mask"], grid.border, task["cache"], as_stored=True)] if task["mask"] else []
        before = [vars(source.counters).copy() for source in sources]
        _write(part, task, grid, block, *sources)
        for source, counts in zip(sources, before, strict=True):
            for name in ("bytes_read", "decoded_pixels", "decoded_segments"):
                cost[name] += getattr(source.counters, name) - counts[name]
            # Strips overlap, and the scene counts their pixels twice; the block needs them once.
            cost["needed_pixels"] += _pixels_inside(grid, block)
    return {**cost, "patches": block.rows * block.columns, "bytes": part.stat().st_size}


def read_facts(part: Path) -> dict:
    """What a part says of itself: patches, low, high, valid and labelled (of its best patch), scene, block, shape."""
    return json.loads(pq.read_metadata(part).metadata[FACTS])


def statistics(patches: np.ndarray, missing: np.ndarray | None) -> dict[str, np.ndarray]:
    """low, high and mean of each patch (n, height, width, C), over the pixels with data, and `valid`, their share.

    missing: bool (n, height, width), True where a pixel has no data; None: all have. NaN for a patch without any data.
    """
    flat = patches.reshape(len(patches), -1)
    result = {"low": flat.min(1), "high": flat.max(1), "mean": _sums(flat) / flat.shape[1]}
    result = {name: values.astype(np.float32) for name, values in result.items()}
    if missing is None:
        return {**result, "valid": np.ones(len(patches), np.float32)}
    filled = missing[0].size - np.count_nonzero(missing.reshape(len(patches), -1), axis=1)
    for index in np.flatnonzero(filled < missing[0].size):
        pixels = patches[index][~missing[index]]
        for name, values in result.items():
            values[index] = getattr(pixels, {"low": "min", "high": "max"}.get(name, name))() if pixels.size else np.nan
    return {**result, "valid": (filled / missing[0].size).astype(np.float32)}


def _sums(flat: np.ndarray) -> np.ndarray:
    """Sums of the rows, in the narrowest type that holds them: twice as fast as the widest."""
    if flat.dtype.kind == "u":
        return flat.sum(1, dtype=np.min_scalar_type(flat.shape[1] * np.iinfo(flat.dtype).max))
    return flat.sum(1, dtype=np.int64 if flat.dtype.kind == "i" else np.float64)


def _write(part: Path, task: Task, grid: Grid, block: Block, scene: Scene, mask: Scene | None = None) -> None:
    side, channels = grid.size + 2 * grid.halo, scene.shape[2]
    pixels = np.empty((block.columns, side, side, channels), scene.dtype)
    labels = None if mask is None else np.empty((block.columns, side, side, 1), np.uint8)
    empty = None if scene.complete else np.empty((block.columns, side, side, 1), bool)
    schema = _schema(pixels, labels)
    small = [name for name in schema.names if name not in ("pixels", "mask")]
    facts = []
    with (
        atomic_open(part) as file,
        pa.OSFile(file.name, "wb") as native,  # Arrow writes to it without a copy for Python; `file` flushes it
        pq.ParquetWriter(native, schema, compression="none", use_dictionary=False, write_statistics=small) as writer,
    ):
        for row in range(block.row, block.row + block.rows):
            strip = grid.block_source(Block(row, block.column, 1, block.columns))
            picture, missing = scene.look(strip.y, strip.x, strip.height, strip.width)
            _gather(picture, grid.step, pixels)
            if missing is not None:
                _gather(missing[..., None], grid.step, empty)
            found = statistics(pixels, None if empty is None else empty[..., 0])
            columns = _coordinates(task["number"], grid, block, row) | found
            columns["pixels"] = pixels
            if mask is not None:
                classes = _labels(mask, strip, grid, task["values"] and dict(task["values"]))
                if missing is not None:
                    classes[missing] = IGNORE
                _gather(classes, grid.step, labels)
                unknown = np.count_nonzero(labels.reshape(len(labels), -1) == IGNORE, axis=1)
                columns |= {"mask": labels, "labelled": (1 - unknown / labels[0].size).astype(np.float32)}
            # From buffers, without a copy; to look at an array itself, Arrow would load pandas into every worker.
            arrays = [
                pa.Array.from_buffers(schema.field(name).type, len(values), [None, pa.py_buffer(values)])
                for name, values in columns.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            facts.append({name: columns[name] for name in ("low", "high", "valid", "labelled") if name in columns})
        writer.add_key_value_metadata({FACTS: json.dumps(_facts(task, grid, block, pixels, facts))})


def _schema(pixels: np.ndarray, labels: np.ndarray | None) -> pa.Schema:
    """Columns of a part; none has missing values."""
    types = dict.fromkeys(("scene", "row", "column"), pa.int32()) | dict.fromkeys(("y", "x"), pa.int64())
    types |= dict.fromkeys(("low", "high", "mean", "valid"), pa.float32()) | {"pixels": pa.binary(pixels[0].nbytes)}
    if labels is not None:
        types |= {"mask": pa.binary(labels[0].nbytes), "labelled": pa.float32()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def _coordinates(number: int, grid: Grid, block: Block, row: int) -> dict[str, np.ndarray]:
    columns = np.arange(block.column, block.column + block.columns, dtype=np.int32)
    return {
        "scene": np.full_like(columns, number),
        "row": np.full_like(columns, row),
        "column": columns,
        "y": np.full(len(columns), row * grid.step, np.int64),
        "x": columns.astype(np.int64) * grid.step,
    }


def _gather(strip: np.ndarray, step: int, out: np.ndarray) -> None:
    """Copy the patches of a strip (side, width, C), `step` apart, into `out` (n, side, side, C)."""
    down, across, channel = strip.strides
    windows = np.lib.stride_tricks.as_strided(strip, out.shape, (step * across, down, across, channel), writeable=False)
    np.copyto(out, windows)


def _labels(mask: Scene, strip: Window, grid: Grid, values: dict[int, int] | None) -> np.ndarray:
    """A strip of the mask as class ids. Where it has no data, or the scene is continued with zeros, nothing is known of
    the classes."""
    labels, missing = mask.look(strip.y, strip.x, strip.height, strip.width)
    labels = class_ids(labels, values, mask.path.name)
    if missing is not None:
        labels[missing] = IGNORE
    if grid.border == "constant":
        for axis, (start, length) in enumerate(((strip.y, grid.height), (strip.x, grid.width))):
            beyond = np.arange(start, start + labels.shape[axis])
            labels[(slice(None),) * axis + ((beyond < 0) | (beyond >= length),)] = IGNORE
    return labels


def _facts(task: Task, grid: Grid, block: Block, pixels: np.ndarray, rows: list[dict]) -> dict:
    merged = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    reduce = {"low": np.fmin, "high": np.fmax, "valid": np.fmax, "labelled": np.fmax}  # NaN only if there is no data
    return {
        "scene": task["number"],
        "name": task["name"],
        "block": task["block"],
        "patches": block.rows * block.columns,
        **{name: float(reduce[name].reduce(values)) for name, values in merged.items()},
        "shape": list(pixels.shape[1:]),
        "dtype": str(pixels.dtype),
        "grid": task["grid"],
    }


def _pixels_inside(grid: Grid, block: Block) -> int:
    """Pixels of the scene that a block needs."""
    source = grid.block_source(block)
    height = min(source.y + source.height, grid.height) - max(source.y, 0)
    return height * (min(source.x + source.width, grid.width) - max(source.x, 0))


def _open(path: str, border: str, cache: int, bands=None, nodata=None, as_stored: bool = False) -> Scene:
    """The scene of this worker at `path`, opened at its first block and kept."""
    found = os.stat(path)
    key = (path, border, cache, repr(bands), repr(nodata), as_stored, found.st_mtime_ns, found.st_size)
    if key not in _scenes:
        while len(_scenes) >= 2:
            _scenes.popitem(last=False)[1].close()
        border = "constant" if border == "constant" else "reflect"
        _scenes[key] = open_scene(path, 0, 0, border, cache, bands=bands, nodata=nodata, as_stored=as_stored)
    _scenes.move_to_end(key)
    return _scenes[key]
