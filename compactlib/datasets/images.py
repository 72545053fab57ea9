"""From encoded pictures to uint8 arrays, and from one size to another."""

import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm.auto import tqdm


def channel_statistics(
    images: np.ndarray, missing: np.ndarray | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of images (n, h, w, c), uint8 or uint16, in units where white is 1.

    missing: pixels that do not count, bool (n, h, w). Sums of integers, so that every machine finds the same digits,
    and in chunks, so that memory stays small.
    """
    channels, white, count = images.shape[-1], np.iinfo(images.dtype).max, 0
    total, squares = [0] * channels, [0] * channels
    levels = np.arange(white + 1, dtype=np.int64)
    for start in range(0, len(images), 2048):
        part = slice(start, start + 2048)
        chunk = images[part].reshape(-1, channels) if missing is None else images[part][~missing[part]]
        count += len(chunk)
        for channel in range(channels):
            counts = np.bincount(chunk[:, channel], minlength=white + 1)
            total[channel] += int(counts @ levels)
            squares[channel] += int(counts @ levels**2)
    count = max(1, count)
    mean = np.array([number / count for number in total])
    std = np.sqrt(np.maximum(0, np.array([number / count for number in squares]) - mean**2))
    return tuple((mean / white).tolist()), tuple((std / white).tolist())


def resize(images: np.ndarray, img_size: int | None) -> np.ndarray:
    """Resize uint8 images (n, h, w, c) to img_size x img_size pixels, bilinear with antialiasing; None: as they are."""
    if img_size is None or images.shape[1:3] == (img_size, img_size):
        return images
    out = np.empty((len(images), img_size, img_size, images.shape[3]), np.uint8)
    for start in range(0, len(images), 1024):  # in chunks: PyTorch holds a float copy while it works
        chunk = torch.tensor(images[start : start + 1024]).permute(0, 3, 1, 2)
        chunk = F.interpolate(chunk, size=(img_size, img_size), mode="bilinear", antialias=True)
        out[start : start + 1024] = chunk.permute(0, 2, 3, 1).numpy()
    return out


def resize_masks(masks: np.ndarray, img_size: int | None) -> np.ndarray:
    """Resize masks (n, h, w) to img_size x img_size pixels: each takes the value of the pixel under its centre."""
    if img_size is None or masks.shape[1:3] == (img_size, img_size):
        return masks
    rows, columns = ((2 * np.arange(img_size) + 1) * side // (2 * img_size) for side in masks.shape[1:3])
    return masks[:, rows[:, None], columns]


def decode_image(data: bytes) -> np.ndarray:
    """Decode one encoded picture to uint8 RGB (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def decode_square(data: bytes, side: int) -> np.ndarray:
    """Decode one encoded picture to uint8 RGB (side, side, 3): resize the short side (bicubic), crop the centre."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = side / min(image.size)
    width, height = (max(side, round(length * scale)) for length in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)  # Pillow's resize always antialiases
    left, top = (width - side) // 2, (height - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))


def decode_all(pictures: list[bytes], decoder, shape: tuple[int, int, int], label: str) -> np.ndarray:
    """Decode many pictures of one shape to uint8 (n, h, w, c), on a few threads (Pillow releases the GIL)."""
    out = np.empty((len(pictures), *shape), np.uint8)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        decoded: Iterable[np.ndarray] = pool.map(decoder, pictures)
        for index, image in enumerate(tqdm(decoded, label, len(pictures), leave=False)):
            if image.shape != shape:
                raise ValueError(f"{label}: picture {index} is {image.shape}, expected {shape}.")
            out[index] = image
    return out
