"""Pictures about masks, tiles and windows, in the style of `figures`."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from compactlib.figures.basic import COLOURS

SMOOTH = "antialiased"  # for pictures: noise shown pixel by pixel would fill a notebook
NAMED = {  # a class keeps its colour through the course
    "background": "#3B3B3B", "field": "#E8D66B", "forest": "#009E73", "water": "#0072B2", "road": "#CC79A7",
    "building": "#D55E00", "cell": "#56B4E9", "membrane": "#3B3B3B", "pet": "#E69F00",
}  # fmt: skip


def class_colours(class_names: Sequence[str]) -> list[str]:
    """A colour for each class: the course's own for the names it knows, else the palette's."""
    spare = iter(COLOURS * len(class_names))
    return [NAMED.get(name) or next(spare) for name in class_names]


def colour_mask(mask: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """A mask of class ids (h, w) as an RGB picture (h, w, 3) in 0..1; 255 (ignored) is white."""
    table = np.ones((256, 3))
    table[: len(class_names)] = [to_rgb(colour) for colour in class_colours(class_names)]
    return table[mask]


def masks(
    pictures: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    class_names: Sequence[str],
    predicted: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> Figure:
    """A column for each picture: image, true mask and, for each model in `predicted`, its mask and its errors.

    In the error map a right pixel is pale, a wrong one red, an ignored one white.
    """
    rows = [("image", [_rgb(p) for p in pictures]), ("truth", [colour_mask(m, class_names) for m in truth])]
    for name, found in (predicted or {}).items():
        rows.append((name, [colour_mask(m, class_names) for m in found]))
        rows.append(("errors", [error_map(t, m) for t, m in zip(truth, found, strict=True)]))
    count = len(pictures)
    figure, axes = plt.subplots(len(rows), count, figsize=(1.8 * count + 0.6, 1.8 * len(rows) + 0.5), squeeze=False)
    for line, (name, shown) in zip(axes, rows, strict=True):
        for axis, picture in zip(line, shown, strict=True):
            axis.imshow(picture, interpolation=SMOOTH if name == "image" else "nearest")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name.replace(", ", ",\n"))
    _legend(figure, class_names)
    return figure


def error_map(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Where a predicted mask is wrong, (h, w, 3) in 0..1: red; right pixels are pale grey, ignored ones white."""
    picture = np.full((*truth.shape, 3), 0.88)
    picture[predicted != truth] = to_rgb("#C1121F")
    picture[truth == 255] = 1.0
    return picture


def panels(pictures: Mapping[str, np.ndarray], *, cmap: str = "viridis", size: float = 3.6) -> Figure:
    """Arrays side by side under their titles: RGB and uint8 ones as pictures, booleans in white on
    black, others as colours with a scale."""
    figure, axes = plt.subplots(1, len(pictures), figsize=(size * len(pictures), size + 0.4), squeeze=False)
    for axis, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        if picture.dtype == bool:
            axis.imshow(_rgb(255 * picture.astype(np.uint8)))
        elif picture.ndim == 3 or picture.dtype == np.uint8:
            axis.imshow(_rgb(picture), interpolation=SMOOTH)
        else:
            shown = axis.imshow(picture, cmap=cmap)
            figure.colorbar(shown, ax=axis, shrink=0.8)
        axis.set(title=title, xticks=[], yticks=[])
    return figure


def instances(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Instance labels (h, w) as an RGB picture, a colour for each object, black for 0."""
    table = np.random.default_rng(seed).random((labels.max() + 1, 3)) * 0.7 + 0.3
    table[0] = 0
    return table[labels]


def u_shape(levels: Sequence[tuple[str, int, int]], title: str = "") -> Figure:
    """The U of a network: a box for each stage (name, channels, side), a line lower for each level.

    Channels stand above a box, the side of its map below. Stages of one level are joined by an arrow, the skip
    connection; the first and the last stage are the image and its classes, beside level 0.
    """
    lowest = int(np.argmin([side for _, _, side in levels]))
    last = len(levels) - 1
    level = [max(0, (k if k <= lowest else last - k) - 1) for k in range(len(levels))]
    figure, axis = plt.subplots(figsize=(11.5, 1.15 * max(level) + 1.4))
    for k, (name, channels, side) in enumerate(levels):
        colour = COLOURS[0] if k <= lowest else COLOURS[2]
        axis.add_patch(Rectangle((k - 0.42, -level[k] - 0.17), 0.84, 0.34, color=colour))
        axis.text(k, -level[k], name, ha="center", va="center", fontsize=14, color="white")
        axis.text(k, -level[k] + 0.2, str(channels), ha="center", va="bottom", fontsize=14)
        axis.text(k, -level[k] - 0.2, f"{side}²", ha="center", va="top", fontsize=14)
    for k in range(1, lowest):
        ends = (last - k - 0.45, -level[k]), (k + 0.45, -level[k])
        axis.annotate("", *ends, arrowprops=dict(arrowstyle="->", color="grey", linewidth=2))
    axis.text(-0.42, -max(level) - 0.4, "above: channels, below: pixels", color="grey", fontsize=14)
    axis.set(xlim=(-0.6, last + 0.6), ylim=(-max(level) - 0.5, 0.6), title=title)
    axis.axis("off")
    return figure


def overlap_tile(picture: np.ndarray, tile: int, halo: int, row: int = 0, column: int = 0) -> Figure:
    """U-Net's Figure 2: a picture with its mirrored border, the tiles in thin lines; one tile's output in yellow, the
    context that is read for it in blue."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, [(halo, halo + tile)] * 2 + [(0, 0)] * (picture.ndim - 2), mode="reflect")
    padded = padded[: 2 * halo + -(-height // tile) * tile, : 2 * halo + -(-width // tile) * tile]
    figure, axis = plt.subplots(figsize=(4.6, 4.6))
    frame = (-halo, padded.shape[1] - halo, padded.shape[0] - halo, -halo)
    axis.imshow(_rgb(padded), interpolation=SMOOTH, extent=frame)
    axis.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor="white", linewidth=2.5))
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            axis.add_patch(Rectangle((x, y), tile, tile, fill=False, edgecolor="white", linewidth=0.8, linestyle=":"))
    y, x = row * tile, column * tile
    side = tile + 2 * halo
    axis.add_patch(Rectangle((x - halo, y - halo), side, side, fill=False, edgecolor="#2E9BFF", linewidth=4))
    axis.add_patch(Rectangle((x, y), tile, tile, fill=False, edgecolor="#FFD400", linewidth=4))
    axis.set(xlabel="pixels; mirrored outside the white frame", title="blue: read, yellow: predicted")
    return figure


def windows(picture: np.ndarray, window: int, shift: int = 0, title: str = "", axis: plt.Axes | None = None) -> None:
    """A picture with the windows of Swin's attention, the shifted ones with those at the border cut as in the paper."""
    axis = axis or plt.subplots(figsize=(4, 4))[1]
    height, width = picture.shape[:2]
    axis.imshow(_rgb(picture))
    for k in range(-1, max(height, width) // window + 1):
        at = k * window + (shift or window)
        if 0 < at < height:
            axis.axhline(at - 0.5, color="#FFD400", linewidth=2.5)
        if 0 < at < width:
            axis.axvline(at - 0.5, color="#FFD400", linewidth=2.5)
    axis.set(title=title, xticks=[], yticks=[])


def learning(histories: Mapping[str, Sequence[Mapping[str, float]]], metric: str = "val_iou") -> Figure:
    """Training loss and a validation metric over the epochs, a colour a model."""
    names = {"val_iou": "validation mean IoU", "val_dice": "validation mean Dice", "val_accuracy": "right pixels"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    for name, rows in histories.items():
        epochs = [row["epoch"] for row in rows]
        left.plot(epochs, [row["train_loss"] for row in rows], label=name)
        if metric in rows[0]:
            right.plot(epochs, [row[metric] for row in rows], label=name)
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel=names.get(metric, metric), ylim=(0, 1.02))
    left.legend()
    return figure


def class_bars(scores: Mapping[str, Sequence[float]], class_names: Sequence[str], ylabel: str) -> Figure:
    """Bars of each class, a colour a model; a class without a value (nan) has no bar."""
    figure, axis = plt.subplots(figsize=(max(7, 1.9 * len(class_names)), 4.2))
    wide = 0.8 / len(scores)
    for k, (name, values) in enumerate(scores.items()):
        at = np.arange(len(class_names)) + (k - (len(scores) - 1) / 2) * wide
        drawn = axis.bar(at, values, wide * 0.92, label=name)
        axis.bar_label(drawn, fmt="%.2f", fontsize=11)
    axis.set(ylabel=ylabel, ylim=(0, 1.12), xticks=range(len(class_names)), xticklabels=class_names)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _rgb(picture: np.ndarray) -> np.ndarray:
    """A grey or RGB picture, uint8, uint16 or 0..1, as RGB, so that imshow stretches no contrast."""
    picture = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture
    grey = picture[..., 0] if picture.ndim == 3 and picture.shape[-1] == 1 else picture
    return np.repeat(grey[..., None], 3, axis=-1) if grey.ndim == 2 else grey[..., :3]


def _legend(figure: Figure, class_names: Sequence[str]) -> None:
    handles = [
        Patch(color=colour, label=name) for colour, name in zip(class_colours(class_names), class_names, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)
