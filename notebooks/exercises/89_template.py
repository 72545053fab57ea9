"""The exercises of the template notebook; a lesson's own file begins as a copy of this one.

`value` is an exercise whose answer is a number, `exercise` one whose answer is a function. The decorated function is
the right answer; its docstring is the hint that any wrong one may get. `draw` makes inputs: of odd and different sides,
without a symmetry behind which a mistake could hide. The hints say what known mistakes make of them.
"""

import numpy as np

from compactlib.lab.checks import Either, exercise, value

parameters = value(
    "89.1",
    7850,
    {
        "Those are the weights; each class has a bias as well.": 7840,
        "Each class has weights of its own.": 794,
        "That is the model of the digits, 8 x 8 pixels; here they are 28 x 28.": 650,
    },
    "Count the weights of one class, and its bias. Then count the classes.",
)


def linear_model(rng):
    n, pixels, classes = rng.integers(20, 30), *rng.choice(range(3, 10), 2, replace=False)
    return rng.normal(size=(n, pixels)), rng.normal(size=(classes, pixels)), rng.normal(0, 2, classes)


def predict_hints(x, w, b):
    scores = x @ w.T + b
    return {
        "The biases are missing.": (x @ w.T).argmax(axis=1),
        "These are the scores; the class with the largest one is wanted.": scores,
        "That is the largest score itself; the class that has it is wanted.": scores.max(axis=1),
        "That is the best image of each class: the largest score is looked for over the classes.": scores.argmax(
            axis=0
        ),
    }


@exercise("89.2", draw=linear_model, hints=predict_hints)
def predict(x, w, b):
    """Score each image for each class, add the biases, and take the class with the largest score."""
    return np.array([(w @ image + b).argmax() for image in x])


def trainings(rng):
    """Accuracies that rise with the size, sizes in any order, and a target that one of them reaches exactly."""
    sizes = np.sort(rng.choice(range(10, 500), rng.integers(4, 8), replace=False)).tolist()
    accuracy = dict(zip(sizes, np.sort(rng.choice(range(50, 100), len(sizes), replace=False)) / 100, strict=True))
    return accuracy.__getitem__, rng.permutation(sizes).tolist(), accuracy[sizes[rng.integers(1, len(sizes) - 1)]]


def size_hints(accuracy_of, sizes, target):
    reached = [size for size in sizes if accuracy_of(size) >= target]
    return {
        "That size reaches the target, and so does a smaller one. The sizes come in any order.": Either(
            reached[0], reached[-1], max(sizes)
        ),
        "A size that reaches the target exactly is enough.": min(s for s in sizes if accuracy_of(s) > target),
        "That is its accuracy; the size is wanted.": accuracy_of(min(reached)),
    }


@exercise(
    "89.3",
    draw=trainings,
    corners={"None of the sizes reaches the target: return 0.": ({50: 0.71, 100: 0.86}.__getitem__, [100, 50], 0.9)},
    hints=size_hints,
)
def enough_images(accuracy_of, sizes, target):
    """Of all sizes that reach the target (exactly is enough) the smallest is wanted, or 0."""
    return next((size for size in sorted(sizes) if accuracy_of(size) >= target), 0)
