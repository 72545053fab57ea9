"""From the bytes of an upload to a checked picture. Nothing in an upload is trusted: not its name, not its header."""

import io
import unicodedata
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

UPLOAD_LIMIT = 200_000_000  # bytes of a file
PIXEL_LIMIT = 50_000_000  # rows times columns, as the file's header states them, before anything is decoded
CHANNELS = (1, 3, 4)
LIMITS = (
    f"PNG, JPEG or TIFF, told by content, not by name; up to {UPLOAD_LIMIT // 10**6} MB and "
    f"{PIXEL_LIMIT // 10**6} megapixels; 8 or 16 bits; 1, 3 or 4 channels"
)
LARGER = "For larger scenes there is the command line: python -m compactlib segment scene.tif out/ --model FILE"

KINDS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
KINDS |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")


class UploadError(ValueError):
    """An upload that is no picture for this app. The sentence says what is wrong and what to do."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A checked picture.

    pixels: uint8 or uint16 (H, W, C), C of 1, 3 or 4. kind: "PNG", "JPEG", "TIFF" or "example". remarks: sentences on
    what was changed on the way here. geo: GeoTIFF tags, {} without any. pixel_area: of a pixel, m2, None if the file
    does not say. empty: bool (H, W), True where the file says that there are no data; None if it says nothing.
    """

    name: str
    pixels: np.ndarray = field(repr=False)
    kind: str
    remarks: tuple[str, ...] = ()
    geo: Mapping = field(default_factory=dict, repr=False)
    pixel_area: float | None = None
    empty: np.ndarray | None = field(default=None, repr=False)

    def __str__(self) -> str:
        height, width, channels = self.pixels.shape
        bits = 8 * self.pixels.dtype.itemsize
        return f"{self.name}: {height:,} x {width:,} pixels, {channels} channel{'s'[: channels - 1]}, {bits} bits"


def read_upload(name: str, data: bytes) -> Picture:
    """The picture in an upload: `name` as the browser sent it, `data` the content.

    Size in pixels and type are read from the header and checked before a pixel is decoded. Raises UploadError, and only
    that, for whatever is wrong with it.
    """
    name, data = clean_name(name), bytes(data)
    if not data:
        raise UploadError(f"{name} is empty: choose the file again.")
    if len(data) > UPLOAD_LIMIT:
        raise UploadError(f"{name} has {len(data):,} bytes; expected {UPLOAD_LIMIT:,} at most. {LARGER}")
    kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), None)
    if kind is None:
        raise UploadError(
            f"{name} is no PNG, JPEG or TIFF: it begins with {data[:6]!r}, whatever its name says. Save the picture in "
            "one of these formats."
        )
    if kind == "TIFF":
        from compactlib.lab.app.tiff import read_tiff  # here: it needs tifffile

        return read_tiff(name, data)
    return _read_image(name, data, kind)


def clean_name(name: str) -> str:
    """The last part of an untrusted file name, without what could hurt in a path, a header or on a screen."""
    name = unicodedata.normalize("NFC", str(name)).replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isalnum() or c in " ._-()+" else "_" for c in name).strip(" .")
    return kept[-80:] or "picture"


def check_size(name: str, height: int, width: int) -> None:
    """Raises UploadError for more pixels than this app holds in memory."""
    if height * width > PIXEL_LIMIT:
        raise UploadError(
            f"{name} has {height:,} x {width:,} pixels, {height * width / 1e6:,.0f} megapixels; expected "
            f"{PIXEL_LIMIT // 10**6} at most. {LARGER}"
        )


def _read_image(name: str, data: bytes, kind: str) -> Picture:
    """A PNG or a JPEG."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures Pillow warns; here the limit is lower
            image = Image.open(io.BytesIO(data), formats=(kind,))  # reads the header only
            check_size(name, image.height, image.width)
            image.load()
    except Image.DecompressionBombError:
        raise UploadError(
            f"{name} has far more pixels than {PIXEL_LIMIT // 10**6} megapixels, the most there may be. {LARGER}"
        ) from None
    except UploadError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        # Pillow fails in many ways on bytes that are not what they should be.
        known = str(error).splitlines()[:1] if not isinstance(error, UnidentifiedImageError) else []
        why = known[0][:120] if known else "its header cannot be read"
        raise UploadError(
            f"{name} begins as a {kind} and is damaged or cut off ({why}). Save it again, or choose another file."
        ) from None
    remarks = []
    if kind == "PNG" and data[24:25] == b"\x10" and image.mode in ("RGB", "RGBA"):
        remarks.append("Its 16 bits a channel were read as 8; a TIFF keeps them.")
    turned = ImageOps.exif_transpose(image)
    if turned.size != image.size or turned.getexif() != image.getexif():
        remarks.append("It was turned as its EXIF data say.")
    return Picture(name, _pixels(name, turned, remarks), kind, tuple(remarks))


def _pixels(name: str, image: Image.Image, remarks: list[str]) -> np.ndarray:
    """Pillow's image as uint8 or uint16 (H, W, 1 or 3); what is given up on the way is added to `remarks`."""
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        remarks.append("Its alpha channel (transparency) was dropped.")
        image = image.convert("L" if image.mode in ("LA", "La") else "RGB")
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        remarks.append(f"Its colours ({image.mode}) were converted to RGB.")
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode.startswith("I"):  # a grey PNG of 16 bits
        return np.asarray(image).astype(np.uint16)[..., None]
    if image.mode not in ("L", "RGB"):
        raise UploadError(f"{name} has pixels of mode {image.mode}; expected grey or RGB. Convert it first.")
    pixels = np.array(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
