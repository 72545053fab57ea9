"""What `segment` writes: one TIFF with a place for every block, or a TIFF for each block and a VRT of them all."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compactlib.raster import Window, create_mosaic
from compactlib.raster.vrt import Picture, write_part, write_vrt
from compactlib.spark.opened import kept_mosaic
from compactlib.spark.segment_tasks import BlockTasks

FLAT = 1000  # files in a VRT; of more each row of blocks has its own, and GDAL reads only those that it needs


@dataclass(frozen=True)
class Product:
    """A picture of the result: "mask" or "probabilities", in a folder. files: one for each block."""

    folder: str
    name: str
    picture: Picture
    files: bool

    @property
    def path(self) -> Path:
        """What is opened when all blocks are there."""
        return Path(self.folder) / f"{self.name}.{'vrt' if self.files else 'tif'}"

    @property
    def at_work(self) -> Path:
        """What blocks are written into: a folder for their files, or the one file, under a name for the meantime."""
        return Path(self.folder) / (self.name if self.files else f".{self.name}.tif.part")

    @property
    def new_bytes(self) -> int:
        """Bytes of the file that is still to be made; of compressed ones nobody knows before."""
        if self.files or self.path.exists() or self.at_work.exists():
            return 0
        (height, width, channels), tile = self.picture.shape, self.picture.tile
        return -(-height // tile) * -(-width // tile) * tile**2 * channels * np.dtype(self.picture.dtype).itemsize

    def holds(self, tasks: BlockTasks, marked: np.ndarray) -> np.ndarray:
        """bool: which of the blocks that are marked as done are here. Someone may have taken them away."""
        if self.files:
            return marked & tasks.present(self.at_work, "_", "tif")
        return marked & (self.at_work.exists() or (self.path.exists() and marked.all()))

    def make(self) -> None:
        """Begin anew."""
        if self.files:
            self.at_work.mkdir(exist_ok=True)
        else:
            picture = self.picture
            create_mosaic(self.at_work, *picture.shape, picture.dtype, picture.tile, picture.geo, picture.nodata)

    def write(self, row: int, column: int, window: Window, pixels: np.ndarray) -> None:
        """In a worker: put a block in its place, on the disk."""
        if self.files:
            write_part(self._part(row, column), self.picture, window.y, window.x, pixels)
        else:
            mosaic = kept_mosaic(str(self.at_work))
            mosaic.write(window.y, window.x, pixels)
            mosaic.flush()

    def finish(self, tasks: BlockTasks) -> None:
        """All blocks are there."""
        if not self.files:
            if self.at_work.exists():
                os.replace(self.at_work, self.path)
            return
        rows = []
        for row in range(tasks.down):
            parts = [(self._part(row, column), tasks.window(row, column)) for column in range(tasks.across)]
            whole = Window(parts[0][1].y, 0, parts[0][1].height, tasks.shape[1])
            rows.append((self.at_work / f"{row:04d}.vrt", whole, parts))
        if len(tasks) > FLAT:
            for path, whole, parts in rows:
                write_vrt(path, self.picture, whole, parts)
            content = [(path, whole) for path, whole, _ in rows]
        else:
            content = [part for _, _, parts in rows for part in parts]
        write_vrt(self.path, self.picture, Window(0, 0, *tasks.shape), content)

    def _part(self, row: int, column: int) -> Path:
        return self.at_work / f"{row:04d}_{column:04d}.tif"
