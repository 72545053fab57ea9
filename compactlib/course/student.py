"""The students' copies of the notebooks, made by nbgrader: a course folder that it can release, collect and grade.

    student/nbgrader_config.py          the course's settings
    student/source/03_cct/03_cct.ipynb  the lesson with its solutions, unfolded: for the teacher
    student/release/03_cct/03_cct.ipynb the student's copy
    student/gradebook.db                nbgrader's exercises and points

The solutions stand between nbgrader's own markers, and the cells carry its metadata, in the committed notebooks.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import nbformat
from tqdm import tqdm

from compactlib.files import atomic_write

CONFIG = "nbgrader_config.py"


class CourseError(ValueError):
    """A notebook that nbgrader cannot make a student's copy of."""


def make_course(notebooks: Sequence[Path], folder: Path) -> list[Path]:
    """Write the student's copies of `notebooks` into the nbgrader course `folder`, and return their paths.

    Each block between `### BEGIN SOLUTION` and `### END SOLUTION` becomes `...`, the answers to the open questions go,
    and so do all outputs. What is there already stays as it is: a course may hold other assignments and grades.

    Raises FileExistsError, before anything is written, rather than overwrite a copy; CourseError with nbgrader's own
    words if it refuses a notebook.
    """
    targets = [folder / "release" / path.stem / path.name for path in notebooks]
    for target in targets:
        if target.exists():
            raise FileExistsError(f"{target} is there already, perhaps with somebody's answers; move it away first")
    if not (folder / CONFIG).exists():
        atomic_write(folder / CONFIG, files("compactlib.course").joinpath(CONFIG).read_text(encoding="utf-8"))
    nbgrader = open_course(folder)
    for path in tqdm(notebooks, "student's copies", disable=None):
        node = nbformat.read(path, as_version=4)
        for cell in node.cells:
            cell.metadata.pop("jupyter", None)  # the cells for the answers are no longer folded
        atomic_write(folder / "source" / path.stem / path.name, nbformat.writes(node) + "\n")
        with _programs_of_this_python():
            done = nbgrader.generate_assignment(path.stem)
        if not done["success"]:
            raise CourseError(f"nbgrader makes no student's copy of {path.name}:\n{done['log']}{done['error'] or ''}")
    return targets


@contextmanager
def _programs_of_this_python() -> Iterator[None]:
    """nbgrader calls the program `alembic` for a new gradebook; it lies beside this Python, maybe not on the PATH."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def open_course(folder: Path):
    """nbgrader's own interface (NbGraderAPI) to the course in `folder`, with its settings."""
    from nbgrader.apps import NbGraderAPI  # half a second, and a database library, that nothing else here needs
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader(CONFIG, str(folder)).load_config()
    config.CourseDirectory.root = str(folder.resolve())
    return NbGraderAPI(config=config)
