"""`runs/report.html`: all runs on one page that needs nothing else, neither a server nor a network."""

import json
import re
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbformat.v4.nbjson import JSONReader
from nbformat.warnings import MissingIDFieldWarning

from compactlib.documents import DocumentError, read_bytes
from compactlib.files import atomic_write
from compactlib.runs import folders, machine, results
from compactlib.runs.results import DASH, Record, ResultError
from compactlib.runs.terminal import plain

FILE = "report.html"
NOTEBOOK_BYTES = 200_000_000  # largest executed notebook whose pictures are shown


@dataclass(frozen=True)
class Figure:
    """A picture of an executed notebook: base64 PNG, and words for it."""

    png: str
    alt: str


@dataclass(frozen=True)
class Shown:
    """One run as the page shows it. `state` is "ok", "failed" or "interrupted"."""

    notebook: str
    run: str
    state: str
    title: str
    parameters: dict[str, Any]
    figures: list[Figure]
    record: Record | None = None
    error: str = ""

    @property
    def anchor(self) -> str:
        return re.sub(r"[^\w-]", "-", f"{self.notebook}-{self.run}")

    @property
    def machine(self) -> str:
        return machine.hardware_line(self.record.hardware)

    @property
    def memory(self) -> str:
        peak = self.record.peak_memory
        parts = [f"{peak[key]:.0f} MiB {name}" for key, name in (("host_mib", "main"), ("gpu_mib", "GPU")) if peak[key]]
        return ", ".join(parts) or DASH


def write(runs: Path) -> Path:
    """Write the report on the runs under `runs` and return its path."""
    return atomic_write(runs / FILE, render(collect(runs)).encode(errors="replace"))  # of a folder's name, any byte


def render(shown: list[Shown]) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["remark"] = results.remark
    return environment.get_template("report.html.j2").render(
        shown=shown, made=datetime.now().strftime("%Y-%m-%d %H:%M")
    )


def collect(runs: Path) -> list[Shown]:
    """All run folders under `runs`, by notebook and run, but for those of interactive work."""
    return [_shown(folder) for folder in folders.under(runs) if not folder.name.startswith(folders.INTERACTIVE)]


def _shown(folder: Path) -> Shown:
    """A run as its files show it. One that is damaged is named on the page, and the others are shown."""
    done, failed = folder / folders.DONE, folder / folders.FAILED
    file = next((path for path in (done, failed) if path.exists()), None)
    record, parameters, node, problems = None, {}, nbformat.v4.new_notebook(), []
    try:
        if (folder / results.FILE).exists():
            record = results.read(folder / results.FILE)
    except ResultError as problem:
        problems.append(str(problem))
    try:
        parameters = folders.read_params(folder) or {}
    except DocumentError as problem:
        problems.append(str(problem))
    try:
        node = _read(file) if file else node
    except DocumentError as problem:
        problems.append(str(problem))
    if file is None and not problems:
        problems.append("This run has not come to its end. The same command goes on with it.")
    return Shown(
        notebook=folder.parent.name,
        run=folder.name,
        state="ok" if file == done and not problems else "failed" if file else "interrupted",
        title=_title(node) or folder.parent.name,
        parameters=parameters,
        figures=figures(node),
        record=record,
        error="\n".join(problems) or (_error(node) if file == failed else ""),
    )


def _read(path: Path) -> nbformat.NotebookNode:
    """An executed notebook. Raises DocumentError where the file is damaged."""
    data = read_bytes(path, NOTEBOOK_BYTES)
    try:
        content = json.loads(data)
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise ValueError("expected a notebook in format 4")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MissingIDFieldWarning)  # of a lesson that was written without them
            nbformat.validate(content)
        return JSONReader().to_notebook(content)
    except (ValueError, AttributeError, LookupError, RecursionError, TypeError, nbformat.ValidationError) as error:
        raise DocumentError(f"{path} is no notebook: {str(error)[:300]}") from None


def figures(node: nbformat.NotebookNode) -> list[Figure]:
    """The PNG outputs of a notebook. The words for one are its `alt` metadata, or else the section it stands in."""
    found, section = [], ""
    for cell in node.cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+\s*(.+)$", cell.source, re.MULTILINE)
            section = headings[-1].strip() if headings else section
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            if png:
                meta = output.get("metadata", {})
                alt = meta.get("alt") or meta.get("image/png", {}).get("alt") or cell.metadata.get("alt")
                found.append(Figure(png.replace("\n", ""), alt or f"{section or 'Figure'} ({len(found) + 1})"))
    return found


def _title(node: nbformat.NotebookNode) -> str:
    for cell in node.cells:
        heading = re.search(r"^#\s+(.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
        if heading and "papermill-error" not in str(cell.metadata.get("tags", [])):
            return heading[1].strip()
    return ""


def _error(node: nbformat.NotebookNode) -> str:
    """The traceback that a failed notebook ends with, or the cell in which it was stopped."""
    traces = [o for cell in node.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    if traces:
        return plain("\n".join(traces[-1].traceback))
    started = [c for c in node.cells if c.cell_type == "code" and c.metadata.get("papermill", {}).get("start_time")]
    return (
        f"Stopped while this cell was running:\n\n{started[-1].source}" if started else "Stopped before the first cell."
    )
