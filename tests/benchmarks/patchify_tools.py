"""What the benchmarks of patchify share: a scene of any size on the disk, and what a tree of processes costs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import tifffile

from compactlib.datasets.drawn.aerial import aerial
from compactlib.files import atomic_open
from compactlib.raster import mirror_indices

DRAWN, TILE = 3000, 512


def big_scene(side: int, folder: Path) -> Path:
    """An RGB uint8 TIFF of side x side pixels in deflate tiles of 512: one aerial scene of 3,000 pixels, repeated with
    alternating flips (so that it has no edges). Made once, then kept in `folder`."""
    path = folder / f"scene-{side}.tif"
    if not path.exists():
        print(f"making {path} ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_open(path) as file:
            tifffile.imwrite(
                file,
                _tiles(aerial(DRAWN, DRAWN, seed=0)[0], side),
                shape=(side, side, 3),
                dtype="uint8",
                tile=(TILE, TILE),
                compression="deflate",
                photometric="rgb",
                bigtiff=True,
                metadata=None,
            )
    return path


def _tiles(drawn: np.ndarray, side: int) -> Iterator[np.ndarray]:
    starts = range(0, side, TILE)
    for y in starts:
        rows = drawn[mirror_indices(y, y + TILE, DRAWN)]
        for x in starts:
            yield np.ascontiguousarray(rows[:, mirror_indices(x, x + TILE, DRAWN)])


def cache_folder() -> Path:
    """Where scenes are kept between runs."""
    return Path(tempfile.gettempdir()) / "compactlib-benchmarks"


def emptied(folder: Path) -> Path:
    """The folder, without anything in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it has started, directly or not, and that are still there."""
    return [process, *process.children(recursive=True)]


def cpu_seconds(process: psutil.Process) -> float:
    """CPU seconds that a process and its family have used so far, those that have ended included."""
    total = 0.0
    for member in family(process):
        try:
            total += sum(member.cpu_times()[:4])  # user, system, and both of children that ended
        except psutil.NoSuchProcess:  # it ended since it was listed: its parent has its times
            continue
    return total


def peak_mb(process: psutil.Process) -> float:
    """The most memory that a process has held, in units of 2^20 bytes (Linux); 0 of one that has ended."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0) / 1024
