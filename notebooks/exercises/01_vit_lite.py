"""The exercises of notebook 01."""

import torch
import torch.nn.functional as F

from compactlib.lab.checks import Either, exercise, value

sequence_length = value(
    "01.1",
    65,
    {
        "These are the patches. What else is in ViT's sequence?": 64,
        "That is one row of patches.": 8,
        "That is one row of patches and the class token.": 9,
        "Those are the pixels.": 1024,
    },
    "How many 4 x 4 patches cover 32 x 32 pixels, and what does ViT put in front of them?",
)

attention_parameters = value(
    "01.2",
    3 * 256 * 256 + 256 * 256 + 256,
    {
        "The projection has a bias.": 4 * 256 * 256,
        "query, key and value have no bias here; only the projection has one.": 4 * 256 * 256 + 4 * 256,
        "That is the map to query, key and value. A projection follows.": 3 * 256 * 256,
        "query, key *and* value: the first map has 3 x 256 outputs.": 2 * 256 * 256 + 256,
    },
    "Two linear maps: 256 -> 3 x 256 without a bias, and 256 -> 256 with one.",
)


def queries_keys_values(rng):
    """Three tensors of one shape, whose three sides differ."""
    shape = rng.choice(range(2, 9), 3, replace=False)
    return tuple(torch.from_numpy(1.5 * rng.normal(size=(3, *shape))).to(rng.choice([torch.float32, torch.float64])))


def attention_hints(q, k, v):
    dots, n, d = q @ k.mT, q.shape[1], q.shape[2]
    scores = dots / d**0.5
    return {
        "The scores are not divided by the square root of d.": dots.softmax(-1) @ v,
        "Divide by the square root of d, not by d.": (dots / d).softmax(-1) @ v,
        "d is the length of a query, not the number of tokens.": (dots / n**0.5).softmax(-1) @ v,
        "The softmax runs over the wrong axis: the weights that *one query* gives to all keys sum to one.": (
            scores.softmax(-2) @ v
        ),
        "These are the weights; they still have to be applied to the values.": scores.softmax(-1),
        "There is no softmax.": scores @ v,
        "Queries and keys have changed places.": scores.mT.softmax(-1) @ v,
    }


@exercise("01.3", draw=queries_keys_values, hints=attention_hints)
def attention(q, k, v):
    """Scores q k^T, divided by sqrt(d), softmax over the keys, times v."""
    return F.scaled_dot_product_attention(q, k, v)


def encoder(rng):
    """An encoder that knows the order, tokens, and a permutation that is not its own inverse."""
    shape = rng.choice(range(3, 9), 3, replace=False)
    scale, sums = rng.normal(size=2)
    order = torch.from_numpy(rng.permutation(shape[1]))
    if torch.equal(order, order.argsort()):
        return encoder(rng)
    x = torch.from_numpy(rng.normal(size=shape)).float()
    return lambda tokens: scale * tokens + sums * tokens.cumsum(dim=1), x, order


def order_hints(encode, x, order):
    shuffled, encoded = encode(x[:, order]), encode(x)
    difference = shuffled - encoded[:, order]
    return {
        "The tokens stand in another order on the two sides: shuffle what the encoder gives as well.": (
            (shuffled - encoded).abs().max()
        ),
        "That takes the shuffled tokens back with `order`; its inverse is `order.argsort()`.": (
            (shuffled[:, order] - encoded).abs().max()
        ),
        "That is the mean; the *largest* difference is wanted.": difference.abs().mean(),
        "A difference may be negative: take its absolute value.": Either(difference.max(), -difference.min()),
    }


@exercise(
    "01.4",
    draw=encoder,
    corners={
        "An encoder that treats each token by itself does not know the order: the answer for it is 0.": (
            torch.sigmoid,
            torch.linspace(-2, 2, 30).reshape(2, 5, 3),
            torch.tensor([3, 0, 4, 1, 2]),
        )
    },
    hints=order_hints,
)
def order_matters(encode, x, order):
    """Encode the shuffled tokens; shuffle the encoded ones in the same way; take the largest absolute difference."""
    return (encode(x[:, order]) - encode(x)[:, order]).abs().max()
