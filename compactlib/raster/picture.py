"""A picture that fits into memory, the same pixels by whatever door it comes in: a folder, an upload, a single file.

Nothing in a file is trusted. Its kind is told by its first bytes, never by its name, and only the kinds below are
opened: Pillow knows formats that run programs. Sizes are checked before a pixel is decoded.
"""

import io
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from compactlib.files import read_regular

ORIENTATION = 0x0112  # an EXIF tag
PIXEL_LIMIT = 200_000_000  # rows times columns
KINDS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"\x93NUMPY": "NPY"}
KINDS |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")
COLOURS = {"CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB"}


class PictureError(ValueError):
    """A file that is no picture for this project. The sentence names it, says what is wrong and what to do."""


class PictureTooLarge(PictureError):
    """A picture of more pixels than may be held in memory."""


@dataclass(frozen=True, eq=False)
class Picture:
    """pixels: (H, W, C) as a viewer shows them, uint8, uint16 or what a TIFF or .npy holds, without alpha. missing:
    bool (H, W), where there are no data, or None. alpha: (H, W), or None. kind: "PNG", "JPEG", "BMP", "TIFF" or "NPY".
    remarks: sentences on what was changed on the way here. geo: GeoTIFF tags, {} without any."""

    pixels: np.ndarray = field(repr=False)
    kind: str
    missing: np.ndarray | None = field(default=None, repr=False)
    alpha: np.ndarray | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
    geo: Mapping = field(default_factory=dict, repr=False)


def kind_of(start: bytes) -> str | None:
    """PNG, JPEG, BMP, TIFF or NPY by the first bytes of a file; None for anything else."""
    return next((kind for magic, kind in KINDS.items() if start.startswith(magic)), None)


def read_picture(source: bytes | Path, name: str, *, limit: int = PIXEL_LIMIT, as_stored: bool = False) -> Picture:
    """The picture in a file, or in its bytes. name: what errors call it. limit: of its rows times columns.

    Of several pictures in a TIFF it is the first. as_stored: the numbers of the file, as masks want them: indices of a
    palette, 0 and 1 of single bits. Raises PictureError, and only that.
    """
    try:
        data = source if isinstance(source, bytes) else read_regular(source, 16)
    except (OSError, ValueError) as error:
        raise PictureError(f"{name} cannot be read: {error}") from error
    kind = kind_of(data)
    if not data:
        raise PictureError(f"{name} is empty. Replace it with an intact copy.")
    if kind is None:
        raise PictureError(
            f"{name} is no PNG, JPEG, BMP, TIFF or .npy: it begins with {data[:6]!r}, whatever its name says. Save the "
            "picture in one of these formats."
        )
    if kind == "TIFF":
        return _tiff(source, name, limit, as_stored)
    try:
        data = source if isinstance(source, bytes) else read_regular(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures Pillow warns; here there is a limit
            return _npy(data, name, limit) if kind == "NPY" else _pillow(data, name, kind, limit, as_stored)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureTooLarge(
            f"{name} has far more pixels than {limit // 10**6} megapixels, the most there may be."
        ) from error
    except Exception as error:  # decoders fail in a dozen ways on bytes that are not what they should be
        why = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise PictureError(
            f"{name} begins as a {kind} and is damaged or cut off ({why}). Replace it with an intact copy."
        ) from error


def check_size(name: str, height: int, width: int, limit: int) -> None:
    """Raises PictureTooLarge for more pixels than `limit`."""
    if height * width > limit:
        raise PictureTooLarge(
            f"{name} has {height:,} x {width:,} pixels, {height * width / 1e6:,.0f} megapixels; expected "
            f"{limit // 10**6} at most."
        )


def _tiff(source: bytes | Path, name: str, limit: int, as_stored: bool) -> Picture:
    try:
        from compactlib.raster.scene import SceneError, open_scene
        from compactlib.raster.tiff_page import size_of
    except ImportError as error:
        raise PictureError(f"{name} is a TIFF, and what reads them is missing here: pip install tifffile") from error

    with tempfile.TemporaryDirectory() as folder:
        path = source
        if isinstance(source, bytes):
            path = Path(folder) / "picture.tif"
            path.write_bytes(source)
        height, width, tile = size_of(path)
        check_size(name, height, width, limit)
        if tile > limit:
            raise PictureTooLarge(
                f"{name} has tiles of {tile / 1e6:,.0f} megapixels; write it with tiles of 512 pixels."
            )
        try:
            with open_scene(path, cache_bytes=0, as_stored=as_stored) as scene:
                pixels, missing = scene.look(0, 0, *scene.shape[:2])
                alpha, geo, count = scene.alpha, scene.geo, scene.pages
        except SceneError as error:
            raise PictureError(str(error).replace(str(path), name)) from error
        except Exception as error:  # a damaged directory fails in as many ways as there are tags
            raise PictureError(f"{name} is a TIFF that cannot be read ({str(error)[:120]}). Save it again.") from error
    remarks = [f"It holds {count} pictures; this is the first."] if count > 1 else []
    found = None
    if alpha is not None:
        found = pixels[..., alpha]
        pixels = np.ascontiguousarray(np.delete(pixels, alpha, axis=-1))
    return Picture(pixels, "TIFF", missing, found, tuple(remarks), geo)


def _npy(data: bytes, name: str, limit: int) -> Picture:
    """An array (H, W) or (H, W, C) of numbers, as np.save writes it; never a pickle."""
    from compactlib.raster.missing import missing_pixels

    pixels = np.load(io.BytesIO(data), allow_pickle=False)
    if pixels.ndim not in (2, 3) or not pixels.size or pixels.dtype.kind not in "buif":
        raise PictureError(
            f"{name} holds {pixels.dtype} of shape {pixels.shape}; expected numbers (H, W) or (H, W, C)."
        )
    check_size(name, *pixels.shape[:2], limit)
    pixels = pixels.view(np.uint8) if pixels.dtype == bool else pixels
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return Picture(pixels, "NPY", missing_pixels(pixels) if pixels.dtype.kind == "f" else None)


def _pillow(data: bytes, name: str, kind: str, limit: int, as_stored: bool) -> Picture:
    image = Image.open(io.BytesIO(data), formats=(kind,))  # reads the header only
    check_size(name, image.height, image.width, limit)
    _check_bytes(name, kind, image, data)
    deep = kind == "PNG" and data[24] == 16
    image.load()
    remarks: list[str] = []
    if deep:
        pixels, alpha, missing = _deep_png(data)
        return Picture(pixels, kind, missing, alpha, tuple(remarks))
    image = _upright(image, remarks)
    if as_stored and image.mode in ("P", "1"):
        pixels = np.asarray(image).astype(np.uint8)
        return Picture(pixels[..., None], kind, remarks=tuple(remarks))
    hole = image.info.get("transparency") if image.mode in ("L", "RGB", "1") else None
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in COLOURS:
        if image.mode in ("CMYK", "YCbCr", "HSV"):
            remarks.append(f"Its colours ({image.mode}) were converted to RGB.")
        image = image.convert(COLOURS[image.mode])
    if image.mode == "1":
        image, hole = image.convert("L"), None if hole is None else 255 * hole
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise PictureError(f"{name} has pixels of mode {image.mode}; expected grey or RGB. Convert it first.")
    array = np.array(image)
    array = array if array.ndim == 3 else array[..., None]
    pixels, alpha, missing = _split(array, array.shape[2] in (2, 4))
    if hole is not None:
        missing = (pixels == np.array(hole, pixels.dtype)).all(axis=-1)
    return Picture(pixels, kind, missing, alpha, tuple(remarks))


def _check_bytes(name: str, kind: str, image: Image.Image, data: bytes) -> None:
    """Raises PictureError where so few bytes cannot hold so many pixels: deflate makes at most 1,032 bytes of one, a
    JPEG has at least a bit for 64 pixels."""
    bits = {"1": 1, "P": 1, "L": 1, "LA": 16, "RGB": 24, "RGBA": 32}.get(
        image.mode, 8
    )  # at least: P and L may be packed
    least = {"PNG": image.height * (image.width * bits // 8 + 1) // 1040, "JPEG": image.height * image.width // 520}
    if len(data) < least.get(kind, 0):
        raise PictureError(
            f"{name} says that it has {image.height:,} x {image.width:,} pixels, but {len(data):,} bytes cannot hold "
            "them: it is damaged or cut off. Replace it with an intact copy."
        )


def _upright(image: Image.Image, remarks: list[str]) -> Image.Image:
    """The image as its EXIF data say it is held. A damaged block says nothing, and viewers show the picture anyway."""
    try:
        number = image.getexif().get(ORIENTATION, 1)
        turned = ImageOps.exif_transpose(image)
    except Exception:  # Pillow's reader of EXIF fails in as many ways as its decoders
        remarks.append("Its EXIF data are damaged and were passed over.")
        return image
    if number in range(2, 9):
        remarks.append("It was turned as its EXIF data say.")
    return turned


def _deep_png(data: bytes) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """16 bits a channel, which Pillow cuts to 8 in colour."""
    import imagecodecs

    array = imagecodecs.png_decode(data)
    array = array if array.ndim == 3 else array[..., None]
    return _split(array, array.shape[2] in (2, 4))


def _split(array: np.ndarray, has_alpha: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    if not has_alpha:
        return array, None, None
    alpha = array[..., -1]
    return np.ascontiguousarray(array[..., :-1]), alpha, alpha == 0
