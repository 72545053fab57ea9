"""A scene of any size -> its mask: every block of the mask has an owner, which writes it and nobody else."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compactlib.files import check_room
from compactlib.raster import Scene, create_mosaic
from compactlib.raster.missing import Nodata
from compactlib.spark.engine import choose_engine, run_tasks
from compactlib.spark.job import append_rows, as_json, file_facts, open_job
from compactlib.spark.measure import Result, Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from torch import nn

TILE = 512  # pixels a side of the mask's TIFF tiles
BLOCK, LARGEST_BLOCK = 2 * TILE, 4 * TILE
BAND = LARGEST_BLOCK**2 // TILE  # the widest block of a striped scene: it holds no more than the largest square one


@dataclass(frozen=True)
class Segmentation:
    """What `segment` made. out: its folder. mask, probabilities: TIFF files (probabilities: None if not asked).

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
        folder = Path(out).absolute()
        products = _products(folder, classes, probabilities)
        # Before the folder is claimed, so that the next try may ask for something smaller.
        _check_room(products, source)
        with open_job(out, spec):
            tasks = _tasks(source.shape, block, folder / "blocks")
            missing = _missing(tasks, products, source)
            results = []
            if missing:
                packed = models.pack(folder, ensemble)
                at_work = [str(product.at_work) for product in products]
                plan = Plan(
                    scene=source.arguments(border="reflect", cache_bytes=0),  # read once: there is nothing to keep
                    models=str(packed),
                    batch_size=batch_size,
                    mask=at_work[0],
                    probabilities=at_work[1] if probabilities else None,
                )
                options = dict(session=session, workers=workers, label="segment", progress=progress)
                results = run_tasks(partial(segment_block, plan), missing, engine, **options)
                append_rows(folder / "tasks.csv", results)
            for product in products:
                if product.at_work.exists():
                    os.replace(product.at_work, product.path)
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
    return Scene(*given.arguments(**changed, **({} if bands is None else {"bands": bands})))


@dataclass(frozen=True)
class _Product:
    """A file of the result: its path, channels and nodata. While blocks are missing it stands under another name."""

    path: Path
    channels: int
    nodata: int | None

    @property
    def at_work(self) -> Path:
        return self.path.with_name(f".{self.path.name}.part")

    def nbytes(self, shape: Sequence[int]) -> int:
        tiles = math.prod(-(-side // TILE) for side in shape[:2])
        return tiles * TILE * TILE * self.channels


def _products(folder: Path, classes: int, probabilities: bool) -> list[_Product]:
    mask = _Product(folder / "mask.tif", 1, 255)
    return [mask, _Product(folder / "probabilities.tif", classes, None)] if probabilities else [mask]


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


def _tasks(shape: Sequence[int], block: tuple[int, int], done: Path) -> list[Task]:
    """The blocks of a scene, the largest first: none is left for last. `done`: the folder of their markers."""
    tasks = []
    for row, y in enumerate(range(0, shape[0], block[0])):
        for column, x in enumerate(range(0, shape[1], block[1])):
            window = [y, x, min(block[0], shape[0] - y), min(block[1], shape[1] - x)]
            marker = done / f"{row:04d}-{column:04d}.json"
            tasks.append({"row": row, "column": column, "window": window, "marker": str(marker)})
    return sorted(tasks, key=lambda task: -task["window"][2] * task["window"][3])


def _check_room(products: list[_Product], scene: Scene) -> None:
    """OSError if the disk has no room for the products that are not there yet."""
    new = [product for product in products if not (product.path.exists() or product.at_work.exists())]
    check_room(products[0].path.parent, sum(product.nbytes(scene.shape) for product in new))


def _missing(tasks: list[Task], products: list[_Product], scene: Scene) -> list[Task]:
    """The tasks that are not done. At the start, or where somebody took a product away, all of them: files are made."""
    missing = [task for task in tasks if not Path(task["marker"]).exists()]
    if all(product.at_work.exists() or (product.path.exists() and not missing) for product in products):
        return missing
    for task in tasks:
        Path(task["marker"]).unlink(missing_ok=True)
    for product in products:
        size = (*scene.shape[:2], product.channels)
        create_mosaic(product.at_work, *size, tile=TILE, geo=scene.geo, nodata=product.nodata)
    return tasks
