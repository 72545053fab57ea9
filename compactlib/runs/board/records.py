"""The records of all runs: found, chosen from, and set in one table beside the papers' numbers."""

import fnmatch
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from compactlib.paths import DATA, runs_dir
from compactlib.runs import folders, results
from compactlib.runs.results import Record, Result, ResultError
from compactlib.runs.tables import Table

COMMITTED = DATA / "results"  # records of long runs that come with the project

NOTE = (
    "difference = ours - paper, in percentage points for a percentage. "
    "A dash in the paper's column: no number there, or one that is not comparable (the note says why)."
)


def collect(runs: str | Path | None = None, *, notebook: str | None = None) -> list[Record]:
    """All records under `runs` (default: the runs folder), by notebook and run; of one notebook if it is named.

    Runs are folders `<notebook>/<name>/` with a result.json, or single files `<name>.json`, as those in data/results. A
    file that cannot be read is left out with a warning that names it and says what to do.
    """
    records, folder = [], Path(runs or runs_dir())
    found = (run / results.FILE for run in folders.under(folder, notebook or "*"))
    for path in [*(path for path in found if path.exists()), *sorted(folder.glob("*.json"))]:
        try:
            records.append(results.read(path))
        except ResultError as error:
            warnings.warn(str(error), stacklevel=2)
    return [record for record in records if notebook in (None, record.notebook)]


@contextmanager
def told(problems: list[str]) -> Iterator[None]:
    """Add what `collect` and the figures warn of in the block to `problems`, once each, in place of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            problems += dict.fromkeys(str(warning.message) for warning in caught)


def select(records: Iterable[Record], *, notebook: str = "", data: str = "", model: str = "") -> list[Record]:
    """The records that fit, with the results that fit. Empty: anything; `*` stands for any text ("CCT-*", "04*").

    Upper and lower case are the same. A record of which no result is left is left out.
    """

    def fits(text: str, pattern: str) -> bool:
        return not pattern or fnmatch.fnmatchcase(text.lower(), pattern.lower())

    def wanted(result: Result) -> bool:
        return fits(result.dataset, data) and fits(result.model, model)

    chosen = [record for record in records if fits(record.notebook, notebook)]
    chosen = [replace(record, results=[result for result in record.results if wanted(result)]) for record in chosen]
    return [record for record in chosen if record.results]


def table(runs: str | Path | None = None, *, notebook: str | None = None) -> Table:
    """The board: notebook, run, model, data, metric, ours, paper, difference, note. Shows itself in a notebook,
    prints in a terminal; `to_markdown()` gives the form for a page."""
    return table_of(collect(runs, notebook=notebook))


def table_of(records: list[Record]) -> Table:
    """The board of some records."""
    if not any(record.results for record in records):
        return Table(("notebook", "run"), (), note="No results yet. `python -m compactlib run all` makes some.")
    board = results.comparison(records)
    return Table(board.columns, board.rows, board.numeric, NOTE)
