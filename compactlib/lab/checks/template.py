"""The exercises of the template notebook; a lesson's own file begins as a copy of this one."""

from typing import Any

import numpy as np
import torch

from compactlib.lab.checks.registry import call, exercise, same_number, same_tensor


@exercise("89.1")
def linear_parameters(answer: Any) -> None:
    """A weight for each pixel and class, and a bias for each class."""
    same_number(
        answer,
        7850,
        {
            7840: "Those are the weights; each class has a bias as well.",
            794: "Each class has weights of its own.",
            650: "That is the model of the digits, 8 x 8 pixels; here they are 28 x 28.",
        },
        "Count the weights of one class, and its bias. Then count the classes.",
    )


@exercise("89.2")
def predict(function: Any) -> None:
    """argmax of x w^T + b over the classes."""
    generator = np.random.default_rng(5)
    x, w, b = generator.normal(size=(6, 4)), generator.normal(size=(3, 4)), np.array([0.0, 2.5, -1.0])
    scores = x @ w.T + b
    same_tensor(
        call(function, x, w, b),
        torch.from_numpy(scores.argmax(axis=1)),
        {
            "The biases are missing.": torch.from_numpy((x @ w.T).argmax(axis=1)),
            "These are the scores; the class with the largest one is wanted.": torch.from_numpy(scores),
            "That is the best image of each class: the largest score is looked for over the classes.": torch.from_numpy(
                scores.argmax(axis=0)
            ),
        },
        "Score each image for each class, add the biases, and take the class with the largest score.",
    )


@exercise("89.3")
def enough_images(function: Any) -> None:
    """The smallest size whose accuracy reaches the target, among sizes in any order; 0 if none does."""
    accuracy = {50: 0.71, 100: 0.86, 200: 0.90, 400: 0.93}
    for sizes, target, right in (([400, 100, 200, 50], 0.9, 200), ([50, 100], 0.9, 0)):
        same_number(
            call(function, accuracy.__getitem__, sizes, target),
            right,
            {
                400: "That size reaches the target, and so does a smaller one. The sizes come in any order.",
                100: "That size stays below the target." if right else "None of these sizes reaches it: return 0.",
            },
            "Of all sizes that reach the target (exactly is enough) the smallest is wanted, or 0.",
        )
