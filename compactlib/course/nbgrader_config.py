"""nbgrader's settings for a course made of these lessons. `nbgrader --help-all` explains each, and all others."""

from nbgrader.converters import Autograde
from nbgrader.preprocessors import OverwriteCells

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "compact-transformers"

# What a student finds in place of a solution. It is valid Python wherever a solution is, and the checks know it.
c.ClearSolutions.code_stub = {"python": "...  # your answer"}
c.ClearSolutions.text_stub = "*Your answer.*"

# Lessons train small networks: some minutes for a whole notebook on an old machine, and no cell longer than ten.
c.Execute.timeout = 600


class RestoreCells(OverwriteCells):
    """Puts back a check or an open question that a student has deleted, behind the exercise's cell before it.

    nbgrader's own way needs that cell to be there, and fails for the whole notebook where an exercise was deleted with
    its check.
    """

    def add_missing_grade_cells(self, nb, resources):
        lesson = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        graded = {cell.name: cell.max_score for cell in lesson.grade_cells}
        written = {cell.name for cell in lesson.solution_cells}
        before = -1
        for source in lesson.source_cells:
            names = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
            if source.name in names:
                before = names.index(source.name)
            elif source.name in graded:
                before += 1
                points, by_hand = graded[source.name], source.name in written
                nb.cells.insert(before, self.missing_cell_transform(source, points, is_solution=by_hand))
        return nb, resources


c.OverwriteCells.add_missing_cells = True
c.Autograde.sanitize_preprocessors = [
    RestoreCells if kind is OverwriteCells else kind
    for kind in Autograde.class_traits()["sanitize_preprocessors"].default()
]
