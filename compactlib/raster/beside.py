"""Files that stand beside a picture and say more of it: world files, overviews, masks."""

import warnings
from pathlib import Path

from compactlib.raster.tiff_tags import PIXEL_SCALE, TIEPOINTS, TRANSFORMATION, GeoTags

DOUBLE = 12  # a TIFF data type
WORLD = (".tfw", ".tifw", ".tiffw", ".wld")


def beside(path: Path, suffix: str) -> Path | None:
    """The file with this suffix behind the whole name (scene.tif.msk), as GDAL writes it; None if there is none."""
    other = path.with_name(path.name + suffix)
    return other if other.is_file() else None


def world_tags(path: Path) -> GeoTags:
    """The place on the map that a world file beside `path` gives, as GeoTIFF tags; {} without one, or if it is damaged,
    which a warning says.

    Its six lines are A, D, B, E, C, F: x = A column + B row + C, y = D column + E row + F, for the middle of a pixel.
    """
    found = next((path.with_suffix(kind) for suffix in WORLD for kind in (suffix, suffix.upper())
                  if path.with_suffix(kind).is_file()), None)  # fmt: skip
    if found is None:
        return {}
    try:
        a, d, b, e, c, f = (float(line.replace(",", ".")) for line in found.read_text("latin-1").split()[:6])
    except ValueError:
        warnings.warn(f"{found} is no world file (six numbers, a line each); it is passed over.", stacklevel=6)
        return {}
    left, top = c - (a + b) / 2, f - (d + e) / 2  # the outer corner of the first pixel
    if b == d == 0 and a > 0 > e:
        return {PIXEL_SCALE: (DOUBLE, 3, (a, -e, 0.0)), TIEPOINTS: (DOUBLE, 6, (0.0, 0.0, 0.0, left, top, 0.0))}
    return {TRANSFORMATION: (DOUBLE, 16, (a, b, 0.0, left, d, e, 0.0, top, *(0.0,) * 4, 0.0, 0.0, 0.0, 1.0))}
