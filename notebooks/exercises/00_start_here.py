"""The exercises of notebook 00. How such a file is made: 89_template.py."""

import numpy as np
import torch

from compactlib.lab.checks import Either, exercise, value

steps = value(
    "00.1",
    200,
    {
        "The last batch of an epoch would not be full, and it is dropped: round down.": 210,
        "Round down in every epoch, before you multiply.": Either(202, 203, 1293 * 10 / 64),
        "That is one epoch.": 20,
        "A part of a batch is no step: round down.": 1293 / 64,
    },
    "How many full batches of 64 fit into 1,293 images, and how often are they seen?",
)


def labels(rng):
    """Training and test labels, each with one class that is most frequent, and these two differ."""
    k = rng.integers(3, 7)
    parts = [rng.choice(k, rng.integers(8, 40), p=rng.dirichlet(np.ones(k))) for _ in range(2)]
    train, test = (np.bincount(part, minlength=k) for part in parts)
    clear = all(np.sum(count == count.max()) == 1 for count in (train, test))
    if clear and train.argmax() != test.argmax() and test[train.argmax()]:
        return tuple(part.astype(rng.choice([np.int64, np.uint8])) for part in parts)
    return labels(rng)


def frequent(labels):
    return np.bincount(labels).argmax()


def majority_hints(train, test):
    best = frequent(train)
    return {
        "That class is the most frequent of the *test* labels, which no model may look at.": np.mean(
            test == frequent(test)
        ),
        "That is the accuracy on the training labels.": np.mean(train == best),
        "That is a count; an accuracy is a share.": np.sum(test == best),
        "That is the share that is *not* right.": np.mean(test != best),
        "That is the class itself; its share of the test labels is wanted.": best,
    }


@exercise(
    "00.2",
    draw=labels,
    example=(np.array([3, 1, 1, 0]), np.array([0, 1, 1, 2, 0, 0, 0, 1])),
    corners={"A class that no test label has is never right: accuracy 0.": (np.array([4, 4, 1]), np.array([1, 0]))},
    hints=majority_hints,
)
def majority_accuracy(train, test):
    """Find the most frequent class of the training labels, then the share of test labels that equal it."""
    return np.mean(test == frequent(train))


def pixels(rng):
    height, width = rng.choice(range(2, 8), 2, replace=False)
    images = rng.integers(0, 256, (rng.integers(1, 4), height, width, rng.choice([1, 3])), dtype=np.uint8)
    return images, round(rng.uniform(0.2, 0.6), 2), round(rng.uniform(0.1, 0.4), 2)


def input_hints(images, mean, std):
    right = to_model_input(images, mean, std)
    return {
        "Mean and standard deviation are for pixels from 0 to 1: divide by 255 first.": (
            to_model_input(images * 255.0, mean, std)
        ),
        "Divide by the standard deviation, too.": to_model_input(images, mean, 1),
        "Subtract the mean, too.": to_model_input(images, 0, std),
        "Subtract the mean before you divide by the standard deviation.": to_model_input(images, mean * std, std),
        "The channel has to stand before height and width.": right.permute(0, 2, 3, 1),
        "Height and width have changed places: (n, channels, height, width).": right.mT,
        "A reshape mixes channels and pixels; permute the axes.": right.permute(0, 2, 3, 1).reshape(right.shape),
    }


@exercise("00.3", draw=pixels, dtype=torch.float32, hints=input_hints)
def to_model_input(images, mean, std):
    """Scale to 0..1, subtract the mean, divide by the standard deviation, and put the channel first."""
    scaled = (images / 255 - mean) / std
    return torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2)
