"""The exercises of notebook 05."""

import torch
from torch import nn

from compactlib import segmentation
from compactlib.lab.checks import Either, exercise, value

output_side = value(
    "05.1",
    516,
    {
        "The margin is lost on *both* sides.": 608,
        "The published U-Net does not pad.": 700,
        "That is the output for 572 pixels.": 388,
    },
    "How many pixels are lost on the whole way? Compare 572 and 388.",
)


def distances(rng):
    d1, d2 = torch.from_numpy(rng.exponential(4, (2, *rng.choice(range(2, 8), 2, replace=False)))).float()
    return d1, d2, round(rng.uniform(2, 20), 1), round(rng.uniform(1.5, 8), 1)


def border_hints(d1, d2, w0, sigma):
    total = d1 + d2
    square = total**2
    return {
        "The exponent is negative: far from two cells the weight vanishes.": w0 * torch.exp(square / (2 * sigma**2)),
        "First add the two distances, then square the sum.": w0 * torch.exp(-(d1**2 + d2**2) / (2 * sigma**2)),
        "Square the sum of the distances.": w0 * torch.exp(-total / (2 * sigma**2)),
        "Divide by 2 sigma squared, all of it.": Either(
            w0 * torch.exp(-square / sigma**2),
            w0 * torch.exp(-square / (2 * sigma)),
            w0 * torch.exp(-square / 2 * sigma**2),
            w0 * torch.exp(-square / (2 * sigma) ** 2),
        ),
        "w0 is missing in front.": border_term(d1, d2, 1, sigma),
        "`w0` and `sigma` are arguments: do not write 10 and 5.": Either(
            border_term(d1, d2, 10, 5), border_term(d1, d2, w0, 5), border_term(d1, d2, 10, sigma)
        ),
    }


@exercise("05.2", draw=distances, hints=border_hints)
def border_term(d1, d2, w0, sigma):
    """Compare with Equation 2: w0 exp(-(d1 + d2)^2 / (2 sigma^2))."""
    return w0 * torch.exp(-0.5 * ((d1 + d2) / sigma) ** 2)


def masks(rng):
    """Two masks, 2-D or 3-D, of different size, with pixels in both and in one of them."""
    shape = rng.choice(range(3, 9), rng.integers(2, 4), replace=False)
    share = rng.choice([0.2, 0.5, 0.8], (2, *[1] * len(shape)))
    pred, target = torch.from_numpy(rng.random((2, *shape)) < share)
    sizes = {mask.sum().item() for mask in (pred, target, pred & target, pred | target)}
    return (pred, target) if len(sizes | {0}) == 5 else masks(rng)


def iou_hints(pred, target):
    both = (pred & target).sum()
    return {
        "That is Dice: 2 |P and T| / (|P| + |T|). IoU divides by the union.": segmentation.dice(pred, target),
        "That is the recall: you divide by the true pixels only.": both / target.sum(),
        "That is the precision: you divide by the predicted pixels only.": both / pred.sum(),
        "That is the pixel accuracy: background in both counts as right.": (pred == target).float().mean(),
        "That is a count. Divide by the pixels in at least one of the masks.": both,
        "Pixels in both masks are counted twice below the line.": both / (pred.sum() + target.sum()),
        "That is the share of all pixels; divide by the pixels in at least one of the masks.": both / pred.numel(),
    }


@exercise(
    "05.3",
    draw=masks,
    corners={
        "Where no pixel is in either mask there is nothing to divide by: 0 / 0 is nan.": torch.zeros(2, 3, 4)
        .bool()
        .unbind(),
        "An empty mask shares no pixel with the other one: the IoU is 0.": torch.eye(2, 3)[:, :1].bool().unbind(),
    },
    hints=iou_hints,
)
def iou(pred, target):
    """Count the pixels that are in both masks, and divide by the number in at least one."""
    return segmentation.iou(pred, target)


def tiling(rng):
    tile = int(rng.integers(3, 20))
    rest = int(rng.choice([0, rng.integers(1, tile)]))
    return int(rng.integers(1, 5)) * tile + rest, tile, int(rng.integers(1, 9))


def tile_hints(length, tile, halo):
    right = what_is_read(length, tile, halo)
    return {
        "The halo is read on both sides: the tile starts before its output.": Either(
            [(a + halo, b) for a, b in right], [(a + halo, b + halo) for a, b in right]
        ),
        "The halo is read on both sides: the tile stops after its output.": [(a, b - halo) for a, b in right],
        "That is the output of each tile. It reads `halo` more on each side.": [(a + halo, b - halo) for a, b in right],
        "The part that sticks out at the end of the image is missing: round up.": right[: length // tile],
        "Where the last tile ends with the image, no other one follows.": (
            what_is_read((length // tile + 1) * tile, tile, halo)
        ),
        "Do not stop at the border of the image: what is outside will be mirrored.": Either(
            [(max(0, a), min(length, b)) for a, b in right],
            [(max(0, a), b) for a, b in right],
            [(a, min(length, b)) for a, b in right],
        ),
        "The last tile is as large as the others: its output may stick out.": (
            [(a, min(length, b - halo) + halo) for a, b in right]
        ),
        "Return (start, stop), not (start, length).": [(a, b - a) for a, b in right],
    }


@exercise(
    "05.4",
    draw=tiling,
    example=(7, 4, 1),
    corners={"An image smaller than a tile is one tile, which sticks out.": (5, 8, 2)},
    hints=tile_hints,
)
def what_is_read(length, tile, halo):
    """Outputs stand side by side, every `tile` pixels from 0; each reads `halo` more on both sides."""
    return [(k * tile - halo, (k + 1) * tile + halo) for k in range(-(-length // tile))]


class Looking(nn.Sequential):
    """Looks some pixels far to each side, where an image of ones opens its ReLU. signed: what it sees in the rows of a
    column has a sum of 0."""

    def __init__(self, sides, classes, signed):
        first = nn.Conv2d(1, 2, (sides[2] + sides[3] + 1, sides[0] + sides[1] + 1))
        last = nn.Conv2d(2, classes, 3, padding=2, dilation=2)  # two pixels more to each side
        super().__init__(nn.ZeroPad2d(sides), first, nn.ReLU(), last)
        self.left, self.right, self.up, self.down = (side + 2 for side in sides)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 1 / 8)
        if signed:
            last.weight.data *= torch.tensor([[1], [-3], [2]])


def network(rng):
    far, near, signed = int(rng.integers(3, 6)), int(rng.integers(0, 3)), rng.random() < 0.4
    up, down = rng.choice([side for side in range(6) if side != far], 2, replace=False).tolist()
    # Down, a signed one sees no more than its last layer does, so that the rows do not cancel in the middle one.
    sides = *((far, near) if rng.random() < 0.5 else (near, far)), up, 0 if signed else down
    return Looking(sides, int(rng.integers(1, 4)), signed), 2 * int(rng.integers(8, 11)) + 1


def reach_hints(model, size):
    left, right, up, down = model.left, model.right, model.up, model.down
    return {
        "That is the width of all it sees. How far is it from the middle?": Either(left + right + 1, left + right),
        "That is half of the width it sees; one side may be longer than the other.": Either(
            (left + right) / 2, (left + right) // 2
        ),
        "One too many: the pixel itself is at distance 0.": max(left, right) + 1,
        "That is the reach to one side only: search on both sides, and take the larger.": Either(left, right),
        "That is the shorter of the two sides; the larger is wanted.": min(left, right),
        "That is the reach up and down; left and right are asked for (the last axis).": Either(max(up, down), up, down),
        "That is the reach in any direction; left and right are asked for (the last axis).": max(left, right, up, down),
    }


@exercise("05.5", draw=network, hints=reach_hints)
def reach(model, size):
    """Change one pixel of the image (or take the gradient at one pixel of the output): how far off, to the left or to
    the right, is the last pixel that has to do with it?"""
    return max(model.left, model.right)
