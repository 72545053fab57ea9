"""The table of contents of a folder of patches: a row per part, with what is needed to skip it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compactlib.files import atomic_open
from compactlib.spark.cut import FACTS, read_facts
from compactlib.spark.job import read_job

NAME = "manifest.parquet"


def write_manifest(out: Path, parts: list[Path]) -> pa.Table:
    """Write out/manifest.parquet from what the parts say of themselves, and return it.

    A row per part, in order of scene and block: scene, file, row, column, rows, columns (of the block, in patches),
    patches, bytes, low and high (of all its pixels), valid and labelled (of the patch with the largest share).
    """
    rows, scenes = [], {}
    for part in sorted(parts):
        facts = read_facts(part)
        row, column, height, width = facts["block"]
        rows.append(
            {
                "scene": facts["scene"],
                "file": f"{part.parent.name}/{part.name}",
                **{"row": row, "column": column, "rows": height, "columns": width},
                "patches": facts["patches"],
                "bytes": part.stat().st_size,
                **{name: facts[name] for name in ("low", "high", "valid", "labelled") if name in facts},
            }
        )
        scenes[facts["scene"]] = {"name": facts["name"], "grid": facts["grid"]}
    rows.sort(key=lambda row: (row["scene"], row["row"], row["column"]))
    described = {"shape": facts["shape"], "dtype": facts["dtype"], "scenes": [scenes[n] for n in sorted(scenes)]}
    kinds = dict.fromkeys(("low", "high", "valid", "labelled"), pa.float32())
    kinds |= {"file": pa.string(), "bytes": pa.int64()}
    schema = pa.schema(
        [pa.field(name, kinds.get(name, pa.int32()), nullable=False) for name in rows[0]],
        metadata={FACTS: json.dumps(described)},
    )
    table = pa.Table.from_pylist(rows, schema)
    with atomic_open(out / NAME) as file:
        pq.write_table(table, file)
    return table


def read_manifest(out: Path) -> tuple[pa.Table, dict[str, Any]]:
    """The manifest of a folder, and what it says of all patches: shape (with halo), dtype, scenes (name, grid).

    ValueError for a folder that is not patchify's, or whose job has not ended.
    """
    read_job(out, "patchify")
    path = out / NAME
    if not path.exists():
        raise ValueError(f"{out}: the job is not done; the same call of patchify() goes on with it")
    table = pq.read_table(path)
    return table, json.loads(table.schema.metadata[FACTS])
