"""Typical mistakes in the exercises of notebooks 00 to 03, and a word of the hint that each one gets."""

import numpy as np
import torch
import torch.nn.functional as F


def majority_of_test(train, test):
    return np.mean(test == np.bincount(test).argmax())


def accuracy_on_train(train, test):
    return np.mean(train == np.bincount(train).argmax())


def pixels_not_scaled(images, mean, std):
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - mean) / std


def channels_last(images, mean, std):
    return (torch.from_numpy(images).float() / 255 - mean) / std


def no_square_root(q, k, v):
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


def divided_by_d(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1]).softmax(-1) @ v


def softmax_over_queries(q, k, v):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-2) @ v


def mean_of_tokens(x, weight, bias):
    return x.mean(dim=1)


def softmax_over_the_score_axis(x, weight, bias):
    return ((x @ weight.T + bias).softmax(dim=-1) * x).sum(dim=1)


def class_token_left_in(x, weight, bias):
    return axis_left_in(torch.cat([torch.zeros(len(x), 1, x.shape[2]), x], dim=1), weight, bias).squeeze(1)


def axis_left_in(x, weight, bias):
    return (x @ weight.T + bias).softmax(dim=1).transpose(1, 2) @ x


def floor_of_odd_sides(size, convs):
    return (size // 2**convs) ** 2


def side_of_the_grid(size, convs):
    for _ in range(convs):
        size = (size + 1) // 2
    return size


def stride_off_by_one(size, convs):
    return size**2


def not_transposed(x, weight):
    return F.max_pool2d(F.relu(F.conv2d(x, weight, padding=1)), 3, 2, 1).flatten(2)


def reshaped(x, weight):
    features = F.max_pool2d(F.relu(F.conv2d(x, weight, padding=1)), 3, 2, 1)
    return features.reshape(len(x), -1, features.shape[1])


def without_relu(x, weight):
    return F.max_pool2d(F.conv2d(x, weight, padding=1), 3, 2, 1).flatten(2).transpose(1, 2)


def without_padding(x, weight):
    return F.max_pool2d(F.relu(F.conv2d(x, weight)), 3, 2, 1).flatten(2).transpose(1, 2)


def goes_round(images, pixels):
    return np.roll(images, pixels, axis=2)


def moves_down(images, pixels):
    moved = np.zeros_like(images)
    moved[:, pixels:] = images[:, :-pixels]
    return moved


def moves_left(images, pixels):
    moved = np.zeros_like(images)
    moved[:, :, :-pixels] = images[:, :, pixels:]
    return moved


def edge_repeated(images, pixels):
    moved = np.repeat(images[:, :, :1], images.shape[2], axis=2)
    moved[:, :, pixels:] = images[:, :, : images.shape[2] - pixels]
    return moved


def white_comes_in(images, pixels):
    moved = np.full_like(images, 255)
    moved[:, :, pixels:] = images[:, :, :-pixels]
    return moved


def scaled_as_well(images, pixels):
    moved = np.zeros(images.shape)
    moved[:, :, pixels:] = images[:, :, :-pixels] / 255
    return moved


def rolled_flat(images, pixels):
    return np.roll(images.ravel(), pixels).reshape(images.shape)


def forgets_zero(images, pixels):
    moved = np.zeros_like(images)
    moved[:, :, pixels:] = images[:, :, :-pixels]
    return moved


def changes_its_input(images, pixels):
    images[:, :, pixels:] = images[:, :, :-pixels].copy()
    images[:, :, :pixels] = 0
    return images


MISTAKES = {
    "00.1": [(210, "round down"), (20, "one epoch"), ("200", "A number is expected"), (float("nan"), "finite")],
    "00.2": [(majority_of_test, "no model may look at"), (accuracy_on_train, "training labels")],
    "00.3": [(pixels_not_scaled, "divide by 255"), (channels_last, "channel has to stand before")],
    "01.1": [(64, "What else"), (1024, "pixels")],
    "01.2": [(4 * 256 * 256, "has a bias"), (4 * 256 * 256 + 4 * 256, "have no bias")],
    "01.3": [(no_square_root, "square root"), (divided_by_d, "not by d"), (softmax_over_queries, "wrong axis")],
    "02.1": [(129, "goes away"), (127, "sign"), (1, "positional")],
    "02.2": [
        (mean_of_tokens, "the same"),
        (softmax_over_the_score_axis, "an axis of length 1"),
        (axis_left_in, "squeeze"),
        (class_token_left_in, "left in the pool"),
    ],
    "02.3": [
        ([0, 0, 0, 0], "the mean"),
        ([-1000, 0, 0, 0], "smallest"),
        ([1, 0, 0, 0], "still mixes"),
        ([1], "one weight per channel"),
    ],
    "03.1": [(floor_of_odd_sides, "rounded up"), (side_of_the_grid, "square"), (stride_off_by_one, "pooling halves")],
    "03.2": [
        (not_transposed, "wrong way round"),
        (reshaped, "mixes"),
        (without_relu, "ReLU"),
        (without_padding, "padding"),
    ],
    "03.3": [
        (goes_round, "black"),
        (moves_down, "down"),
        (moves_left, "left"),
        (edge_repeated, "repeats the edge"),
        (white_comes_in, "white"),
        (scaled_as_well, "other values"),
        (rolled_flat, "without an axis"),
        (forgets_zero, "by 0 pixels"),
        (changes_its_input, "work on a copy"),
    ],
}
