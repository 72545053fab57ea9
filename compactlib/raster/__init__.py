"""Rasters: windows over an image of any size and the weights that blend them (pure geometry), a grid of patches over a
scene, TIFF files read and written by windows."""

from compactlib.lazy import lazy
from compactlib.raster.blending import blending_starts, blending_weights, hann_weights
from compactlib.raster.grid import Block, Blocks, Grid, stitch
from compactlib.raster.missing import missing_pixels
from compactlib.raster.windows import Window, axis_cores, look_at_window, mirror_indices, read_window, windows

# Imported when they are asked for: these modules need tifffile (the extra `spark`), geometry does not.
_FILES = dict.fromkeys(("Counters", "Scene", "SceneError", "open_scene"), "compactlib.raster.scene")
_FILES |= dict.fromkeys(("Mosaic", "create_mosaic"), "compactlib.raster.mosaic")
_FILES |= dict.fromkeys(("Picture", "PictureError", "read_picture"), "compactlib.raster.picture")
_get, __dir__ = lazy(__name__, _FILES)

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
]


def __getattr__(name: str):
    try:
        return _get(name)
    except ModuleNotFoundError as error:
        if error.name != "tifffile":
            raise
        raise ImportError(
            f"{name} reads or writes TIFF files and needs tifffile: pip install 'compactlib[spark]', or in the clone "
            "pip install -e '.[spark]'"
        ) from error
