"""The exercises of notebook 08. Each is checked on numbers that the notebook does not show."""

from typing import Any

from compactlib.lab.checks.registry import NotYet, call, exercise, same_number
from compactlib.raster import Grid


@exercise("08.1")
def number_of_patches(answer: Any) -> None:
    """A scene of 10,000 x 6,000 pixels, patches of 512, 384 apart."""
    same_number(
        answer,
        len(Grid(10_000, 6_000, 512, 384)),
        {
            375: "The last row and the last column are missing: round up, the patches there reach beyond the scene.",
            390: "One axis is rounded up, the other is not.",
            400: "One axis is rounded up, the other is not.",
            27 * 16: "From the first patch on, the *rest* of the side is cut by the step: subtract the size first.",
            20 * 12: "That is without overlap: patches are 384 apart, not 512.",
            26: "That is one column of patches.",
            16: "That is one row of patches.",
        },
        "For each side: how many steps are needed after the first patch? Round up, and count the first patch too.",
    )


@exercise("08.2")
def core(function: Any) -> None:
    """(start, stop) of the pixels that a patch owns along one axis."""
    for length, size, step in ((101, 32, 24), (257, 64, 50), (30, 32, 16), (90, 30, 30)):
        grid = Grid(length, length, size, step)
        shared, count = (size - step) // 2, grid.rows
        plain = [(i * step + shared, (i + 1) * step + shared) for i in range(count)]
        known = {
            "That is the whole patch. Neighbours share their overlap in the middle.": [
                (i * step, i * step + size) for i in range(count)
            ],
            "The first core begins and the last one ends at the scene's edge.": plain,
            "The first core begins at the scene's edge: nobody else owns those pixels.": [
                *plain[: count - 1],
                (plain[-1][0], length),
            ],
            "The last core ends at the scene's edge, at `length`.": [(0, plain[0][1]), *plain[1:]],
            "That gives the whole overlap to one of the two neighbours; share it in the middle.": [
                (i * step, (i + 1) * step if i < count - 1 else length) for i in range(count)
            ],
        }
        right = [(window.y, window.y + window.height) for window in (grid.core(row, 0) for row in range(count))]
        found = [_pair(call(function, index, count, length, size, step)) for index in range(count)]
        if found != right:
            raise NotYet(
                next((hint for hint, wrong in known.items() if found == wrong), "")
                or "Half of what two neighbours share, (size - step) // 2, is cut off on each inner side of a patch."
            )


@exercise("08.3")
def makespan(function: Any) -> None:
    """When the last of the tasks is done that are dealt out in their order."""
    from compactlib.spark.scaling import simulate  # here: the other notebooks do not need Spark's libraries

    for seconds, workers in (([4, 3, 2, 7, 1], 2), ([1, 1, 1, 1, 6, 2], 3), ([5.0], 4), ([2, 9, 2, 2, 2, 2], 2)):
        turns = [sum(seconds[k::workers]) for k in range(workers)]
        same_number(
            call(function, list(seconds), workers),
            simulate(seconds, workers).makespan,
            {
                sum(seconds) / workers: "That is a bound: no worker is ever idle there. Tasks cannot be split.",
                sum(seconds): "That is one worker alone.",
                max(turns): "That deals them out in turns; whoever is *free first* gets the next.",
                simulate(sorted(seconds, reverse=True), workers).makespan: "Keep the order; that is the longest first.",
                max(seconds): "That is the longest task: a bound, if there were workers enough.",
            },
            "Keep for each worker the second at which it is free; the smallest of them gets the next task.",
        )


@exercise("08.4")
def best_side(answer: Any) -> None:
    """Patches a side of a block, 4 to 12; 192 pixels each, no overlap, TIFF tiles of 512 pixels."""
    same_number(
        answer,
        8,
        {
            12: "More patches a block is not always less decoding: look at the values between.",
            4: "Half of that alignment: every second block begins in the middle of a tile.",
            512: "Patches are asked for, not pixels.",
            1536: "Those are the pixels of the block's stride. How many patches is that?",
        },
        "Try all of them with `decoded_per_pixel`; the best stride is a multiple of the tile.",
    )


def _pair(value: Any) -> tuple[int, int]:
    try:
        start, stop = value
        return int(start), int(stop)
    except (TypeError, ValueError):
        raise NotYet("Return two numbers, (start, stop).") from None
