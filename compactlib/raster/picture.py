"""A picture that fits into memory, the same pixels by whatever door it comes in: a folder, an upload, a single file.

Nothing in a file is trusted. Its kind is told by its first bytes, never by its name, and only the kinds below are
opened: Pillow knows formats that run programs. Sizes are checked before a pixel is decoded.
"""

import io
import math
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from compactlib.files import read_regular
from compactlib.raster.upright import turn

ORIENTATION = 0x0112  # an EXIF tag
PIXEL_LIMIT = 200_000_000  # rows times columns
BYTE_LIMIT = 400_000_000  # of the decoded pixels, and of a file that is read whole
PADDED = 4  # tiles may reach beyond a picture, but all of them hold at most so many times the limit
# Pillow's readers by name: Image.open would try others, and warns in a way that threads cannot silence.
READERS = {"PNG": PngImageFile, "JPEG": JpegImageFile, "BMP": BmpImageFile}
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
        if not isinstance(source, bytes) and (size := source.stat().st_size) > BYTE_LIMIT:
            raise PictureTooLarge(f"{name} has {size:,} bytes; expected {BYTE_LIMIT:,} at most. Cut it into pieces.")
        data = source if isinstance(source, bytes) else read_regular(source)
        return (_npy if kind == "NPY" else _pillow)(data, name, kind, limit, as_stored)
    except PictureError:
        raise
    except ImportError as error:
        raise PictureError(f"{name} needs {error.name}, which is missing here: pip install {error.name}") from error
    except Exception as error:  # decoders fail in a dozen ways on bytes that are not what they should be
        raise PictureError(
            f"{name} begins as a {kind} and is damaged or cut off ({_why(error)}). Replace it with an intact copy."
        ) from error


def check_size(name: str, height: int, width: int, limit: int, pixel: int = 1) -> None:
    """Raises PictureTooLarge for more pixels than `limit`, or more bytes than may be held; pixel: bytes of one."""
    size = f"{name} has {height:,} x {width:,} pixels, {height * width / 1e6:,.0f} megapixels"
    if height * width > limit:
        raise PictureTooLarge(f"{size}; expected {limit // 10**6} at most.")
    if height * width * pixel > BYTE_LIMIT:
        raise PictureTooLarge(f"{size} of {pixel:,} bytes each; expected {BYTE_LIMIT // 10**6} megabytes at most.")


def _why(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _tiff(source: bytes | Path, name: str, limit: int, as_stored: bool) -> Picture:
    try:
        from compactlib.raster.scene import SceneError, open_scene
        from compactlib.raster.tiff_parts import size_of
    except ImportError as error:
        raise PictureError(f"{name} is a TIFF, and what reads them is missing here: pip install tifffile") from error

    with tempfile.TemporaryDirectory() if isinstance(source, bytes) else nullcontext() as folder:
        path = source
        try:
            if isinstance(source, bytes):
                path = Path(folder) / "picture.tif"
                path.write_bytes(source)
            check_size(name, *size_of(path), limit)  # more than a file can hold is no reason to call it cut off
            with open_scene(path, cache_bytes=0, as_stored=as_stored) as scene:
                height, width, channels = scene.shape
                check_size(name, height, width, limit, channels * scene.dtype.itemsize)
                rows, columns = scene.tile
                covered = math.ceil(height / rows) * rows * math.ceil(width / columns) * columns
                if covered > PADDED * limit:
                    raise PictureTooLarge(
                        f"{name} has {height:,} x {width:,} pixels in tiles of {rows:,} x {columns:,}, together "
                        f"{covered / 1e6:,.0f} megapixels; write it with tiles of 512 pixels."
                    )
                pixels, missing = scene.look(0, 0, height, width)
                alpha, geo, remarks = scene.alpha, scene.geo, scene.remarks
        except PictureError:
            raise
        except SceneError as error:
            raise PictureError(str(error).replace(str(path), name)) from error
        except Exception as error:  # a damaged directory fails in as many ways as there are tags
            raise PictureError(f"{name} is a TIFF that cannot be read ({_why(error)}). Save it again.") from error
    found = None
    if alpha is not None:
        found = pixels[..., alpha]
        pixels = np.ascontiguousarray(np.delete(pixels, alpha, axis=-1))
    return Picture(pixels, "TIFF", missing, found, remarks, geo)


def _npy(data: bytes, name: str, kind: str, limit: int, as_stored: bool) -> Picture:
    """An array (H, W) or (H, W, C) of numbers, as np.save writes it; never a pickle."""
    from compactlib.raster.missing import missing_pixels

    stream = io.BytesIO(data)
    old = np.lib.format.read_magic(stream) == (1, 0)
    read_header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if len(shape) not in (2, 3) or 0 in shape or dtype.kind not in "buif":
        raise PictureError(f"{name} holds {dtype} of shape {shape}; expected numbers (H, W) or (H, W, C).")
    check_size(name, *shape[:2], limit, math.prod(shape[2:]) * dtype.itemsize)
    pixels = np.load(io.BytesIO(data), allow_pickle=False)
    pixels = np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # this machine's byte order
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8) if as_stored else pixels * np.uint8(255)  # as single bits of a TIFF
    return Picture(pixels, kind, missing_pixels(pixels) if pixels.dtype.kind == "f" else None)


def _pillow(data: bytes, name: str, kind: str, limit: int, as_stored: bool) -> Picture:
    image = READERS[kind](io.BytesIO(data))  # reads the header only
    raw = str(image.tile[0][3]) if image.tile else ""  # how the pixels are stored: L;2, RGB;16B, ...
    check_size(name, image.height, image.width, limit, len(image.getbands()) * (2 if "16B" in raw else 1))
    _check_bytes(name, kind, image, data)
    number, remarks = _orientation(image)
    if "16B" in raw and image.mode != "I;16":
        array, hole = _deep_png(data), None
    else:
        array, hole = _plain(image, raw, name, as_stored, remarks)
    array = turn(array if array.ndim == 3 else array[..., None], number)
    pixels, alpha, missing = _split(array, array.shape[2] in (2, 4))
    if hole is not None:
        missing = (pixels == np.array(hole)).all(axis=-1)
    return Picture(np.ascontiguousarray(pixels), kind, missing, alpha, tuple(remarks))


def _plain(image: Image.Image, raw: str, name: str, as_stored: bool, remarks: list[str]) -> tuple[np.ndarray, object]:
    """The pixels that Pillow decodes, and the number or the numbers of a pixel that is transparent; None without."""
    image.load()
    hole = image.info.get("transparency") if image.mode in ("L", "RGB", "1", "I;16") else None
    levels = {"L;2": 85, "L;4": 17}.get(raw, 1)  # Pillow spreads few bits to 255, but not the transparent number
    if as_stored and image.mode in ("P", "1"):
        return np.array(image).astype(np.uint8), None if hole is None else int(bool(hole))
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in COLOURS:
        if image.mode in ("CMYK", "YCbCr", "HSV"):
            remarks.append(f"Its colours ({image.mode}) were converted to RGB.")
        image = image.convert(COLOURS[image.mode])
    if image.mode == "1":  # Pillow gives the transparent number as 0 or 255
        image = image.convert("L")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
        raise PictureError(f"{name} has pixels of mode {image.mode}; expected grey or RGB. Convert it first.")
    array = np.array(image)
    if as_stored:
        return array // np.uint8(levels) if levels > 1 else array, hole
    return array, hole * levels if levels > 1 and hole is not None else hole


def _check_bytes(name: str, kind: str, image: Image.Image, data: bytes) -> None:
    """Raises PictureError where so few bytes cannot hold so many pixels: deflate makes at most 1,032 bytes of one, a
    JPEG has at least a bit for 64 pixels."""
    # At least so many a pixel: palettes and grey may be packed.
    bits = {"1": 1, "P": 1, "L": 1, "LA": 16, "RGB": 24, "RGBA": 32}.get(image.mode, 8)
    least = {"PNG": image.height * (image.width * bits // 8 + 1) // 1040, "JPEG": image.height * image.width // 520}
    if len(data) < least.get(kind, 0):
        raise PictureError(
            f"{name} says that it has {image.height:,} x {image.width:,} pixels, but {len(data):,} bytes cannot hold "
            "them: it is damaged or cut off. Replace it with an intact copy."
        )


def _orientation(image: Image.Image) -> tuple[int, list[str]]:
    """How the EXIF data say that the image is held, and remarks. A damaged block says nothing, and viewers show the
    picture anyway."""
    try:
        number = image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow's reader of EXIF fails in as many ways as its decoders
        return 1, ["Its EXIF data are damaged and were passed over."]
    return (number, ["It was turned as its EXIF data say."]) if number in range(2, 9) else (1, [])


def _deep_png(data: bytes) -> np.ndarray:
    """16 bits a channel in colour, which Pillow cuts to 8; a transparent colour becomes an alpha channel."""
    import imagecodecs

    return imagecodecs.png_decode(data)


def _split(array: np.ndarray, has_alpha: bool) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    if not has_alpha:
        return array, None, None
    alpha = array[..., -1]
    return np.ascontiguousarray(array[..., :-1]), alpha, alpha == 0
