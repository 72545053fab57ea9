"""What the JPEG copy of CIFAR-10 costs: the same training on 4,000 exact images and on their JPEG copies.

    COMPACT_DATA=... python tests/benchmarks/jpeg_control.py [--epochs 20] [--seeds 1] [--precision auto]

Four folds: a CCT-2/3x2 learns 3,000 of the images in one form, and is tested on the other 1,000 in both. Printed is the
accuracy on all 4,000 for each pair of forms, and what JPEG costs (trained and tested on it, against exact throughout)
with the standard error of that difference, image by image. COMPACT_DATA needs `cifar10/lossless_first4000.zip` beside
the JPEG copy. It says what a short training on few images loses.

Measured with --epochs 10 on 2026-11-29: exact throughout 65.10 %, JPEG throughout 62.78 %: 2.33 points (standard error
0.54). Learned exact and tested JPEG 62.22 %, the other way round 62.78 %.
"""

import argparse
import dataclasses
import os
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from compactlib import datasets
from compactlib.datasets import ImageData, ImageSet
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, evaluate, fit

FORMS = ("exact", "JPEG")
FOLDS = 4


def both_forms() -> tuple[ImageData, dict[str, ImageSet]]:
    """The JPEG data set, and its first 4,000 images in the official order in either form."""
    data = datasets.load("cifar10", val_fraction=0.0)
    with zipfile.ZipFile(Path(os.environ["COMPACT_DATA"]) / "cifar10" / "lossless_first4000.zip") as archive:
        sprites = [np.asarray(Image.open(archive.open(f"sprite_{i}.png"))) for i in range(4)]
        labels = np.array([int(line.split(b",")[1]) for line in archive.read("labels.csv").splitlines()[1:]])
    exact = np.concatenate([sprite.reshape(-1, 32, 32, 3) for sprite in sprites])
    of_class = np.array([np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)])
    jpeg = data.train.images[10 * of_class + labels]  # image k of class c stands at 10 k + c
    return data, {"exact": ImageSet(exact, labels), "JPEG": ImageSet(jpeg, labels)}


def part(images: ImageSet, chosen: np.ndarray) -> ImageSet:
    return ImageSet(images.images[chosen], images.labels[chosen])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    data, forms = both_forms()
    n = len(forms["exact"])
    right = {(learned, tested): np.zeros((args.seeds, n)) for learned in FORMS for tested in FORMS}
    runs = [(seed, fold, learned) for seed in range(args.seeds) for fold in range(FOLDS) for learned in FORMS]
    for seed, fold, learned in tqdm(runs, desc="trainings"):
        held_out = np.arange(n) % FOLDS == fold
        recipe = Recipe.from_params(
            {"recipe": "fast", "epochs": args.epochs, "seed": seed, "precision": args.precision}
        )
        torch.manual_seed(seed)
        model = CompactTransformer(attn_drop_rate=0.0, drop_path_rate=0.0)
        fit(model, dataclasses.replace(data, train=part(forms[learned], ~held_out)), recipe, progress=False)
        for tested in FORMS:
            found = evaluate(model, dataclasses.replace(data, test=part(forms[tested], held_out)))
            right[learned, tested][seed, held_out] = found.predictions == found.labels
    for (learned, tested), hits in right.items():
        print(f"learned {learned:5}, tested {tested:5}: {100 * hits.mean():.2f} %")
    cost = (right["exact", "exact"] - right["JPEG", "JPEG"]).mean(axis=0)
    error = cost.std(ddof=1) / n**0.5
    print(f"JPEG throughout costs {100 * cost.mean():.2f} points (standard error {100 * error:.2f})")


if __name__ == "__main__":
    main()
