"""Pictures about scenes on disk: the grid of patches, what reading costs, and who did which task when."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from compactlib.figures.basic import COLOURS
from compactlib.figures.masks import SMOOTH, _rgb
from compactlib.raster import Grid, Window, read_window

BLUE, YELLOW = "#2E9BFF", "#FFD400"
FOUR = (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3])  # neighbours never share one


def grid(picture: np.ndarray, over: Grid, row: int, column: int) -> Figure:
    """A picture with the grid of patches, twice. Left: all patches, one of them in yellow with its halo in blue, and
    in mirrored pixels what lies beyond the picture. Right, paler: the cores, a colour each."""
    height, width = picture.shape[:2]
    last = over.source(over.rows - 1, over.columns - 1)
    frame = Window(-over.halo, -over.halo, last.y + last.height + over.halo, last.x + last.width + over.halo)
    seen = read_window(picture, frame)
    extent = (frame.x, frame.x + frame.width, frame.y + frame.height, frame.y)
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.3 * frame.height / frame.width + 0.4))
    for axis, strength in zip(axes, (1.0, 0.3), strict=True):
        axis.imshow(_rgb(seen), interpolation=SMOOTH, extent=extent, alpha=strength)
        axis.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
    for place in over:
        _frame(axes[0], over.patch(*place), "white", 1.2, linestyle="--")
        core = over.core(*place)
        colour = FOUR[2 * (place[0] % 2) + place[1] % 2]
        axes[1].add_patch(Rectangle((core.x, core.y), core.width, core.height, color=(*to_rgb(colour), 0.55), lw=0))
    if over.halo:
        _frame(axes[0], over.source(row, column), BLUE, 4)
    _frame(axes[0], over.patch(row, column), YELLOW, 4)
    _frame(axes[1], over.patch(row, column), YELLOW, 4)
    for axis in axes:
        _frame(axis, Window(0, 0, height, width), "black", 3)
    halo = ", blue: with its halo" if over.halo else ""
    axes[0].set_title(f"yellow: a patch{halo}")
    axes[1].set_title("coloured: the core of each patch")
    return figure


def visible(picture: np.ndarray) -> np.ndarray:
    """A picture (h, w, C) of any type as uint8 with three bands or one: 2 to 98 % of its values, if it is not uint8."""
    picture = picture[..., :3] if picture.shape[-1] >= 3 else picture[..., :1]
    if picture.dtype == np.uint8:
        return picture
    known = picture[np.isfinite(picture)]
    low, high = np.percentile(known, (2, 98)) if known.size else (0, 1)
    return (255 * np.clip(np.nan_to_num((picture - low) / max(high - low, 1e-9)), 0, 1)).astype(np.uint8)


def place_and_zoom(small: np.ndarray, shape: Sequence[int], window: Window, zoomed: np.ndarray) -> Figure:
    """A scene's overview with a window marked in yellow, and beside it the pixels of that window."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3.6))
    left.imshow(_rgb(visible(small)), interpolation=SMOOTH, extent=(0, shape[1], shape[0], 0))
    _frame(left, window, YELLOW, 4)
    left.set(title=f"{shape[0]:,} x {shape[1]:,} pixels", xticks=[], yticks=[])
    right.imshow(_rgb(visible(zoomed)), interpolation=SMOOTH)
    right.set(title=f"{window.height} x {window.width} of them", xticks=[], yticks=[])
    return figure


def cost_bars(panels: Mapping[str, Mapping[str, Sequence[float]]], groups: Sequence[str], xlabel: str = "") -> Figure:
    """A panel for each measure: {its name: {way: a number for each group}}; bars of a way share a colour."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 4), squeeze=False)
    for axis, (measure, ways) in zip(axes[0], panels.items(), strict=True):
        wide = 0.8 / len(ways)
        for k, (way, values) in enumerate(ways.items()):
            at = np.arange(len(groups)) + (k - (len(ways) - 1) / 2) * wide
            drawn = axis.bar(at, values, wide * 0.92, label=way, color=COLOURS[k])
            labels = [f"{value:.0f}" if value >= 10 else f"{value:.2g}" for value in values]
            axis.bar_label(drawn, labels=labels, fontsize=13, padding=2)
        axis.set(title=measure, xticks=range(len(groups)), xticklabels=groups, xlabel=xlabel)
        axis.margins(y=0.15)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def decoded_curves(curves: Mapping[str, Sequence[float]], sides: Sequence[int], marked: Mapping[str, int]) -> Figure:
    """Decoded pixels for each pixel of the scene, over the patches a side of a block; a dot at each multiple of
    `marked` of a curve. Both axes are logarithmic."""
    figure, axis = plt.subplots(figsize=(9, 4))
    for k, (name, values) in enumerate(curves.items()):
        axis.plot(sides, values, label=name, color=COLOURS[k], linestyle=("-", "--", "-.", ":")[k % 4])
        if name in marked:
            aligned = [(side, value) for side, value in zip(sides, values, strict=True) if side % marked[name] == 0]
            axis.plot(*zip(*aligned, strict=True), "o", color=COLOURS[k], markersize=10)
    axis.set(xscale="log", yscale="log", xlabel="patches a side of a block", ylabel="decoded for each pixel")
    ticks, heights = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= sides[-1]], (1, 2, 5, 10, 20, 50, 100)
    axis.set_xticks(ticks, [str(t) for t in ticks])
    axis.set_yticks(heights, [str(h) for h in heights])
    axis.minorticks_off()
    axis.set_ylim(0.9, 1.15 * max(max(values) for values in curves.values()))
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), title="dots: aligned")
    return figure


def gantt(charts: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str = "seconds") -> Figure:
    """Who did what: a chart for each entry, in it a bar for each worker, cut where a new task begins.

    charts: {title: {worker: lengths of its tasks in order}}. A dashed line stands where the last worker ends.
    """
    rows = max(len(workers) for workers in charts.values())
    figure, axes = plt.subplots(
        1, len(charts), figsize=(5.4 * len(charts), 0.42 * rows + 1.7), sharex=True, squeeze=False
    )
    for axis, (title, workers) in zip(axes[0], charts.items(), strict=True):
        for line, lengths in enumerate(workers.values()):
            starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
            colours = [COLOURS[k % 2] for k in range(len(lengths))]
            axis.barh(line, lengths, left=starts, height=0.75, color=colours, edgecolor="white", linewidth=1.5)
        axis.axvline(max(sum(lengths) for lengths in workers.values()), color="black", linestyle="--", linewidth=2)
        axis.set(title=title, xlabel=xlabel, ylim=(len(workers) - 0.4, -0.6))
        axis.set_yticks(range(len(workers)), workers)
    return figure


def efficiency(lines: Mapping[str, Sequence[float]], workers: Sequence[int]) -> Figure:
    """The share of the workers' time that does work, in per cent, over their number; a line for each way to cut."""
    figure, axis = plt.subplots(figsize=(9, 3.8))
    for k, (name, values) in enumerate(lines.items()):
        axis.plot(workers, [100 * value for value in values], "os^D"[k % 4] + "-", color=COLOURS[k], label=name, ms=9)
    axis.set(xscale="log", xlabel="workers", ylabel="efficiency (%)", ylim=(0, 105))
    axis.set_xticks(workers, [str(count) for count in workers])
    axis.minorticks_off()
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _frame(axis: plt.Axes, window: Window, colour: str, width: float, **options) -> None:
    corner = (window.x, window.y)
    axis.add_patch(
        Rectangle(corner, window.width, window.height, fill=False, edgecolor=colour, linewidth=width, **options)
    )


def deal(lengths: Sequence[float], workers: int) -> dict[str, list[float]]:
    """Tasks in their order, each to the worker that is free first, for `gantt`: {worker: lengths of its tasks}."""
    dealt: list[list[float]] = [[] for _ in range(workers)]
    for length in lengths:
        min(dealt, key=sum).append(length)
    return {f"worker {number + 1}": tasks for number, tasks in enumerate(dealt)}
