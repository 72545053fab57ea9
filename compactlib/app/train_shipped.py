"""Train the small models that the app brings along: `python -m compactlib.app.train_shipped [NAME ...]`.

The scenes are drawn, so that this file and a few minutes of one processor core are all it takes to make them again.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch

from compactlib import models, segmentation, training
from compactlib.datasets import MaskSet, SegmentationData, channel_statistics, read_card
from compactlib.datasets.drawn.aerial import AERIAL_CLASSES, aerial
from compactlib.datasets.drawn.cells import cells

FOLDER = Path(__file__).parent / "models"
SIDE, TEST_SIDE, TESTS = 256, 512, 8  # pixels of a training and of a test scene; test scenes
FIRST_TEST = 90_000  # seeds of the test scenes; training scenes count from 0

Draw = Callable[[int, int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Shipped:
    """How one file is made: the model, the pictures it learns from, the recipe."""

    draw: Draw
    classes: tuple[str, ...]
    name: str
    arguments: dict[str, Any]
    scenes: int
    recipe: training.MaskRecipe = field(repr=False)


def _cells(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of cells (h, w, 1) and its mask: 0 is background, 1 is cell."""
    image, labels = cells(height, width, seed)
    return image, (labels > 0).astype(np.uint8)


RECIPE = training.MaskRecipe(
    batch_size=4, crop=128, crops_per_image=4, rot90=True, intensity=0.15, lr=5e-3, loss="dice_ce"
)
SHIPPED = {
    "aerial-unet": Shipped(
        aerial, AERIAL_CLASSES, "unet", dict(in_chans=3, num_classes=5, width=14, depth=3, upsample="bilinear"), 64,
        replace(RECIPE, epochs=8),
    ),
    "aerial-swin-unet": Shipped(
        aerial,
        AERIAL_CLASSES,
        "swin_unet_tiny",
        dict(
            img_size=128, in_chans=3, num_classes=5, embed_dim=16, depths=[2, 2, 2], num_heads=[2, 4, 8],
            window_size=8, skips=2, drop_path_rate=0.0,
        ),
        64,
        replace(RECIPE, epochs=9, lr=3e-3),
    ),
    "cells-unet": Shipped(
        _cells, ("background", "cell"), "unet", dict(in_chans=1, num_classes=2, width=8, depth=3), 24,
        replace(RECIPE, epochs=14, elastic=3.0),
    ),
}  # fmt: skip


def pictures(draw: Draw, side: int, seeds: range) -> MaskSet:
    """One picture of `side` x `side` pixels for each seed, with its mask."""
    images, masks = zip(*(draw(side, side, seed) for seed in seeds), strict=True)
    return MaskSet(np.stack(images), np.stack(masks))


def train(title: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Train one model of SHIPPED, write folder/title.safetensors; returns what its card says of it."""
    made = SHIPPED[title]
    began = time.perf_counter()
    learn = pictures(made.draw, SIDE, range(made.scenes))
    mean, std = channel_statistics(learn.images)
    held = pictures(made.draw, SIDE, range(made.scenes, made.scenes + 4))
    facts = dict(mean=mean, std=std, card=read_card("aerial"), source="drawn", comparable=False)
    data = SegmentationData(title, learn, held, held, class_names=made.classes, **facts)
    torch.manual_seed(0)
    model = timm.create_model(made.name, **made.arguments)
    with tempfile.TemporaryDirectory() as runs:
        training.fit(model, data, made.recipe, runs, progress=False)
    seconds = time.perf_counter() - began
    path = models.save_model(
        folder / f"{title}.safetensors",
        model,
        made.name,
        mean=[round(float(value), 6) for value in mean],
        std=[round(float(value), 6) for value in std],
        classes=made.classes,
        **made.arguments,
    )
    return {
        "parameters": models.count_parameters(model),
        "bytes": path.stat().st_size,
        "seconds": seconds,
        **test(path),
    }


def test(path: Path) -> dict[str, Any]:
    """Mean IoU and IoU of each class of a file over the test scenes, which no training has seen."""
    made, facts, model = SHIPPED[path.stem], models.read_facts(path), models.load_model(path)
    counts = 0
    for seed in range(FIRST_TEST, FIRST_TEST + TESTS):
        image, mask = made.draw(TEST_SIDE, TEST_SIDE, seed)
        scores = segmentation.predict_image(model, image, facts["mean"], facts["std"], max_tile=TEST_SIDE)
        counts = counts + segmentation.confusion(scores.argmax(axis=-1), mask, len(made.classes))
    each = dict(zip(made.classes, segmentation.class_iou(counts), strict=True))
    return {"mean_iou": segmentation.mean_iou(counts), "accuracy": segmentation.pixel_accuracy(counts), "iou": each}


if __name__ == "__main__":
    for chosen in sys.argv[1:] or SHIPPED:
        print(chosen, train(chosen), flush=True)
