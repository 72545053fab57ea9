"""How long the app takes for 2,000 x 2,000 pixels with its default settings: python tests/benchmarks/app_segment.py

The target is 15 seconds without a GPU, from pressing Run to the first picture; see notebook 91.
"""

import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from compactlib.app import drawing, offers, plan, segment
from compactlib.app.checkpoints import SHIPPED
from compactlib.app.downloads import mask_png, report
from compactlib.app.uploads import Picture
from compactlib.datasets.drawn.aerial import aerial

if __name__ == "__main__":
    picture = Picture("aerial-2000", aerial(2000, 2000, seed=90_100)[0], "example")
    print(f"2,000 x 2,000 pixels, {torch.get_num_threads()} threads")
    for offer in offers(SHIPPED / "none"):
        model = offer.load()
        if model.in_chans != 3:
            continue
        began = time.perf_counter()
        found = segment(picture, offer, model, plan(model, picture.pixels.shape))
        predicted = time.perf_counter()
        colours = drawing.class_colours(found.classes)
        small = drawing.thumbnail(picture.pixels)
        drawing.jpeg(drawing.overlay(small, drawing.small_mask(found.best), colours, 0.5))
        shown = time.perf_counter()
        mask_png(found.best)
        saved = time.perf_counter()
        report([found], 0.0, [colours])
        times = dict(predict=predicted - began, show=shown - predicted, mask=saved - shown)
        times["report"] = time.perf_counter() - saved
        print(f"{offer.label:28}", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items()))
