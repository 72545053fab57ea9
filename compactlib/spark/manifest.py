"""The table of contents of a folder of patches: a row per block, with what is needed to skip its part."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compactlib.files import atomic_open
from compactlib.raster import Grid
from compactlib.spark.cut import FACTS, read_facts
from compactlib.spark.job import Job, read_job
from compactlib.spark.measure import Result
from compactlib.spark.parts import FOLDER, Parts

NAME = "manifest.parquet"
TYPES = {"scene": pa.int32(), "file": pa.string()}
TYPES |= dict.fromkeys(("row", "column", "rows", "columns", "patches"), pa.int32())
TYPES |= {"bytes": pa.int64()} | dict.fromkeys(("low", "high", "valid", "labelled"), pa.float32())
FOUND = ("bytes", "low", "high", "valid", "labelled")  # known only when a part is there


def write_manifest(job: Job, parts: Parts, before: np.ndarray, made: dict[int, Result]) -> int:
    """Write manifest.parquet of a job whose parts are all there; returns their bytes.

    A row per block, in order of scene and block: scene, file, row, column, rows, columns (of the block, in patches),
    patches, bytes (of the file), low and high (of all its pixels), valid and labelled (of the patch with the largest
    share). before: bool, the parts that were there before this call; the manifest of an earlier call may know them.
    made: what `cut_block` says of the others, by number. Where nothing is new, nothing is written.
    """
    planned, rows = _planned(parts)
    schema = _schema(parts)
    known = _known(job.folder / NAME, schema, planned)
    if known is None:
        found = {
            name: np.zeros(parts.blocks, schema.field(name).type.to_pandas_dtype())
            for name in FOUND
            if name in schema.names
        }
    else:
        found = {name: known[name].to_numpy().copy() for name in FOUND if name in schema.names}
    for number in range(len(parts)) if known is None else np.flatnonzero(~before):
        own = rows[number * parts.together : (number + 1) * parts.together]
        _note(found, own, made.get(number) or _look(parts, number))
    if known is None or not before.all():
        job.will_write()
        with atomic_open(job.folder / NAME) as file:
            pq.write_table(pa.table({**planned, **found}, schema), file)
    return int(found["bytes"][rows[:: parts.together]].sum())


def read_manifest(out: Path) -> tuple[pa.Table, dict[str, Any]]:
    """The manifest of a folder, and what it says of all patches: shape (with halo), dtype, scenes (name, grid).

    ValueError for a folder that is not patchify's, whose job has not ended, or whose manifest is damaged.
    """
    read_job(out, "patchify")
    path = out / NAME
    if not path.is_file():
        raise ValueError(f"{out}: the job is not done; the same call of patchify() goes on with it")
    try:
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[FACTS])
        _check(table, about)
    except (pa.ArrowException, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it, and the same call of patchify() writes it again"
        ) from error
    return table, about


def _check(table: pa.Table, about: dict[str, Any]) -> None:
    """ValueError, KeyError or TypeError where a manifest is not what `write_manifest` writes."""
    for name, kind in TYPES.items():
        if name in table.column_names and table.schema.field(name).type == kind and not table[name].null_count:
            continue
        if name != "labelled" or name in table.column_names:
            raise ValueError(f"column {name}: expected {kind}")
    # Only files of the folder itself are opened, whoever wrote the manifest.
    if not pc.all(pc.match_substring_regex(table["file"], rf"^{FOLDER}/[A-Za-z0-9_-]+\.parquet$")).as_py():
        raise ValueError(f"column file: expected names in {FOLDER}/")
    side = {Grid(**scene["grid"]).size + 2 * scene["grid"]["halo"] for scene in about["scenes"]}
    names = [scene["name"] for scene in about["scenes"]]
    shape, dtype = about["shape"], np.dtype(about["dtype"])
    if not all(isinstance(name, str) for name in names) or dtype.kind not in "uif" or {*shape[:2]} != side:
        raise ValueError("scenes, shape and dtype do not go together")
    if len(shape) != 3 or type(shape[2]) is not int or shape[2] < 1:
        raise ValueError(f"shape {shape}")
    if not pc.all(pc.and_(pc.greater_equal(table["scene"], 0), pc.less(table["scene"], len(names)))).as_py():
        raise ValueError(f"column scene: expected 0 to {len(names) - 1}")


def _planned(parts: Parts) -> tuple[dict[str, pa.Array | np.ndarray], np.ndarray]:
    """The columns that follow from the plan, and the row of each block."""
    columns = parts.columns()
    order = np.lexsort([columns[name] for name in ("column", "row", "scene")])
    part = pa.array(columns.pop("part")[order])
    columns = {name: values[order] for name, values in columns.items()}
    file = pa.array(f"{FOLDER}/{parts.name(number)}" for number in range(len(parts))).take(part)
    planned = {"scene": columns.pop("scene"), "file": file, **columns}
    rows = np.empty_like(order)
    rows[order] = np.arange(len(order))
    return {**planned, "patches": columns["rows"] * columns["columns"]}, rows


def _schema(parts: Parts) -> pa.Schema:
    about = {"shape": parts.shape, "dtype": parts.dtype}
    about["scenes"] = [{"name": source.name, "grid": vars(source.grid)} for source in parts.sources]
    names = [name for name in TYPES if name != "labelled" or parts.sources[0].mask is not None]
    fields = [pa.field(name, TYPES[name], nullable=False) for name in names]
    return pa.schema(fields, metadata={FACTS: json.dumps(about)})


def _known(path: Path, schema: pa.Schema, planned: dict[str, Any]) -> pa.Table | None:
    """The manifest that is there, if it is one of this plan."""
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path)
    except pa.ArrowException:  # damaged: written again
        return None
    same = table.schema.equals(schema, check_metadata=True) and len(table) == len(planned["row"])
    if not same or any(table[name].null_count for name in schema.names):
        return None
    equal = (pc.all(pc.equal(table[name], pa.array(values, TYPES[name]))).as_py() for name, values in planned.items())
    return table if all(equal) else None


def _look(parts: Parts, number: int) -> Result:
    """What a part that is there says of itself."""
    part = Path(parts.folder) / parts.name(number)
    task, facts = parts[number], read_facts(part)
    blocks = task.get("blocks", [task])
    expected = [(block["number"], block["block"], block["grid"], list(parts.shape), parts.dtype) for block in blocks]
    if [tuple(fact.get(name) for name in ("scene", "block", "grid", "shape", "dtype")) for fact in facts] != expected:
        raise ValueError(f"{part} holds other patches than this job's; delete it, and call again")
    return {"bytes": part.stat().st_size, "facts": facts}


def _note(found: dict[str, np.ndarray], rows: Sequence[int], made: Result) -> None:
    """Write what a part says of its blocks into their rows."""
    found["bytes"][rows] = made["bytes"]
    for row, fact in zip(rows, made["facts"], strict=True):
        for name, values in found.items():
            if name != "bytes":
                values[row] = fact[name]
