"""The exercises of notebook 09."""

import numpy as np
import torch

from compactlib.lab.checks import Either, exercise, value

gigabytes = value(
    "09.1",
    11.52,
    {
        "A float32 has four bytes.": 2.88,
        "There is a score for each class.": 2.304,
        "That is one byte for each pixel: the mask.": 0.576,
        "A float32 has four bytes, not eight.": 23.04,
        "That is in bytes; a gigabyte has a thousand million of them.": 11.52e9,
        "That is in megabytes.": 11_520,
        "That is in units of 2^30 bytes; a gigabyte is meant as 10^9.": 11.52e9 / 2**30,
    },
    "Pixels times classes times the bytes of a float32, in units of a thousand million bytes.",
)


def scores(rng):
    """Raw scores of models, some louder than others, at pixels whose best class is clear."""
    models, height, width, classes = rng.choice(range(3, 9), 4, replace=False)
    raw = torch.from_numpy(rng.normal(size=(models, 20 * height * width, classes)) * rng.uniform(1, 5, (models, 1, 1)))
    first, second = raw.softmax(-1).mean(0).topk(2).values.unbind(-1)
    clear = raw[:, first - second > 1e-3][:, : height * width].reshape(models, height, width, classes)
    return (clear.numpy().astype(rng.choice([np.float32, np.float64])),)


def vote_hints(scores):
    raw = torch.from_numpy(scores)
    shares, best = raw.softmax(-1), raw.argmax(-1)
    return {
        "Those are the means of the raw scores (or the products of the probabilities, which rank alike). Make "
        "probabilities first, then take their mean: one model's scores may be larger.": raw.mean(0).argmax(-1),
        "That is a vote of the models: one that is sure counts as much as one that is not.": (
            torch.nn.functional.one_hot(best).sum(0).argmax(-1)
        ),
        "That is the class of a single model.": Either(best[0], best[-1]),
        "That is the class with the largest probability that any model gives.": shares.amax(0).argmax(-1),
        "That is the class of each model; take the mean over the models first.": best,
        "Those are scores for each class. Return the best class of each pixel, (h, w).": Either(
            shares.mean(0), raw.mean(0)
        ),
    }


@exercise("09.2", draw=scores, hints=vote_hints)
def vote(scores):
    """Softmax over the classes, mean over the models, then the best class."""
    return torch.from_numpy(scores).double().softmax(-1).mean(0).argmax(-1)


def windows(rng):
    """Pairs (found, true) of windows, one by one; in one of them no known pixel is of the class."""
    label, pairs = int(rng.integers(0, 3)), []
    for share in rng.permutation([0.9, 0.3, 0, 0.1])[: rng.integers(3, 5)]:
        shape = rng.choice(range(5, 25), 2, replace=False)
        true = np.where(rng.random(shape) < share, label, (label + rng.integers(1, 3, shape)) % 3)
        found = np.where(rng.random(shape) < 0.3, rng.integers(0, 3, shape), true)
        true[: rng.integers(1, 4)] = 255
        pairs.append((found.astype(np.uint8), true.astype(np.uint8)))
    return iter(pairs), label


def counted(found, true, label):
    """Pixels in both, in at least one, found, and true."""
    found, true = found == label, true == label
    return np.array([np.sum(found & true), np.sum(found | true), np.sum(found), np.sum(true)])


def scene_hints(pairs, label):
    pairs = list(pairs)
    known = [counted(found[true != 255], true[true != 255], label) for found, true in pairs]
    both, _, found, true = sum(known)
    each = [(b, e) for b, e, *_ in known]
    return {
        "That is the mean of the windows' IoU. Sum the pixels of all windows first, divide once.": Either(
            *(np.nanmean([b / e if e else absent for b, e in each]) for absent in (np.nan, 0, 1))
        ),
        "Pixels whose truth is 255 do not count, whatever was found there.": (
            both / sum(counted(*pair, label)[1] for pair in pairs)
        ),
        "That is Dice. IoU divides by the pixels in at least one of the two.": 2 * both / (found + true),
        "That is the recall: you divide by the true pixels only.": both / true,
        "That is the precision: you divide by the found pixels only.": both / found,
        "That is the IoU of one window; sum over all of them.": Either(
            *(b / e if e else np.nan for b, e in (each[0], each[-1]))
        ),
        "That is a count. Divide by the pixels in at least one of the two.": both,
    }


@exercise("09.3", draw=windows, hints=scene_hints)
def scene_iou(pairs, label):
    """Over all windows, count the known pixels that are in both and those in at least one; divide at the end. The
    windows come once: read them in one loop."""
    both, either, *_ = sum(counted(found[true != 255], true[true != 255], label) for found, true in pairs)
    return both / either


def tiles(rng):
    """Scores with an error that depends on the halo: at one pixel, of either sign; now and then it comes back."""
    whole = rng.integers(-16, 16, (6, 9, 3)) / 4
    limit = float(rng.choice([0.125, 0.25, 0.5]))
    halos, enough_from = np.arange(6) * int(rng.integers(2, 6)), int(rng.integers(2, 5))
    large = rng.choice([-4, -2.5, 2, 3], 6) * limit
    small = np.append(rng.choice([-limit, limit / 2, limit, 2**-11, 0], 5), 0)  # the largest halo: none at all
    good = (np.arange(6) >= enough_from) | (np.arange(6) == rng.integers(0, enough_from - 1))
    errors = dict(zip(halos.tolist(), np.where(good, small, large), strict=True))
    places = {halo: tuple(rng.integers(0, whole.shape)) for halo in errors}

    def predict(halo):
        scores = whole.copy()
        scores[places[halo]] += errors[halo]
        return scores

    return predict, whole, rng.permutation(halos).tolist(), limit


def smallest(predict, whole, halos, good):
    """The smallest halo that is good; and the one from which on all are, the largest if it is not."""
    fine = {halo for halo in halos if good(predict(halo) - whole)}
    lasting = [halo for halo in halos if fine.issuperset(other for other in halos if other >= halo)]
    return min(fine, default=max(halos)), min(lasting, default=max(halos))


def halo_hints(predict, whole, halos, limit):
    right, given = enough(predict, whole, halos, limit), (predict, whole, halos)
    return {
        "A mean hides a seam: take the largest absolute difference.": Either(
            *smallest(*given, lambda d: np.abs(d).mean() <= limit), *smallest(*given, lambda d: (d**2).mean() <= limit)
        ),
        "Errors have a sign: take the largest *absolute* difference.": Either(
            *smallest(*given, lambda d: d.max() <= limit), *smallest(*given, lambda d: d.min() >= -limit)
        ),
        "A smaller halo is enough: differences up to `limit` are rounding.": Either(
            *smallest(*given, lambda d: not d.any())
        ),
        "*From which on*: with a smaller halo nothing differs, but with a larger one it does again. That was luck.": (
            smallest(*given, lambda d: np.abs(d).max() <= limit)[0]
        ),
        "`limit` is an argument; do not write 0.001.": Either(*smallest(*given, lambda d: np.abs(d).max() <= 1e-3)),
        "That is the largest halo; a smaller one is enough.": max(halos),
        "That is the place in the list; return the halo itself.": Either(
            halos.index(right), sorted(halos).index(right)
        ),
    }


@exercise("09.4", draw=tiles, hints=halo_hints)
def enough(predict, whole, halos, limit):
    """Return the smallest halo of which this holds: with it, and with all larger candidates, the largest absolute
    difference is `limit` or less."""
    return smallest(predict, whole, halos, lambda d: np.abs(d).max() <= limit)[1]
