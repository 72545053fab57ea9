"""Patches back from their folder: as a torch Dataset, and as a Spark DataFrame."""

import re
from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.utils.data import Dataset

from compactlib.raster import Grid
from compactlib.spark.manifest import read_manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WINDOW = 8  # row groups that are mixed with one another when shuffled, and kept in memory


def read_patches(out: str | Path) -> "PatchDataset":
    """The patches that `patchify` wrote to the folder `out`.

    Raises ValueError if the folder is not one of patchify's, or if its job has not ended.
    """
    return PatchDataset(Path(out))


class PatchDataset(Dataset):
    """Patches of a folder, in the order of scene, block and row; also a map-style torch Dataset.

    An item is (image, mask): image (C, side, side) in the type of the scene, side = size + 2 * halo; mask int64
    (side, side), 255 = unknown. Without masks it is (image, place) with place int64 (3,): scene, row and column.

    shape: (side, side, C). dtype: NumPy's name of the pixels' type. scenes: the scenes' names.
    """

    def __init__(self, out: Path, valid: float = 0.0, labelled: float = 0.0, seed: int | None = None):
        manifest, described = read_manifest(out)
        self.out, self.valid, self.labelled, self.seed = out, valid, labelled, seed
        self.shape, self.dtype = tuple(described["shape"]), np.dtype(described["dtype"])
        self.masks = "labelled" in manifest.column_names
        self.scenes = [scene["name"] for scene in described["scenes"]]
        self._grids = [scene["grid"] for scene in described["scenes"]]
        if labelled and not self.masks:
            raise ValueError(f"{out} has no masks; labelled={labelled} has nothing to compare with")
        may_hold = np.asarray(manifest["valid"], np.float64) >= valid
        if self.masks:
            may_hold &= np.asarray(manifest["labelled"], np.float64) >= labelled
        self.parts = manifest["file"].filter(pa.array(may_hold)).unique().to_pylist()
        self._groups: OrderedDict[tuple[int, int], list[np.ndarray]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        part, group, line, *place = self._places[index].tolist()
        pixels, *labels = (column[line] for column in self._group(part, group))
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())  # (side, side, C) -> (C, side, side)
        return image, torch.from_numpy(labels[0].astype(np.int64)) if labels else torch.tensor(place)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"PatchDataset({self.out.name}: {len(self):,} patches of {shape} {self.dtype})"

    @property
    def table(self) -> pa.Table:
        """A row per item, in order: scene, row, column, y, x, low, high, mean, valid, and with masks labelled."""
        return self._index[0]

    def grid(self, scene: int = 0) -> Grid:
        """The grid of a scene, by its number: for `stitch`, or to find a patch's pixels in the scene."""
        return Grid(**self._grids[scene])

    def where(self, *, valid: float = 0.0, labelled: float = 0.0) -> "PatchDataset":
        """Only patches with at least these shares of pixels that have data, and of mask pixels whose class is known.

        A part whose best patch, says the manifest, has less is not opened.
        """
        return PatchDataset(self.out, max(self.valid, valid), max(self.labelled, labelled), self.seed)

    def shuffled(self, seed: int) -> "PatchDataset":
        """The same patches in another order, the same for the same seed; another seed for each epoch.

        Row groups of the parts are shuffled, then the patches of 8 row groups at a time: each row group is read once.
        Give it to a DataLoader with shuffle=False.
        """
        return PatchDataset(self.out, self.valid, self.labelled, seed)

    def dataframe(self, session: "SparkSession") -> "DataFrame":
        """A Spark DataFrame with a row per patch: the columns of `table`, pixels, and with masks mask (bytes)."""
        if not self.parts:
            raise ValueError(self._nothing())
        files = (str((self.out / part).absolute()) for part in self.parts)
        # Spark takes a path for a pattern.
        frame = session.read.parquet(*("file://" + re.sub(r"([\\*?{}\[\]])", r"\\\1", file) for file in files))
        frame = frame.where(frame["valid"].cast("double") >= self.valid)
        return frame.where(frame["labelled"].cast("double") >= self.labelled) if self.masks else frame

    @cached_property
    def _index(self) -> tuple[pa.Table, np.ndarray]:
        """The table, and where each of its rows is: part, row group, line in it, scene, row, column (n, 6)."""
        tables, places = [], []
        for number in range(len(self.parts)):
            file = self._file(number)
            names = [name for name in file.schema_arrow.names if name not in ("pixels", "mask")]
            tables.append(file.read(columns=names, use_threads=False))
            for group in range(file.num_row_groups):
                lines = np.arange(file.metadata.row_group(group).num_rows)
                places.append(np.stack([np.full_like(lines, number), np.full_like(lines, group), lines], 1))
        if not tables:
            raise ValueError(self._nothing())
        table, place = pa.concat_tables(tables), np.concatenate(places)
        keep = np.asarray(table["valid"], np.float64) >= self.valid
        if self.masks:
            keep &= np.asarray(table["labelled"], np.float64) >= self.labelled
        order = np.flatnonzero(keep)
        if not len(order):
            raise ValueError(self._nothing())
        if self.seed is not None:
            order = _shuffled(order, place, self.seed)
        table = table.take(pa.array(order))
        where = np.stack([np.asarray(table[name], np.int64) for name in ("scene", "row", "column")], 1)
        return table, np.concatenate([place[order], where], 1)

    def _nothing(self) -> str:
        return f"{self.out}: no patch has valid >= {self.valid} and labelled >= {self.labelled}; ask for less"

    @property
    def _places(self) -> np.ndarray:
        return self._index[1]

    def _file(self, part: int) -> pq.ParquetFile:
        path, side = self.out / self.parts[part], self.shape[0]
        kinds = {"pixels": pa.binary(side * side * self.shape[2] * self.dtype.itemsize)}
        kinds |= {"mask": pa.binary(side * side)} if self.masks else {}
        try:
            file = pq.ParquetFile(path, memory_map=True)
            for name, kind in kinds.items():
                if file.schema_arrow.field(name).type != kind:
                    raise ValueError(f"column {name} is {file.schema_arrow.field(name).type}, expected {kind}")
        except (OSError, pa.ArrowException, ValueError, KeyError) as error:
            raise ValueError(
                f"{path} is missing or damaged ({error}); delete it, and the same call of patchify() makes it again"
            ) from error
        return file

    def _group(self, part: int, group: int) -> list[np.ndarray]:
        """Pixels (n, side, side, C), and with masks labels (n, side, side), of a row group; the last ones are kept."""
        if (part, group) not in self._groups:
            while len(self._groups) >= WINDOW:
                self._groups.popitem(last=False)
            columns = ["pixels", "mask"] if self.masks else ["pixels"]
            with self._file(part) as file:
                table = file.read_row_group(group, columns=columns, use_threads=False)
            shapes = (self.shape, self.dtype), (self.shape[:2], np.dtype(np.uint8))
            self._groups[part, group] = [
                _array(table[name], *shape) for name, shape in zip(columns, shapes, strict=False)
            ]
        self._groups.move_to_end((part, group))
        return self._groups[part, group]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_groups": OrderedDict()}  # a DataLoader's worker reads its own


def _shuffled(order: np.ndarray, place: np.ndarray, seed: int) -> np.ndarray:
    """`order` with its row groups shuffled, and then the rows of WINDOW row groups at a time."""
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero((np.diff(place[order][:, :2], axis=0, prepend=-1) != 0).any(1))
    groups = np.split(order, starts[1:])
    shuffled = [groups[i] for i in rng.permutation(len(groups))]
    windows = [np.concatenate(shuffled[i : i + WINDOW]) for i in range(0, len(shuffled), WINDOW)]
    return np.concatenate([rng.permutation(window) for window in windows])


def _array(column: pa.ChunkedArray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A column of fixed-size binary values as an array (n, *shape), without a copy."""
    chunk = column.combine_chunks()
    chunk = chunk.chunk(0) if isinstance(chunk, pa.ChunkedArray) else chunk
    values = np.frombuffer(chunk.buffers()[1], dtype)
    return values.reshape(-1, *shape)[chunk.offset : chunk.offset + len(chunk)]
