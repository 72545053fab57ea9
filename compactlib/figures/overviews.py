"""Pictures of a segmented scene: what does not fit on a page is read in bands and made smaller on the way."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from compactlib.figures.masks import SMOOTH, _rgb, class_colours, colour_mask
from compactlib.figures.scenes import visible


def overview(scene, longest: int = 400, *, labels: bool = False) -> np.ndarray:
    """A scene (H, W, C) of any size made smaller: (h, w, C), at most `longest` pixels a side, uint8 if it is.

    Each pixel is the mean of a square of the scene; with `labels` (class ids, channel 0 as (h, w)) its middle pixel,
    because there is no class 0.5. The scene is anything that gives arrays when sliced; it is read in bands of rows.
    Rows and columns that fill no square are left out.
    """
    height, width = scene.shape[:2]
    side = max(1, -(-max(height, width) // longest))
    rows, columns = max(1, height // side), max(1, width // side)
    down, across = min(side, height), min(side, width)
    out = np.empty((rows, columns, scene.shape[2]), scene.dtype)
    for row in range(rows):
        band = scene[row * side : row * side + down, 0 : columns * across]
        squares = band.reshape(down, columns, across, -1)
        out[row] = squares[down // 2, :, across // 2] if labels else squares.mean(axis=(0, 2))
    return out[..., 0] if labels else out


def side_by_side(pictures: Mapping[str, np.ndarray], class_names: Sequence[str], size: float = 4.6) -> Figure:
    """Pictures (h, w, 3 or more) and masks (h, w), under their titles, with the names of the classes below."""
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures.values())
    figure, axes = plt.subplots(1, len(pictures), figsize=(size * len(pictures), size * tallest + 0.8), squeeze=False)
    for axis, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        mask = picture.ndim == 2
        axis.imshow(colour_mask(picture, class_names) if mask else _rgb(visible(picture)), interpolation=SMOOTH)
        axis.set(title=title, xticks=[], yticks=[])
    colours = zip(class_colours(class_names), class_names, strict=True)
    handles = [Patch(color=colour, label=name) for colour, name in colours]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
    return figure


def same_scale(maps: Mapping[str, np.ndarray], label: str = "", size: float = 3.2) -> Figure:
    """Maps (h, w) side by side, from 0 to the largest value of all, with one scale."""
    top = max(float(values.max()) for values in maps.values())
    figure, axes = plt.subplots(1, len(maps), figsize=(size * len(maps) + 1, size), squeeze=False)
    for axis, (title, values) in zip(axes[0], maps.items(), strict=True):
        shown = axis.imshow(values, cmap="viridis", vmin=0, vmax=top, interpolation=SMOOTH)
        axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes[0].tolist(), label=label, shrink=0.9)
    return figure


def seam_curves(errors: Mapping[str, np.ndarray], floor: float = 1e-8) -> Figure:
    """For each way of tiling, the error by distance to the border between tiles (`segmentation.seam_error`).

    The scale is logarithmic; what is below `floor` is drawn there, because zero has no place on it.
    """
    figure, axis = plt.subplots(figsize=(9, 4.2))
    styles = ("-", "--", "-.", ":")
    for k, (name, values) in enumerate(errors.items()):
        axis.plot(np.arange(len(values)), np.maximum(values, floor), styles[k % len(styles)], label=name)
    axis.set(yscale="log", xlabel="pixels from the nearest border between tiles", ylabel="error of the scores")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def confidence(shares: np.ndarray, right: np.ndarray, title: str = "") -> Figure:
    """A map of the confidence (h, w), 0..1, and beside it how many pixels are right (k,), by k steps of confidence.

    A step without pixels is nan and has no bar. On the dotted line a model is as often right as it believes to be.
    """
    figure, (left, axis) = plt.subplots(1, 2, figsize=(10, 3.9))
    shown = left.imshow(shares, cmap="viridis", vmin=0, vmax=1, interpolation=SMOOTH)
    figure.colorbar(shown, ax=left, shrink=0.85)
    left.set(title=title or "probability of the class found", xticks=[], yticks=[])
    middles = (np.arange(len(right)) + 0.5) / len(right)
    axis.bar(middles, right, 0.9 / len(right))
    axis.plot([0, 1], [0, 1], color="black", linestyle=":")
    axis.set(xlabel="probability of the class found", ylabel="share of right pixels", xlim=(0, 1), ylim=(0, 1))
    return figure
