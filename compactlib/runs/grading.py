"""nbgrader's metadata of a lesson's exercises, from the tags of its cells, so that an author writes tags only."""

from nbformat import NotebookNode

POINTS, OPEN_POINTS = 1, 2  # of a checked exercise, and of an open question, which a person grades
SCHEMA = 3  # version of nbgrader's metadata


def mark(node: NotebookNode, number: str) -> NotebookNode:
    """Give the cells tagged `solution` and `check` of lesson `number` ("03") what nbgrader reads. In place.

    A code cell tagged `solution` and the `check` after it are an exercise of one point; a Markdown cell tagged
    `solution` is the answer to an open question. Exercises are numbered as they come: `solution-03-1`, `check-03-1`.
    """
    count = 0
    for cell in node.cells:
        cell.metadata.pop("nbgrader", None)
        tags = cell.metadata.get("tags", [])
        if "solution" in tags:
            count += 1
            written = cell.cell_type == "markdown"
            kind = "open" if written else "solution"
            points = {"points": OPEN_POINTS} if written else {}
            cell.metadata["nbgrader"] = _cell(f"{kind}-{number}-{count}", grade=written, solution=True, **points)
        elif "check" in tags:
            cell.metadata["nbgrader"] = _cell(f"check-{number}-{count}", grade=True, solution=False, points=POINTS)
    return node


def _cell(grade_id: str, *, grade: bool, solution: bool, **points: int) -> dict:
    fields = dict(grade_id=grade_id, grade=grade, solution=solution, locked=not solution, task=False, **points)
    return dict(sorted({**fields, "schema_version": SCHEMA}.items()))
