"""The results board: every `result.json` under `runs/`, ours beside the paper's."""

import warnings
from pathlib import Path

from compactlib.lab import results
from compactlib.lab.papers import paper_value
from compactlib.lab.results import Record, ResultError
from compactlib.lab.tables import Table
from compactlib.paths import runs_dir

__all__ = ["collect", "paper_value", "table"]

NOTE = (
    "difference = ours - paper, in percentage points for a percentage. "
    "A dash in the paper's column: no number there, or one that is not comparable (the note says why)."
)


def collect(runs: str | Path | None = None, *, notebook: str | None = None) -> list[Record]:
    """All records under `runs` (default: the runs folder), by notebook and run; of one notebook if it is named.

    A file that cannot be read is left out with a warning that names it and says what to do.
    """
    records = []
    for path in sorted(Path(runs or runs_dir()).glob(f"{notebook or '*'}/*/{results.FILE}")):
        try:
            records.append(results.read(path))
        except ResultError as error:
            warnings.warn(str(error), stacklevel=2)
    return records


def table(runs: str | Path | None = None, *, notebook: str | None = None) -> Table:
    """The board: notebook, run, model, data, metric, ours, paper, difference, note. Shows itself in a notebook,
    prints in a terminal; `to_markdown()` gives the form for a page."""
    records = collect(runs, notebook=notebook)
    if not any(record.results for record in records):
        return Table(("notebook", "run"), (), note="No results yet. `python -m compactlib run all` makes some.")
    board = results.comparison(records)
    return Table(board.columns, board.rows, board.numeric, NOTE)
