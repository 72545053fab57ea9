"""A paper's table with ours beside each of its numbers that a run has an answer to."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from compactlib.runs.papers import Paper, load_table
from compactlib.runs.results import DASH, Record, Result, remark
from compactlib.runs.tables import Table


@dataclass(frozen=True)
class Answer:
    """The results of all runs for one number of a paper."""

    paper: Paper
    found: tuple[tuple[Record, Result], ...]

    @property
    def comparable(self) -> list[Result]:
        return [result for _, result in self.found if result.comparable]

    def ours(self) -> tuple[str, str]:
        """Mean of the comparable results, with the deviation of several, and its difference from the paper's number."""
        scale = 100 if self.found[0][1].unit == "fraction" else 1
        values = [scale * result.value for result in self.comparable]
        if not values:
            return DASH, DASH
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        return f"{statistics.fmean(values):.2f}{spread}", f"{statistics.fmean(values) - self.paper.value():+.2f}"

    def row(self) -> tuple[str, ...]:
        """row, column, paper, ours, difference, runs, remark."""
        ours, difference = self.ours()
        others = [result for _, result in self.found if not result.comparable]
        said = dict.fromkeys(f"{result.ours()} {remark(result)}" for result in others)
        where = "".join(f", {column} {entry}" for column, entry in self.paper.where.items())
        runs = ", ".join(dict.fromkeys(record.run for record, _ in self.found))
        name, paper = f"{self.paper.row}{where}", f"{self.paper.value():.2f}"
        return (name, self.paper.column, paper, ours, difference, runs, "" if self.comparable else "; ".join(said))


def answers(records: Iterable[Record]) -> dict[str, list[Answer]]:
    """Table -> its numbers that some run has an answer to, in the order of their first run."""
    cells: dict[str, tuple[Paper, list]] = {}
    for record in records:
        for result in record.results:
            if result.paper:
                cells.setdefault(str(result.paper), (result.paper, []))[1].append((record, result))
    tables: dict[str, list[Answer]] = {}
    for paper, found in cells.values():
        tables.setdefault(paper.table, []).append(Answer(paper, tuple(found)))
    return dict(sorted(tables.items()))


def paper_tables(records: Iterable[Record]) -> dict[str, Table]:
    """For each paper's table ("cct_table_1") the numbers that some run has an answer to: paper, ours, difference.

    Percentages in per cent; several comparable runs give mean ± deviation. A result that is not comparable stands in
    the remark, never beside the paper's number.
    """
    columns = ("row", "column", "paper", "ours", "difference", "runs", "remark")
    return {
        name: Table(columns, tuple(answer.row() for answer in found), ("paper", "ours", "difference"))
        for name, found in answers(records).items()
    }


def whole_table(name: str, records: Iterable[Record]) -> Table:
    """A paper's table as it is printed; a number that comparable runs have an answer to is followed by ours.

    "96.53% (ours 96.10, -0.43)": in the unit of the paper's number. Raises KeyError for an unknown table.
    """
    printed = load_table(name)
    columns = tuple(printed[0])
    rows = [dict(row) for row in printed]
    for answer in answers(records).get(name, []):
        cell = {columns[0]: answer.paper.row, **answer.paper.where}
        if answer.comparable:
            for row, before in zip(rows, printed, strict=True):
                if cell.items() <= before.items():
                    row[answer.paper.column] += " (ours {}, {})".format(*answer.ours())
    return Table(columns, tuple(tuple(row.values()) for row in rows))


def coverage(records: Iterable[Record]) -> Table:
    """For each paper's table that some run speaks to: how many of its numbers have a comparable result of ours."""
    rows = []
    for name, found in answers(records).items():
        count = sum(bool(answer.comparable) for answer in found)
        rows.append((name, str(len(found)), str(count)))
    note = "comparable: the paper's data and recipe, and no change but seed, precision, device or workers."
    return Table(("table", "numbers with a run", "comparable"), tuple(rows), ("numbers with a run", "comparable"), note)
