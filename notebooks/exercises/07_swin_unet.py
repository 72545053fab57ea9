"""The exercises of notebook 07."""

import torch
from einops import rearrange

from compactlib.lab.checks import Either, exercise, value

bottleneck_tokens = value(
    "07.1",
    144,
    {
        "That is one side of the map.": 12,
        "Those are the tokens of the first stage; each patch merging halves the sides.": 9216,
        "Four stages have three patch mergings between them.": 36,
        "Three patch mergings halve the sides three times.": 576,
    },
    "How many tokens has a side of the first stage, and how often is it halved?",
)


def widened(rng):
    b, height, width, d = (int(k) for k in rng.choice(range(2, 7), 4, replace=False))
    x = torch.from_numpy(rng.integers(-99, 99, (b, height, width, 4 * d)))
    return x.to(rng.choice([torch.float32, torch.float64, torch.float16])), d


def expand_hints(x, d):
    def laid_out(order):
        return rearrange(x, order, p=2, q=2, d=d)

    return {
        "A reshape alone tears the pieces of a token apart: they belong side by side, 2 x 2.": (
            x.reshape(len(x), 2 * x.shape[1], 2 * x.shape[2], d)
        ),
        "Rows and columns of the 2 x 2 block are exchanged: the first piece is top left, the second top right.": (
            laid_out("b h w (q p d) -> b (h p) (w q) d")
        ),
        "The channels of a piece stand together in the widened token: (p q d), not (d p q).": Either(
            laid_out("b h w (d p q) -> b (h p) (w q) d"), laid_out("b h w (d q p) -> b (h p) (w q) d")
        ),
        "The pieces of a token lie next to each other: (h p), not (p h).": laid_out("b h w (p q d) -> b (p h) (q w) d"),
        "Height and width have changed places.": laid_out("b h w (p q d) -> b (w q) (h p) d"),
    }


@exercise("07.2", draw=widened, hints=expand_hints)
def expand(x, d):
    """Read the widened token as (p q d) and lay it out: "b h w (p q d) -> b (h p) (w q) d"."""
    return x.unflatten(-1, (2, 2, d)).permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(1, 2)


def probabilities_and_truth(rng):
    shape = rng.choice(range(2, 8), rng.integers(1, 4), replace=False)
    p, t = torch.from_numpy(rng.random(shape)).float(), torch.from_numpy(rng.random(shape) < 0.6)
    return (p, t.to(rng.choice([torch.float32, torch.int64]))) if t.any() else probabilities_and_truth(rng)


def dice_hints(p, t):
    overlap, squares = (p * t).sum(), (p**2 + t**2).sum()
    each = 1 - 2 * p * t / (p**2 + t**2)
    return {
        "That is the Dice coefficient. The loss is what is missing to 1.": 2 * overlap / squares,
        "Squares below the line: sum of p squared and of t squared.": 1 - 2 * overlap / (p.sum() + t.sum()),
        "The factor 2 above the line is missing.": 1 - overlap / squares,
        "Sum above and below the line first, divide then.": Either(each.mean(), each),
        "Each pixel is squared, and not the sum.": 1 - 2 * overlap / (p.sum() ** 2 + t.sum() ** 2),
        "That is 1 - IoU: pixels in both are counted once below the line.": 1 - overlap / (squares - overlap),
    }


@exercise("07.3", draw=probabilities_and_truth, hints=dice_hints)
def soft_dice_loss(p, t):
    """One number: the sums go over all pixels."""
    p, t = p.double().flatten(), t.double().flatten()
    return 1 - 2 * p.dot(t) / (p.dot(p) + t.dot(t))


def networks(rng):
    """A score of the parts of a network, two of which can do each other's work; and all parts."""
    parts = rng.permutation(["skips", "expanding", "windows", "positions", "norms"])[: rng.integers(4, 6)].tolist()
    worth = dict(zip(parts, rng.permutation([0.7, 0.6, 0.4, 0.2, 0.1]), strict=False))
    stand_ins = set(rng.choice(parts, 2, replace=False))

    def score(kept):
        kept = set(kept)
        if unknown := kept - set(worth):
            raise ValueError(f"there is no part {min(map(str, unknown))!r}")
        alone = max((worth[part] for part in kept & stand_ins), default=0)
        return alone + sum(worth[part] for part in kept - stand_ins)

    first, second, *_ = sorted(score(set(parts) - {part}) for part in parts)
    best = max(parts, key=lambda part: score([part]))
    return (score, parts) if first < second - 0.05 and best != most_missed(score, parts) else networks(rng)


def part_hints(score, parts):
    by_loss = sorted(parts, key=lambda part: score(set(parts) - {part}))
    alone = sorted(parts, key=lambda part: score([part]))
    return {
        "That part is the best by itself. Leave one out of *all* parts: what cannot the rest do?": alone[-1],
        "That part is the worst by itself. Leave one out of *all* parts: what cannot the rest do?": alone[0],
        "Leaving that one out costs something, but another one costs more.": by_loss[1],
        "Leaving that one out costs least; the part whose removal costs *most* is wanted.": Either(
            by_loss[-1], max(parts, key=lambda part: score(set(parts) - {part}))
        ),
        "That is the first of the parts; ask `score`.": parts[0],
    }


@exercise("07.4", draw=networks, hints=part_hints)
def most_missed(score, parts):
    """Score all parts but one, for each one in turn. Without which part is the score lowest?"""
    return min(parts, key=lambda part: score(set(parts) - {part}))
