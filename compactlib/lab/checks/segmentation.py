"""The exercises of notebooks 05 to 07. Each is checked on numbers that the notebook does not show."""

from typing import Any

import torch

from compactlib.lab.checks.registry import NotYet, as_tensor, call, exercise, same_number, same_tensor
from compactlib.models import shift_mask, window_partition
from compactlib.segmentation import dice, iou


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


# ---- 05 U-Net -------------------------------------------------------------------------------------------------------


@exercise("05.1")
def output_side(answer: Any) -> None:
    """700 pixels through the published U-Net."""
    same_number(
        answer,
        516,
        {
            608: "The margin is lost on *both* sides.",
            700: "The published U-Net does not pad.",
            388: "That is the output for 572 pixels.",
        },
        "How many pixels are lost on the whole way? Compare 572 and 388.",
    )


@exercise("05.2")
def border_term(function: Any) -> None:
    """w0 exp(-(d1 + d2)^2 / (2 sigma^2)), with other w0 and sigma than the paper's too."""
    d1, d2 = _random(2, 6, 5).abs().unbind(0)
    for w0, sigma in ((10.0, 5.0), (3.0, 2.0)):
        total = 4 * (d1 + d2)
        same_tensor(
            call(function, 4 * d1, 4 * d2, w0, sigma),
            w0 * torch.exp(-(total**2) / (2 * sigma**2)),
            {
                "The exponent is negative: far from two cells the weight vanishes.": w0
                * torch.exp(total**2 / (2 * sigma**2)),
                "First add the two distances, then square the sum.": w0
                * torch.exp(-((4 * d1) ** 2 + (4 * d2) ** 2) / (2 * sigma**2)),
                "Divide by 2 sigma squared.": w0 * torch.exp(-(total**2) / sigma**2),
                "w0 is missing in front.": torch.exp(-(total**2) / (2 * sigma**2)),
            },
            "Compare with Equation 2; `w0` and `sigma` are arguments, do not write 10 and 5.",
        )


@exercise("05.3")
def intersection_over_union(function: Any) -> None:
    """|P and T| / |P or T|."""
    pred, target = (_random(2, 9, 11) > 0.3).unbind(0)
    pred[:4] = False
    hits = (pred & target).sum()
    same_number(
        call(function, pred.clone(), target.clone()),
        iou(pred, target),
        {
            dice(pred, target): "That is Dice: 2 |P and T| / (|P| + |T|). IoU divides by the union.",
            (hits / target.sum()).item(): "That is the recall: you divide by the true pixels only.",
            (hits / pred.sum()).item(): "That is the precision: you divide by the predicted pixels only.",
            (pred == target).float().mean().item(): "That is the pixel accuracy: background in both counts as right.",
            hits.item(): "That is a count. Divide by the pixels in at least one of the masks.",
        },
        "Count the pixels that are in both masks, and divide by the number in at least one.",
    )


@exercise("05.4")
def what_is_read(function: Any) -> None:
    """(start, stop) of the input of each tile."""
    for length, tile, halo in ((100, 40, 12), (64, 32, 4), (7, 16, 3)):
        result = call(function, length, tile, halo)
        try:
            found = [(int(start), int(stop)) for start, stop in result]
        except (TypeError, ValueError):
            raise NotYet("Return a list of pairs (start, stop).") from None
        starts = range(0, length, tile)
        known = {
            "The halo is read on both sides: the tile starts before its output.": [
                (s, s + tile + halo) for s in starts
            ],
            "That is the output of each tile. It reads `halo` more on each side.": [(s, s + tile) for s in starts],
            "The part that sticks out at the end of the image is missing: round up.": [
                (s - halo, s + tile + halo) for s in range(0, length - tile + 1, tile)
            ],
            "Do not stop at the border of the image: what is outside will be mirrored.": [
                (max(0, s - halo), min(length, s + tile + halo)) for s in starts
            ],
        }
        right = [(s - halo, s + tile + halo) for s in starts]
        if found != right:
            raise NotYet(
                next((hint for hint, wrong in known.items() if found == wrong), "")
                or "Outputs stand side by side, every `tile` pixels from 0; each reads `halo` more on both sides."
            )


# ---- 06 Swin Transformer --------------------------------------------------------------------------------------------


@exercise("06.1")
def number_of_windows(answer: Any) -> None:
    """512 pixels, patches of 4, windows of 8."""
    same_number(
        answer,
        256,
        {
            16: "That is one row of windows.",
            64: "Those are the tokens of one window.",
            16384: "Those are the tokens of the image.",
            4096: "A window counts tokens, not pixels: divide by the patch first.",
        },
        "How many tokens are there on a side, and how many windows of 8 of them?",
    )


@exercise("06.2")
def partition(function: Any) -> None:
    """(b, H, W, d) -> (b windows, window^2, d)."""
    x, window = _random(2, 6, 9, 4), 3
    right = window_partition(x, window)
    column_major = window_partition(x.transpose(1, 2), window)
    same_tensor(
        call(function, x, window),
        right,
        {
            "That cuts the map into strips: a reshape alone does not bring the rows of a window together.": x.reshape(
                -1, window * window, 4
            ),
            "Rows and columns are exchanged.": column_major,
            "Join the two axes of a window's tokens to one.": right.unflatten(1, (window, window)),
        },
        "Split H into (windows, window) and W as well; bring the two window counts together, then the two sides.",
    )


@exercise("06.3")
def allowed(function: Any) -> None:
    """The shift mask in one dimension, against the library's in two."""
    for length, window, shift in ((12, 4, 2), (9, 3, 1), (10, 5, 2)):
        result = as_tensor(call(function, length, window, shift))
        position = torch.roll(torch.arange(length), -shift).reshape(-1, window)
        # One row of windows of the two-dimensional mask, its first row of tokens: nothing came around from below.
        expected = (shift_mask(2 * window, length, window, shift) == 0)[: length // window, :window, :window]
        near = (position[:, :, None] - position[:, None, :]).abs() < window - shift
        back = torch.roll(torch.arange(length), shift).reshape(-1, window) >= length - shift
        same_tensor(
            result.bool(),
            expected,
            {
                "True and False are exchanged: True where two tokens *may* look at each other.": ~expected,
                "All pairs are allowed. In the last window, tokens from the start of the row meet others.": (
                    torch.ones_like(expected)
                ),
                "That row was rolled to the right: tokens came around to the first window. It is rolled to the left.": (
                    back[:, :, None] == back[:, None, :]
                ),
                "In a window that nothing came around to, all pairs are allowed, far apart or not.": near,
            },
            "Roll the positions first. Which positions came around? They may look at each other, and at no one else.",
        )


# ---- 07 Swin-Unet ---------------------------------------------------------------------------------------------------


@exercise("07.1")
def bottleneck_tokens(answer: Any) -> None:
    """384 pixels, patches of 4, three patch mergings."""
    same_number(
        answer,
        144,
        {
            12: "That is one side of the map.",
            9216: "Those are the tokens of the first stage; each patch merging halves the sides.",
            36: "Four stages have three patch mergings between them.",
            576: "Three patch mergings halve the sides three times.",
        },
        "How many tokens has a side of the first stage, and how often is it halved?",
    )


@exercise("07.2")
def expand(function: Any) -> None:
    """(b, H, W, 4 d) -> (b, 2 H, 2 W, d)."""
    d = 3
    x = _random(2, 4, 5, 4 * d)
    parts = x.unflatten(-1, (2, 2, d))  # (b, H, W, p, q, d)
    right = parts.permute(0, 1, 3, 2, 4, 5).reshape(2, 8, 10, d)
    same_tensor(
        call(function, x, d),
        right,
        {
            "A reshape alone tears the pieces of a token apart: they belong side by side, 2 x 2.": x.reshape(
                2, 8, 10, d
            ),
            "Rows and columns of the 2 x 2 block are exchanged: the first piece is top left, the second top right.": (
                parts.permute(0, 1, 4, 2, 3, 5).reshape(2, 8, 10, d)
            ),
            "The channels of a piece stand together in the widened token: (p q d), not (d p q).": (
                x.unflatten(-1, (d, 2, 2)).permute(0, 1, 4, 2, 5, 3).reshape(2, 8, 10, d)
            ),
        },
        'Read the widened token as (p q d) and lay it out: "b h w (p q d) -> b (h p) (w q) d".',
    )


@exercise("07.3")
def soft_dice_loss(function: Any) -> None:
    """1 - 2 sum(p t) / (sum(p^2) + sum(t^2))."""
    p, t = _random(4, 7).sigmoid(), (_random(4, 7) > 0.2).float()
    overlap, square = 2 * (p * t).sum(), (p**2).sum() + (t**2).sum()
    result = as_tensor(call(function, p, t))
    same_tensor(
        result.reshape(()) if result.numel() == 1 else result,
        1 - overlap / square,
        {
            "That is the Dice coefficient. The loss is what is missing to 1.": overlap / square,
            "Squares below the line: sum of p squared and of t squared.": 1 - overlap / (p.sum() + t.sum()),
            "The factor 2 above the line is missing.": 1 - overlap / 2 / square,
            "Sum above and below the line first, divide then.": (1 - 2 * p * t / (p**2 + t**2)).mean(),
        },
        "One number: the sums go over all pixels.",
    )
