"""`result.json`: what a run found, on which data, with which code, on which machine. The board reads nothing else."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from compactlib import schemas
from compactlib.documents import DocumentError, read_json
from compactlib.files import atomic_write
from compactlib.runs.folders import RESULT as FILE
from compactlib.runs.papers import DATASETS, Paper
from compactlib.runs.tables import Table
from compactlib.runs.terminal import short

SCHEMA = 1
DASH = "-"
AGAIN = "Run the notebook again: it goes on with what it has trained, and writes the file anew."


class ResultError(ValueError):
    """A result that cannot be recorded, or a result file that cannot be read."""


@dataclass(frozen=True)
class Result:
    """One number of a run.

    `value` is a fraction (0..1, shown in per cent) if `unit` is "fraction", and a number in `unit` otherwise.
    `paper` names the number of the paper for the same model. The two stand side by side only where `comparable` is
    True: same data, same recipe. `note` says why not, or what a reader has to know.
    Raises ResultError for a value that is not finite or is no fraction, and for a paper cell that does not exist.
    """

    model: str
    dataset: str
    value: float
    metric: str = "test accuracy"
    unit: str = "fraction"
    params_count: int | None = None
    seconds: float | None = None
    paper: Paper | None = None
    comparable: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        kind = (int, float)
        if isinstance(self.value, bool) or not isinstance(self.value, kind) or not math.isfinite(self.value):
            raise ResultError(
                f"{self.model}: value is {self.value!r}, expected a finite number (float(...) of a tensor)."
            )
        if self.unit == "fraction" and not 0 <= self.value <= 1:
            raise ResultError(
                f"{self.model}: value {self.value} is no fraction; divide per cent by 100, or name the unit."
            )
        if isinstance(self.paper, Mapping):
            object.__setattr__(self, "paper", Paper(**self.paper))
        if self.paper is not None:
            try:
                self.paper.value()
            except (KeyError, ValueError) as error:
                raise ResultError(f"{self.model}: {error.args[0]}") from None
        if self.comparable and (why := self.other_data()):
            object.__setattr__(self, "comparable", False)
            object.__setattr__(self, "note", "; ".join(filter(None, (self.note, why))))

    def other_data(self) -> str:
        """Why the paper's column is about other data than this result; empty if it is not known to be."""
        expected = DATASETS.get(self.paper.column) if self.paper else None
        return f"the paper's number is for {expected}" if expected not in (None, self.dataset) else ""

    def ours(self) -> str:
        """The value as text with its unit."""
        return f"{100 * self.value:.2f} %" if self.unit == "fraction" else f"{self.value:.4g} {self.unit}".strip()

    def theirs(self) -> str:
        """The paper's value as text, or a dash where the two are not comparable."""
        if not (self.comparable and self.paper):
            return DASH
        value = self.paper.value()
        return f"{value:.2f} %" if self.unit == "fraction" else f"{value:.4g} {self.unit}".strip()

    def difference(self) -> str:
        """Ours minus the paper's, signed (in percentage points for a fraction), or a dash."""
        if not (self.comparable and self.paper):
            return DASH
        if self.unit == "fraction":
            return f"{100 * self.value - self.paper.value():+.2f}"
        return f"{self.value - self.paper.value():+.4g}"


@dataclass(frozen=True, repr=False)
class Record:
    """Everything that `result.json` holds, in its order."""

    notebook: str
    run: str
    profile: str
    overrides: dict[str, Any]
    parameters: dict[str, Any]
    seed: int
    data: list[dict[str, Any]]
    results: list[Result]
    versions: dict[str, str]
    code: dict[str, Any] | None
    hardware: dict[str, Any]
    seconds: float
    peak_memory: dict[str, Any]
    command: str
    started: str
    finished: str
    fingerprint: dict[str, str] | str | None = None  # digests of cells, parameters, library; a text in early records
    complete: bool = False
    schema: int = SCHEMA
    path: Path | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def table(self) -> Table:
        """The run's results beside the paper's, one row each."""
        return comparison([self], with_run=False)

    def to_json(self) -> str:
        """The text of `result.json`. NaN is refused: it is not JSON."""
        content = {name: value for name, value in asdict(self).items() if name != "path"}
        return json.dumps({"schema": SCHEMA, **content}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparison(records: list[Record], *, with_run: bool = True) -> Table:
    """Ours, the paper's and the difference, one row a result. A result that is not comparable shows a dash and why."""
    front = ("notebook", "run") if with_run else ()
    columns = (*front, "model", "data", "metric", "ours", "paper", "difference", "note")
    rows = []
    for record in records:
        lead = (record.notebook, record.run) if with_run else ()
        for r in record.results:
            rows.append((*lead, r.model, r.dataset, r.metric, r.ours(), r.theirs(), r.difference(), remark(r)))
    return Table(columns, tuple(rows), numeric=("ours", "paper", "difference"))


def remark(result: Result) -> str:
    """The note of a result; it starts with `not comparable` where the paper has a number and it is not shown."""
    if result.paper and not result.comparable:
        return "not comparable" + (f": {result.note}" if result.note else "")
    return result.note


def write(record: Record, folder: Path) -> Record:
    """Write `result.json` into `folder`, whole or not at all, and return the record with its path. Raises ResultError
    for what `read` would not take."""
    text = record.to_json()
    if problem := schemas.problem(json.loads(text), schemas.RECORD):
        raise ResultError(f"This cannot be recorded: {problem}.")
    return replace(record, path=atomic_write(folder / FILE, text))


def read(path: str | Path) -> Record:
    """Read and check a `result.json`. Raises ResultError, naming the file and what is wrong with it."""
    path = Path(path)
    try:
        content = read_json(path)
    except DocumentError as error:
        raise ResultError(f"{error} {AGAIN}") from None
    have = content.get("schema") if isinstance(content, dict) else None
    if have != SCHEMA:
        raise ResultError(f"{path} has schema {short(have)}, expected {SCHEMA}. {AGAIN}")
    if problem := schemas.problem(content, schemas.RECORD):
        raise ResultError(f"{path}: {problem}. {AGAIN}")
    try:
        found = [Result(**result) for result in content["results"]]
    except ResultError as error:
        raise ResultError(f"{path}: {str(error)[:500]} {AGAIN}") from None
    return Record(**{**content, "results": found}, path=path)
