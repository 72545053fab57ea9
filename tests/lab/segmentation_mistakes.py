"""Typical mistakes in the exercises of notebooks 05 to 07, and a word of the hint that each one gets."""

import torch


def squares_added(d1, d2, w0=10.0, sigma=5.0):
    return w0 * torch.exp(-(d1**2 + d2**2) / (2 * sigma**2))


def no_minus(d1, d2, w0=10.0, sigma=5.0):
    return w0 * torch.exp((d1 + d2) ** 2 / (2 * sigma**2))


def fixed_numbers(d1, d2, w0=10.0, sigma=5.0):
    return 10 * torch.exp(-((d1 + d2) ** 2) / 50)


def dice_instead(pred, target):
    return 2 * (pred & target).sum() / (pred.sum() + target.sum())


def recall_instead(pred, target):
    return (pred & target).sum() / target.sum()


def accuracy_instead(pred, target):
    return (pred == target).float().mean()


def nothing_at_all(pred, target):
    union = (pred | target).sum()
    return (pred & target).sum() / union if union else 1.0


def halo_behind_only(length, tile, halo):
    return [(start, start + tile + halo) for start in range(0, length, tile)]


def last_tile_missing(length, tile, halo):
    return [(start - halo, start + tile + halo) for start in range(0, length - tile + 1, tile)]


def cut_at_the_border(length, tile, halo):
    return [(max(0, s - halo), min(length, s + tile + halo)) for s in range(0, length, tile)]


def only_reshaped(x, window):
    return x.reshape(-1, window * window, x.shape[-1])


def rows_and_columns_exchanged(x, window):
    b, height, width, d = x.shape
    x = x.reshape(b, height // window, window, width // window, window, d)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, window * window, d)


def everything_allowed(length, window, shift):
    return torch.ones(length // window, window, window, dtype=torch.bool)


def forbidden_instead(length, window, shift):
    came_around = torch.roll(torch.arange(length), -shift).reshape(-1, window) < shift
    return came_around[:, :, None] != came_around[:, None, :]


def half_a_window_always(length, window, shift):
    came_around = torch.roll(torch.arange(length), -(window // 2)).reshape(-1, window) < window // 2
    return came_around[:, :, None] == came_around[:, None, :]


def rolled_to_the_right(length, window, shift):
    came_around = torch.roll(torch.arange(length), shift).reshape(-1, window) >= length - shift
    return came_around[:, :, None] == came_around[:, None, :]


def torn_apart(x, d):
    b, height, width, _ = x.shape
    return x.reshape(b, 2 * height, 2 * width, d)


def channels_first_in_the_token(x, d):
    b, height, width, _ = x.shape
    return x.reshape(b, height, width, d, 2, 2).permute(0, 1, 4, 2, 5, 3).reshape(b, 2 * height, 2 * width, d)


def coefficient_instead(p, t):
    return 2 * (p * t).sum() / ((p**2).sum() + (t**2).sum())


def no_squares(p, t):
    return 1 - 2 * (p * t).sum() / (p.sum() + t.sum())


MISTAKES = {
    "05.1": [(608, "both"), (700, "does not pad")],
    "05.2": [(squares_added, "add the two distances"), (no_minus, "negative"), (fixed_numbers, "are arguments")],
    "05.3": [
        (dice_instead, "That is Dice"),
        (recall_instead, "recall"),
        (accuracy_instead, "pixel accuracy"),
        (nothing_at_all, "in either mask"),
    ],
    "05.4": [
        (halo_behind_only, "both sides"),
        (last_tile_missing, "round up"),
        (cut_at_the_border, "mirrored"),
        (lambda *_: 5, "list of pairs"),
    ],
    "06.1": [(16, "one row"), (4096, "divide by the patch")],
    "06.2": [(only_reshaped, "strips"), (rows_and_columns_exchanged, "exchanged")],
    "06.3": [
        (everything_allowed, "All pairs"),
        (forbidden_instead, "exchanged"),
        (rolled_to_the_right, "to the right"),
        (half_a_window_always, "Roll the positions first"),
    ],
    "07.1": [(12, "one side"), (9216, "first stage")],
    "07.2": [(torn_apart, "tears"), (channels_first_in_the_token, "(p q d)")],
    "07.3": [(coefficient_instead, "missing to 1"), (no_squares, "Squares below")],
}
