"""The address that `compactlib.course.student` had before; programs that use it go on."""

from compactlib.course.student import CourseError, make_course, open_course

__all__ = ["CourseError", "make_course", "open_course"]
