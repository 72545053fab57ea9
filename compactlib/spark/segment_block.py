"""What a worker does with a block of a scene's mask: read its pixels and their halo, predict, write whole tiles."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from compactlib.files import atomic_write
from compactlib.raster import Counters, Scene, Window
from compactlib.raster.missing import LoadedImage
from compactlib.spark.ensemble import STRIP, Member, predict, softmax, unpack
from compactlib.spark.measure import Result, Task
from compactlib.spark.opened import kept_scene
from compactlib.spark.products import Product

NODATA = 255  # in a mask


@dataclass(frozen=True)
class Plan:
    """What the blocks of a job have in common. Paths are absolute.

    scene: the arguments of Scene. models: the file of `ensemble.pack`. mask, probabilities: where to write
    (probabilities may be None).
    """

    scene: tuple
    models: str
    batch_size: int | None
    mask: Product
    probabilities: Product | None


def segment_block(plan: Plan, task: Task) -> Result:
    """Segment one block, and mark it as done when it is on the disk; returns what reading it cost.

    task: row and column (of the block), window (y, x, height, width), marker (the file that says that it is done).
    A block that has its mark is left as it is: the worker that wrote it was killed before it could say so. One that
    was killed while it wrote is written again, with the same bytes.
    """
    marker = Path(task["marker"])
    if (known := _read_mark(marker)) is not None:
        return known
    window = Window(*task["window"])
    ensemble = _members(plan.models)
    scene = kept_scene(*plan.scene)  # without decoded tiles: each block is read once
    scene.counters.reset()
    image = _load(scene, ensemble, window)
    cost = vars(scene.counters).copy()
    empty = image.look(window.y, window.x, window.height, window.width)[1]
    empty = np.zeros((window.height, window.width), bool) if empty is None else empty
    mask = np.full((window.height, window.width), NODATA, np.uint8)
    scores = None if empty.all() else predict(ensemble, image, window, plan.batch_size)
    if scores is not None:
        _most_probable(scores, mask)
        mask[empty] = NODATA
    plan.mask.write(task["row"], task["column"], window, mask)
    if plan.probabilities:
        shares = np.zeros((window.height, window.width, plan.probabilities.picture.shape[2]), np.uint8)
        if scores is not None:
            _rounded(scores, len(ensemble) == 1, shares)
            shares[empty] = 0
        plan.probabilities.write(task["row"], task["column"], window, shares)
    result = {"row": task["row"], "column": task["column"], "pixels": window.height * window.width, **cost}
    atomic_write(marker, json.dumps(result) + "\n")
    return result


def _load(scene: Scene, ensemble: list[Member], window: Window) -> LoadedImage:
    """The part of a scene that a window's tiles need."""
    sources = [window, *(member.source(scene.shape, window) for member in ensemble)]
    y, x = min(source.y for source in sources), min(source.x for source in sources)
    bottom, right = (max(ends) for ends in zip(*((s.y + s.height, s.x + s.width) for s in sources), strict=True))
    return LoadedImage(*scene.look(y, x, bottom - y, right - x), y, x, scene.shape, scene.nodata)


def _read_mark(marker: Path) -> Result | None:
    """What the mark of a block that is done says; None without one, or with one that no worker wrote."""
    if not marker.is_file():
        return None
    try:
        known = json.loads(marker.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    expected = {"row", "column", "pixels", *vars(Counters())}
    same = isinstance(known, dict) and set(known) == expected and all(type(value) is int for value in known.values())
    return known if same else None


@lru_cache(maxsize=1)
def _members(path: str) -> list[Member]:
    """Loaded once in a worker; the name of the file has the fingerprint in it. There are as many workers as cores."""
    torch.set_num_threads(1)
    return unpack(path)


def _most_probable(scores: np.ndarray, mask: np.ndarray) -> None:
    for top in range(0, len(mask), STRIP):
        mask[top : top + STRIP] = scores[top : top + STRIP].argmax(axis=-1)


def _rounded(scores: np.ndarray, raw: bool, shares: np.ndarray) -> None:
    """round(255 p); the softmax of raw scores is taken in place."""
    if raw:
        softmax(scores)
    for top in range(0, len(shares), STRIP):
        shares[top : top + STRIP] = np.rint(255 * scores[top : top + STRIP])
