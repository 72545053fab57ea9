"""Rasters: windows over an image of any size and the weights that blend them (pure geometry), a grid of patches over a
scene, TIFF files read and written by windows, procedural scenes."""

import importlib

from compactlib.raster.blending import blending_starts, blending_weights, hann_weights
from compactlib.raster.grid import Block, Blocks, Grid, stitch
from compactlib.raster.missing import missing_pixels
from compactlib.raster.windows import Window, axis_cores, look_at_window, mirror_indices, read_window, windows

# Imported when they are asked for: these modules need tifffile (the extra `spark`), geometry does not.
_LAZY = {
    "Counters": "scene",
    "Mosaic": "mosaic",
    "Picture": "picture",
    "PictureError": "picture",
    "Scene": "scene",
    "SceneError": "scene",
    "create_mosaic": "mosaic",
    "open_scene": "scene",
    "read_picture": "picture",
    "write_scene": "generate",
}

__all__ = [
    "Block",
    "Blocks",
    "Counters",
    "Grid",
    "Mosaic",
    "Picture",
    "PictureError",
    "Scene",
    "SceneError",
    "Window",
    "axis_cores",
    "blending_starts",
    "blending_weights",
    "create_mosaic",
    "hann_weights",
    "look_at_window",
    "mirror_indices",
    "missing_pixels",
    "open_scene",
    "read_picture",
    "read_window",
    "stitch",
    "windows",
    "write_scene",
]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "tifffile":
            raise
        raise ImportError(
            f"{name} reads or writes TIFF files and needs tifffile: pip install 'compactlib[spark]', or in the clone "
            "pip install -e '.[spark]'"
        ) from error
    globals()[name] = value  # the next access finds it without this function
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
