"""The student's copy of a notebook: solutions replaced by `...`, outputs removed."""

import re
from pathlib import Path

import nbformat

from compactlib.files import atomic_write

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION", re.MULTILINE | re.DOTALL)


def student_copy(source: Path, target: Path) -> Path:
    """Write the student's copy of the notebook `source` to `target` and return it.

    Each block between `### BEGIN SOLUTION` and `### END SOLUTION` becomes `...`; where the block assigns the answer to
    a name, the name keeps it: `steps = ...`. Raises FileExistsError rather than overwrite a student's work.
    """
    if target.exists():
        raise FileExistsError(f"{target} is there already, perhaps with somebody's answers; move it away first")
    node = nbformat.read(source, as_version=4)
    for cell in node.cells:
        if cell.cell_type != "code":
            continue
        cell.source = SOLUTION.sub(_stub, cell.source)
        cell.outputs, cell.execution_count = [], None
        cell.metadata.pop("jupyter", None)  # the solution cell is no longer folded
    return atomic_write(target, nbformat.writes(node) + "\n")


def _stub(match: re.Match) -> str:
    indent, body = match[1], match[2]
    names = re.findall(rf"^{indent}(\w+) = ", body, re.MULTILINE)
    return f"{indent}{names[-1]} = ..." if names and not indent else f"{indent}..."
