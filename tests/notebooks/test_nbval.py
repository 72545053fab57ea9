"""nbval would notice: one stored output is changed, and the comparison has to go red in that cell and no other."""

import copy
import re
import subprocess
import sys

import nbformat
import pytest

from compactlib.runs.catalogue import notebooks

ENOUGH = 7  # code cells that prove the point in seconds


def beginning(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook's first code cells, up to the first that is not compared: the training."""
    code = [i for i, cell in enumerate(node.cells) if cell.cell_type == "code"]
    ignored = [i for i in code if "nbval-ignore-output" in node.cells[i].metadata.get("tags", [])]
    cut = min(code[ENOUGH], *ignored)
    short = copy.deepcopy(node)
    short.cells = short.cells[:cut]
    return short


def last_printed(node: nbformat.NotebookNode) -> tuple[int, nbformat.NotebookNode]:
    """The last compared text: the number of its code cell, as nbval counts, and the output."""
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    return next(
        (i, o) for i, cell in reversed(list(enumerate(code))) for o in cell.outputs if o.output_type == "stream"
    )


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda n: n.stem)
def test_a_changed_output_turns_it_red(notebook, tmp_path, monkeypatch):
    node = beginning(notebook.node)
    index, output = last_printed(node)
    output.text = re.sub(r"\w(?=\W*$)", lambda m: "y" if m[0] == "x" else "x", output.text)
    path = tmp_path / notebook.path.name
    nbformat.write(node, path)
    monkeypatch.setenv("COMPACT_RUNS", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run([*command, "-c", "/dev/null", path], capture_output=True, text=True, cwd=tmp_path)
    code_cells = sum(cell.cell_type == "code" for cell in node.cells)
    assert done.returncode == 1, done.stdout
    assert f"1 failed, {code_cells - 1} passed" in done.stdout, done.stdout
    assert f"Cell {index}" in done.stdout, done.stdout
