"""Every exercise: right answers of any kind pass, wrong ones get a hint, of one line, that is true."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from compactlib.lab import NotYet, check, checks
from compactlib.lab.checks import Either, exercises
from tests.lab.solutions import COURSE, LESSONS, solutions

EXERCISES = {number: exercise for lesson in LESSONS for number, exercise in exercises(lesson).items()}
MISTAKES = {
    number: mistakes
    for path in Path(__file__).parent.glob("*_mistakes.py")
    for number, mistakes in import_module(f"tests.lab.{path.stem}").MISTAKES.items()
}
FUNCTIONS = sorted(number for number, (_, _, answer) in solutions().items() if callable(answer))


def hint_of(number, answer) -> str:
    with pytest.raises(NotYet) as error:
        check(number, answer)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_each_exercise_of_the_notebooks_has_a_check_and_mistakes():
    assert set(solutions()) == set(EXERCISES) == set(MISTAKES)


@pytest.mark.parametrize("number", sorted(MISTAKES))
def test_the_solution_passes(number, capsys):
    check(number, solutions()[number][2])
    assert capsys.readouterr().out == f"Exercise {number}: right.\n"


def empty(*_arguments):
    return ...


def stub(*_arguments): ...


def not_written(*_arguments):
    raise NotImplementedError()


def stops(*_arguments):
    return 1 / 0


@pytest.mark.parametrize("number", sorted(MISTAKES))
def test_an_empty_answer_fails_with_a_helpful_message(number):
    assert "replace the `...`" in hint_of(number, ...)
    if number in FUNCTIONS:
        assert all("replace the `...`" in hint_of(number, answer) for answer in (empty, stub, not_written))
        assert "stops with ZeroDivisionError: division by zero" in hint_of(number, stops)


def test_only_the_placeholder_of_an_empty_cell_counts_as_not_written():
    def of_pytorch(q, k, v):
        return torch.nn.Module()(q)  # its forward() is not implemented

    def of_an_operator(q, k, v):
        return torch.ones(3, dtype=torch.uint16) + 1  # no kernel for this type

    def in_a_helper(q, k, v):
        return not_written()

    for answer in (of_pytorch, of_an_operator, in_a_helper):
        said = hint_of("01.3", answer)
        assert "stops with" in said and "Error" in said and "not written" not in said


def test_what_stops_the_function_is_shown_with_the_inputs():
    def by_minus_zero(images, pixels):
        moved = np.zeros_like(images)
        moved[:, :, pixels:] = images[:, :, :-pixels]
        return moved

    assert re.search("0 pixels.*ValueError.*broadcast", hint_of("03.3", by_minus_zero))
    assert "img_size=28, convs=2" in hint_of("03.1", stops)


def test_a_result_that_the_next_call_overwrites_is_judged_before_that():
    kept = {}

    def always_the_same_tensor(q, k, v):
        right = solutions()["01.3"][2](q, k, v)
        return kept.setdefault(right.dtype, torch.empty(0, dtype=right.dtype)).resize_(right.shape).copy_(right)

    check("01.3", always_the_same_tensor)


@pytest.mark.parametrize(("number", "answer", "hint"), [(n, a, h) for n, found in MISTAKES.items() for a, h in found])
def test_a_typical_mistake_fails_with_its_hint(number, answer, hint):
    assert hint in hint_of(number, answer)


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_a_known_mistake_gets_its_own_hint(number):
    """On the cases of a check each known mistake is wrong, and no two of them look the same."""
    exercise = EXERCISES[number]
    given = exercise.cases(1)[0].inputs
    for hint, wrong in exercise.hints(*given).items():
        for k in range(len(wrong.results)) if isinstance(wrong, Either) else [None]:

            def mistake(*inputs, hint=hint, k=k):
                result = exercise.hints(*inputs)[hint]
                return result if k is None else result.results[k]

            assert hint_of(number, mistake if number in FUNCTIONS else mistake()) == hint


def test_a_number_may_come_as_a_tensor_or_an_array():
    for answer in (torch.tensor(200.0), np.float64(200), np.array([200])):
        check("00.1", answer)
    check("00.2", lambda train, test: torch.tensor(np.mean(test == np.bincount(train).argmax())))


@pytest.mark.parametrize("number", FUNCTIONS)
@pytest.mark.parametrize(
    "result", ["a word", {"a": 1}, (1, "b"), float("nan"), 1j, torch.full((2, 3), torch.nan), True, []]
)
def test_a_result_of_another_kind_is_answered_in_words(number, result):
    assert hint_of(number, lambda *_: result)


@pytest.mark.parametrize("number", sorted(EXERCISES))
def test_not_a_number_is_right_nowhere_but_where_it_is_asked_for(number):
    """A right answer with one nan in its result."""
    answer = solutions()[number][2]

    def with_nan(*inputs):
        result = torch.as_tensor(answer(*inputs)).double()
        return torch.where(torch.arange(result.numel()).reshape(result.shape) == 0, torch.nan, result)

    if number not in FUNCTIONS or number == "07.4":
        assert hint_of(number, float("nan"))
    elif EXERCISES[number].dtype is None:
        assert "finite" in hint_of(number, with_nan) or "expected" in hint_of(number, with_nan)


def in_place(q, k, v):
    q /= q.shape[-1] ** 0.5
    scores = q @ k.mT
    scores -= scores.amax(-1, keepdim=True)
    scores.exp_().div_(scores.sum(-1, keepdim=True))
    k.zero_()
    return torch.matmul(scores, v, out=torch.empty_like(v)) if v.is_contiguous() else scores @ v


def pooled_in_place(x, weight, bias):
    x *= (x @ weight.T).softmax(dim=1)
    return x.sum(dim=1)


def recall_by_accident(pred, target):
    pred &= target
    return pred.sum() / (pred | target).sum()


def test_work_in_place_is_fine_and_named_where_the_result_is_wrong():
    check("01.3", in_place)
    check("02.2", pooled_in_place)
    said = hint_of("05.3", recall_by_accident)
    assert "`pred`" in said and "in place" in said and "recall" not in said
    assert "work on a copy" in hint_of("03.3", MISTAKES["03.3"][-1][0])


def test_half_precision_and_results_with_a_gradient_are_fine():
    def attend(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    for kind in (torch.float16, torch.bfloat16):
        check("01.3", lambda q, k, v, kind=kind: attend(q.to(kind), k.to(kind), v.to(kind)))
        wrong = lambda q, k, v, kind=kind: (q @ k.mT).softmax(-1).to(kind) @ v.to(kind)  # noqa: E731
        assert "square root" in hint_of("01.3", wrong)
    check("01.3", lambda q, k, v: attend(q.requires_grad_(), k, v))
    check("07.3", lambda p, t: solutions()["07.3"][2](p.requires_grad_(), t))
    check("05.3", lambda pred, target: solutions()["05.3"][2](pred, target).requires_grad_())


def test_a_view_of_an_array_may_run_backwards():
    check("03.3", lambda images, pixels: np.ascontiguousarray(solutions()["03.3"][2](images, pixels)[::-1])[::-1])


@pytest.mark.parametrize("number", FUNCTIONS)
def test_cases_are_the_same_each_time_and_not_all_alike(number):
    first, again = ([repr(case.right) for case in EXERCISES[number].cases()] for _ in range(2))
    assert first == again and len(set(first)) > 2


def test_no_hint_names_the_number_that_is_asked_for():
    for number in set(EXERCISES) - set(FUNCTIONS) - {"02.3"}:
        right = EXERCISES[number].reference()
        for hint in EXERCISES[number].hints():
            assert not re.search(rf"(?<!\d){re.escape(str(right))}(?!\d)", hint)


def test_the_examples_in_the_texts_are_those_of_the_checks():
    """A text says: `name(inputs)` is `result`. Arrays and tensors are written as lists."""
    found = 0
    for notebook in COURSE:
        for text in (cell.source for cell in notebook.node.cells if cell.cell_type == "markdown"):
            for number, (_, name, _) in solutions().items():
                for call, result in re.findall(rf"`({name}\(.*?)` is `([^`]+)`", text):
                    exercise = EXERCISES[number]

                    def given(*inputs, exercise=exercise):
                        assert all(map(np.array_equal, inputs, exercise.example))
                        return exercise.case(exercise.example).right

                    assert exercise.fault(eval(call, {name: given}), eval(result)) is None, call
                    found += number.startswith(notebook.number)
    assert found == sum(EXERCISES[number].example is not None for number in FUNCTIONS)


def test_exercises_that_are_not_there():
    with pytest.raises(KeyError, match=r"09\.9.*09\.4"):
        check("09.9", 1)
    with pytest.raises(KeyError, match="77_"):
        check("77.1", 1)
    with pytest.raises(KeyError):
        check("", 1)


def test_two_exercises_of_one_number_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FOLDER", tmp_path)
    one = 'value("76.1", 1, {}, "Count.")'
    (tmp_path / "76_twice.py").write_text(f"from compactlib.lab.checks import value\na = {one}\nb = {one}\n")
    with pytest.raises(ValueError, match=r"76_twice.*76\.1"):
        check("76.1", 1)
