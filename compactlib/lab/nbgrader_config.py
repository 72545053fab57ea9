"""nbgrader's settings for a course made of these lessons. `nbgrader --help-all` explains each, and all others."""

c = get_config()  # noqa: F821  (nbgrader defines it)

c.CourseDirectory.course_id = "compact-transformers"

# What a student finds in place of a solution. It is valid Python wherever a solution is, and the checks know it.
c.ClearSolutions.code_stub = {"python": "...  # your answer"}
c.ClearSolutions.text_stub = "*Your answer.*"

# Lessons train small networks: some minutes for a whole notebook on an old machine, and no cell longer than ten.
c.Execute.timeout = 600
