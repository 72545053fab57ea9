"""Typical mistakes in the exercises of notebook 08, and a word of the hint that each one gets."""

import numpy as np


def whole_patch(index, count, length, size, step):
    return index * step, index * step + size


def edges_forgotten(index, count, length, size, step):
    shared = (size - step) // 2
    return index * step + shared, (index + 1) * step + shared


def first_edge_forgotten(index, count, length, size, step):
    start, stop = edges_forgotten(index, count, length, size, step)
    return start, stop if index < count - 1 else length


def last_edge_forgotten(index, count, length, size, step):
    start, stop = edges_forgotten(index, count, length, size, step)
    return start if index else 0, stop


def not_shared(index, count, length, size, step):
    return index * step, (index + 1) * step if index < count - 1 else length


def a_bound(seconds, workers):
    return sum(seconds) / workers


def in_turns(seconds, workers):
    return max(sum(seconds[k::workers]) for k in range(workers))


def longest_first(seconds, workers):
    busy = [0.0] * workers
    for value in sorted(seconds, reverse=True):
        busy[int(np.argmin(busy))] += value
    return max(busy)


def shortest_first(seconds, workers):
    seconds.sort()
    busy = [0.0] * workers
    for value in seconds:
        busy[int(np.argmin(busy))] += value
    return max(busy)


def in_pieces(seconds, workers):
    size = -(-len(seconds) // workers)
    return max(sum(seconds[k : k + size]) for k in range(0, len(seconds), size))


def odd_pixel_to_the_earlier(index, count, length, size, step):
    shared = (size - step + 1) // 2
    return index * step + shared if index else 0, (index + 1) * step + shared if index < count - 1 else length


def alone(seconds, workers):
    return sum(seconds)


MISTAKES = {
    "08.1": [(25 * 15, "round up"), (26 * 15, "the other is not"), (27 * 16, "subtract the size"), (26, "one column")],
    "08.2": [
        (whole_patch, "whole patch"),
        (edges_forgotten, "begins and the last one ends"),
        (first_edge_forgotten, "nobody else"),
        (last_edge_forgotten, "at `length`"),
        (not_shared, "share it in the middle"),
        (odd_pixel_to_the_earlier, "odd pixel"),
        (lambda *_: 5, "pair (start, stop)"),
    ],
    "08.3": [
        (a_bound, "cannot be split"),
        (in_turns, "in turns"),
        (longest_first, "Keep the order"),
        (alone, "alone"),
        (shortest_first, "shortest first"),
        (in_pieces, "into pieces"),
    ],
    "08.4": [(12, "the values between"), (4, "middle of a tile"), (512, "not pixels"), (5, "Try all")],
}
