"""The tables of the papers, as CSV in `data/paper_tables`, and one cell of one of them as a number."""

import csv
import difflib
import re
from dataclasses import dataclass, field
from functools import cache

from compactlib.paths import DATA

TABLES = DATA / "paper_tables"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")

# A column heading that names a data set, by the name that compactlib.datasets.load knows it under.
DATASETS = {
    "C-10": "cifar10",
    "CIFAR-10": "cifar10",
    "C-100": "cifar100",
    "CIFAR-100": "cifar100",
    "Fashion": "fashion_mnist",
    "MNIST": "mnist",
}


@dataclass(frozen=True)
class Paper:
    """One cell of a paper's table: the reference that a result of ours is held against.

    `row` is the entry in the first column (an empty entry continues the one above). `where` narrows the choice by
    other columns, as in `Paper("cct_table_7", "CCT-7/3x1", "CIFAR-10", where={"PE": "Sinusoidal"})`.
    """

    table: str
    row: str
    column: str
    where: dict[str, str] = field(default_factory=dict)

    def value(self) -> float:
        """The number in that cell. Errors as in `paper_value`."""
        return paper_value(self.table, self.row, self.column, where=self.where)

    def __str__(self) -> str:
        chosen = "".join(f", {column} {entry}" for column, entry in self.where.items())
        return f"{self.table}, {self.row}{chosen}, {self.column}"


def table_names() -> list[str]:
    """The names of the tables at hand, such as `cct_table_1`."""
    return sorted(path.stem for path in TABLES.glob("*.csv"))


@cache
def load_table(table: str) -> tuple[dict[str, str], ...]:
    """The rows of a table as {column: text}. Headings inside the table (one filled entry) are left out, and an empty
    first entry is filled from the row above, as the eye does. Raises KeyError with the names that exist."""
    if table not in table_names():
        raise KeyError(f"There is no paper table '{table}'. There are: {', '.join(table_names())}.")
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    rows, above = [], ""
    for line in lines:
        if len(line) > 1 and not any(line[1:]):
            continue
        above = line[0] or above
        rows.append(dict(zip(header, [above, *line[1:]], strict=True)))
    return tuple(rows)


def paper_value(table: str, row: str, column: str, *, where: dict[str, str] | None = None) -> float:
    """One number of a paper's table, in the unit that the paper prints: "96.53% (+0.29%)" is 96.53, "3.76 M" is 3.76.

    Raises KeyError, with what exists, for an unknown table, column or row; ValueError for a row that is not unique
    (say which with `where`) and for a cell without a plain number ("—", "< 0.01 G").
    """
    rows = load_table(table)
    header = list(rows[0])
    for name in (column, *(where or {})):
        if name not in header:
            raise KeyError(f"{table} has no column '{name}'. It has: {', '.join(header)}.")
    named = [entry for entry in rows if entry[header[0]] == row]
    if not named:
        known = list(dict.fromkeys(entry[header[0]] for entry in rows))
        near = difflib.get_close_matches(row, known, n=3, cutoff=0.3) or known
        raise KeyError(f"{table} has no row '{row}'. Near to it: {', '.join(near)}.")
    chosen = [entry for entry in named if all(entry[name] == value for name, value in (where or {}).items())]
    if len(chosen) != 1:
        have = "; ".join(", ".join(f"{name}: {text}" for name, text in entry.items()) for entry in named)
        raise ValueError(
            f"{table} has {len(chosen)} rows '{row}' with {where or {}}, expected one. Rows so named: {have}."
        )
    number = first_number(chosen[0][column])
    if number is None:
        raise ValueError(
            f"{table}, row '{row}', column '{column}' holds '{chosen[0][column]}', which is not a plain number."
        )
    return number


def first_number(text: str) -> float | None:
    """The number that an entry starts with: 96.53 of "96.53% (+0.29%)"; None for "—" and "< 0.01 G"."""
    number = NUMBER.match(text.strip())
    return float(number[0]) if number else None


def paper_for(model: str, dataset: str) -> Paper | None:
    """The paper's accuracy of a compact transformer, named as there ("CCT-7/3x1"), on one of our data sets.

    Looked up in Table 11, the longer form of Table 1. None if the paper has no such model or data set.
    """
    columns = [column for column in load_table("cct_table_11")[0] if DATASETS.get(column) == dataset]
    if not columns or model not in [row["Model"] for row in load_table("cct_table_11")]:
        return None
    return Paper("cct_table_11", model, columns[0])
