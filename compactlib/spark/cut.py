"""What a worker does with a block of patches: read its pixels from the scene, strip by strip, and write its part.

A strip is one row of patches: `size` + 2 * `halo` rows of pixels, as wide as the block. It becomes one row group of the
part's Parquet file. So memory is that of a strip and of the decoded tiles below it, whatever the size of the scene.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compactlib.files import atomic_open
from compactlib.raster import Block, Grid, Scene, Window
from compactlib.raster.classes import IGNORE, class_ids
from compactlib.raster.missing import HUGE, Nodata, is_nodata
from compactlib.spark.measure import Result, Task
from compactlib.spark.opened import kept_scene

FACTS = b"compactlib"  # the key of a part's facts in its Parquet metadata
COUNTED = ("bytes_read", "decoded_pixels", "decoded_segments")


def cut_block(task: Task) -> Result:
    """Write a part, the patches of one block of a scene; returns what reading it cost, and what is in it.

    task: scene, mask (paths; mask may be None), number and name of the scene, grid (as of Grid), block (as of Block),
    nodata, bands, values (pairs of number and class id), cache (bytes of decoded tiles to keep) and part (path of the
    file). Where blocks are tiny, a part has several: then the task has a list of them, `blocks`. A part that is there
    is left as it is: the worker that wrote it was killed before it could say so.
    """
    part, blocks = Path(task["part"]), task.get("blocks", [task])
    cost = {"part": part.name, **dict.fromkeys((*COUNTED, "needed_pixels"), 0)}
    if part.is_file():
        facts = read_facts(part)
    else:
        with _new_part(part, blocks[0]) as writer:
            facts = [_cut(writer, block, cost) for block in blocks]
            writer.add_key_value_metadata({FACTS: json.dumps(facts if len(facts) > 1 else facts[0])})
    return {**cost, "patches": sum(each["patches"] for each in facts), "bytes": part.stat().st_size, "facts": facts}


def read_facts(part: Path) -> list[dict]:
    """What a part says of its blocks: patches, low, high, valid and labelled (of the best patch), scene, block, shape.

    ValueError, naming the part, if it cannot be read."""
    try:
        facts = json.loads(pq.read_metadata(part).metadata[FACTS])
    except (pa.ArrowException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{part} is damaged or no part of patchify ({error}); delete it, and call again") from error
    return facts if isinstance(facts, list) else [facts]


def statistics(patches: np.ndarray, missing: np.ndarray | None, nodata: Nodata = None) -> dict[str, np.ndarray]:
    """low, high and mean of each patch (n, height, width, C), over the numbers with data, and `valid`, the share of its
    pixels with data.

    missing: bool (n, height, width), True where a pixel has no data; None: all have. A number that is `nodata` in one
    band of a pixel with data counts in no statistic either, as in GDAL's. NaN for a patch without any data.
    """
    flat = patches.reshape(len(patches), -1)
    result = {"low": flat.min(1), "high": flat.max(1), "mean": _sums(flat) / flat.shape[1]}
    result = {name: values.astype(np.float32) for name, values in result.items()}
    empty = np.zeros(len(patches), int) if missing is None else np.count_nonzero(missing, axis=(1, 2))
    suspect = empty > 0
    if nodata is not None:  # most patches cannot hold it: their range says so
        number = np.clip(np.float64(nodata), -HUGE, HUGE).astype(np.float32)
        suspect |= (result["low"] <= number.max()) & (result["high"] >= number.min())
    for index in np.flatnonzero(suspect):
        known = ~is_nodata(patches[index], nodata)
        if missing is not None:
            known &= ~missing[index][..., None]
        numbers = patches[index][known]
        found = (numbers.min(), numbers.max(), numbers.mean()) if numbers.size else (np.nan,) * 3
        for values, number in zip(result.values(), found, strict=True):
            values[index] = number
    return {**result, "valid": (1 - empty / patches[0, ..., 0].size).astype(np.float32)}


def _sums(flat: np.ndarray) -> np.ndarray:
    """Sums of the rows, in the narrowest type that holds them: twice as fast as the widest."""
    if flat.dtype.kind == "u":
        return flat.sum(1, dtype=np.min_scalar_type(flat.shape[1] * np.iinfo(flat.dtype).max))
    return flat.sum(1, dtype=np.int64 if flat.dtype.kind == "i" else np.float64)


@contextmanager
def _new_part(part: Path, block: Task) -> Iterator[pq.ParquetWriter]:
    """A part to write to, which is there when the `with` block ends well; `block`: one of its blocks."""
    scene, mask = _sources(block)
    schema = _schema(block["grid"]["size"] + 2 * block["grid"]["halo"], scene, mask)
    small = [name for name in schema.names if name not in ("pixels", "mask")]
    with (
        atomic_open(part) as file,
        pa.OSFile(file.name, "wb") as native,  # Arrow writes to it without a copy for Python; `file` flushes it
        pq.ParquetWriter(native, schema, compression="none", use_dictionary=False, write_statistics=small) as writer,
    ):
        yield writer


def _cut(writer: pq.ParquetWriter, task: Task, cost: Result) -> dict:
    """Write the patches of a block, and add what that cost; returns the block's facts."""
    grid, block = Grid(**task["grid"]), Block(*task["block"])
    sources = [source for source in _sources(task) if source]
    before = [vars(source.counters).copy() for source in sources]
    facts = _write(writer, task, grid, block, *sources)
    for source, counts in zip(sources, before, strict=True):
        for name in COUNTED:
            cost[name] += getattr(source.counters, name) - counts[name]
        # Strips overlap, and the scene counts their pixels twice; the block needs them once.
        cost["needed_pixels"] += _pixels_inside(grid, block)
    return facts


def _sources(task: Task) -> tuple[Scene, Scene | None]:
    """The scene of a block and its mask, which this worker keeps open."""
    border = "constant" if task["grid"]["border"] == "constant" else "reflect"
    scene = kept_scene(task["scene"], 0, 0, border, task["cache"], task["bands"], task["nodata"])
    return scene, kept_scene(task["mask"], 0, 0, border, task["cache"], None, None, True) if task["mask"] else None


def _write(
    writer: pq.ParquetWriter, task: Task, grid: Grid, block: Block, scene: Scene, mask: Scene | None = None
) -> dict:
    side, channels = grid.size + 2 * grid.halo, scene.shape[2]
    pixels = np.empty((block.columns, side, side, channels), scene.dtype)
    labels = None if mask is None else np.empty((block.columns, side, side, 1), np.uint8)
    empty = None if scene.complete else np.empty((block.columns, side, side, 1), bool)
    facts = []
    for row in range(block.row, block.row + block.rows):
        strip = grid.block_source(Block(row, block.column, 1, block.columns))
        picture, missing = scene.look(strip.y, strip.x, strip.height, strip.width)
        _gather(picture, grid.step, pixels)
        if missing is not None:
            _gather(missing[..., None], grid.step, empty)
        found = statistics(pixels, None if empty is None else empty[..., 0], scene.nodata)
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
            pa.Array.from_buffers(writer.schema.field(name).type, len(values), [None, pa.py_buffer(values)])
            for name, values in columns.items()
        ]
        writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))
        facts.append({name: columns[name] for name in ("low", "high", "valid", "labelled") if name in columns})
    return _facts(task, grid, block, pixels, facts)


def _schema(side: int, scene: Scene, mask: Scene | None) -> pa.Schema:
    """Columns of a part; none has missing values."""
    types = dict.fromkeys(("scene", "row", "column"), pa.int32()) | dict.fromkeys(("y", "x"), pa.int64())
    pixels = side * side * scene.shape[2] * scene.dtype.itemsize
    types |= dict.fromkeys(("low", "high", "mean", "valid"), pa.float32()) | {"pixels": pa.binary(pixels)}
    if mask is not None:
        types |= {"mask": pa.binary(side * side), "labelled": pa.float32()}
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
    labels = class_ids(labels, values, mask.path.name, missing)
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
