"""The exercises of notebook 06."""

import torch

from compactlib.lab.checks import exercise, value
from compactlib.models import shift_mask, window_partition

number_of_windows = value(
    "06.1",
    256,
    {
        "That is one row of windows.": 16,
        "Those are the tokens of one window.": 64,
        "Those are the tokens of the image.": 16384,
        "A window counts tokens, not pixels: divide by the patch first.": 4096,
    },
    "How many tokens are there on a side, and how many windows of 8 of them?",
)


def map_and_window(rng):
    window, b, d = (int(k) for k in rng.choice(range(2, 6), 3, replace=False))
    rows, columns = rng.choice(range(1, 5), 2, replace=False)
    x = torch.from_numpy(rng.integers(-99, 99, (b, rows * window, columns * window, d)))
    return x.to(rng.choice([torch.float32, torch.float64, torch.float16, torch.int64])), window


def partition_hints(x, window):
    parts = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (b, down, window, across, window, d)
    shape = (-1, window * window, x.shape[-1])
    return {
        "That cuts the map into strips: a reshape alone does not bring the rows of a window together.": x.reshape(
            shape
        ),
        "Rows and columns are exchanged.": parts.permute(0, 3, 1, 4, 2, 5).reshape(shape),
        "The windows come in the wrong order: row by row of the map.": parts.permute(0, 3, 1, 2, 4, 5).reshape(shape),
        "The tokens of a window come in the wrong order: row by row.": parts.permute(0, 1, 3, 4, 2, 5).reshape(shape),
        "Join the two axes of a window's tokens to one.": partition(x, window).unflatten(1, (window, window)),
    }


@exercise("06.2", draw=map_and_window, hints=partition_hints)
def partition(x, window):
    """Split H into (windows, window) and W as well; bring the two window counts together, then the two sides."""
    return window_partition(x, window)


def row(rng):
    window = int(rng.integers(2, 7))
    return window * int(rng.integers(2, 5)), window, int(rng.integers(1, window))


def mask_hints(length, window, shift):
    right = allowed(length, window, shift)
    origin = torch.roll(torch.arange(length), -shift).reshape(-1, window)
    came_around, started_with = origin < shift, torch.arange(length).reshape(-1, window) < shift

    def pairs(which):
        return which[:, :, None] == which[:, None, :]

    return {
        "True and False are exchanged: True where two tokens *may* look at each other.": ~right,
        "All pairs are allowed. In the last window, tokens from the start of the row meet others.": (
            torch.ones_like(right)
        ),
        "That row was rolled to the right: tokens came around to the first window. It is rolled to the left.": (
            pairs(started_with)
        ),
        "In a window that nothing came around to, all pairs are allowed, far apart or not.": (
            (origin[:, :, None] - origin[:, None]).abs() < window - shift
        ),
        "That asks who shared a window *before* the row was rolled; windows are cut after it.": pairs(origin // window),
        "Tokens that came around may look at each other.": right & ~came_around[:, :, None],
    }


@exercise(
    "06.3",
    draw=row,
    example=(6, 3, 1),
    corners={"Without a shift nothing came around, and all pairs of a window are allowed.": (6, 3, 0)},
    hints=mask_hints,
)
def allowed(length, window, shift):
    """Roll the positions first. Which positions came around? They may look at each other, and at no one else."""
    # One row of windows of the two-dimensional mask, its first row of tokens: nothing came around from below.
    return shift_mask(2 * window, length, window, shift)[: length // window, :window, :window] == 0


def blocks(rng):
    """Who looks at whom in each of some blocks; no relation is symmetric. The answer is 2 or more, or sometimes 0."""
    n = int(rng.integers(4, 8))
    looks = torch.eye(n).bool() | torch.from_numpy(rng.random((rng.integers(4, 8), n, n)) < rng.uniform(0.1, 0.4))
    symmetric = any(torch.equal(block, block.T) for block in looks)
    kind = min(2, blocks_until_all(list(looks)))
    return (list(looks),) if not symmetric and kind == rng.choice([0, 2, 2, 2]) else blocks(rng)


def all_heard(looks_at, hear, never=0):
    """The first block after which everybody has heard of everybody."""
    heard = torch.eye(len(looks_at[0])).bool()
    for count, block in enumerate(looks_at, start=1):
        heard = hear(heard, block)
        if heard.all():
            return count
    return never


def passed_on(heard, block):
    """Token i hears what all tokens j know at which it looks: the matrix product of booleans."""
    return heard | (block[:, :, None] & heard[None]).any(dim=1)


def listening_hints(looks_at):
    return {
        "Count from one: after the first block the answer may be 1.": max(0, blocks_until_all(looks_at) - 1),
        "What a token has heard travels on: whoever looks at it in the next block hears of all that it knows.": (
            all_heard(looks_at, torch.logical_or)
        ),
        "If that never happens, return 0.": all_heard(looks_at, passed_on, never=len(looks_at)),
        "Stop as soon as everybody has heard of everybody.": len(looks_at),
        "It travels the wrong way: the token of the row hears all that the token of the column has heard before.": (
            all_heard(looks_at, lambda heard, block: passed_on(heard, block.T))
        ),
    }


everybody, nobody = torch.ones(3, 3).bool(), torch.eye(3).bool()


@exercise(
    "06.4",
    draw=blocks,
    corners={
        "After the first block the answer may be 1.": ([everybody],),
        "If not everybody has heard of everybody after the last block, return 0.": ([nobody] * 4,),
    },
    hints=listening_hints,
)
def blocks_until_all(looks_at):
    """Keep a table of who has heard of whom. In each block a token adds what those know at whom it looks."""
    return all_heard(looks_at, passed_on)
