"""Checking a student's answers, `check("01.3", answer)`. A lesson's exercises are in `notebooks/exercises/01_*.py`."""

import importlib.util
from functools import cache
from typing import Any

from compactlib.lab.checks.exercise import Either, Exercise, exercise, value
from compactlib.lab.checks.results import NotYet
from compactlib.paths import NOTEBOOKS

__all__ = ["Either", "Exercise", "NotYet", "check", "exercise", "exercises", "value"]

FOLDER = NOTEBOOKS / "exercises"


@cache
def exercises(lesson: str) -> dict[str, Exercise]:
    """The exercises of a lesson ("01") by number ("01.3"), from the file in `notebooks/exercises` that it begins with.

    Raises KeyError where there is no such file, ValueError where two exercises have one number.
    """
    files = sorted(FOLDER.glob(f"{lesson}_*.py"))
    if not (lesson.isdigit() and files):
        raise KeyError(f"there are no exercises for lesson {lesson!r}: no file {lesson}_*.py in {FOLDER}")
    spec = importlib.util.spec_from_file_location(f"exercises_{lesson}", files[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = [thing for thing in vars(module).values() if isinstance(thing, Exercise)]
    by_number = {each.number: each for each in found}
    if len(by_number) < len(found):
        raise ValueError(f"{files[0].name} has two exercises of one number: {[each.number for each in found]}")
    return by_number


def check(number: str, answer: Any) -> None:
    """Check the answer to an exercise ("01.3"): prints that it is right, or raises NotYet with a hint.

    Raises KeyError for a number that is no exercise.
    """
    known = exercises(number.partition(".")[0])
    if number not in known:
        raise KeyError(f"there is no exercise {number!r}; there are: {', '.join(sorted(known))}")
    known[number].check(answer)
    print(f"Exercise {number}: right.")
