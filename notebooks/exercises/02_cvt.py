"""The exercises of notebook 02."""

import numpy as np
import torch

from compactlib.lab.checks import Either, NotYet, exercise, value

difference = value(
    "02.1",
    -127,
    {
        "The sign: which model has more?": 127,
        "The class token also has a row in the positional embedding.": 1,
        "That is what SeqPool adds. What goes away?": 129,
        "That is what goes away with the class token. What does SeqPool add?": Either(-256, 256),
        "g maps 128 numbers to one, with a bias.": -128,
    },
    "SeqPool brings g (a weight per channel and a bias); the class token and its position go.",
)


def tokens(rng):
    """x (b, n, d) with three sides that differ, and the weight and the bias of g."""
    b, n, d = rng.choice(range(2, 8), 3, replace=False)
    kind = rng.choice([torch.float32, torch.float64])
    return tuple(torch.from_numpy(rng.normal(size=shape)).to(kind) for shape in ((b, n, d), (1, d), (1,)))


def pool_hints(x, weight, bias):
    scores, right = x @ weight.T + bias, seq_pool(x, weight, bias)
    with_class_token = torch.cat([bias.expand(len(x), 1, 1), scores], dim=1).softmax(1)[:, 1:]
    return {
        "Every token counts the same: where do the scores come in?": x.mean(1),
        "All tokens weigh one here (so does a softmax over an axis of length 1); it has to run over them.": x.sum(1),
        "The softmax runs over the images of the batch; it has to run over the tokens.": (scores.softmax(0) * x).sum(1),
        "The scores went in without a softmax.": (scores * x).sum(1),
        "A class token was left in the pool: it takes a share of the weights. There is none.": (
            (with_class_token * x).sum(1)
        ),
        "These are the weights of the tokens; sum the tokens with them.": Either(
            scores.softmax(1), scores.softmax(1).squeeze(2)
        ),
        "The weights sum to one already; do not divide by the number of tokens.": right / x.shape[1],
        "The extra axis of length 1 is still there: squeeze it.": right[:, None],
    }


@exercise("02.2", draw=tokens, hints=pool_hints)
def seq_pool(x, weight, bias):
    """One score per token, softmax over the tokens, then the weighted sum of the tokens."""
    share = (torch.einsum("bnd,d->bn", x, weight[0]) + bias).softmax(dim=1)
    return torch.einsum("bn,bnd->bd", share, x)


def tokens_apart(rng):
    """Tokens (20, n, 4) whose first channels are half a unit apart, or more."""
    n = rng.integers(2, 8)
    x = rng.normal(size=(20, n, 4))
    x[..., 0] = rng.permuted(np.tile(np.arange(n) / 2, (20, 1)), axis=1) + rng.normal(size=(20, 1))
    return (torch.from_numpy(x),)


def pool_with(answer, x):
    try:
        weight = torch.as_tensor(answer, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        raise NotYet(f"A list of 4 numbers is expected, not {answer!r}.") from None
    if len(weight) != 4 or not weight.isfinite().all():
        raise NotYet(f"g needs one weight per channel, 4 finite numbers in all; these are {weight.tolist()}.")
    return ((x @ weight).softmax(1)[..., None] * x).sum(1)


def judged(answer):
    first, *others = torch.as_tensor(answer, dtype=torch.float64).flatten().tolist()
    if any(others):
        return "Only the first channel may decide."
    if first == 0:
        return "With zero weights all tokens score the same, and SeqPool is the mean."
    if first < 0:
        return "This leans to the token whose first channel is *smallest*."
    return "The direction is right, but the softmax still mixes the tokens: how does it become decided?"


@exercise("02.3", draw=tokens_apart, use=pool_with, otherwise=judged, atol=0.02)
def token_with_the_largest(x):
    return x[torch.arange(len(x)), x[..., 0].argmax(1)]


def pool_and_tokens(rng):
    n, d = rng.choice(range(3, 9), 2, replace=False)
    g = torch.from_numpy(rng.normal(size=d)).float()
    return lambda x: ((x @ g).softmax(1)[..., None] * x).sum(1), torch.from_numpy(rng.normal(size=(1, n, d))).float()


def left_out(pool, x):
    """(n, d): the pool without token i, minus the pool of all."""
    return torch.cat([pool(x[:, torch.arange(x.shape[1]) != i]) - pool(x) for i in range(x.shape[1])])


def importance_hints(pool, x):
    change = left_out(pool, x)
    zeroed = torch.cat([pool(x * row[:, None]) - pool(x) for row in 1 - torch.eye(x.shape[1])])
    return {
        "A token of zeros still takes its share of the weights: leave it out of the sequence.": zeroed.norm(dim=1),
        "That is the square of the distance.": change.square().sum(dim=1),
        "Take the distance over all channels (Euclidean), one number a token.": change,
        "That is the sum of the absolute differences; the Euclidean distance is wanted.": change.abs().sum(dim=1),
        "That is the distance of the pool to the token itself; leave the token out, and pool the others.": (
            (x[0] - pool(x)).norm(dim=1)
        ),
    }


@exercise("02.4", draw=pool_and_tokens, hints=importance_hints)
def importance(pool, x):
    """For each token: pool the others, and take the Euclidean distance to the pool of all tokens."""
    return left_out(pool, x).norm(dim=1)
