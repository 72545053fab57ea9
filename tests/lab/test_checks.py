"""Every exercise: the notebook's solution passes, an empty stub and typical mistakes fail with a hint."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from einops import rearrange

from compactlib.lab import NotYet, check
from compactlib.lab.catalogue import TEMPLATE, notebooks

EXERCISES = {}
from tests.lab import (
    ablation_mistakes,
    experiment_mistakes,
    scene_mistakes,
    scene_segmentation_mistakes,
    segmentation_mistakes,
    template_mistakes,
)


def majority_of_test(train, test):
    return np.mean(test == np.bincount(test).argmax())


def accuracy_on_train(train, test):
    return np.mean(train == np.bincount(train).argmax())


def pixels_not_scaled(images, mean, std):
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - mean) / std


def channels_last(images, mean, std):
    return (torch.from_numpy(images).float() / 255 - mean) / std


def no_square_root(q, k, v):
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


def divided_by_d(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1]).softmax(-1) @ v


def softmax_over_queries(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-2) @ v


def mean_of_tokens(x, weight, bias):
    return x.mean(dim=1)


def softmax_over_the_score_axis(x, weight, bias):
    return ((x @ weight.T + bias).softmax(dim=-1) * x).sum(dim=1)


def class_token_left_in(x, weight, bias):
    return axis_left_in(torch.cat([torch.zeros(len(x), 1, x.shape[2]), x], dim=1), weight, bias).squeeze(1)


def axis_left_in(x, weight, bias):
    return (x @ weight.T + bias).softmax(dim=1).transpose(1, 2) @ x


def floor_of_odd_sides(size, convs):
    return (size // 2**convs) ** 2


def side_of_the_grid(size, convs):
    for _ in range(convs):
        size = (size + 1) // 2
    return size


def stride_off_by_one(size, convs):
    return size**2


def not_transposed(x, weight):
    return F.max_pool2d(F.relu(F.conv2d(x, weight, padding=1)), 3, 2, 1).flatten(2)


def reshaped(x, weight):
    features = F.max_pool2d(F.relu(F.conv2d(x, weight, padding=1)), 3, 2, 1)
    return features.reshape(len(x), -1, features.shape[1])


def without_relu(x, weight):
    return F.max_pool2d(F.conv2d(x, weight, padding=1), 3, 2, 1).flatten(2).transpose(1, 2)


def without_padding(x, weight):
    return F.max_pool2d(F.relu(F.conv2d(x, weight)), 3, 2, 1).flatten(2).transpose(1, 2)


def goes_round(images, pixels):
    return np.roll(images, pixels, axis=2)


def moves_down(images, pixels):
    moved = np.zeros_like(images)
    moved[:, pixels:] = images[:, :-pixels]
    return moved


def moves_left(images, pixels):
    moved = np.zeros_like(images)
    moved[:, :, :-pixels] = images[:, :, pixels:]
    return moved


def changes_its_input(images, pixels):
    images[:, :, pixels:] = images[:, :, :-pixels].copy()
    images[:, :, :pixels] = 0
    return images


MISTAKES = {
    "00.1": [(210, "round down"), (20, "one epoch"), ("200", "A number is expected"), (float("nan"), "A number")],
    "00.2": [(majority_of_test, "no model may look at"), (accuracy_on_train, "training labels")],
    "00.3": [(pixels_not_scaled, "divide by 255"), (channels_last, "channel has to stand before")],
    "01.1": [(64, "What else"), (1024, "pixels")],
    "01.2": [(4 * 256 * 256, "has a bias"), (4 * 256 * 256 + 4 * 256, "have no bias")],
    "01.3": [(no_square_root, "square root"), (divided_by_d, "not by d"), (softmax_over_queries, "wrong axis")],
    "02.1": [(129, "goes away"), (127, "sign"), (1, "positional")],
    "02.2": [
        (mean_of_tokens, "the same"),
        (softmax_over_the_score_axis, "wrong axis"),
        (axis_left_in, "squeeze"),
        (class_token_left_in, "left in the pool"),
    ],
    "02.3": [
        ([0, 0, 0, 0], "the mean"),
        ([-1000, 0, 0, 0], "smallest"),
        ([1, 0, 0, 0], "still mixes"),
        ([1], "4 in all"),
    ],
    "03.1": [(floor_of_odd_sides, "rounded up"), (side_of_the_grid, "square"), (stride_off_by_one, "pooling halves")],
    "03.2": [
        (not_transposed, "wrong way round"),
        (reshaped, "mixes"),
        (without_relu, "ReLU"),
        (without_padding, "padding"),
    ],
    "03.3": [(goes_round, "black"), (moves_down, "down"), (moves_left, "left"), (changes_its_input, "work on a copy")],
    **ablation_mistakes.MISTAKES,
    **experiment_mistakes.MISTAKES,
    **segmentation_mistakes.MISTAKES,
    **scene_mistakes.MISTAKES,
    **scene_segmentation_mistakes.MISTAKES,
    **template_mistakes.MISTAKES,
}


def solutions() -> dict[str, object]:
    """The answers of the committed notebooks: their solution cells, executed, by exercise."""
    answers = {}
    for notebook in [*notebooks(), TEMPLATE]:
        namespace = {"np": np, "torch": torch, "F": F, "rearrange": rearrange}
        for cell in notebook.node.cells:
            tags = cell.metadata.get("tags", [])
            if "solution" in tags and cell.cell_type == "code":
                exec(cell.source, namespace)
            elif "check" in tags:
                number, name = re.search(r'lab\.check\("([\d.]+)", (\w+)\)', cell.source).groups()
                answers[number] = namespace[name]
    return answers


def test_each_exercise_of_the_notebooks_has_a_check_and_mistakes():
    assert set(solutions()) == set(EXERCISES) == set(MISTAKES)


@pytest.mark.parametrize("number", sorted(MISTAKES))
def test_the_solution_passes(number, capsys):
    check(number, solutions()[number])
    assert capsys.readouterr().out == f"Exercise {number}: right.\n"


def empty(*_arguments):
    return ...


@pytest.mark.parametrize("number", sorted(MISTAKES))
def test_an_empty_answer_fails_with_a_helpful_message(number):
    with pytest.raises(NotYet, match="replace the `...`"):
        check(number, ...)
    if callable(solutions()[number]):
        with pytest.raises(NotYet, match="returns nothing yet"):
            check(number, empty)
        with pytest.raises(NotYet, match="stops with ZeroDivisionError"):
            check(number, lambda *_: 1 / 0)


@pytest.mark.parametrize(("number", "answer", "hint"), [(n, a, h) for n, found in MISTAKES.items() for a, h in found])
def test_a_typical_mistake_fails_with_its_hint(number, answer, hint):
    with pytest.raises(NotYet, match=re.escape(hint)):
        check(number, answer)


def test_a_number_may_come_as_a_tensor_or_an_array():
    for answer in (torch.tensor(200.0), np.float64(200), np.array([200])):
        check("00.1", answer)
    check("00.2", lambda train, test: torch.tensor(np.mean(test == 1)))


@pytest.mark.parametrize(
    "number", ["00.3", "01.3", "02.2", "03.2", "03.3", "05.2", "05.4", "06.2", "07.3", "08.2", "08.3"]
)
@pytest.mark.parametrize("result", ["a word", {"a": 1}, (1, "b"), float("nan")])
def test_a_result_of_another_kind_is_answered_in_words(number, result):
    with pytest.raises(NotYet):
        check(number, lambda *_: result)


def test_not_a_number_is_no_answer():
    with pytest.raises(NotYet, match="finite"):
        check("02.3", [float("nan"), 0, 0, 0])
    with pytest.raises(NotYet, match="A number is expected"):
        check("03.1", lambda *_: torch.ones(2))


def test_no_hint_names_the_number_that_is_asked_for():
    for number, found in MISTAKES.items():
        right = solutions()[number]
        for answer in [a for a, _ in found if isinstance(a, (int, float)) and not callable(right)]:
            with pytest.raises(NotYet) as error:
                check(number, answer)
            assert not re.search(rf"(?<!\d){re.escape(str(right))}(?!\d)", str(error.value))


def test_an_unknown_exercise():
    with pytest.raises(KeyError, match="no exercise '09.9'"):
        check("09.9", 1)
