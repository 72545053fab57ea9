"""What the page shows: small pictures of an image, a mask, both, probabilities, differences; and as bytes."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image

from compactlib.figures.masks import class_colours
from compactlib.figures.overviews import overview
from compactlib.figures.scenes import visible

SHOWN = 1000  # pixels a side of a picture on the page, at most
NO_CLASS = (255, 255, 255)
DIFFERENT = "#C1121F"
SCALE = "viridis"

__all__ = [
    "class_colours",
    "differences",
    "jpeg",
    "legend_bar",
    "overlay",
    "painted",
    "png",
    "probability",
    "thumbnail",
]


def thumbnail(pixels: np.ndarray, longest: int = SHOWN) -> np.ndarray:
    """A picture (H, W, C) as uint8 RGB (h, w, 3), at most `longest` pixels a side; 16 bits are stretched to be seen."""
    small = visible(overview(pixels, longest))
    return np.repeat(small, 3, axis=-1) if small.shape[-1] == 1 else small


def small_mask(mask: np.ndarray, longest: int = SHOWN) -> np.ndarray:
    """Class ids (H, W) made smaller: every pixel is one of the large mask's, as there is no class 0.5."""
    return overview(mask[..., None], longest, labels=True)


def painted(mask: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Class ids (h, w) as RGB uint8 (h, w, 3) in the colours of the classes; no class is white."""
    table = np.full((256, 3), NO_CLASS, np.uint8)
    table[: len(colours)] = [[round(255 * part) for part in to_rgb(colour)] for colour in colours]
    return table[mask]


def overlay(picture: np.ndarray, mask: np.ndarray, colours: Sequence[str], opacity: float) -> np.ndarray:
    """The coloured mask over the picture, uint8 (h, w, 3); opacity 0: the picture alone. No class covers nothing."""
    weight = np.where(mask == 255, 0, np.float32(opacity))[..., None]
    return (picture + weight * (painted(mask, colours).astype(np.float32) - picture)).round().astype(np.uint8)


def probability(share: np.ndarray) -> np.ndarray:
    """A map 0..1 (h, w) in the colours of the scale, uint8 (h, w, 3)."""
    return (255 * colormaps[SCALE](np.clip(share, 0, 1))[..., :3]).round().astype(np.uint8)


def differences(picture: np.ndarray, different: np.ndarray) -> np.ndarray:
    """A pale grey picture (h, w, 3) with the pixels in red where two masks differ, bool (h, w)."""
    grey = (140 + 0.45 * picture.mean(axis=-1, keepdims=True)).clip(0, 255).astype(np.uint8)
    found = np.repeat(grey, 3, axis=-1)
    found[different] = [round(255 * part) for part in to_rgb(DIFFERENT)]
    return found


def legend_bar() -> str:
    """CSS of a bar with the colours of the scale, from 0 to 1."""
    stops = (colormaps[SCALE](k / 8)[:3] for k in range(9))
    return ", ".join("rgb(" + ", ".join(str(round(255 * part)) for part in stop) + ")" for stop in stops)


def png(pixels: np.ndarray) -> bytes:
    """Pixels as a PNG without loss."""
    return _encode(pixels, "PNG", compress_level=3)


def jpeg(pixels: np.ndarray) -> bytes:
    """A picture as a JPEG: photographs on the page are several times smaller so."""
    return _encode(pixels, "JPEG", quality=88)


def _encode(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
