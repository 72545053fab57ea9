"""Re-executing a notebook in place for a commit: with its defaults, and without anything that changes by itself."""

import base64
import io
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbconvert.preprocessors.coalescestreams import CoalesceStreamsPreprocessor
from PIL import Image

from compactlib.figures import basic as figures
from compactlib.files import atomic_write
from compactlib.runs import grading, kernel
from compactlib.runs.catalogue import Notebook
from compactlib.runs.terminal import plain

WIDGET = "application/vnd.jupyter.widget-view+json"
VOLATILE = ("execution", "papermill", "ExecuteTime", "scrolled", "trusted")
LIMIT = 500_000  # bytes; a notebook in the repository stays under it
# Colours of a PNG and quality of a JPEG; the best that is small enough is taken.
QUALITIES = ((256, 95), (256, 90), (128, 85), (64, 75), (32, 65), (24, 50))


class RefreshError(RuntimeError):
    """The notebook failed, or printed what must not be committed."""


def refresh(path: Path, *, timeout: float = 600) -> str:
    """Execute the notebook at `path` with its defaults in a fresh kernel and rewrite it; `timeout` in seconds a cell.

    Returns a sentence about it. Raises RefreshError and leaves the file as it was if a cell fails, writes to stderr,
    or prints a path of this machine.
    """
    node = nbformat.read(path, as_version=4)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as runs:
        client = NotebookClient(
            node,
            timeout=timeout,
            kernel_name=kernel.NAME,
            kernel_manager_class=kernel.manager_class({"COMPACT_RUNS": runs, figures.SMALL: "1"}),
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
            store_widget_state=False,
        )
        try:
            client.execute()
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            raise RefreshError(plain(str(error))) from None
    _reject(node, path)
    grading.mark(normalise(node), Notebook(path).number)
    text = nbformat.writes(shrink(node)) + "\n"
    atomic_write(path, text)
    size = len(text.encode())
    warning = f", which is over {LIMIT // 1000} KB" if size > LIMIT else ""
    return f"refreshed in {time.monotonic() - began:.0f} s, {size / 1000:.0f} KB{warning}"


def normalise(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip what differs from run to run: timings, widgets, ids, the interpreter's exact version; join lines that were
    printed one after another. In place."""
    node.nbformat, node.nbformat_minor = 4, 5
    node.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": kernel.NAME}
    node.metadata["language_info"] = {"name": "python"}
    for key in ("papermill", "widgets"):
        node.metadata.pop(key, None)
    count = 0
    for index, cell in enumerate(node.cells):
        cell["id"] = f"cell-{index:02d}"
        for key in VOLATILE:
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, index)
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            if output.output_type == "error":  # the frames name files of this machine
                output.traceback = [f"{output.ename}: {output.evalue}"]
    return node


def shrink(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Make the notebook's pictures small enough for the repository, and no smaller than that. In place.

    Each becomes a PNG with a palette, or a JPEG where that is smaller: noise, as photographs have it.
    """
    outputs = [output for cell in node.cells for output in cell.get("outputs", [])]
    pictures = [output.data for output in outputs if "image/png" in output.get("data", {})]
    originals = [_open(data.pop("image/png")) for data in pictures]
    for colours, quality in QUALITIES:
        for data, picture in zip(pictures, originals, strict=True):
            data.pop("image/png", None)
            data.pop("image/jpeg", None)
            data |= dict([min(_png(picture, colours), _jpeg(picture, quality), key=lambda pair: len(pair[1]))])
        if len(nbformat.writes(node).encode()) < LIMIT:
            break
    for output in outputs:  # the alternative text goes with its picture
        if "image/jpeg" in output.get("data", {}) and "image/png" in output.metadata:
            output.metadata["image/jpeg"] = output.metadata.pop("image/png")
    return node


def _open(png: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")


def _png(picture: Image.Image, colours: int) -> tuple[str, str]:
    # Median cut, the default, mixes a colour of few pixels with others: an orange dot among black letters gets brown.
    small = picture.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    return "image/png", _encode(small, "PNG")


def _jpeg(picture: Image.Image, quality: int) -> tuple[str, str]:
    return "image/jpeg", _encode(picture, "JPEG", quality=quality)


def _encode(picture: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, optimize=True, **options)
    return base64.b64encode(buffer.getvalue()).decode()


def _reject(node: nbformat.NotebookNode, path: Path) -> None:
    """Raise RefreshError for output that must not be committed."""
    here = {str(path.resolve().parents[1]), str(Path.home())} - {"/"}
    for index, cell in enumerate(node.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            text = "".join([output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")])
            where = f"Cell {index} ({cell.source.splitlines()[0]!r})"
            if output.get("name") == "stderr":
                raise RefreshError(f"{where} wrote to stderr: {text.strip()[:300]}")
            for folder in here:
                if folder in text:
                    raise RefreshError(f"{where} printed the path {folder}. Print names relative to the repository.")
