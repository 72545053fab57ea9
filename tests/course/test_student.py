"""The students' copies: no solution in them, every check asks for an answer, and nbgrader grades what comes back."""

import copy
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from compactlib.course.student import CourseError, make_course, open_course
from compactlib.lab import NotYet, check
from compactlib.runs.catalogue import notebooks
from compactlib.runs.grading import mark

LESSONS = [notebook for notebook in notebooks() if notebook.is_lesson]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    make_course([lesson.path for lesson in LESSONS], folder)
    return folder


def release(course, stem):
    return course / "release" / stem / f"{stem}.ipynb"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda n: n.stem)
def test_no_solution_is_left_and_every_check_fails(lesson, course):
    copy = nbformat.read(release(course, lesson.stem), as_version=4)
    nbformat.validate(copy)
    namespace, checked = {}, 0
    for cell in copy.cells:
        tags = cell.metadata.get("tags", [])
        assert "SOLUTION" not in cell.source and not cell.get("outputs") and "jupyter" not in cell.metadata
        if "solution" in tags and cell.cell_type == "markdown":
            assert cell.source == "*Your answer.*"
        elif "solution" in tags:
            assert "...  # your answer" in cell.source
            exec(cell.source, namespace)
        elif "check" in tags:
            number, name = re.search(r'lab\.check\("([\d.]+)", (\w+)\)', cell.source).groups()
            with pytest.raises(NotYet, match=r"replace the `\.\.\.`"):
                check(number, namespace[name])
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda n: n.stem)
def test_the_metadata_of_nbgrader_follows_from_the_tags(lesson):
    bare = copy.deepcopy(lesson.node)
    for cell in bare.cells:
        cell.metadata.pop("nbgrader", None)
    assert mark(bare, lesson.number) == lesson.node


def test_the_gradebook_knows_the_points_of_every_exercise(course):
    nbgrader = open_course(course)
    for lesson in LESSONS:
        checks = sum("check" in cell.metadata.get("tags", []) for cell in lesson.node.cells)
        found = nbgrader.get_assignment(lesson.stem)
        assert (found["max_code_score"], found["max_written_score"]) == (checks, 2)


def test_a_students_work_is_not_overwritten(tmp_path):
    command = [sys.executable, "-m", "compactlib", "student", "00", "--out", str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    release(tmp_path, "00_start_here").write_text("answers")
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()  # the teacher's own\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "somebody's answers" in done.stderr
    assert release(tmp_path, "00_start_here").read_text() == "answers"
    assert "the teacher's own" in (tmp_path / "nbgrader_config.py").read_text()


def test_a_notebook_that_nbgrader_refuses_is_named(tmp_path):
    node = LESSONS[0].node.copy()
    node.cells = [cell.copy() for cell in node.cells]
    for cell in node.cells:
        cell.source = cell.source.replace("### END SOLUTION", "")
    broken = tmp_path / "broken.ipynb"
    nbformat.write(node, broken)
    with pytest.raises(CourseError, match=r"broken\.ipynb"):
        make_course([broken], tmp_path / "course")


def test_nbgrader_grades_what_students_submit(course):
    """Three submissions of notebook 00: everything right, one typical mistake, nothing done."""
    stem = "00_start_here"
    solved = nbformat.read(course / "source" / stem / f"{stem}.ipynb", as_version=4)
    answers = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in solved.cells
        if cell.cell_type == "code" and "solution" in cell.metadata.get("tags", [])
    }
    mistake = answers | {"solution-00-1": "steps = 1293 * 10 // 64"}
    for student, given in (("ada", answers), ("bert", mistake), ("carl", {})):
        copy = nbformat.read(release(course, stem), as_version=4)
        for cell in copy.cells:
            cell.source = given.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
            cell.source = cell.source.replace("epochs: int = 30 ", "epochs: int = 1 ")  # parameters are the student's
        target = course / "submitted" / student / stem / f"{stem}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(copy, target)

    points = {}
    nbgrader = open_course(course)
    for student in ("ada", "bert", "carl"):
        done = nbgrader.autograde(stem, student)
        assert done["success"], done["log"]
        points[student] = nbgrader.get_submission(stem, student)["code_score"]
    assert points == {"ada": 3, "bert": 2, "carl": 0}

    graded = nbformat.read(course / "autograded" / "bert" / stem / f"{stem}.ipynb", as_version=4)
    said = [
        output.evalue for cell in graded.cells for output in cell.get("outputs", []) if output.output_type == "error"
    ]
    assert len(said) == 1 and "Round down in every epoch" in said[0]
    shutil.rmtree(course / "autograded")


def test_what_a_student_deletes_by_mistake_is_put_back(tmp_path):
    """Two exercises and an open question. Whoever loses a check, but not the answer, has the point."""

    def code(source, *tags):
        return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})

    def exercise(name):
        solved = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
        return [code(solved, "solution"), code(f"assert {name}(2) == 4", "check")]

    written = nbformat.v4.new_markdown_cell("Because.", metadata={"tags": ["solution"]})
    lesson = nbformat.v4.new_notebook(cells=[*exercise("double"), code("1 + 1"), *exercise("twice"), written])
    lesson.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(mark(lesson, "98"), tmp_path / "98_lesson.ipynb")
    make_course([tmp_path / "98_lesson.ipynb"], tmp_path / "course")

    deleted = {
        "check": [1],
        "both checks": [1, 4],
        "exercise": [0, 1],
        "exercise 2": [3, 4],
        "open": [5],
        "all": range(6),
    }
    for student, cells in deleted.items():
        handed_in = copy.deepcopy(lesson)
        handed_in.cells = [cell for number, cell in enumerate(handed_in.cells) if number not in cells]
        target = tmp_path / "course/submitted" / student / "98_lesson/98_lesson.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(handed_in, target)
    nbgrader, scores = open_course(tmp_path / "course"), {}
    for student in deleted:
        done = nbgrader.autograde("98_lesson", student)
        assert done["success"], done["log"]
        with nbgrader.gradebook as book:
            [notebook] = book.find_submission("98_lesson", student).notebooks
            scores[student] = {grade.name: grade.auto_score for grade in notebook.grades}
    by_hand = {"open-98-3": None}
    first, second = ({"check-98-1": points[0], "check-98-2": points[1], **by_hand} for points in ((0, 1), (1, 0)))
    right, wrong = first | second | {"check-98-2": 1}, {"check-98-1": 0, "check-98-2": 0, **by_hand}
    assert scores == {
        "check": right, "both checks": right, "exercise": first, "exercise 2": second, "open": right, "all": wrong,
    }  # fmt: skip
