"""A TIFF upload: its directory first, then its pixels, and what it says of the ground."""

import logging
import tempfile
from pathlib import Path

import numpy as np
from tifffile import TiffFile

from compactlib.lab.app.uploads import CHANNELS, PIXEL_LIMIT, Picture, UploadError, check_size
from compactlib.raster import Scene, SceneError, open_scene
from compactlib.raster.tiff_tags import GEO_KEYS, PIXEL_SCALE, GeoTags

# What tifffile logs about a damaged file, this module says itself.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

PALETTE = 3  # value of the tag PhotometricInterpretation
ALPHA = (1, 2)  # values of the tag ExtraSamples; 0 is a channel of another kind, near infrared say
MODEL_TYPE, PROJECTED_SYSTEM, LINEAR_UNITS = 1024, 3072, 3076  # GeoKeys
PROJECTED, METRE = 1, 9001
UTM = {*range(32601, 32661), *range(32701, 32761)}  # EPSG codes on WGS 84: in metres


def read_tiff(name: str, data: bytes) -> Picture:
    """The first picture in a TIFF; see `uploads.read_upload`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload.tif"
        path.write_bytes(data)
        try:
            _check_header(name, path)
            with open_scene(path, cache_bytes=0) as scene:
                _check(name, scene)
                pages, alpha = _directory(name, path)
                pixels = scene.read(0, 0, *scene.shape[:2])
                nodata, geo = scene.nodata, scene.geo
        except UploadError:
            raise
        except SceneError as error:
            raise UploadError(str(error).replace(str(path), name)) from None
        except ImportError as error:
            raise UploadError(f"{name} is a TIFF, and what reads them is missing here. {error}") from None
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise UploadError(f"{name} is a TIFF that cannot be read ({str(error)[:120]}). Save it again.") from None
    remarks = [f"It holds {pages} pictures; this is the first."] if pages > 1 else []
    empty = None if nodata is None else (pixels == nodata).all(axis=-1)
    if alpha and pixels.shape[2] in (2, 4):
        pixels = np.ascontiguousarray(pixels[..., :-1])
        remarks.append("Its alpha channel (transparency) was dropped.")
    if empty is not None and empty.any():
        remarks.append(f"{100 * empty.mean():.1f} % of its pixels have no data ({nodata}); they get no class.")
    return Picture(name, pixels, "TIFF", tuple(remarks), geo, pixel_area(geo), empty)


def pixel_area(geo: GeoTags) -> float | None:
    """Area of a pixel in m2, where GeoTIFF tags state its size and leave no doubt that it is in metres."""
    if PIXEL_SCALE not in geo or GEO_KEYS not in geo:
        return None
    keys = np.reshape(geo[GEO_KEYS][2], (-1, 4))[1:]  # key, place, count, value
    known = {int(key): int(value) for key, place, _, value in keys if place == 0}
    metres = known.get(LINEAR_UNITS) == METRE or known.get(PROJECTED_SYSTEM) in UTM
    across, down = geo[PIXEL_SCALE][2][:2]
    return across * down if known.get(MODEL_TYPE) == PROJECTED and metres and across * down > 0 else None


def _check_header(name: str, path: Path) -> None:
    """Raises UploadError for too many pixels, before it is asked whether they are all there."""
    try:
        with TiffFile(path) as tif:
            size = tif.pages.first.imagelength, tif.pages.first.imagewidth
    except Exception:  # tifffile fails in many ways on a damaged directory; `open_scene` makes it a sentence
        return
    check_size(name, *size)


def _check(name: str, scene: Scene) -> None:
    """Raises UploadError for what this app does not take; knows only the header."""
    height, width, channels = scene.shape
    check_size(name, height, width)
    rows, columns = scene.tile
    if min(rows, height) * columns > PIXEL_LIMIT:  # decoded as a whole, whatever the picture's own size
        raise UploadError(f"{name} has tiles of {rows:,} x {columns:,} pixels; write it with tiles of 512.")
    if scene.dtype not in (np.uint8, np.uint16):
        raise UploadError(f"{name} has pixels of type {scene.dtype}; expected uint8 or uint16. Convert it first.")
    if channels not in (*CHANNELS, 2):
        raise UploadError(f"{name} has {channels} channels; expected 1, 3 or 4. Save those that the model knows.")


def _directory(name: str, path: Path) -> tuple[int, bool]:
    """How many pictures of full resolution the file holds, and whether the last channel of the first is alpha."""
    with TiffFile(path) as tif:
        first = tif.pages.first
        extra = tuple(np.ravel(first.extrasamples)) if first.extrasamples else ()
        pages = sum(1 for page in tif.pages if not getattr(page, "is_reduced", False))
        alpha = bool(extra) and int(extra[-1]) in ALPHA
    if first.samplesperpixel == 2 and not alpha:
        raise UploadError(f"{name} has 2 channels; expected 1, 3 or 4. Save those that the model knows.")
    if first.photometric == PALETTE:
        raise UploadError(f"{name} has a palette instead of colours; convert it to RGB first.")
    return pages, alpha
