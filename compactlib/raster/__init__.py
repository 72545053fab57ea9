"""Rasters: windows over an image of any size and the weights that blend them (pure geometry), procedural scenes."""

from compactlib.raster.blending import blending_starts, blending_weights, hann_weights
from compactlib.raster.windows import Window, axis_cores, mirror_indices, read_window, windows

__all__ = [
    "Window",
    "axis_cores",
    "blending_starts",
    "blending_weights",
    "hann_weights",
    "mirror_indices",
    "read_window",
    "windows",
]
