"""Pictures of ablations: groups of bars, curves over a setting, accuracy against parameters and against time."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from compactlib.figures.basic import COLOURS, MARKERS
from compactlib.figures.scatter import cost_axis, draw_points, name_points
from compactlib.training.ablation import Spread, Trial

Found = Mapping[str, Sequence[Trial]]


def spreads(found: Found) -> dict[str, Spread]:
    """Test accuracy of each variant over its seeds."""
    return {label: Spread.of([trial.accuracy for trial in trials]) for label, trials in found.items()}


def groups(
    ours: Mapping[str, Mapping[str, Spread]], title: str, paper: Mapping[str, Mapping[str, float]], paper_title: str
) -> Figure:
    """Test accuracy in groups of bars, group -> bar -> value, with the spread over the seeds; the paper's beside it (in
    per cent, only those it has). The bars have the same colours on both sides."""
    bars = list(dict.fromkeys(bar for group in [*ours.values(), *paper.values()] for bar in group))
    colours = dict(zip(bars, COLOURS, strict=False))
    count = 2 if paper else 1
    figure, axes = plt.subplots(1, count, figsize=(5.8 * count, 4.2), squeeze=False)
    values = {group: {bar: 100 * s.mean for bar, s in row.items()} for group, row in ours.items()}
    errors = {group: {bar: 100 * s.sd if s.n > 1 else 0.0 for bar, s in row.items()} for group, row in ours.items()}
    _bars(axes[0, 0], values, colours, errors)
    axes[0, 0].set_title(title)
    if paper:
        _bars(axes[0, 1], paper, colours, {})
        axes[0, 1].set_title(paper_title)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[bar]) for bar in bars]
    figure.legend(handles, bars, loc="outside lower center", ncols=min(5, len(bars)), frameon=False)
    return figure


def _bars(axis: Axes, values: Mapping[str, Mapping[str, float]], colours: Mapping[str, str], errors: Mapping) -> None:
    for place, (group, row) in enumerate(values.items()):
        width = 0.8 / len(row)
        for k, (bar, value) in enumerate(row.items()):
            x, error = place + (k - (len(row) - 1) / 2) * width, errors.get(group, {}).get(bar)
            axis.bar(x, value, width, color=colours[bar], yerr=error or None, capsize=4)
            axis.annotate(f"{value:.0f}", (x, value + (error or 0)), (0, 2), textcoords="offset points", ha="center")
    lowest = min(value for row in values.values() for value in row.values())
    axis.set_xticks(range(len(values)), [name.replace(" ", "\n", 1) for name in values])
    axis.set(ylabel="test accuracy (%)", ylim=(max(0, 10 * (lowest // 10 - 1)), 104))


def ranking(values: Mapping[str, Spread], base: str | None = None) -> Figure:
    """Test accuracy of each variant as a dot, best above, with the spread over the seeds; a line through `base`."""
    order = sorted(values, key=lambda label: values[label].mean)
    means = [100 * values[label].mean for label in order]
    errors = [100 * values[label].sd if values[label].n > 1 else 0.0 for label in order]
    figure, axis = plt.subplots(figsize=(9, 1.4 + 0.45 * len(order)))
    colours = [COLOURS[5] if label == base else COLOURS[0] for label in order]
    axis.errorbar(means, order, xerr=errors, fmt="none", ecolor="grey", capsize=4)
    axis.scatter(means, order, s=120, color=colours, zorder=3)
    number = dict(textcoords="offset points", ha="center", fontsize=12, bbox=dict(facecolor="white", lw=0, pad=0.5))
    for label, mean in zip(order, means, strict=True):
        axis.annotate(f"{mean:.1f}", (mean, label), (0, 9), **number)
    if base in values:
        axis.axvline(100 * values[base].mean, color=COLOURS[5], linestyle=":")
    axis.set(xlabel="test accuracy (%)")
    axis.margins(x=0.08, y=0.12)
    return figure


def curves(
    lines: Mapping[str, Mapping[float, Spread]], xlabel: str, *, log: bool = False, mark: float | None = None
) -> Figure:
    """Test accuracy over a setting, a line a model: name -> setting -> value. `mark` draws a dotted line at one."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    for k, (name, points) in enumerate(lines.items()):
        error = [100 * s.sd if s.n > 1 else 0.0 for s in points.values()]
        means = [100 * s.mean for s in points.values()]
        marker = MARKERS[k % len(MARKERS)]
        axis.errorbar(list(points), means, error, label=name, marker=marker, markersize=9, capsize=4)
    if mark is not None:
        axis.axvline(mark, color="grey", linestyle=":")
    if log:
        axis.set_xscale("log")
    ticks = sorted({x for points in lines.values() for x in points})
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel=xlabel, ylabel="test accuracy (%)")
    figure.legend(loc="outside lower center", ncols=min(4, len(lines)), frameon=False, fontsize=12)
    return figure


def against_parameters(
    ours: Mapping[str, Mapping[str, tuple[int, float]]], paper: Mapping[str, Mapping[str, tuple[int, float]]],
    title: str, paper_title: str,
) -> Figure:  # fmt: skip
    """Accuracy against the number of parameters, as the paper's Figure 3: family -> model -> (parameters, accuracy in
    0 to 1). A colour and a marker a family, ours on the left, the paper's on the right."""
    sides = [(side, name) for side, name in ((ours, title), (paper, paper_title)) if side]
    figure, axes = plt.subplots(1, len(sides), figsize=(5.9 * len(sides), 4.8), squeeze=False)
    families, drawn = list(dict.fromkeys([*ours, *paper])), []
    for axis, (side, name) in zip(axes[0], sides, strict=True):
        points = {f: [(p, 100 * accuracy, m) for m, (p, accuracy) in models.items()] for f, models in side.items()}
        draw_points(axis, points, families)
        drawn.append([point for group in points.values() for point in group])
        cost_axis(axis, "parameters", [parameters for parameters, _, _ in drawn[-1]])
        axis.set_title(name)
    legend = {
        label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=len(legend), frameon=False)
    for axis, points in zip(axes[0], drawn, strict=True):
        name_points(axis, points)
    return figure


def against_time(
    runs: Mapping[str, Sequence[Mapping[str, float]]], target: float | None = None, final: float | None = None
) -> Figure:
    """Validation accuracy against the seconds of training, a line a run (rows of `fit`, without a line where there was
    no validation); `target` and the accuracy at the end on the test images, `final`, in 0 to 1."""
    figure, axis = plt.subplots(figsize=(8.5, 4.2))
    end = 0.0
    for name, rows in runs.items():
        seconds, spent = [], 0.0
        for row in rows:
            spent += row["train_seconds"]
            seconds.append(spent)
        end = max(end, spent)
        if all("val_accuracy" in row for row in rows):
            axis.plot(seconds, [100 * row["val_accuracy"] for row in rows], marker="o", label=name)
    if target is not None:
        axis.axhline(100 * target, color="grey", linestyle=":")
        place, up = (0.01, 100 * target), {"textcoords": "offset points", "xycoords": ("axes fraction", "data")}
        axis.annotate(f"target {100 * target:g} %", place, (0, 4), color="grey", **up)
    if final is not None:
        axis.plot([end], [100 * final], marker="*", markersize=20, linestyle="", label="test images", color=COLOURS[5])
    axis.set(xlabel="seconds of training", ylabel="accuracy (%)", xlim=(0, 1.04 * end))
    axis.legend(loc="lower right")
    return figure
