"""Scenes -> patches: a folder of Parquet parts, each written by the worker that read its block of the scene."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compactlib.files import check_room
from compactlib.raster import Block, Blocks, Grid, Scene, open_scene, windows
from compactlib.raster.classes import IGNORE, class_ids
from compactlib.spark.cut import cut_block
from compactlib.spark.engine import choose_engine, run_tasks
from compactlib.spark.job import append_rows, as_json, file_facts, is_job, open_job, read_job
from compactlib.spark.manifest import write_manifest
from compactlib.spark.measure import Result
from compactlib.spark.parts import FOLDER, Parts, Source
from compactlib.spark.tasks import Chosen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BLOCK = 16  # patches a side of a block, 32 with a halo: a smaller one decodes more of its tiles twice
SMALL_BLOCK, FEW = 8, 8  # where that gives fewer than 8 tasks, blocks of 8
ROW_BYTES = 16 << 20  # of the pixels of a row of patches in a block: what a worker holds follows from it
SAMPLE, SAMPLES = 512, 8  # pixels a side of what is seen of a mask beforehand; how many of them side by side
CACHE_BYTES = 128 << 20  # of decoded tiles, at most
TOGETHER = "blocks_in_part"  # in job.json, where it is not 1


@dataclass(frozen=True)
class Patches:
    """What `patchify` made. out: its folder. scenes, patches, parts: how many. bytes: of all parts.

    done_before: parts that an earlier call had made. tasks: what each part of this call cost (seconds, cpu_seconds,
    bytes_read, decoded_pixels, needed_pixels, pid, host, peak_rss_mb), in the order of the parts.
    """

    out: Path
    scenes: int
    patches: int
    parts: int
    bytes: int
    done_before: int
    tasks: list[Result] = field(repr=False)


def patchify(
    scene: str | Path | Sequence[str | Path],
    out: str | Path,
    size: int = 256,
    step: int = 224,
    *,
    halo: int = 0,
    border: str = "reflect",
    mask: str | Path | Sequence[str | Path] | None = None,
    values: Mapping[int, int] | None = None,
    bands: Sequence[int] | None = None,
    nodata: float | Sequence[float] | None = None,
    engine: str = "spark",
    session: "SparkSession | None" = None,
    workers: int | None = None,
    progress: bool = True,
) -> Patches:
    """Cut scenes (TIFF files of any size) into patches of `size` pixels, `step` apart, in the folder `out`.

    size, step, halo, border: see `compactlib.raster.Grid`; a patch is stored with its halo, size + 2 * halo a side.
    mask: class ids of each scene, a TIFF of the same height and width, 255 = unknown. values: which number in the masks
    is which class id, such as {0: 0, 255: 1}. bands: which channels of the scene, counted from 0; default: all. nodata:
    the value of pixels without data, or one for each band; default: what the file says. Pixels without data (see
    `compactlib.raster.missing`) count in no statistic and are 255 in the mask. engine, session, workers, progress: see
    `run_tasks`.

    The folder gets parts/*.parquet (a row per patch: scene, row, column, y, x, low, high, mean, valid, pixels, and with
    masks mask and labelled), manifest.parquet (a row per part), job.json (what was asked) and tasks.csv (what each part
    cost in the calls that came to their end).
    `read_patches(out)` reads it. The same call again does only what is missing. Whatever the engine, and however often
    a worker was killed, parts and manifest have the same bytes.

    Before any task runs: SceneError for a scene that cannot be read, ValueError for sizes that do not go together or a
    folder with something else in it, OSError if the disk has no room. TaskError if a task fails.
    """
    engine = choose_engine(engine)
    nodata, bands = as_json(nodata), as_json(bands)
    values = None if values is None else sorted((int(value), int(index)) for value, index in values.items())
    options = {"bands": bands, "nodata": nodata, "values": values}
    scenes, masks = _paths(scene), _paths(mask) if mask is not None else None
    if masks is not None and len(masks) != len(scenes):
        raise ValueError(f"{len(scenes)} scenes and {len(masks)} masks; expected a mask for each scene, or none")
    sources, kind = _sources(scenes, masks, {"size": size, "step": step, "halo": halo, "border": border}, options)
    first = vars(sources[0].grid)
    side = first["size"] + 2 * first["halo"]
    tasks = Parts(sources, Path(out).absolute() / FOLDER, (side, side, kind[0]), kind[1], _together(out))
    spec = {
        "kind": "patchify",
        "scenes": [file_facts(path) for path in scenes],
        "masks": None if masks is None else [file_facts(path) for path in masks],
        "grid": {name: first[name] for name in ("size", "step", "halo", "border")},  # as Grid has them: plain numbers
        **{name: value for name, value in options.items() if value is not None or name == "nodata"},
        # Parts of other blocks do not fit in.
        "block": [max(getattr(source.blocks[0], side) for source in sources) for side in ("rows", "columns")],
    }
    if tasks.together > 1:
        spec[TOGETHER] = tasks.together
    patches = tasks.patches()
    if not is_job(out):  # before the folder is claimed, so that the next try may ask for something smaller
        check_room(out, int(patches.sum()) * tasks.patch_bytes)
    with open_job(out, spec) as job:
        job.subfolder(FOLDER)
        done = tasks.done()
        if job.resumed:
            check_room(out, int(patches[~done].sum()) * tasks.patch_bytes)
        missing, results, made = np.flatnonzero(~done), [], {}
        if len(missing):
            job.will_write()
            options = dict(weights=patches[missing], session=session, workers=workers, label="patchify")
            results = run_tasks(cut_block, Chosen(tasks, missing), engine, progress=progress, **options)
            for number, result in zip(missing.tolist(), results, strict=True):
                made[number] = {"bytes": result["bytes"], "facts": result.pop("facts")}
            results.sort(key=lambda result: result["part"])
            append_rows(job.folder / "tasks.csv", results)
        size_on_disk = write_manifest(job, tasks, done, made)
    total = sum(len(source.grid) for source in sources)
    return Patches(Path(out), len(scenes), total, len(tasks), size_on_disk, len(tasks) - len(missing), results)


def _paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    paths = [Path(path) for path in ([given] if isinstance(given, (str, os.PathLike)) else given)]
    if not paths:
        raise ValueError("no scene is given; expected the path of a TIFF file, or several")
    return paths


def _sources(
    scenes: list[Path], masks: list[Path] | None, grid: dict, options: dict
) -> tuple[list[Source], tuple[int, str]]:
    """The scenes with their blocks; their channels and type. Checks all that can be seen without decoding."""
    sources: list[Source] = []
    first: tuple | None = None
    for number, path in enumerate(scenes):
        with open_scene(path, bands=options["bands"], nodata=options["nodata"]) as scene:
            over = Grid(*scene.shape[:2], **grid)
            kind = (scene.shape[2], str(scene.dtype))
            first = first or kind
            if kind != first:
                raise ValueError(
                    f"{path} has {kind[0]} channels of {kind[1]}, {scenes[0]} has {first[0]} of {first[1]}; expected "
                    "the same in all scenes of a job"
                )
            if masks is not None:
                _check_mask(masks[number], path, scene, options["values"])
            sources.append(
                Source(
                    scene=str(path.absolute()),
                    mask=None if masks is None else str(masks[number].absolute()),
                    number=number,
                    name=path.name,
                    grid=over,
                    blocks=(found := blocks(over, scene)),
                    options=options,
                    cache=_cache(over, found[0], scene),
                )
            )
    return sources, first


def _together(out: str | Path) -> int | None:
    """Blocks in a part, as the job in the folder `out` has it, which may be of an older version; None without a job."""
    if not is_job(out):
        return None
    found = read_job(out, "patchify").get(TOGETHER, 1)
    return found if type(found) is int and found > 0 else 1


def blocks(grid: Grid, scene: Scene) -> Blocks:
    """The blocks of patches that make the tasks; they depend on the scene's layout only, not on who does the work.

    A block starts at a multiple of the TIFF's tile where it can. Strips are decoded over their full width, so a striped
    scene is cut into bands, as wide as a worker's memory allows.
    """
    side = grid.size + 2 * grid.halo
    pixel = scene.shape[2] * scene.dtype.itemsize
    most = max(1, ROW_BYTES // (side * side * pixel))
    for at_least in (2 * BLOCK, BLOCK, SMALL_BLOCK) if grid.halo else (BLOCK, SMALL_BLOCK):
        if scene.striped:
            columns = min(grid.columns, most)
            rows = _side(grid, scene.tile[0], max(1, at_least**2 // columns))
        else:
            rows, columns = (_side(grid, tile, min(at_least, most)) for tile in scene.tile)
        found = grid.blocks(rows, columns)
        if len(found) >= FEW:
            break
    return found


def _side(grid: Grid, tile: int, at_least: int) -> int:
    """Patches a side, aligned with the tiles where that does not make the block more than twice as long."""
    side = grid.block_side(tile, at_least)
    return side if side <= 2 * at_least else at_least


def _cache(grid: Grid, block: Block, scene: Scene) -> int:
    """Bytes of the decoded tiles under a strip of a block: what the next strip needs again."""
    height, width = scene.tile
    strip = grid.block_source(Block(block.row, block.column, 1, block.columns))
    rows, columns = (strip.height - 1) // height + 2, (strip.width - 1) // width + 2
    return min(CACHE_BYTES, rows * height * columns * width * scene.shape[2] * scene.dtype.itemsize)


def _check_mask(mask: Path, path: Path, scene: Scene, values: list[tuple[int, int]] | None) -> None:
    with open_scene(mask, as_stored=True) as labels:
        if labels.shape != (*scene.shape[:2], 1):
            raise ValueError(
                f"{mask} has {' x '.join(map(str, labels.shape))} pixels of {labels.dtype}; expected the class ids of "
                f"{path}: {scene.shape[0]} x {scene.shape[1]} x 1, uint8"
            )
        ids = (class_ids(part, dict(values or ()) or None, mask.name, empty) for part, empty in _samples(labels))
        seen = {int(number) for part in ids for number in np.unique(part)}
        if values is None and seen == {0, IGNORE}:
            raise ValueError(
                f"{mask} holds 0 and 255, and 255 means that no class is known. Give values={{0: 0, 255: 1}} if 255 is "
                "a class, or values={0: 0, 255: 255} if it is not"
            )


def _samples(labels: Scene) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Squares of a mask, spread over all of it: enough to see how its classes are numbered, without reading it all."""
    height, width = labels.shape[:2]
    for window in windows(height, width, max(SAMPLE, math.ceil(max(height, width) / SAMPLES))):
        yield labels.look(window.y, window.x, min(SAMPLE, window.height), min(SAMPLE, window.width))
