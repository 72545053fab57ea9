"""A scene of any size -> its mask: every block of the mask has an owner, which writes it and nobody else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compactlib.files import check_room
from compactlib.raster import Scene
from compactlib.raster.missing import Nodata
from compactlib.raster.vrt import Picture
from compactlib.spark.engine import choose_engine, run_tasks
from compactlib.spark.job import Job, append_rows, as_json, file_facts, open_job
from compactlib.spark.measure import Result
from compactlib.spark.products import Product
from compactlib.spark.segment_tasks import BlockTasks
from compactlib.spark.tasks import Chosen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from torch import nn

TILE = 512  # pixels a side of the mask's TIFF tiles
BLOCK, LARGEST_BLOCK = 2 * TILE, 4 * TILE
BAND = LARGEST_BLOCK**2 // TILE  # the widest block of a striped scene: it holds no more than the largest square one


@dataclass(frozen=True)
class Segmentation:
    """What `segment` made. out: its folder. mask, probabilities: the files to open (probabilities: None if not asked).

    classes: how many. blocks: all of them; done_before: those that an earlier call had made. tasks: what each block of
    this call cost (seconds, cpu_seconds, bytes_read, decoded_pixels, needed_pixels, pid, host, peak_rss_mb).
    """

    out: Path
    mask: Path
    probabilities: Path | None
    classes: int
    blocks: int
    done_before: int
    tasks: list[Result] = field(repr=False)


def segment(
    scene: str | Path | Scene,
    model: "nn.Module | str | Path | Sequence[nn.Module | str | Path]",
    out: str | Path,
    *,
    tile: int | None = None,
    halo: int | None = None,
    mode: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    probabilities: bool = False,
    mosaic: str = "file",
    batch_size: int | None = None,
    block: int | None = None,
    bands: Sequence[int] | None = None,
    nodata: float | Sequence[float] | None = None,
    engine: str = "spark",
    session: "SparkSession | None" = None,
    workers: int | None = None,
    progress: bool = True,
) -> Segmentation:
    """Write the class mask of a scene to out/mask.tif: uint8, 255 where the scene has no data, georeferenced as it is.

    scene: a TIFF file, or a page and level of one (`open_scene`). model: a module, a file of `save_model`, or a list of
    them, an ensemble: then the mask shows the class whose mean softmax probability is highest. tile, halo, mode, mean,
    std, batch_size: see `predict_tiled`. By default the tiles that suit each model, and the mean and std of its file.

    probabilities: write out/probabilities.tif too, a channel per class, uint8, round(255 p), 0 where there is no data.
    mosaic: "file", or "files" for scenes whose mask would be too large for one: then each block is a TIFF of its own in
    out/mask/, compressed and georeferenced, and out/mask.vrt shows them as one to GDAL, QGIS and rasterio.

    bands: which channels of the scene the model sees, counted from 0; default: all, or those besides alpha where the
    model has one channel less. nodata: the value of pixels without data, or one for each band; default: what the file
    says. A pixel without data (`compactlib.raster.missing` has the rule) gets no class, and the model sees the mean
    instead. engine, session, workers, progress: see `run_tasks`.

    block: pixels a side that one task writes, a multiple of 512; default: 1024 to 2048, what fits the tiles; of a
    striped scene bands of 512 rows and up to 8192 columns, because a strip is decoded whole. A task computes all tiles
    that touch its block, those at its border as its neighbours do: larger blocks compute less twice. A worker holds a
    block's scores, 4 bytes a pixel and class (an ensemble twice that), and the model, loaded once. The mask is that of
    `predict_tiled` over the whole scene; with batch_size=1 to the last bit.

    The same call again does what is missing, after whatever ended it. Engines give the same bytes.

    Before any task runs: SceneError for a scene that cannot be read, ValueError for models that do not fit the scene or
    each other, sizes that do not go together, or a folder with something else in it, OSError if the disk has no room.
    TaskError if a task fails.
    """
    from compactlib.spark import ensemble as models
    from compactlib.spark.segment_block import Plan, segment_block

    if mosaic not in ("file", "files"):
        raise ValueError(f"mosaic={mosaic!r} is unknown; expected 'file' or 'files'")
    engine = choose_engine(engine)
    loaded = models.load(model)
    with _source(scene, bands, as_json(nodata), models.channels(loaded)) as source:
        ensemble = models.members(loaded, source.shape, tile, halo, mode, mean, std)
        classes = models.dry_run(ensemble, source, batch_size)
        block = _block(block, ensemble[0].step, source)
        spec = {
            "kind": "segment",
            "scene": {**file_facts(source.path), "page": source.page, "level": source.level},
            **({} if source.bands is None else {"bands": source.bands}),
            "models": [member.facts() for member in ensemble],
            "probabilities": probabilities,
            "batch_size": batch_size,
            "block": block,
            "nodata": source.nodata,
        }
        if mosaic == "files":
            spec["mosaic"] = mosaic
        folder = Path(out).absolute()
        products = _products(folder, source, classes if probabilities else None, mosaic == "files")
        tasks = BlockTasks(source.shape, block, folder / "blocks")
        # Before the folder is claimed, so that the next try may ask for something smaller.
        check_room(folder, sum(product.new_bytes for product in products))
        with open_job(out, spec) as job:
            missing = _missing(job, tasks, products)
            results = []
            if len(missing):
                plan = Plan(
                    scene=source.arguments(border="reflect", cache_bytes=0),  # read once: there is nothing to keep
                    models=str(models.pack(folder, ensemble)),
                    batch_size=batch_size,
                    mask=products[0],
                    probabilities=products[1] if probabilities else None,
                )
                options = dict(weights=tasks.weights()[missing], session=session, workers=workers, label="segment")
                function = partial(segment_block, plan)
                results = run_tasks(function, Chosen(tasks, missing), engine, progress=progress, **options)
                append_rows(folder / "tasks.csv", results)
            for product in products:
                if len(missing) or not product.path.exists():
                    job.will_write()
                    product.finish(tasks)
    made = [Path(out) / product.path.name for product in products]
    return Segmentation(
        Path(out), made[0], made[1] if probabilities else None, classes, len(tasks), len(tasks) - len(missing), results
    )


def _source(scene: str | Path | Scene, bands: Sequence[int] | None, nodata: Nodata, channels: set[int]) -> Scene:
    """The scene with the bands that the models see; `channels`: how many they say they take."""
    given = scene if isinstance(scene, Scene) else Scene(scene)
    changed = {} if nodata is None else {"nodata": nodata}
    if bands is None and given.bands is None and given.alpha is not None and channels == {given.shape[2] - 1}:
        bands = [band for band in range(given.shape[2]) if band != given.alpha]
    changed |= {} if bands is None else {"bands": bands}
    return given if given is not scene and not changed else Scene(*given.arguments(**changed))


def _products(folder: Path, scene: Scene, classes: int | None, files: bool) -> list[Product]:
    """The mask; and, with a number of classes, the probabilities."""

    def product(name: str, channels: int, nodata: int | None) -> Product:
        picture = Picture((*scene.shape[:2], channels), "uint8", scene.geo, nodata, TILE)
        return Product(str(folder), name, picture, files)

    return [product("mask", 1, 255), *([product("probabilities", classes, None)] if classes else [])]


def _block(block: int | None, step: int, scene: Scene) -> tuple[int, int]:
    """Rows and columns of a block. By default one that starts where tiles start: then the fewest tiles touch two."""
    if block is None and scene.striped:
        return TILE, min(BAND, -(-scene.shape[1] // TILE) * TILE)
    if block is None:
        aligned = math.lcm(step, TILE)
        block = -(-BLOCK // aligned) * aligned
        block = block if block <= LARGEST_BLOCK else BLOCK
    if not isinstance(block, int) or block < TILE or block % TILE:
        raise ValueError(f"block={block!r}: expected a multiple of {TILE} pixels, the side of the mask's tiles")
    return block, block


def _missing(job: Job, tasks: BlockTasks, products: list[Product]) -> np.ndarray:
    """The numbers of the tasks that are not done: all, at the start, or where somebody took the file away."""
    job.subfolder("blocks")
    marked = done = tasks.marked()
    for product in products:
        done = product.holds(tasks, done)
    if done.all():
        return np.flatnonzero(~done)
    job.will_write()
    if not all(product.at_work.exists() for product in products):
        if not products[0].files:
            done = np.zeros_like(done)
        for product in products:
            product.make()
    for number in np.flatnonzero(marked & ~done):
        Path(tasks[number]["marker"]).unlink(missing_ok=True)
    return np.flatnonzero(~done)
