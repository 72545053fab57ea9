"""Which pixels have no data: one rule for scenes, patches, masks, statistics, folders, the app and models.

A pixel is missing where the file says so (its mask page is 0, its alpha is 0), where all its bands have the nodata
value, and where any band is not a finite number: a model needs a number in every band. A missing pixel has class 255 in
a mask, counts in no statistic and in no loss, and a model sees 0 after normalisation instead, which is the mean.
"""

import numpy as np

Nodata = int | float | tuple[int | float, ...] | None

# Where -3.4e38 stands for "no data", files and tags round it in many ways; nothing is measured to be that large.
HUGE = 1e38


def missing_pixels(pixels: np.ndarray, nodata: Nodata = None) -> np.ndarray:
    """Where pixels (..., C) have no data, bool (...). nodata: the value that says so, or one for each band."""
    missing = np.zeros(pixels.shape[:-1], bool) if nodata is None else is_nodata(pixels, nodata).all(axis=-1)
    if pixels.dtype.kind == "f":
        missing |= ~np.isfinite(pixels).all(axis=-1)
    return missing


def is_nodata(values: np.ndarray, nodata: Nodata) -> np.ndarray:
    """Where values (..., C) are the nodata value (of their band), bool (..., C). NaN is equal to NaN here."""
    if nodata is None:
        return np.zeros(values.shape, bool)
    bands = nodata if isinstance(nodata, tuple) else (nodata,)
    if len(bands) == 1:
        return _equal(values, bands[0])
    if len(bands) != values.shape[-1]:
        raise ValueError(f"nodata={nodata} has {len(bands)} values; expected one, or {values.shape[-1]}: one a band")
    return np.stack([_equal(values[..., band], value) for band, value in enumerate(bands)], axis=-1)


def missing_in_file(stored: np.ndarray, nodata: Nodata, alpha: int | None, bands: tuple[int, ...] | None) -> np.ndarray:
    """Where the numbers of a file (..., C) have no data, bool (...): by their alpha, and for the `bands` looked at
    (None: all) by `nodata`, which has a value for each channel if it is a tuple, and by what is no finite number."""
    channels = [band for band in range(stored.shape[-1]) if band != alpha]
    chosen = [band for band in bands or () if band != alpha] or channels
    if isinstance(nodata, tuple):
        nodata = tuple(nodata[band] for band in chosen)
    missing = missing_pixels(stored if len(chosen) == stored.shape[-1] else stored[..., chosen], nodata)
    if alpha is not None:
        missing |= stored[..., alpha] == 0
    return missing


def check_nodata(nodata: Nodata, channels: int, alpha: int | None, where: object) -> int | float | tuple:
    """nodata as a number, or as one for each channel of a file; alpha may be left out. Raises ValueError, with the
    name of the file `where`, for anything else."""
    values = tuple(np.ravel(nodata).tolist())
    if np.ndim(nodata) > 1 or not all(isinstance(value, (int, float)) for value in values):
        raise ValueError(f"nodata={nodata!r}: expected a number, or one for each band of {where}")
    if np.ndim(nodata) == 0:
        return values[0]
    if alpha is not None and len(values) == channels - 1:
        values = *values[:alpha], 0, *values[alpha:]
    if len(values) != channels:
        raise ValueError(f"nodata={nodata}: {where} has {channels} bands; expected one value, or one for each")
    return values


class LoadedImage:
    """Pixels (h, w, C) in memory and which of them are missing, as an image (H, W, C) of which they are the part that
    begins at row y, column x."""

    def __init__(self, pixels: np.ndarray, missing: np.ndarray | None, y: int = 0, x: int = 0, shape=None, nodata=None):
        self.pixels, self.missing, self.y, self.x, self.nodata = pixels, missing, y, x, nodata
        self.shape, self.dtype = tuple(shape or pixels.shape), pixels.dtype

    def look(self, y: int, x: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
        """As of a Scene: a window's pixels and which of them are missing, bool (h, w); None if none are."""
        part = slice(y - self.y, y - self.y + height), slice(x - self.x, x - self.x + width)
        return self.pixels[part], None if self.missing is None else self.missing[part]

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        rows, columns = key
        return self.look(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)[0]


def _equal(values: np.ndarray, nodata: int | float) -> np.ndarray:
    if values.dtype.kind != "f":
        limits = np.iinfo(np.uint8 if values.dtype == bool else values.dtype)
        possible = nodata == nodata and limits.min <= nodata <= limits.max and nodata == int(nodata)
        return values == int(nodata) if possible else np.zeros(values.shape, bool)
    if nodata != nodata:
        return np.isnan(values)
    huge = min(HUGE, float(np.finfo(values.dtype).max))
    if abs(nodata) >= huge:
        return values >= huge if nodata > 0 else values <= -huge
    return values == values.dtype.type(nodata)
