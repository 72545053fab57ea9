"""An exercise: the right answer, inputs drawn to try an answer on, and the known mistakes with their hints."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch

from compactlib.lab.checks.results import NotYet, call, fault, identical

DRAWS = 12  # cases beside the example; the same ones each time


class Case(NamedTuple):
    """Inputs, and what the right answer makes of them. Answers get copies of the inputs."""

    inputs: tuple
    right: Any


class Either:
    """Several wrong results that have one hint."""

    def __init__(self, *results: Any):
        self.results = results


@dataclass(frozen=True, eq=False)
class Exercise:
    """What `exercise` and `value` make.

    number: "01.3".
    reference: the right answer, a function of the inputs. Its docstring is the hint that every wrong answer may get.
    draw: NumPy generator -> inputs; None if there are none.
    example: the inputs of the example in the notebook's text.
    corners: hint -> inputs of a special kind; tried once an answer is right on all others.
    hints: (*inputs) -> a dict of hints, each with what a known mistake makes of the inputs. A hint is for the answer
        that gives just this in every case, and for no other.
    otherwise: a function of the answer that gives the hint for all others, where no docstring would do.
    use: (answer, *inputs) -> the result; by default, the answer is a function and is called.
    keeps: whether the answer must leave its inputs as they are.
    dtype, rtol, atol: what a tensor must be, and how near.
    """

    number: str
    reference: Callable
    draw: Callable[[np.random.Generator], tuple] | None
    hints: Callable[..., Mapping[str, Any]] = lambda *_: {}
    otherwise: Callable[[Any], str] | None = None
    example: tuple | None = None
    corners: Mapping[str, tuple] = field(default_factory=dict)
    use: Callable = call
    keeps: bool = False
    dtype: torch.dtype | None = None
    rtol: float = 1e-4
    atol: float = 1e-5

    def __call__(self, *inputs: Any) -> Any:
        """What the right answer makes of the inputs."""
        return self.reference(*inputs)

    def cases(self, draws: int = DRAWS, seed: int = 0) -> list[Case]:
        """The example, and then `draws` drawn cases."""
        generators = (np.random.default_rng([seed, k, *self.number.encode()]) for k in range(draws if self.draw else 0))
        drawn = [self.draw(generator) for generator in generators]
        return [self.case(inputs) for inputs in (drawn if self.example is None else [self.example, *drawn])]

    @cached_property
    def _cases(self) -> list[Case]:
        return self.cases()

    @cached_property
    def _mistakes(self) -> dict[tuple[str, int], list[Any]]:
        """The results of known mistakes in each case, by their hint and its variants' number."""
        found: dict[tuple[str, int], list[Any]] = {}
        for case in self._cases:
            for hint, wrong in self.hints(*deepcopy(case.inputs)).items():
                for k, one in enumerate(wrong.results if isinstance(wrong, Either) else [wrong]):
                    found.setdefault((hint, k), []).append(_plain(one))
        return found

    def fault(self, result: Any, right: Any) -> str | None:
        """None if the result is right, "" if its values are wrong, and a sentence if its kind or shape is."""
        return fault(result, right, self.rtol, self.atol, self.dtype)

    def check(self, answer: Any) -> None:
        """Return if the answer is right in every case; raise NotYet with one hint if it is not."""
        if answer is None or answer is ...:
            raise NotYet(f"Exercise {self.number} has no answer yet: replace the `...`.")
        tried = [self._try(answer, case) for case in self._cases]
        for case, (result, said, changed) in zip(self._cases, tried, strict=True):
            if said is not None:
                if changed:
                    raise NotYet(_CHANGED.format(changed))
                known = self._known([result for result, _, _ in tried])
                raise NotYet(known or said or self._otherwise(answer) + self._here(case, result))
            if changed and self.keeps:
                raise NotYet(f"`{changed}` has changed in the caller's hands: work on a copy.")
        for hint, inputs in self.corners.items():
            case = self.case(inputs)
            try:
                result, said, _ = self._try(answer, case)
            except NotYet as error:
                raise NotYet(f"{hint} {error}") from error.__cause__
            if said is not None:
                raise NotYet(hint + self._here(case, result))

    def case(self, inputs: tuple) -> Case:
        """The inputs with the right result, which is computed from a copy of them."""
        return Case(inputs, _plain(self.reference(*deepcopy(inputs))))

    def _try(self, answer: Any, case: Case) -> tuple[Any, str | None, str]:
        """The answer's result, its fault, and the name of an input that the answer has changed, or ""."""
        given = deepcopy(case.inputs)
        try:
            result = self.use(answer, *given)
        except NotYet as error:
            raise NotYet(f"{error}{self._here(case)}") from error.__cause__
        kept = map(identical, given, case.inputs)
        changed = next((name for name, same in zip(self._names, kept, strict=True) if not same), "")
        return result, self.fault(result, case.right), changed

    def _known(self, results: list[Any]) -> str | None:
        """The hint of the mistake that gives the same results in every case."""
        for (hint, _), wrong in self._mistakes.items():
            if all(self.fault(result, one) is None for result, one in zip(results, wrong, strict=True)):
                return hint
        return None

    def _otherwise(self, answer: Any) -> str:
        return self.otherwise(answer) if self.otherwise else " ".join(self.reference.__doc__.split())

    @property
    def _names(self) -> list[str]:
        return list(signature(self.reference).parameters)

    def _here(self, case: Case, *result: Any) -> str:
        """The words " For length=7, tile=4 it gives ...", where they are short."""
        if not case.inputs or not all(isinstance(each, (int, float, list)) for each in case.inputs):
            return ""
        inputs = ", ".join(f"{name}={each!r}" for name, each in zip(self._names, case.inputs, strict=True))
        shown = {float: "gives {:.6g}", int: "gives {}", list: "gives {}", tuple: "gives {}"}
        gives = [shown.get(type(each), "is wrong").format(each) for each in result]
        text = f" For {inputs} it {gives[0]}." if gives else f" (With {inputs}.)"
        return text if len(text) <= 140 and "\n" not in text else ""


_CHANGED = "`{}` was changed in place, so what is read from it afterwards is not what came in: make new tensors."


def _plain(result: Any) -> Any:
    """A single number of NumPy or PyTorch as Python's, an array as a tensor."""
    if isinstance(result, np.ndarray):
        result = torch.from_numpy(result.copy(order="C"))
    return result.item() if isinstance(result, (torch.Tensor, np.generic)) and result.ndim == 0 else result


def exercise(number: str, **settings: Any) -> Callable[[Callable], Exercise]:
    """Make the decorated function, the right answer, an exercise; for the settings see Exercise."""
    return lambda reference: Exercise(number, reference, **settings)


def value(number: str, right: float, hints: Mapping[str, Any], otherwise: str) -> Exercise:
    """An exercise whose answer is a number. hints: hint -> a wrong number, or Either of several."""
    given = {"use": lambda answer: answer, "otherwise": lambda answer: otherwise, "hints": lambda: hints}
    return Exercise(number, lambda: right, None, example=(), rtol=1e-6, atol=1e-9, **given)
