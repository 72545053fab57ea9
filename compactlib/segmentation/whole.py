"""An image of any size through any of our models, and how visible the seams between tiles are."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from compactlib.raster import Window
from compactlib.segmentation.inference import WindowModel, attribute, check_image
from compactlib.segmentation.tiled import predict_tiled


def predict_image(
    model: nn.Module,
    image,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    *,
    max_tile: int = 1024,
    out: np.ndarray | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Class scores float32 (H, W, classes) of an image (H, W, C) of any size, the way that suits the model.

    Unpadded (model.margin): exact tiles. Fixed size (model.img_size): blended tiles that overlap by a quarter. Else in
    one pass, mirrored up to a multiple of model.stride; where a side is above `max_tile`, in blended tiles of about
    max_tile pixels that overlap by a quarter. The image, mean, std, out and progress are those of `predict_tiled`.
    """
    check_image(model, image)
    options = dict(mean=mean, std=std, out=out, progress=progress)
    margin, stride = attribute(model, "margin") or 0, attribute(model, "stride") or 1
    fixed = getattr(model, "img_size", None)
    longest = max(image.shape[:2])
    if margin:
        tile = fixed[0] - 2 * margin if fixed else _unpadded_tile(model, min(longest, max_tile), margin)
        return predict_tiled(model, image, tile, margin, "crop", **options)
    if fixed:
        if fixed[0] != fixed[1]:
            raise ValueError(f"the model takes {fixed[0]} x {fixed[1]} pixels; tiles are square")
        return predict_tiled(model, image, fixed[0] - 2 * (fixed[0] // 8), fixed[0] // 8, "blend", **options)
    if longest > max_tile:
        side = max(stride, max_tile // stride * stride)
        halo = side // 8
        return predict_tiled(model, image, side - 2 * halo, halo, "blend", **options)
    return _one_pass(model, image, mean, std, stride, out)


def seam_error(stitched: np.ndarray, reference: np.ndarray, tile: int) -> np.ndarray:
    """Mean absolute difference of two score arrays (H, W, classes) by distance to the nearest border between tiles.

    Entry d is for pixels with d pixels between them and a border at a multiple of `tile`; nan where there is none.
    """
    if stitched.shape != reference.shape or not any(tile < side for side in stitched.shape[:2]):
        raise ValueError(
            f"scores of shape {stitched.shape} and {reference.shape} with tile={tile}; expected equal shapes and at "
            "least one border between tiles"
        )
    difference = np.abs(stitched - reference).mean(axis=-1)
    down, across = (_to_border(side, tile) for side in difference.shape)
    distance = np.minimum(down[:, None], across).ravel()
    count = np.bincount(distance)
    with np.errstate(invalid="ignore"):
        return np.bincount(distance, weights=difference.ravel()) / count


def _to_border(length: int, tile: int) -> np.ndarray:
    """Pixels between each position of an axis and the nearest border inside it; more than there are if it has none."""
    borders = np.arange(tile, length, tile)
    if not len(borders):
        return np.full(length, np.iinfo(np.int64).max)
    return (np.abs(np.arange(length)[:, None] - borders + 0.5) - 0.5).min(axis=1).astype(np.int64)


def _unpadded_tile(model: nn.Module, wanted: int, margin: int) -> int:
    """The tile nearest to `wanted` that the model takes: not below it, if it may be."""
    if not hasattr(model, "nearest_sizes"):
        return wanted
    return model.nearest_sizes(wanted + 2 * margin)[1] - 2 * margin


def _one_pass(model: nn.Module, image, mean, std, stride: int, out: np.ndarray | None) -> np.ndarray:
    height, width = image.shape[:2]
    smallest = model.nearest_sizes(1)[1] if hasattr(model, "nearest_sizes") else 1
    with WindowModel(model, image, mean, std) as run:
        source = Window(0, 0, *(max(smallest, -(-side // stride) * stride) for side in (height, width)))
        scores = run([source])[0, :, :height, :width].permute(1, 2, 0).numpy()
    if out is None:
        return np.ascontiguousarray(scores)
    out[:] = scores
    return out
