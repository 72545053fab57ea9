"""The plan of a folder of patches: which blocks of which scenes go into which part, all by arithmetic."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compactlib.raster import Blocks, Grid
from compactlib.spark.measure import Task
from compactlib.spark.tasks import files_in, numbers_in, padded

FOLDER = "parts"  # in that of a job
# A part of its own for each of thousands of tiny blocks costs more than cutting them, and again when it is read.
MANY, ENOUGH = 1000, 64  # from so many blocks in a job on, a part has about so many patches
PART_BYTES = 256 << 20  # if they are not larger than that together


@dataclass(frozen=True)
class Source:
    """A scene of a job: its files (mask may be None), number and name, and how it is cut.

    cache: bytes of decoded tiles that a worker keeps. options: bands, nodata, values. Blocks are counted from top to
    bottom, column by column: a worker that goes on with the block below has what the two share.
    """

    scene: str
    mask: str | None
    number: int
    name: str
    grid: Grid
    blocks: Blocks
    options: dict[str, Any]
    cache: int

    def task(self, index: int) -> Task:
        """What `cut_block` needs to know of a block."""
        column, row = divmod(index, self.blocks.down)
        block = self.blocks[row * self.blocks.across + column]
        return {
            "scene": self.scene,
            "mask": self.mask,
            "number": self.number,
            "name": self.name,
            "grid": dict(vars(self.grid)),
            **self.options,
            "block": [block.row, block.column, block.rows, block.columns],
            "cache": self.cache,
        }

    def columns(self) -> dict[str, np.ndarray]:
        """scene, row, column, rows and columns of all blocks, in patches."""
        blocks = self.blocks
        row, column = (np.arange(count, dtype=np.int32) for count in (blocks.down, blocks.across))
        row, column = row * blocks.rows, column * blocks.columns
        rows = np.minimum(blocks.rows, blocks.shape[0] - row)
        columns = np.minimum(blocks.columns, blocks.shape[1] - column)
        found = {"row": np.tile(row, len(column)), "column": np.repeat(column, len(row))}
        found |= {"rows": np.tile(rows, len(column)), "columns": np.repeat(columns, len(row))}
        return {"scene": np.full(len(blocks), self.number, np.int32), **found}


class Parts(Sequence[Task]):
    """The tasks of a job, one for each part; each is made when it is asked for.

    folder: of the parts. shape: of a patch with its halo (side, side, channels); dtype: NumPy's name of its type.
    together: blocks in a part; default: one, unless there are very many of very few patches. A task has what
    `Source.task` says of its block, or `blocks` with that of several; and `part`, the path of its file.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        folder: Path,
        shape: tuple[int, int, int],
        dtype: str,
        together: int | None = None,
    ):
        self.sources, self.folder, self.shape, self.dtype = list(sources), str(folder), shape, dtype
        self.firsts = np.cumsum([0, *(len(source.blocks) for source in sources)]).tolist()
        self.together = self._suits() if together is None else together

    @property
    def blocks(self) -> int:
        """How many."""
        return self.firsts[-1]

    @property
    def patch_bytes(self) -> int:
        """Bytes of a patch, with its mask."""
        side, _, channels = self.shape
        return side * side * (channels * np.dtype(self.dtype).itemsize + (self.sources[0].mask is not None))

    def __len__(self) -> int:
        return -(-self.blocks // self.together)

    def __getitem__(self, index: int) -> Task:
        index = range(len(self))[index]
        first = index * self.together
        blocks = [self._block(number) for number in range(first, min(first + self.together, self.blocks))]
        content = blocks[0] if self.together == 1 else {"blocks": blocks}
        return {**content, "part": f"{self.folder}/{self.name(index)}"}

    def name(self, index: int) -> str:
        """The file of a part."""
        if self.together > 1:
            return f"part-{index:06d}.parquet"
        source, own = self._source(index)
        column, row = divmod(own, source.blocks.down)
        row, column = row * source.blocks.rows, column * source.blocks.columns
        return f"scene-{source.number:03d}-block-{row:04d}-{column:04d}.parquet"

    def done(self) -> np.ndarray:
        """bool: which parts are in the folder."""
        found = np.zeros(len(self), bool)
        for names in files_in(Path(self.folder)):
            found[self._indices(names)] = True
        return found

    def columns(self) -> dict[str, np.ndarray]:
        """scene, row, column, rows and columns of all blocks, in patches; and the number of each one's part."""
        each = [source.columns() for source in self.sources]
        columns = {name: np.concatenate([columns[name] for columns in each]) for name in each[0]}
        return {**columns, "part": np.arange(self.blocks) // self.together}

    def patches(self) -> np.ndarray:
        """How many each part has."""
        columns = self.columns()
        return np.add.reduceat(columns["rows"] * columns["columns"], np.arange(0, self.blocks, self.together))

    def _suits(self) -> int:
        """How many blocks should go into a part."""
        patches = sum(len(source.grid) for source in self.sources)
        most = min(ENOUGH, PART_BYTES // self.patch_bytes)
        return max(1, most * self.blocks // patches) if self.blocks >= MANY else 1

    def _block(self, number: int) -> Task:
        source, own = self._source(number)
        return source.task(own)

    def _source(self, number: int) -> tuple[Source, int]:
        """The source of a block, and the block's number in it."""
        index = bisect_right(self.firsts, number) - 1
        return self.sources[index], number - self.firsts[index]

    def _indices(self, names: list[str]) -> np.ndarray:
        """The parts of these names; names that no part has are passed over."""
        if self.together > 1:
            (index,) = numbers_in(names, rf"part-{padded('part', 6)}\.parquet")
            return index[index < len(self)]
        number, row, column = numbers_in(
            names, rf"scene-{padded('scene', 3)}-block-{padded('row', 4)}-{padded('column', 4)}\.parquet"
        )
        known = number < len(self.sources)
        number, row, column = number[known], row[known], column[known]
        all_blocks = [source.blocks for source in self.sources]
        rows, columns, down, across = (
            np.array([getattr(blocks, name) for blocks in all_blocks])[number]
            for name in ("rows", "columns", "down", "across")
        )
        ours = (row % rows == 0) & (row < rows * down) & (column % columns == 0) & (column < columns * across)
        return (np.array(self.firsts)[number] + column // columns * down + row // rows)[ours]
