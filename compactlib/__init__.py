"""Compact Transformers lab: the module that the notebooks call.

The rooms, by floor: models, datasets, raster; segmentation, training; spark; figures, runs; lab; course, app. A room
imports only from those before it, and each is imported when it is asked for. `from compactlib import models` makes timm
know the course's models; where timm is imported already, importing this does.
"""

import sys

from compactlib.lazy import lazy

__version__ = "0.1.0"
ROOMS = ("app", "course", "datasets", "figures", "lab", "models", "raster", "runs", "segmentation", "spark", "training")

__getattr__, __dir__ = lazy(__name__, {room: f"compactlib.{room}:" for room in ROOMS})

if "timm" in sys.modules:
    from compactlib import models  # noqa: F401
