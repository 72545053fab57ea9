"""The exercises of notebook 04."""

from typing import Any

import torch

from compactlib.lab.checks.registry import NotYet, as_tensor, call, exercise, same_number


@exercise("04.1")
def rate_by_the_clock(function: Any) -> None:
    """Linear warm-up over a tenth of the budget, then linearly down to zero at its end."""
    budget, peak = 300.0, 0.04
    for elapsed, right, hint in (
        (15.0, 0.02, "After a twentieth of the budget the rate is half way up."),
        (30.0, 0.04, "After a tenth of the budget the rate is at its peak; the way down starts there, and not at 0."),
        (165.0, 0.02, "The way down takes nine tenths of the budget: half of it is over at 0.55 of the budget."),
        (300.0, 0.0, "At the end of the budget the rate is 0."),
        (310.0, 0.0, "After the budget the rate stays 0; a negative one would climb the loss."),
    ):
        same_number(call(function, elapsed, budget, peak), right, {}, f"At {elapsed:g} of {budget:g} seconds: {hint}")


@exercise("04.2")
def flips_in_turn(function: Any) -> None:
    """first, then the opposite, then first again."""
    first = torch.tensor([True, False, False, True, True])
    results = [as_tensor(call(function, first.clone(), epoch)) for epoch in range(4)]
    if any(result.dtype != torch.bool or result.shape != first.shape for result in results):
        raise NotYet("The answer is a tensor of booleans, one for each image.")
    if not torch.equal(results[0], first):
        raise NotYet("In epoch 0 the images that `first` names are mirrored, and no others.")
    if torch.equal(results[1], first):
        raise NotYet("In epoch 1 every image is shown the other way.")
    if not (torch.equal(results[1], ~first) and torch.equal(results[3], ~first) and torch.equal(results[2], first)):
        raise NotYet(
            "Each image changes with every epoch: mirrored, not mirrored, mirrored, ... or the other way round."
        )


@exercise("04.3")
def difference_in_noise(function: Any) -> None:
    """Welch's t of two lists of accuracies."""
    a, b = [0.81, 0.83, 0.80, 0.84, 0.82], [0.78, 0.80, 0.79, 0.81]
    ta, tb = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    gap = (ta.mean() - tb.mean()).item()

    def over(va: torch.Tensor, vb: torch.Tensor) -> float:
        return gap / (va + vb).sqrt().item()

    result = call(function, a, b)
    hints = {
        over(
            ta.var(correction=0) / 5, tb.var(correction=0) / 4
        ): "That is the variance of a whole population; a sample's is divided by n - 1.",
        over(ta.var(), tb.var()): "That is the noise of a single run; the mean of n runs has n times less variance.",
        gap: "That is the difference alone, without its noise.",
        -over(ta.var() / 5, tb.var() / 4): "The sign is turned round: positive where A is better.",
        gap / (ta.std() / 5 + tb.std() / 4).item(): "Standard errors are added squared, and then the root is taken.",
        gap
        / (
            ta.std() / 5**0.5 + tb.std() / 4**0.5
        ).item(): "Standard errors are added squared, and then the root is taken.",
    }
    if not isinstance(result, (int, float)):
        raise NotYet(f"A plain number is expected, not {type(result).__name__}.")
    right = over(ta.var() / 5, tb.var() / 4)
    wrong = next((hint for value, hint in hints.items() if abs(value - result) < 1e-3 * abs(value)), None)
    if wrong or abs(result - right) > 1e-3 * abs(right):
        raise NotYet(wrong or "Difference of the means over sqrt(variance of A / n of A + variance of B / n of B).")
