"""What a folder of patches holds, read without the code under test; and what NumPy and scikit-image would cut."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from skimage.util import view_as_windows


def contents(out: Path) -> dict[str, bytes]:
    """Every file of the parts, and the manifest: name -> bytes."""
    return {path.name: path.read_bytes() for path in [*(out / "parts").iterdir(), out / "manifest.parquet"]}


def table(out: Path) -> pa.Table:
    """All patches, by scene, row and column."""
    parts = [pq.read_table(part) for part in sorted((out / "parts").iterdir())]
    return pa.concat_tables(parts).sort_by([(name, "ascending") for name in ("scene", "row", "column")])


def stored(found: pa.Table, column: str, dtype: str, *shape: int) -> np.ndarray:
    """A column of bytes as an array (patches, *shape)."""
    return np.frombuffer(b"".join(found[column].to_pylist()), dtype).reshape(-1, *shape)


def cut(pixels: np.ndarray, size: int, step: int, halo: int = 0, border: str = "reflect", fill: int = 0) -> np.ndarray:
    """The patches of a picture (H, W, C) -> (patches, side, side, C): padded as a whole, then cut as a whole."""
    margins = [(halo, halo)] * 2
    if border != "drop":
        margins = [(halo, halo + -(-max(0, n - size) // step) * step + size - n) for n in pixels.shape[:2]]
    how = {"mode": "constant", "constant_values": fill} if border == "constant" else {"mode": "reflect"}
    padded = np.pad(pixels, [*margins, (0, 0)], **how)
    side = size + 2 * halo
    windows = view_as_windows(padded, (side, side, pixels.shape[2]), (step, step, 1))
    return windows.reshape(-1, side, side, pixels.shape[2])


def module(name: str):
    """A module of compactlib.spark, where the function of the same name stands before it."""
    return sys.modules[f"compactlib.spark.{name}"]
