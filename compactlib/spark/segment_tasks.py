"""The plan of a mask: its blocks, all by arithmetic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compactlib.raster import Window
from compactlib.spark.measure import Task
from compactlib.spark.tasks import files_in, numbers_in, padded


class BlockTasks(Sequence[Task]):
    """The blocks of a scene, the largest first, so that none is left for last; each is made when it is asked for.

    shape: height and width of the scene. block: rows and columns of a block. folder: of the marks that say which are
    done. A task has row and column (of the block), window (y, x, height, width), and marker, the path of its mark.
    """

    def __init__(self, shape: Sequence[int], block: tuple[int, int], folder: Path):
        self.shape, self.block, self.folder = tuple(shape[:2]), tuple(block), str(folder)
        self.down, self.across = (-(-side // of) for side, of in zip(self.shape, self.block, strict=True))
        self.order = np.argsort(-self._areas(), kind="stable").astype(np.int32)  # numbers of the blocks, row by row

    def __len__(self) -> int:
        return self.down * self.across

    def __getitem__(self, index: int) -> Task:
        row, column = divmod(int(self.order[range(len(self))[index]]), self.across)
        window = self.window(row, column)
        marker = f"{self.folder}/{row:04d}-{column:04d}.json"
        return {"row": row, "column": column, "window": list(vars(window).values()), "marker": marker}

    def window(self, row: int, column: int) -> Window:
        """The pixels of a block."""
        y, x = row * self.block[0], column * self.block[1]
        return Window(y, x, min(self.block[0], self.shape[0] - y), min(self.block[1], self.shape[1] - x))

    def weights(self) -> np.ndarray:
        """Pixels of each block, in the order of the tasks."""
        return self._areas()[self.order]

    def marked(self) -> np.ndarray:
        """bool, in the order of the tasks: which blocks have their mark."""
        return self.present(Path(self.folder), "-", "json")

    def present(self, folder: Path, between: str, suffix: str) -> np.ndarray:
        """bool, in the order of the tasks: which blocks have a file named by row and column in a folder."""
        found = np.zeros(len(self), bool)
        for names in files_in(folder):
            row, column = numbers_in(names, rf"{padded('row', 4)}{between}{padded('column', 4)}\.{suffix}")
            ours = (row < self.down) & (column < self.across)
            found[row[ours] * self.across + column[ours]] = True
        return found[self.order]

    def _areas(self) -> np.ndarray:
        """Pixels of each block, row by row."""
        height, width = (
            np.minimum(of, side - of * np.arange(count))
            for side, of, count in zip(self.shape, self.block, (self.down, self.across), strict=True)
        )
        return np.multiply.outer(height, width).ravel()
