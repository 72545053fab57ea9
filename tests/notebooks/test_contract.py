"""What every committed notebook keeps to; see the anatomy in the README."""

import re
import statistics
from itertools import pairwise

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from compactlib.paths import ROOT
from compactlib.runs.catalogue import TEMPLATE, notebooks

TAGS = {"parameters", "nbval-ignore-output", "raises-exception", "solution", "check"}
PATH = re.compile(r"(?<![\w.:/])(/(home|root|work|tmp|Users|usr|opt|mnt)/|[A-Z]:\\)")
COURSE = [*notebooks(), TEMPLATE]
LESSONS = [notebook for notebook in COURSE if notebook.is_lesson]


@pytest.fixture(params=COURSE, ids=lambda n: n.stem)
def notebook(request):
    return request.param


@pytest.fixture(params=LESSONS, ids=lambda n: n.stem)
def lesson(request):
    return request.param


def code_cells(notebook) -> list:
    return [cell for cell in notebook.node.cells if cell.cell_type == "code"]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def text_of(output) -> str:
    return output.get("text", "") + "".join(v for k, v in output.get("data", {}).items() if k.startswith("text/"))


def test_the_course_is_here():
    assert [n.number for n in notebooks()] == [*(f"{k:02}" for k in range(10)), "90", "91"]


def test_tags_are_known(notebook):
    used = {tag for cell in notebook.node.cells for tag in tags(cell)}
    assert used <= TAGS


def test_is_valid_and_small(notebook):
    nbformat.validate(notebook.node)
    assert notebook.path.stat().st_size < 500_000


def test_every_picture_says_in_words_what_it_shows(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for kind in {"image/png", "image/jpeg"} & {*output.get("data", {})}:
                assert len(output.metadata.get(kind, {}).get("alt", "")) > 6, cell.source.splitlines()[-1]


def test_was_executed_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_nine_cells_in_ten_are_compared(notebook):
    cells = code_cells(notebook)
    ignored = [cell for cell in cells if "nbval-ignore-output" in tags(cell)]
    assert len(ignored) <= len(cells) / 10, [cell.source.splitlines()[0] for cell in ignored]


def test_stores_no_error_no_stderr_and_no_path_of_a_machine(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error" or "raises-exception" in tags(cell)
            assert output.get("name") != "stderr", output.text
            assert not PATH.search(text_of(output)), text_of(output)
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        assert not PATH.search(cell.source), cell.source


def test_every_picture_has_a_printed_fact_beside_it(notebook):
    """nbval does not compare pixels, so each cell with a picture prints something that it does compare."""
    for cell in code_cells(notebook):
        kinds = {"picture" if any("image" in key for key in o.get("data", {})) else o.output_type for o in cell.outputs}
        assert "picture" not in kinds or "stream" in kinds, cell.source


def test_opens_with_title_parameters_and_setup(notebook):
    first = notebook.node.cells[0]
    assert first.cell_type == "markdown" and first.source.startswith(f"# {notebook.number} ")
    for word in ("you can", "**Time**", "**Before this**", "**Paper**"):
        assert word in first.source
    cells = code_cells(notebook)
    assert tags(cells[0]) == {"parameters"} and "lab.start(" in cells[1].source
    undocumented = [line for line in cells[0].source.splitlines() if not re.match(r"\w+: [\w\[\]]+ = .+  # .+", line)]
    assert undocumented == []


def test_exercises_have_a_solution_and_a_check(lesson):
    numbers = []
    for before, cell in pairwise(lesson.node.cells):
        if "check" in tags(cell):
            assert "solution" in tags(before) and "### BEGIN SOLUTION" in before.source
            numbers += re.findall(r'lab\.check\("(\d\d\.\d)"', cell.source)
    assert len(numbers) >= 3 and numbers == [f"{lesson.number}.{k + 1}" for k in range(len(numbers))]


def test_the_last_exercise_is_an_open_question_with_an_answer(lesson):
    """The answer is what a good one says; students' copies leave it out."""
    last = [(before, cell) for before, cell in pairwise(lesson.node.cells) if "solution" in tags(cell)][-1]
    assert "*Open.*" in last[0].source and last[1].cell_type == "markdown" and len(last[1].source.split()) > 20


def test_nbgrader_finds_its_metadata(lesson):
    """Solutions and checks carry the cell types of nbgrader's own schema; nothing else does."""
    kinds = {}
    for cell in lesson.node.cells:
        marked = cell.metadata.get("nbgrader")
        assert bool(marked) == bool(tags(cell) & {"solution", "check"})
        if marked:
            MetadataValidator().validate_cell(cell)
            kinds[marked.grade_id] = (marked.solution, marked.grade, marked.locked, marked.get("points", 0))
    count = sum(grade_id.startswith("check") for grade_id in kinds)
    expected = {f"solution-{lesson.number}-{k + 1}": (True, False, False, 0) for k in range(count)}
    expected |= {f"check-{lesson.number}-{k + 1}": (False, True, True, 1) for k in range(count)}
    assert kinds == expected | {f"open-{lesson.number}-{count + 1}": (True, True, False, 2)}


def test_cells_are_short(notebook):
    lines = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells(notebook)]
    assert max(lines) <= 25 and statistics.median(lines) <= 8


def test_profiles_fit_the_notebook_and_say_what_to_expect(notebook):
    for name in notebook.profiles():
        notebook.profile(name)  # raises for an unknown or ill-typed parameter
        expected = notebook.expectation(name)
        assert re.search(r"\d", expected) and "TODO" not in expected, f"{name}: `# expect:` with a number is missing"


def test_nothing_in_the_repository_names_the_folder_of_this_clone():
    for path in [*ROOT.glob("*.*"), *ROOT.glob("notebooks/params/*"), *ROOT.glob("compactlib/**/*.py")]:
        if path.is_file() and path.suffix in {".py", ".md", ".yml", ".yaml", ".toml", ".lock"}:
            assert f"{ROOT}/" not in path.read_text(encoding="utf-8"), path
