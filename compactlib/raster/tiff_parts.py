"""The pages of a TIFF file, and of those beside it, that belong to one picture: itself, its overviews, its masks."""

import itertools
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from os.path import exists, isdir, isfile
from pathlib import Path

from tifffile import TiffFile, TiffPage

from compactlib.raster.beside import beside
from compactlib.raster.tiff_chain import follow_chain

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and BigTIFF, little and big endian
REDUCED, TRANSPARENCY = 1, 4  # bits of NewSubfileType
PARTS = 128  # of a picture at most: each overview has a quarter of the pixels of the one before


class SceneError(ValueError):
    """A scene that cannot be opened or decoded. The sentence names the file, what is wrong with it and what to do."""


def check_file(path: Path) -> None:
    """Raises SceneError unless `path` is a regular file that begins as a TIFF."""
    # Not the methods of Path: some of them raise for names that are too long.
    if isdir(path):
        raise SceneError(f"{path} is a folder; expected one TIFF file.")
    if not exists(path):
        raise SceneError(f"{path} does not exist; check its name and the folder.")
    if not isfile(path):
        raise SceneError(f"{path} is no regular file (a pipe or a device); expected one TIFF file.")
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except OSError as error:
        raise SceneError(f"{path} cannot be opened: {error.strerror}.") from error
    if start not in MAGIC:
        raise SceneError(f"{path} is not a TIFF file: it begins with {start!r}. Convert it to TIFF first.")


def find_page(path: Path, tif: TiffFile, index: int) -> tuple[TiffPage, int]:
    """The page in full resolution, and the bytes from the pixels that its directory names to its own.

    Stacks larger than 4 GB have one directory, as ImageJ writes them: the planes follow one another.
    """
    if not len(tif.pages):
        raise ValueError("it begins beyond the end of the file")  # read_page makes it a sentence
    if 0 <= index < len(tif.pages):
        page = tif.pages[index]
        if page.subfiletype & REDUCED and any(not one.subfiletype & REDUCED for one in _below(page)):
            raise SceneError(
                f"{path} begins with a preview, as raw photographs do (DNG); export the picture itself as TIFF."
            )
        return page, 0
    first, series = tif.pages.first, tif.series[0] if len(tif.pages) == 1 else None
    planes = series.size // first.size if series is not None and series.dataoffset is not None else 1
    if not 0 <= index < max(planes, len(tif.pages)):
        held = max(planes, len(tif.pages))
        raise SceneError(
            f"{path} has no page={index}; it has {held}, counted from 0. If there should be more, the file is cut off."
        )
    return first, index * first.nbytes


def count_pictures(path: Path) -> int:
    """How many pages of a file that `read_page` has read are pictures of their own: neither overviews nor masks."""
    return sum(not kind & (REDUCED | TRANSPARENCY) for kind in follow_chain(path))


def size_of(path: Path) -> tuple[int, int]:
    """Rows and columns of the first page, from its directory alone; zeros if that is damaged, as `read_page` says."""
    try:
        with TiffFile(path) as tif:
            size = tif.pages.first.imagelength, tif.pages.first.imagewidth
        return size if all(isinstance(side, int) for side in size) else (0, 0)
    except Exception:  # tifffile fails in many ways on a damaged directory
        return 0, 0


def levels_of(path: Path, tif: TiffFile, full: TiffPage, index: int, files: ExitStack) -> list[tuple[Path, TiffPage]]:
    """The page and its overviews: its own, as GDAL writes them the pages that follow, or those of the file .ovr."""
    inside = _below(full) or [page for page in _following(tif, index) if not page.subfiletype & TRANSPARENCY]
    found = [(path, page) for page in (full, *inside)]
    if len(found) > 1 or index:
        return found
    return found + [(other, page) for other, page in _outside(path, ".ovr", files) if _reduces(other, page, full)]


def masks_of(path: Path, tif: TiffFile, index: int, files: ExitStack) -> list[tuple[Path, TiffPage]]:
    """The masks of a page and of its overviews, inside the file and beside it."""
    found = [(path, page) for page in _following(tif, index) if page.subfiletype & TRANSPARENCY]
    if index:
        return found
    return found + [one for suffix in (".msk", ".msk.ovr") for one in _outside(path, suffix, files)]


def _below(page: TiffPage) -> list[TiffPage]:
    """The pages that a page lists as its own (SubIFDs)."""
    return list(itertools.islice(page.pages, PARTS)) if page.pages else []


def _following(tif: TiffFile, index: int) -> Iterator[TiffPage]:
    """The overviews and masks that follow a page, up to the next picture."""
    following = itertools.islice(tif.pages, index + 1, index + 1 + PARTS)
    return itertools.takewhile(lambda page: page.subfiletype & (REDUCED | TRANSPARENCY), following)


def _reduces(path: Path, page: TiffPage, full: TiffPage) -> bool:
    """Whether a page of an .ovr can be an overview of `full`; a warning if not: the file may be an older picture's."""
    if page.subfiletype & TRANSPARENCY:
        return False
    same = page.samplesperpixel == full.samplesperpixel and page.dtype == full.dtype
    smaller = page.imagelength <= full.imagelength and page.imagewidth <= full.imagewidth
    if not (same and smaller):
        warnings.warn(
            f"{path} has a page of {page.imagelength} x {page.imagewidth} x {page.samplesperpixel} {page.dtype}, which "
            "is no overview of the picture that it stands beside; it is passed over.",
            stacklevel=6,
        )
    return same and smaller


def _outside(path: Path, suffix: str, files: ExitStack) -> list[tuple[Path, TiffPage]]:
    """The pages of the file beside `path` that GDAL gives this suffix; a warning if it cannot be read."""
    other = beside(path, suffix)
    if other is None:
        return []
    try:
        check_file(other)
        follow_chain(other)
        return [(other, page) for page in itertools.islice(files.enter_context(TiffFile(other)).pages, PARTS)]
    except Exception as error:
        warnings.warn(
            f"{other} stands beside {path.name} and cannot be read ({error}); it is passed over.", stacklevel=5
        )
        return []
