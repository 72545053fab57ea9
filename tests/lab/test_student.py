"""The student's copies: no solution in them, and every check asks for an answer."""

import re
import subprocess
import sys

import nbformat
import pytest

from compactlib.lab import NotYet, check
from compactlib.lab.catalogue import notebooks
from compactlib.lab.student import student_copy


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda n: n.stem)
def test_no_solution_is_left_and_every_check_fails(notebook, tmp_path):
    copy = nbformat.read(student_copy(notebook.path, tmp_path / "copy.ipynb"), as_version=4)
    nbformat.validate(copy)
    namespace, checked = {}, 0
    for cell in copy.cells:
        tags = cell.metadata.get("tags", [])
        assert "SOLUTION" not in cell.source and not cell.get("outputs")
        if "solution" in tags:
            assert "..." in cell.source and not cell.metadata.get("jupyter")
            exec(cell.source, namespace)
        elif "check" in tags:
            number, name = re.search(r'lab\.check\("([\d.]+)", (\w+)\)', cell.source).groups()
            with pytest.raises(NotYet, match=r"replace the `\.\.\.`"):
                check(number, namespace[name])
            checked += 1
    assert checked >= 3


def test_a_students_work_is_not_overwritten(tmp_path):
    command = [sys.executable, "-m", "compactlib", "student", "00", "--out", str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    (tmp_path / "00_start_here.ipynb").write_text("answers")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "somebody's answers" in done.stderr
    assert (tmp_path / "00_start_here.ipynb").read_text() == "answers"
