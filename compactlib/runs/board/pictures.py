"""The board's pictures: learning curves side by side, and accuracy against parameters and against time."""

import itertools
import json
import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from compactlib import schemas
from compactlib.documents import DocumentError, read_bytes
from compactlib.figures.basic import COLOURS
from compactlib.figures.scatter import SIZE, Point, cost_axis, draw_points, name_points
from compactlib.runs.papers import first_number, load_table
from compactlib.runs.results import FILE, Record, Result
from compactlib.runs.tables import flat
from compactlib.training.ablation import DONE as TRIAL
from compactlib.training.ablation import read_trial

Rows = Sequence[Mapping[str, float]]
FAMILIES = ("ViT-Lite", "CVT", "CCT")  # they have the same colours in every picture
COSTS = {"parameters": "parameters", "seconds": "training time (s)"}
SCORES = {
    "val_accuracy": "validation accuracy (%)",
    "val_iou": "validation mean IoU (%)",
    "val_dice": "validation mean Dice (%)",
}
PAPER = "the paper's CCT"
METRICS_BYTES = 50_000_000  # largest metrics.jsonl that is read


def histories(records: Iterable[Record]) -> dict[str, list[dict]]:
    """The rows of every training of these runs, by "run: training"; empty for records without a folder.

    A damaged last line, from a run that was killed while writing, is left out. What cannot be read otherwise is left
    out with a warning that names the file.
    """
    found = {}
    for record in records:
        if record.path is None or record.path.name != FILE:
            continue
        files = sorted(record.path.parent.rglob("metrics.jsonl"))
        for path, name in zip(files, _names(files, record.path.parent), strict=True):
            if rows := _rows(path):
                found[f"{record.notebook[:2]} {record.run}" + (f": {name}" if name else "")] = rows
    return found


def _names(files: list[Path], run: Path) -> list[str]:
    """A training's folder in the run; for a trial of an ablation, the settings that tell it from the others."""
    trials = {}
    for path in files:
        if (facts := path.with_name(TRIAL)).exists():
            try:
                content = read_trial(facts)
            except DocumentError as error:
                warnings.warn(str(error), stacklevel=3)
            else:
                trials[path] = {**content["settings"], "seed": content["seed"]}
    settings = {key for trial in trials.values() for key in trial}
    telling = {key for key in settings if len({str(trial.get(key)) for trial in trials.values()}) > 1} or {"seed"}
    names = []
    for path in files:
        if path in trials:
            names.append(", ".join(f"{key}={value}" for key, value in trials[path].items() if key in telling))
        else:
            names.append(path.parent.relative_to(run).as_posix().removeprefix("."))
    return names


def _rows(path: Path) -> list[dict]:
    try:
        lines = read_bytes(path, METRICS_BYTES).decode(errors="replace").splitlines()
    except DocumentError as error:
        warnings.warn(str(error), stacklevel=3)
        return []
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)  # NaN is a score: that of a class which is neither there nor predicted
            problem = schemas.problem(row, schemas.ROW)
        except (ValueError, RecursionError) as error:
            problem = str(error)
        if problem:
            if number < len(lines):
                warnings.warn(f"{path}, line {number}: {problem}. It is read up to there.", stacklevel=3)
            break
        rows.append(row)
    return rows


def learning(curves: Mapping[str, Rows], *, against: str = "epoch") -> Figure:
    """Training loss and validation scores of each training, over "epoch" or "seconds" of the whole training: accuracy
    of a classifier, mean IoU and mean Dice of a segmentation model. ValueError without any curve."""
    if against not in ("epoch", "seconds"):
        raise ValueError(f"against={against!r}; choose 'epoch' or 'seconds'")
    if not curves:
        raise ValueError("no learning curves: these runs have no metrics.jsonl; run a notebook, or choose other runs")
    scores = {name: _scores(rows[0]) for name, rows in curves.items()}
    there = [score for score in SCORES if any(score in found for found in scores.values())]
    panels = {"train_loss": "training loss", **{score: SCORES[score] for score in there}}
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 * len(panels), 4.6), layout="constrained", squeeze=False, sharex=True
    )
    for k, (name, rows) in enumerate(curves.items()):
        x = [row["epoch"] for row in rows]
        if against == "seconds":
            x = list(itertools.accumulate(row.get("seconds", math.nan) for row in rows))
        style = dict(color=COLOURS[k % len(COLOURS)], ls=("-", "--", ":")[k // 8 % 3])
        for axis, column in zip(axes[0], panels, strict=True):
            if column == "train_loss":
                axis.plot(x, [row[column] for row in rows], label=literal(name), **style)
            elif column in scores[name]:
                axis.plot(x, [100 * row.get(column, math.nan) for row in rows], **style)
    for axis, label in zip(axes[0], panels.values(), strict=True):
        axis.set(xlabel=against, ylabel=label)
        if against == "epoch":
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2 if len(curves) > 3 else len(curves), frameon=False, fontsize=12)
    return figure


def _scores(row: Mapping[str, float]) -> set[str]:
    """The scores of a training to draw: none without a validation set. Pixel accuracy says little of masks."""
    return set(row) & ({"val_iou", "val_dice"} if "val_iou" in row else {"val_accuracy"})


def literal(text: str) -> str:
    """A text as matplotlib draws it: a dollar sign would begin a formula, an underscore keep it out of the legend."""
    text = flat(text).replace("$", r"\$") or "?"
    return f" {text}" if text[0] == "_" else text


def points(records: Iterable[Record], what: str, dataset: str = "") -> dict[str, list[Point]]:
    """The test accuracies on a data set (all: empty) with their parameters or seconds, by model family."""
    if what not in COSTS:
        raise ValueError(f"what={what!r}; choose one of: {', '.join(COSTS)}")
    found: dict[str, list[Point]] = defaultdict(list)
    for record in records:
        for result in record.results:
            x = _x(result, what)
            if result.metric == "test accuracy" and x and dataset in ("", result.dataset):
                label = result.model if dataset else f"{result.model} ({result.dataset})"
                found[_family(literal(result.model))].append((x, 100 * result.value, literal(label)))
    return dict(found)


def accuracy_against(records: Iterable[Record], what: str = "parameters", *, dataset: str = "") -> Figure:
    """Test accuracy against "parameters" (the paper's Figure 3) or "seconds" of training, a colour a model family.

    With a data set that the paper has, its CCTs stand as open grey circles in the picture of the parameters; they were
    trained with another recipe unless the board says "comparable". Raises ValueError if no result fits.
    """
    found = points(records, what, dataset)
    if not found:
        raise ValueError(f"no test accuracy with {COSTS[what]}" + (f" on {dataset}" if dataset else ""))
    figure, axis = plt.subplots(figsize=(9.5, 5), layout="constrained")
    draw_points(axis, found, [*FAMILIES, *(family for family in found if family not in FAMILIES)])
    ours = [point for group in found.values() for point in group]
    theirs = _of_paper(dataset) if what == "parameters" else []
    if theirs:
        x, y, _ = zip(*theirs, strict=True)
        axis.scatter(x, y, s=SIZE, facecolor="none", edgecolor="grey", label=PAPER)
    cost_axis(axis, COSTS[what], [cost for cost, _, _ in [*ours, *theirs]])
    axis.set_title(literal(dataset))
    figure.legend(loc="outside lower center", ncols=min(5, len(found) + 1), frameon=False)
    name_points(axis, ours)
    name_points(axis, theirs, "grey")
    return figure


def _x(result: Result, what: str) -> float | None:
    if what == "seconds":
        return result.seconds
    return result.params_count


def _family(model: str) -> str:
    """ "CCT" of "CCT-7/3x1, no positions", "ResNet" of "ResNet18"."""
    name = model.split("-")[0].split(",")[0].split("/")[0]
    return "ViT-Lite" if model.startswith("ViT-Lite") else name.rstrip("0123456789 ") or name


def _of_paper(dataset: str) -> list[Point]:
    """The paper's CCTs on a data set, trained for 300 epochs (Table 1); none if the paper has no such data set."""
    column = {"cifar10": "C-10", "cifar100": "C-100", "fashion_mnist": "Fashion", "mnist": "MNIST"}.get(dataset)
    if column is None:
        return []
    rows = [row for row in load_table("cct_table_1") if not row["Model"].endswith("*")]  # *: 5,000 epochs
    found = [(first_number(row["# Params"]), first_number(row[column]), row["Model"]) for row in rows]
    return [(1e6 * x, y, name) for x, y, name in found if name.startswith("CCT") and None not in (x, y)]
