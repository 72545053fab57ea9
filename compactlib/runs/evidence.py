"""Evidence for what a lesson claims: committed records of several runs, with intervals and baselines.

A record (data/results/evidence/NAME.json) is made by a sweep whose file has a block `evidence`. A lesson shows it with
`lab.evidence(NAME)`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import variance
from typing import Any

from compactlib.documents import read_json
from compactlib.files import atomic_write
from compactlib.paths import DATA
from compactlib.runs.results import Record
from compactlib.runs.tables import Table

FOLDER = DATA / "results" / "evidence"
LEAST = 3  # runs of a row that is learned
LEVEL = 0.95
ASKED = ("question", "metric", "baselines", "selection")


class EvidenceError(ValueError):
    """A record that proves nothing: the sentence says what is missing."""


@dataclass(frozen=True)
class Row:
    """One method: its name, a value for each run, and whether it is a baseline. items: of the test set, where a single
    run is an exact count of hits among them (a method without chance in it)."""

    name: str
    values: tuple[float, ...]
    baseline: bool = False
    items: int | None = None

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean: Student's t over the runs; of a single run Wilson's over the test items."""
        from scipy import stats  # here: it takes long to import

        if len(self.values) == 1:
            hits = round(self.mean * self.items)
            found = stats.binomtest(hits, self.items).proportion_ci(LEVEL, method="wilson")
            return float(found.low), float(found.high)
        error = float(stats.sem(self.values))
        if error == 0:
            return self.mean, self.mean
        low, high = stats.t.interval(LEVEL, len(self.values) - 1, loc=self.mean, scale=error)
        return float(low), float(high)


@dataclass(frozen=True, repr=False)
class Evidence:
    """What was asked, what was found, and how to find it again. It shows itself as a table.

    rows: in the order that was asked for, or the largest mean first. metric: what is measured, and unit: "fraction"
    (shown in per cent) or its unit. data: name, source, sizes and checksum of each set. selection: on which data
    settings were chosen. minutes: of all runs.
    Raises EvidenceError for a record without enough runs, a baseline, a checksum, or a set on which settings were
    chosen.
    """

    name: str
    question: str
    metric: str
    unit: str
    rows: tuple[Row, ...]
    data: tuple[Mapping[str, Any], ...]
    selection: str
    command: str
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    code: Any
    minutes: float
    finished: str

    def __post_init__(self) -> None:
        few = [row.name for row in self.rows if len(row.values) < LEAST and not (row.items and row.baseline)]
        checks = {
            f"rows with fewer than {LEAST} runs: {', '.join(few)}": not few,
            "no baseline row": any(row.baseline for row in self.rows),
            "no row besides the baselines": any(not row.baseline for row in self.rows),
            "a value that is not a finite number": all(math.isfinite(v) for row in self.rows for v in row.values),
            "no checksum of the data": bool(self.data) and all(one.get("checksum") for one in self.data),
            "no question or command": self.question and self.command,
            "no hardware or versions": self.hardware and self.versions,
            "not said on what settings were chosen": bool(self.selection.strip()),
            "settings chosen on test data": "test" not in self.selection.lower().split(),
        }  # fmt: skip
        if missing := [what for what, fine in checks.items() if not fine]:
            raise EvidenceError(f"evidence {self.name}: {'; '.join(missing)}.")

    def __getitem__(self, name: str) -> Row:
        try:
            return next(row for row in self.rows if row.name == name)
        except StopIteration:
            raise KeyError(
                f"evidence {self.name} has no row {name!r}; it has {[row.name for row in self.rows]}"
            ) from None

    def compare(self, one: str, other: str) -> str:
        """One sentence on two rows: the difference of their means with its 95 % interval (Welch's t-test)."""
        from scipy import stats

        a, b = self[one], self[other]
        difference, half = a.mean - b.mean, 0.0
        spread = [variance(row.values) / len(row.values) if len(row.values) > 1 else 0.0 for row in (a, b)]
        if total := sum(spread):  # Welch's degrees of freedom; without any spread the difference is exact
            parts = [s**2 / (len(row.values) - 1) for s, row in zip(spread, (a, b), strict=True) if s]
            half = float(stats.t.ppf((1 + LEVEL) / 2, total**2 / sum(parts))) * math.sqrt(total)
        low, high = difference - half, difference + half
        unit = "points" if self.unit == "fraction" else self.unit
        numbers = [self._number(value, "+") for value in (difference, low, high)]
        size = f"{' '.join(filter(None, [numbers[0], unit]))}, 95 % interval {numbers[1]} to {numbers[2]}"
        size += f"; {len(a.values)} and {len(b.values)} runs"
        if low <= 0 <= high:
            return f"{one} against {other}: no difference seen ({size})."
        return f"{one} is {'above' if difference > 0 else 'below'} {other} ({size})."

    def table(self) -> Table:
        """A row for each method: mean, interval, runs."""
        rows = []
        for row in self.rows:
            low, high = map(self._number, row.interval())
            name = f"{row.name} (baseline)" if row.baseline else row.name
            each = ", ".join(map(self._number, row.values))
            rows.append((name, self._number(row.mean), f"{low} to {high}", str(len(row.values)), each))
        unit = "%" if self.unit == "fraction" else self.unit
        columns = ("method", f"{self.metric} ({unit})" if unit else self.metric, "95 % interval", "runs", "each run")
        sets = "; ".join(f"{one['name']} ({one.get('source', '?')}, checksum {one['checksum']})" for one in self.data)
        note = (
            f"{self.question} Data: {sets}. Settings chosen on: {self.selection}. {self.minutes:.0f} minutes on "
            f"{self.hardware.get('cpu', '?')}. Repeat it: {self.command}"
        )
        return Table(columns, tuple(rows), numeric=columns[1:4], note=note)

    def _number(self, value: float, sign: str = "") -> str:
        return f"{100 * value:{sign}.1f}" if self.unit == "fraction" else f"{value:{sign}.3f}"

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def evidence_names(folder: Path = FOLDER) -> list[str]:
    """The names of all records of evidence."""
    return sorted(file.stem for file in folder.glob("*.json"))


def evidence(name: str, folder: Path = FOLDER) -> Evidence:
    """The committed record of this name, checked; see `Evidence`."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no evidence {name!r}; there are {', '.join(evidence_names(folder)) or 'none'}."
        )
    content = read_json(path)
    wrong = set(content) ^ {field.name for field in fields(Evidence)}
    if wrong:
        raise EvidenceError(f"{path.name}: missing or unknown {', '.join(sorted(wrong))}.")
    rows = tuple(Row(**{**row, "values": tuple(row["values"])}) for row in content["rows"])
    return Evidence(**{**content, "rows": rows, "data": tuple(content["data"])})


def problems(asked: Any) -> list[str]:
    """What is wrong with the block `evidence` of a sweep's file.

    It has question, metric, selection (on what settings were chosen: never on test data) and baselines (names of models
    that cost next to nothing), and perhaps rows (the models to show, in this order; default: all).
    """
    if not isinstance(asked, Mapping):
        return [f"it is a {type(asked).__name__}, expected {', '.join(ASKED)}"]
    found = [f"{name} is missing" for name in ASKED if not asked.get(name)]
    found += [f"there is no {name}" for name in asked if name not in (*ASKED, "rows")]
    texts = [name for name in ("question", "metric", "selection") if not isinstance(asked.get(name, ""), str)]
    lists = [name for name in ("baselines", "rows") if not isinstance(asked.get(name, []), list)]
    return found + [f"{name} is no text" for name in texts] + [f"{name} is no list" for name in lists]


def gather(name: str, asked: Mapping[str, Any], records: Sequence[Record], command: str) -> Evidence:
    """Evidence from the records of a sweep.

    asked: the block `evidence` of the sweep's file, without `problems`.
    """
    values: dict[str, list[float]] = {}
    units = set()
    for record in sorted(records, key=lambda record: record.seed):
        for result in record.results:
            if result.metric == asked["metric"] and result.model in asked.get("rows", [result.model]):
                values.setdefault(result.model, []).append(result.value)
                units.add(result.unit)
    if not values:
        raise EvidenceError(f"evidence {name}: no run has a result {asked['metric']!r}.")
    baselines = asked["baselines"]
    found = [Row(n, tuple(v), n in baselines) for n, v in values.items()]
    rows = sorted(found, key=lambda row: asked["rows"].index(row.name) if "rows" in asked else -row.mean)
    last = max(records, key=lambda record: record.finished)
    sets = {one.get("name"): dict(one) for record in records for one in record.data}
    kept = ("name", "source", "comparable", "train", "val", "test", "checksum")
    return Evidence(
        name=name,
        question=asked["question"],
        metric=asked["metric"],
        unit=units.pop(),
        rows=tuple(rows),
        data=tuple({key: one[key] for key in kept if key in one} for one in sets.values()),
        selection=asked["selection"],
        command=command,
        hardware=last.hardware,
        versions=last.versions,
        code=last.code,
        minutes=round(sum(record.seconds for record in records) / 60, 1),
        finished=last.finished,
    )


def write(found: Evidence, folder: Path) -> Path:
    """Write NAME.json into `folder`, whole or not at all."""
    text = json.dumps(asdict(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return atomic_write(folder / f"{found.name}.json", text)
