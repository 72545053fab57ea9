"""The exercises of notebook 04."""

import numpy as np
import torch

from compactlib.lab.checks import Either, exercise


def times(rng):
    budget = int(rng.integers(6, 60)) * 10
    low, high = [(0.01, 0.09), (0.11, 0.5), (0.5, 0.99), (1.01, 1.5)][rng.integers(4)]
    return round(rng.uniform(low, high) * budget, 1), budget, round(rng.uniform(0.01, 0.1), 3)


def rate_hints(elapsed, budget, peak):
    share = elapsed / budget
    down = max(0, 1 - share)
    return {
        "After a tenth of the budget the rate is at its peak; the way down starts there, and not at 0.": (
            peak * (10 * share if share < 0.1 else down)
        ),
        "After the budget the rate stays 0; a negative one would climb the loss.": (
            peak * min(10 * share, (1 - share) / 0.9)
        ),
        "There is no way up: after a twentieth of the budget the rate is half way up.": Either(
            peak * min(1, down / 0.9), peak * down
        ),
        "There is no way down: from a tenth of the budget to its end the rate falls to 0.": peak * min(1, 10 * share),
        "That is the share of the peak; multiply by `peak`.": rate(elapsed, budget, 1),
    }


@exercise(
    "04.1",
    draw=times,
    example=(15, 300, 0.04),
    corners={
        "After a tenth of the budget the rate is at its peak; the way down starts there.": (30, 300, 0.04),
        "At the start the rate is 0.": (0, 300, 0.04),
        "At the end of the budget the rate is 0.": (300, 300, 0.04),
    },
    hints=rate_hints,
)
def rate(elapsed, budget, peak):
    """Straight lines from 0 to `peak` in the first tenth, and to 0 in the other nine; 0 after that."""
    return np.interp(elapsed / budget, [0, 0.1, 1], [0, peak, 0])


def flips(rng):
    first = torch.from_numpy(rng.random(rng.integers(6, 12)) < rng.choice([0.3, 0.7]))
    return flips(rng) if first.all() or not first.any() else (first, int(rng.integers(0, 9)))


def flip_hints(first, epoch):
    odd = epoch % 2 == 1
    return {
        "The epoch has no effect: in epoch 1 every image is shown the other way.": first,
        "In epoch 0 the images that `first` names are mirrored, and no others.": first ^ (not odd),
        "After epoch 1 they change back: mirrored, not mirrored, mirrored, ... or the other way round.": (
            first ^ (epoch > 0)
        ),
        "In odd epochs no image is mirrored here; those that `first` leaves out have their turn then.": (
            first & (not odd)
        ),
        "In odd epochs all images are mirrored here; those that `first` names have a rest then.": first | odd,
    }


@exercise(
    "04.2",
    draw=flips,
    example=(torch.tensor([True, False, False]), 1),
    corners={"In epoch 0 the images that `first` names are mirrored, and no others.": (torch.tensor([True, False]), 0)},
    dtype=torch.bool,
    hints=flip_hints,
)
def mirrored(first, epoch):
    """Each image changes with every epoch: mirrored, not mirrored, mirrored, ... or the other way round."""
    return ~first if epoch % 2 else first


def accuracies(rng):
    n, m = rng.choice(range(3, 10), 2, replace=False)
    means, spreads = rng.uniform(0.6, 0.9, 2), rng.permutation([0.02, 0.05])
    return tuple(
        rng.normal(mean, spread, k).round(3).tolist() for mean, spread, k in zip(means, spreads, (n, m), strict=True)
    )


def noise_hints(a, b):
    gap, t, n, m = np.mean(a) - np.mean(b), difference_in_noise(a, b), len(a), len(b)
    pooled = (np.var(a) * n + np.var(b) * m) / (n + m - 2)
    return {
        "That is the variance of a whole population; a sample's is divided by n - 1.": (
            gap / (np.var(a) / n + np.var(b) / m) ** 0.5
        ),
        "That is the noise of a single run; the mean of n runs has n times less variance.": (
            gap / (np.var(a, ddof=1) + np.var(b, ddof=1)) ** 0.5
        ),
        "That is the difference alone, without its noise.": gap,
        "The sign is turned round: positive where A is better.": -t,
        "A difference has a sign: positive where A is better, negative where B is.": abs(t),
        "Standard errors are added squared, and then the root is taken.": (
            gap / (np.std(a, ddof=1) / n**0.5 + np.std(b, ddof=1) / m**0.5)
        ),
        "The root is missing below the line.": t**2 / gap,
        "That takes both variances for equal (pooled); here each group has its own.": (
            gap / (pooled / n + pooled / m) ** 0.5
        ),
    }


@exercise("04.3", draw=accuracies, rtol=1e-3, hints=noise_hints)
def difference_in_noise(a, b):
    """Difference of the means over sqrt(variance of A / n of A + variance of B / n of B)."""
    squared_errors = np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b)
    return (np.mean(a) - np.mean(b)) / squared_errors**0.5
