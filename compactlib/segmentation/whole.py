"""An image of any size through any of our models, and how visible the seams between tiles are."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from compactlib.models import unwrap
from compactlib.raster import Window
from compactlib.segmentation.inference import WindowModel, attribute, check_answer, check_image
from compactlib.segmentation.tiled import Side, predict_tiled


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

    Unpadded (model.margin): exact tiles. Fixed size (model.img_size): one pass for an image of this size, else blended
    tiles that overlap by a quarter. Else in one pass, mirrored up to a multiple of model.stride; where a side is above
    `max_tile`, in blended tiles of about max_tile pixels that overlap by a quarter. The image, mean, std, out and
    progress are those of `predict_tiled`.

    The model may be in half precision or bfloat16, and in wrappers (torch.compile, DataParallel). ValueError for one
    that does not take the image, or whose scores are not as many as the pixels.
    """
    check_image(model, image)
    tile, halo, mode = tiling(model, image.shape, max_tile)
    fixed, size = getattr(unwrap(model), "img_size", None), image.shape[:2]
    if fixed and mode == "blend" and tuple(fixed) == tuple(size):
        return _one_pass(model, image, mean, std, out)
    if not fixed and halo == 0 and max(size) <= tile:
        return _one_pass(model, image, mean, std, out)  # not square, as a tile would be
    return predict_tiled(model, image, tile, halo, mode, mean=mean, std=std, out=out, progress=progress)


def tiling(model: nn.Module, shape: Sequence[int], max_tile: int = 1024) -> tuple[Side, Side, str]:
    """(tile, halo, mode) for `predict_tiled` that suit the model and an image of this shape (H, W, ...). Tile and halo
    are pairs (height, width) for a model of rectangles only.

    Unpadded (model.margin): exact tiles of about max_tile pixels. Fixed size (model.img_size): blended tiles that
    overlap by a quarter. Else one tile that holds the image or, where a side is above max_tile, blended tiles that
    overlap by a quarter, for which the model sees about max_tile pixels a side.
    """
    margin, stride = attribute(model, "margin") or 0, attribute(model, "stride") or 1
    fixed, longest = getattr(unwrap(model), "img_size", None), max(shape[:2])
    if margin:
        if fixed and fixed[0] != fixed[1]:
            return (fixed[0] - 2 * margin, fixed[1] - 2 * margin), margin, "crop"
        tile = fixed[0] - 2 * margin if fixed else _unpadded_tile(model, min(longest, max_tile), margin)
        return tile, margin, "crop"
    if fixed and fixed[0] != fixed[1]:
        halos = (fixed[0] // 8, fixed[1] // 8)
        return (fixed[0] - 2 * halos[0], fixed[1] - 2 * halos[1]), halos, "blend"
    if not fixed and longest <= max_tile:
        return _mirrored_side(model, longest), 0, "blend"
    side = fixed[0] if fixed else max(stride, max_tile // stride * stride)
    return side - 2 * (side // 8), side // 8, "blend"


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
    model = unwrap(model)
    if not hasattr(model, "nearest_sizes"):
        return wanted
    return model.nearest_sizes(wanted + 2 * margin)[1] - 2 * margin


def _mirrored_side(model: nn.Module, side: int) -> int:
    """The smallest side that the model takes and that holds `side` pixels: a multiple of its stride."""
    model = unwrap(model)
    stride = attribute(model, "stride") or 1
    smallest = model.nearest_sizes(1)[1] if hasattr(model, "nearest_sizes") else 1
    return max(smallest, -(-side // stride) * stride)


def _one_pass(model: nn.Module, image, mean, std, out: np.ndarray | None) -> np.ndarray:
    (height, width), fixed = image.shape[:2], getattr(unwrap(model), "img_size", None)
    size = (height, width) if fixed else tuple(_mirrored_side(model, side) for side in (height, width))
    with WindowModel(model, image, mean, std) as run:
        scores = check_answer(run([Window(0, 0, *size)]), 1, size)
        scores = scores[0, :, :height, :width].permute(1, 2, 0).numpy()
    if out is None:
        return np.ascontiguousarray(scores)
    out[:] = scores
    return out
