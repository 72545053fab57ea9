"""The board as files for a talk or a paper: Markdown, LaTeX and PNG."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from compactlib.figures.basic import STYLE
from compactlib.files import atomic_write
from compactlib.runs.board import pictures as figures
from compactlib.runs.board.records import table_of
from compactlib.runs.board.tables import paper_tables
from compactlib.runs.results import Record

DPI = 200  # a picture of 9 inches fills a slide of 1,800 pixels


def export(records: Sequence[Record], folder: str | Path) -> list[Path]:
    """Write board.md, board.tex and the pictures of these records into `folder`, and return the paths.

    board.md and board.tex hold the board and one table for each of the papers' tables that has results; the pictures
    are accuracy against parameters and against time for each data set, and the learning curves. Each file is there
    whole or not at all. Raises ValueError if there is no result to write.
    """
    if not any(record.results for record in records):
        raise ValueError("no results to export; run a notebook first, or choose other runs")
    folder = Path(folder)
    parts = {"All results": table_of(list(records)), **paper_tables(records)}
    markdown = "\n\n".join(f"## {title}\n\n{table.to_markdown()}" for title, table in parts.items())
    latex = "\n\n".join(f"% {title}\n{table.to_latex()}" for title, table in parts.items())
    written = [atomic_write(folder / "board.md", markdown + "\n"), atomic_write(folder / "board.tex", latex + "\n")]
    with plt.rc_context(STYLE), plt.ioff():
        for name, figure in pictures(records).items():
            written.append(atomic_write(folder / f"{name}.png", as_png(figure, DPI)))
    return written


def as_png(figure: Figure, dpi: int) -> bytes:
    """The figure as a PNG; it is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return buffer.getvalue()


def pictures(records: Sequence[Record]) -> dict[str, Figure]:
    """The board's figures by file name; only those for which there is something to draw."""
    found = {}
    for dataset in sorted({result.dataset for record in records for result in record.results}):
        for what in figures.COSTS:
            if figures.points(records, what, dataset):
                found[f"accuracy-{what}-{_in_file_name(dataset)}"] = figures.accuracy_against(
                    records, what, dataset=dataset
                )
    if curves := figures.histories(records):
        found["learning-curves"] = figures.learning(curves)
    return found


def _in_file_name(dataset: str) -> str:
    """A data set's name, which a record may hold as anything, as a part of a file's name."""
    return re.sub(r"[^\w.,=+-]+", "_", dataset)[:100]
