"""The experiments among the exercises of notebooks 01 to 07. A student writes one; it is run here on another case."""

from typing import Any

import torch
from torch import Tensor, nn

from compactlib.lab.checks.registry import NotYet, call, exercise, same_number, same_tensor


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))


@exercise("01.4")
def order_matters(function: Any) -> None:
    """max |f(x[order]) - f(x)[order]|, for a function that knows the order and one that does not."""
    tokens, order = _random(2, 5, 3), torch.tensor([3, 0, 4, 1, 2])

    def encode(x: Tensor) -> Tensor:
        return x - 3 * x.cumsum(dim=1)

    shuffled_first, shuffled_last = encode(tokens[:, order]), encode(tokens)[:, order]
    difference = shuffled_first - shuffled_last
    same_number(
        call(function, encode, tokens, order),
        difference.abs().max().item(),
        {
            (shuffled_first - encode(tokens)).abs().max().item(): (
                "The tokens stand in another order on the two sides: shuffle what the encoder gives as well."
            ),
            difference.abs().mean().item(): "That is the mean; the *largest* difference is wanted.",
            difference.max().item(): "A difference may be negative: take its absolute value.",
        },
        "Encode the shuffled tokens; shuffle the encoded tokens in the same way; take the largest absolute difference.",
    )
    if call(function, torch.sigmoid, tokens, order) != 0:
        raise NotYet("An encoder that treats each token by itself does not know the order: the answer for it is 0.")


@exercise("02.4")
def importance(function: Any) -> None:
    """|pool(x) - pool(x without token i)| for each token i."""
    x = _random(1, 6, 4)

    def pool(tokens: Tensor) -> Tensor:  # (b, n, 4) -> (b, 4)
        return (tokens[..., :1].softmax(dim=1) * tokens).sum(dim=1)

    def without(i: int) -> Tensor:
        return torch.cat([x[:, :i], x[:, i + 1 :]], dim=1)

    def with_a_zero(i: int) -> Tensor:
        return x * (torch.arange(6) != i)[None, :, None]

    left_out = torch.cat([pool(without(i)) - pool(x) for i in range(6)])  # (6, 4)
    zeroed = torch.cat([pool(with_a_zero(i)) - pool(x) for i in range(6)])
    same_tensor(
        call(function, pool, x),
        left_out.norm(dim=1),
        {
            "A token of zeros still takes its share of the weights: leave it out of the sequence.": zeroed.norm(dim=1),
            "That is the square of the distance.": left_out.square().sum(dim=1),
            "Take the distance over all channels (Euclidean), one number a token.": left_out,
            "That is the sum of the absolute differences; the Euclidean distance is wanted.": left_out.abs().sum(dim=1),
        },
        "For each token: pool the sequence without it, and take the Euclidean distance to the pool of all tokens.",
    )


@exercise("05.5")
def reach(function: Any) -> None:
    """How far a convolutional network looks, for three networks whose reach is known from their kernels."""
    only_left = nn.Sequential(nn.ZeroPad2d((6, 0, 0, 0)), nn.Conv2d(1, 1, (1, 7)))
    wide = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=3, dilation=3))
    for network, right in ((nn.Conv2d(1, 2, 5, padding=2), 2), (wide, 4), (only_left, 6)):
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.1)  # positive everywhere: no ReLU closes on positive pixels
        hints = {2 * right + 1: "That is the width of all it sees. How far is it from the middle?"}
        hints |= {right + 1: "One too many: the pixel itself is at distance 0.", 2 * right: hints[2 * right + 1]}
        if network is only_left:
            hints[0] = "This network looks only to the left, 6 pixels far: search on both sides."
        same_number(
            call(function, network, 33),
            right,
            hints,
            f"A network that looks {right} pixels far gives another number. Change one pixel of the image (or take the "
            "gradient at one pixel of the output): how far off is the last pixel that has to do with it?",
        )


@exercise("06.4")
def blocks_until_all(function: Any) -> None:
    """Blocks until each token has heard of each other one; 0 if that never happens."""

    def windows(length: int, window: int, shift: int) -> Tensor:
        place = (torch.arange(length) - shift) // window
        return place[:, None] == place[None, :]

    plain, shifted = windows(16, 4, 0), windows(16, 4, 2)
    cases = [([plain, shifted] * 8, 7), ([plain] * 8, 0), ([windows(16, 16, 0)], 1), ([plain, shifted] * 2, 0)]
    for looks_at, right in cases:
        hints = {right - 1: "Count from one: after the first block the answer may be 1."}
        hints |= {len(looks_at): "Stop as soon as everybody has heard of everybody; if that never happens, return 0."}
        if right == 7:
            hints[0] = (
                "What a token has heard travels on: in the next block, whoever looks at it hears of all that it knows."
            )
        same_number(
            call(function, looks_at),
            right,
            hints,
            "Keep a table of who has heard of whom. In each block a token adds what those know at whom it looks.",
        )


@exercise("07.4")
def most_missed(function: Any) -> None:
    """The part whose removal costs the most; parts that replace each other are not missed."""
    alone = {"skips": 0.5, "expanding": 0.6, "windows": 0.3, "positions": 0.1}

    def score(kept: Any) -> float:
        kept = set(kept)
        if unknown := kept - set(alone):
            raise ValueError(f"there is no part {sorted(unknown)[0]!r}")
        # Skips and expanding can do each other's work; the windows cannot be replaced.
        return max((alone[part] for part in kept & {"skips", "expanding"}), default=0) + sum(
            alone[part] for part in kept & {"windows", "positions"}
        )

    answer = call(function, score, list(alone))
    hints = {
        "expanding": "That part is the best by itself. Leave one out of *all* parts: what cannot the rest do?",
        "positions": "Leaving that one out costs something, but another one costs more.",
        "skips": "Leaving that one out costs nothing here: another part does its work.",
    }
    if answer != "windows":
        raise NotYet(hints.get(answer, f"The name of a part is expected, not {answer!r}."))
