"""No wrong answer passes: each solution is changed by machine in all small ways, and what differs must be refused."""

import copy
import warnings
from functools import cache

import numpy as np
import pytest
import torch

from compactlib.lab import NotYet
from compactlib.lab.checks import Exercise, exercises
from tests.lab.mutants import bent, mutants
from tests.lab.solutions import LESSONS, run_cell, solutions

DRAWS = 100  # to find a case in which a mutant that has passed differs; a check tries about a dozen


def passes(exercise: Exercise, answer) -> bool:
    try:
        exercise.check(answer)
    except NotYet:
        return False
    return True


@cache
def many_cases(exercise: Exercise) -> list:
    return exercise.cases(DRAWS, seed=1) + [exercise.case(inputs) for inputs in exercise.corners.values()]


def differs(exercise: Exercise, answer) -> bool:
    """Whether the answer gives something else than the right one on any of many drawn inputs."""
    for case in many_cases(exercise):
        try:
            result = exercise.use(answer, *copy.deepcopy(case.inputs))
        except NotYet:
            return True
        if exercise.fault(result, case.right) is not None:
            return True
    return False


def wrong_answers(number: str):
    """(what was done, the answer) of all mutants of a solution."""
    code, name, answer = solutions()[number]
    for text in mutants(code):
        try:
            yield text, run_cell(text)[name]
        except Exception:  # a cell that stops is no answer at all
            continue
    if callable(answer):
        first = exercises(number[:2])[number].cases(1)[0].inputs
        yield from bent(answer, first)


def survivors(number: str) -> tuple[int, list[str], list[str]]:
    """How many mutants an exercise has; those that pass and are the same; those that pass and are not."""
    exercise, count, same, other = exercises(number[:2])[number], 0, [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for text, answer in wrong_answers(number):
            count += 1
            if passes(exercise, answer):
                (other if differs(exercise, answer) else same).append(text)
    return count, same, other


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_mutant_passes_that_differs(lesson):
    torch.set_num_threads(1)
    found = {number: survivors(number) for number in exercises(lesson)}
    print(*(f"{number}: {count} mutants, {len(same)} pass and are right" for number, (count, same, _) in found.items()))
    assert {number: other for number, (_, _, other) in found.items() if other} == {}
    assert all(count >= 4 for count, _, _ in found.values())
