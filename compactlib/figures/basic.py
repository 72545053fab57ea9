"""The course's pictures: large type, few colours that everybody can tell apart, every axis named."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from IPython.core.pylabtools import print_figure, retina_figure
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import configure_inline_support

if TYPE_CHECKING:
    from compactlib.runs.evidence import Evidence

# Okabe and Ito's palette: distinguishable with the common kinds of colour blindness.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


SMALL = "COMPACT_SMALL_PICTURES"  # environment variable
LONGEST = 400  # characters of an alternative text
IN_NOTEBOOK = ("inline", "ipympl", "widget", "nbagg")  # matplotlib's backends that draw there

# matplotlib's settings for a room: type that the back row can read, and small files.
STYLE = {
    "figure.dpi": 100, "savefig.dpi": 100, "figure.figsize": (9, 4), "figure.constrained_layout.use": True,
    "font.size": 15, "axes.titlesize": 16, "axes.labelsize": 15, "legend.fontsize": 14, "lines.linewidth": 2.5,
    "axes.spines.top": False, "axes.spines.right": False, "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=COLOURS),
}  # fmt: skip


def style() -> None:
    """Set matplotlib to STYLE. Called in a setup cell.

    In a notebook, pictures have twice the pixels, for sharp screens and slides; not with COMPACT_SMALL_PICTURES in the
    environment, as where a notebook is refreshed for the repository. A backend that draws elsewhere (MPLBACKEND=Agg in
    containers and on clusters) would show no picture: in a notebook the inline one takes its place.
    """
    shell = get_ipython()
    if hasattr(shell, "kernel") and not any(name in plt.get_backend().lower() for name in IN_NOTEBOOK):
        shell.run_line_magic("matplotlib", "inline")
    plt.rcParams.update(STYLE)
    if shell is not None:
        configure_inline_support(shell, plt.get_backend())  # now, or the first figure would undo the next line
        shell.display_formatter.formatters["image/png"].for_type(Figure, _with_words)


def words(figure: Figure) -> str:
    """Alternative text: what a figure shows, by its titles, axes and legends."""
    axes = [axis for axis in figure.axes if axis.has_data() and axis.get_label() != "<colorbar>"]
    said = []
    for axis in axes:
        sides = [text.replace("\n", " ") for text in (axis.get_ylabel(), axis.get_xlabel()) if text]
        said += [text for text in (axis.get_title().replace("\n", " "), " against ".join(sides)) if text]
        if legend := axis.get_legend():
            said.append("with " + ", ".join(text.get_text() for text in legend.texts))
    kind = "picture" if axes and all(axis.images for axis in axes) else "chart"
    count = f"{len(axes)} {kind}s" if len(axes) > 1 else f"A {kind}"
    return ": ".join(filter(None, [count, "; ".join(dict.fromkeys(said))]))[:LONGEST]


def _with_words(figure: Figure) -> tuple[bytes | str, dict]:
    """A figure as a notebook stores it, with its alternative text."""
    if os.environ.get(SMALL):
        return print_figure(figure, "png"), {"alt": words(figure)}
    data, size = retina_figure(figure)
    return data, {**size, "alt": words(figure)}


def images(pictures: Sequence[np.ndarray], titles: Sequence[str] = (), columns: int = 8, size: float = 1.5) -> Figure:
    """A grid of pictures (h, w), (h, w, 1) or (h, w, 3), uint8 or 0..1, with a title each if given."""
    rows = -(-len(pictures) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * (size + 0.35 * bool(titles))), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, title in zip(axes.flat, pictures, titles or [""] * len(pictures), strict=False):
        _show(axis, picture)
        axis.set_title(title, fontsize=13)
    return figure


def predictions(
    pictures: Sequence[np.ndarray], truth: Sequence[str], predicted: Sequence[str], columns: int = 8
) -> Figure:
    """Pictures titled with what the model says; a wrong one in orange, with the true class behind it."""
    titles = [p if p == t else f"{p} (is {t})" for t, p in zip(truth, predicted, strict=True)]
    figure = images(pictures, titles, columns)
    for axis, t, p in zip(figure.axes, truth, predicted, strict=False):
        axis.title.set_color(COLOURS[5] if p != t else COLOURS[2])
    return figure


def patches(picture: np.ndarray, patch: int) -> Figure:
    """A picture with its patch grid, and beside it the patches as the sequence that a transformer sees, row by row."""
    height, width = picture.shape[:2]
    rows, columns = height // patch, width // patch
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.4), width_ratios=[1, 2.9])
    _show(left, picture)
    for y in range(0, height + 1, patch):
        left.axhline(y - 0.5, color="white", linewidth=1.5)
    for x in range(0, width + 1, patch):
        left.axvline(x - 0.5, color="white", linewidth=1.5)
    left.set(title=f"{height} x {width} pixels", xticks=[], yticks=[])
    gap, shown = max(1, patch // 6), 16  # tokens in a line
    lines = -(-rows * columns // shown)
    channels = picture.shape[2:]
    canvas = np.full((lines * (patch + gap), shown * (patch + gap), *channels), 255, np.uint8)
    for k in range(rows * columns):
        y, x = (k // columns) * patch, (k % columns) * patch
        top, start = (k // shown) * (patch + gap), (k % shown) * (patch + gap)
        canvas[top : top + patch, start : start + patch] = picture[y : y + patch, x : x + patch]
    _show(right, canvas)
    right.set(title=f"{rows * columns} tokens in reading order, {shown} a line", xticks=[], yticks=[])
    return figure


def heat_over(pictures: Sequence[np.ndarray], weights: Sequence[np.ndarray], titles: Sequence[str] = ()) -> Figure:
    """Pictures above, and below each its token weights (rows, columns) as a heat map from zero, one scale for all."""
    figure, axes = plt.subplots(2, len(pictures), figsize=(1.9 * len(pictures), 4.4), squeeze=False)
    top = max(float(np.max(w)) for w in weights)
    for k, (picture, weight) in enumerate(zip(pictures, weights, strict=True)):
        _show(axes[0, k], picture)
        shown = axes[1, k].imshow(weight, cmap="viridis", vmin=0, vmax=top)
        axes[0, k].set_title(titles[k] if titles else "")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("image")
    axes[1, 0].set_ylabel("weight")
    figure.colorbar(shown, ax=axes[1, :].tolist(), shrink=0.9, label="share of a token")
    return figure


def evidence(found: "Evidence") -> Figure:
    """A record of evidence: a row for each method, its runs as dots, their mean and its 95 % interval as a bar across.
    Baselines are grey and hollow."""
    scale, unit = (100, "%") if found.unit == "fraction" else (1, found.unit)
    figure, axis = plt.subplots(figsize=(9, 1.2 + 0.62 * len(found.rows)))
    for place, row in enumerate(found.rows):
        low, high = (scale * end for end in row.interval())
        colour = "#808080" if row.baseline else COLOURS[0]
        axis.plot([low, high], [place, place], color=colour, linewidth=6, alpha=0.35, solid_capstyle="butt")
        inside = "white" if row.baseline else colour
        values = [scale * value for value in row.values]
        axis.plot(values, [place] * len(values), "o", color=colour, markerfacecolor=inside, markersize=8)
        axis.plot(scale * row.mean, place, "|", color="black", markersize=22, markeredgewidth=2.5)
    names = [f"{row.name}\n(baseline)" if row.baseline else row.name for row in found.rows]
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axis.set_xlabel(f"{found.metric}{f' ({unit})' if unit else ''}: each run, mean and 95 % interval")
    axis.grid(axis="x", alpha=0.3)
    return figure


def matrix(
    values: np.ndarray, title: str, xlabel: str, ylabel: str, *, annotate: bool = False, cmap: str = "viridis"
) -> Figure:
    """A matrix as colours, with the numbers written in if `annotate`."""
    height, width = values.shape
    figure, axis = plt.subplots(figsize=(7.5, 5.2))
    shown = axis.imshow(values, cmap=cmap, aspect="auto" if max(height, width) > 3 * min(height, width) else "equal")
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(shown, ax=axis)
    if annotate:
        middle = (values.max() + values.min()) / 2
        for (i, j), value in np.ndenumerate(values):
            text = f"{value:g}" if float(value).is_integer() else f"{value:.2f}"
            axis.text(j, i, text, ha="center", va="center", color="black" if value > middle else "white", fontsize=12)
        axis.set(xticks=range(width), yticks=range(height))
    return figure


def curves(histories: Mapping[str, Sequence[Mapping[str, float]]], chance: float | None = None) -> Figure:
    """Training loss and validation accuracy over the epochs, a colour a model; `chance` as a dotted line."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2))
    for name, rows in histories.items():
        epochs = [row["epoch"] for row in rows]
        left.plot(epochs, [row["train_loss"] for row in rows], label=name)
        if "val_accuracy" in rows[0]:  # a run on all training images has no validation set
            right.plot(epochs, [100 * row["val_accuracy"] for row in rows], label=name)
    if chance is not None:
        right.axhline(100 * chance, color="grey", linestyle=":")
        right.annotate(
            "guessing",
            (1, 100 * chance),
            (0, -4),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
            va="top",
            ha="right",
            color="grey",
        )
    left.set(xlabel="epoch", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 102))
    left.legend()
    return figure


def confusion(counts: np.ndarray, class_names: Sequence[str], title: str = "") -> Figure:
    """Counts (classes, classes), rows true, columns predicted; the diagonal, which is right, left white."""
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    figure, axis = plt.subplots(figsize=(6.5, 5.6))
    axis.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(5, wrong.max()))
    few = len(class_names) <= 20  # with more, numbers and names would lie on top of each other
    for (i, j), count in np.ndenumerate(counts):
        if count and few:
            axis.text(j, i, count, ha="center", va="center", fontsize=12, color="grey" if i == j else "black")
    axis.set(xlabel="model says", ylabel="true class", title=title)
    if few:
        axis.set_xticks(range(len(class_names)), class_names, rotation=0 if max(map(len, class_names)) < 3 else 60)
        axis.set_yticks(range(len(class_names)), class_names)
    return figure


def bars(values: Mapping[str, float], ylabel: str, title: str = "", *, digits: int = 1) -> Figure:
    """One bar a name, its value written on top."""
    figure, axis = plt.subplots(figsize=(max(6, 1.7 * len(values)), 4.2))
    shown = axis.bar(list(values), list(values.values()), color=COLOURS[: len(values)])
    axis.bar_label(shown, fmt=f"%.{digits}f", fontsize=15, padding=2)
    axis.set(ylabel=ylabel, title=title, ylim=(0, 1.12 * max(values.values())))
    return figure


def _show(axis: plt.Axes, picture: np.ndarray) -> None:
    grey = picture.ndim == 2 or picture.shape[2] == 1
    axis.imshow(picture.squeeze() if grey else picture, cmap="gray" if grey else None)
