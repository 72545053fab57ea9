"""Checking a student's answer: right, or wrong with a hint and never with the answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

EXERCISES: dict[str, Callable[[Any], None]] = {}


class NotYet(AssertionError):
    """The answer is missing or wrong; the message is a hint. An AssertionError, so that nbgrader gives no point."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the hint, without the way through the library."""
        return [f"Not yet. {self}"]


def exercise(number: str) -> Callable:
    """Register a function that gets an answer and raises NotYet unless it is right."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        if number in EXERCISES:
            raise ValueError(f"there are two checks for exercise {number}")
        EXERCISES[number] = function
        return function

    return register


def check(number: str, answer: Any) -> None:
    """Check the answer to an exercise ("01.3"): prints that it is right, or raises NotYet with a hint.

    Raises KeyError for a number that is no exercise.
    """
    if number not in EXERCISES:
        raise KeyError(f"there is no exercise {number!r}; there are: {', '.join(sorted(EXERCISES))}")
    if answer is None or answer is ...:
        raise NotYet(f"Exercise {number} has no answer yet: replace the `...`.")
    EXERCISES[number](answer)
    print(f"Exercise {number}: right.")


def same_number(answer: Any, right: float, hints: dict[float, str], otherwise: str) -> None:
    """The answer is `right`; for a known wrong number its own hint, for any other one `otherwise`."""
    if isinstance(answer, (torch.Tensor, np.generic, np.ndarray)) and len(np.ravel(answer)) == 1:
        answer = answer.item()
    if isinstance(answer, bool) or not isinstance(answer, (int, float)) or not np.isfinite(answer):
        raise NotYet(f"A number is expected, not {answer!r}.")
    if not np.isclose(answer, right, rtol=1e-6):
        raise NotYet(next((hint for wrong, hint in hints.items() if np.isclose(answer, wrong)), otherwise))


def call(function: Any, *arguments: Any) -> Any:
    """The result of a student's function; NotYet if it is none, raises, or returns nothing."""
    if not callable(function):
        raise NotYet(f"Pass the function itself, not {type(function).__name__}.")
    try:
        result = function(*arguments)
    except NotImplementedError:
        raise NotYet("The function is not written yet: replace the `...` in it.") from None
    except Exception as error:
        raise NotYet(f"The function stops with {type(error).__name__}: {error}") from error
    if result is None or result is ...:
        raise NotYet("The function returns nothing yet: replace the `...` in it.")
    return result


def as_tensor(value: Any) -> torch.Tensor:
    """`value` as a tensor of numbers; NotYet if it is something else."""
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise NotYet(f"A tensor or an array of numbers is expected, not a {type(value).__name__}.") from None
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise NotYet("The result has values that are not finite (nan or inf).")
    return tensor


def same_tensor(actual: Any, right: torch.Tensor, hints: dict[str, torch.Tensor], otherwise: str) -> None:
    """`actual` has the shape and values of `right`; `hints` maps a hint to the tensor that a known mistake gives."""
    actual = as_tensor(actual)
    for hint, wrong in hints.items():
        if actual.shape == wrong.shape and torch.allclose(actual.float(), wrong.float(), rtol=1e-4, atol=1e-5):
            raise NotYet(hint)
    if actual.shape != right.shape:
        raise NotYet(f"The result has shape {tuple(actual.shape)}; it should be {tuple(right.shape)}.")
    if not torch.allclose(actual.float(), right.float(), rtol=1e-4, atol=1e-5):
        raise NotYet(otherwise)
