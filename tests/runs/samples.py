"""Small notebooks and records for these tests."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from compactlib.runs.results import Record, Result

PARAMETERS = """\
epochs: int = 3  # passes over the training images
lr: float = 0.1  # learning rate
flip: bool = True  # mirror images
dataset: str = "digits"  # data set
widths: list[int] = [1, 2]  # layer widths
seed: int = 0  # seed of everything
device: str = "auto"  # auto, cpu, cuda or mps
run_dir: str = ""  # set by the runner"""

START = """\
from compactlib import lab
run = lab.start("03_toy", globals(), ranges={"epochs": (1, 9), "dataset": ["digits", "cifar10"]})"""


def notebook(path: Path, *cells: str | tuple[str, str], parameters: str = PARAMETERS) -> Path:
    """Write a notebook: a title, the parameters cell, then `cells`. Text that starts with # and a space is Markdown; a
    pair is (code, tag)."""
    made = [new_markdown_cell(f"# The {path.stem} notebook"), _code(parameters, "parameters")]
    for cell in cells:
        if isinstance(cell, tuple):
            made.append(_code(*cell))
        else:
            made.append(new_markdown_cell(cell) if cell.startswith(("# ", "## ")) else _code(cell))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": "3.0.0"},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=made, metadata=metadata), path)
    return path


def _code(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def profile(folder: Path, name: str, text: str) -> None:
    """Write the profile file params/<name>.yaml."""
    (folder / "params").mkdir(exist_ok=True)
    (folder / "params" / f"{name}.yaml").write_text(text)


def record_of(*, notebook: str, run: str, results: list[Result]) -> Record:
    """A finished run's record with these results."""
    return Record(
        notebook=notebook, run=run, profile="smoke", overrides={}, parameters={"seed": 0}, seed=0, data=[],
        results=results, versions={"torch": "2"}, code=None, hardware={"cpu": "a processor"}, seconds=1.0,
        peak_memory={"host_mib": 100.0, "gpu_mib": None}, command="", started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:01+00:00", complete=True,
    )  # fmt: skip
