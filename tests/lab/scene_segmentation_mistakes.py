"""Typical mistakes in the exercises of notebook 09, and a word of the hint that each one gets."""

import numpy as np


def softmax(scores, axis):
    shares = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


def mean_of_scores(scores):
    return scores.mean(axis=0).argmax(axis=-1)


def majority(scores):
    return np.eye(scores.shape[-1])[scores.argmax(axis=-1)].sum(axis=0).argmax(axis=-1)


def softmax_over_models(scores):
    return softmax(scores, 0).mean(axis=0).argmax(axis=-1)


def product(scores):
    return softmax(scores, -1).prod(axis=0).argmax(axis=-1)


def no_argmax(scores):
    return softmax(scores, -1).mean(axis=0)


def first_model(scores):
    return scores[0].argmax(axis=-1)


def mean_of_windows(pairs, label):
    values = []
    for found, true in pairs:
        found, true = (found == label) & (true != 255), true == label
        values.append((found & true).sum() / max(1, (found | true).sum()))
    return np.mean(values)


def unknown_counts(pairs, label):
    both = either = 0
    for found, true in pairs:
        both, either = (
            both + ((found == label) & (true == label)).sum(),
            either + ((found == label) | (true == label)).sum(),
        )
    return both / either


def dice(pairs, label):
    both = total = 0
    for found, true in pairs:
        found, true = (found == label) & (true != 255), true == label
        both, total = both + (found & true).sum(), total + found.sum() + true.sum()
    return 2 * both / total


def recall(pairs, label):
    both = total = 0
    for found, true in pairs:
        both, total = both + ((found == label) & (true == label)).sum(), total + (true == label).sum()
    return both / total


def mean_difference(predict, whole, halos, limit=1e-3):
    return min(halo for halo in halos if np.abs(predict(halo) - whole).mean() <= limit)


def signed_difference(predict, whole, halos, limit=1e-3):
    return min(halo for halo in halos if (predict(halo) - whole).max() <= limit)


def exactly_equal(predict, whole, halos, limit=1e-3):
    return min(halo for halo in halos if np.array_equal(predict(halo), whole))


def lucky(predict, whole, halos, limit=1e-3):
    return min(halo for halo in halos if np.abs(predict(halo) - whole).max() <= limit)


def fixed_limit(predict, whole, halos, limit=1e-3):
    good = [halo for halo in halos if np.abs(predict(halo) - whole).max() <= 1e-3]
    return min(halo for halo in good if all(other in good for other in halos if other > halo))


MISTAKES = {
    "09.1": [(2.88, "four bytes"), (2.304, "each class"), (11_520, "megabytes"), (11.52e9, "in bytes")],
    "09.2": [
        (mean_of_scores, "raw scores"),
        (majority, "vote"),
        (softmax_over_models, "Softmax over the classes"),
        (product, "rank alike"),
        (no_argmax, "best class of each pixel"),
        (first_model, "single model"),
    ],
    "09.3": [
        (mean_of_windows, "mean of the windows"),
        (unknown_counts, "255"),
        (dice, "That is Dice"),
        (recall, "recall"),
    ],
    "09.4": [
        (mean_difference, "largest absolute"),
        (signed_difference, "sign"),
        (exactly_equal, "rounding"),
        (lucky, "luck"),
        (fixed_limit, "is an argument"),
    ],
}
