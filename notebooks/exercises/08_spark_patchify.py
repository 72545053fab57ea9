"""The exercises of notebook 08."""

import numpy as np

from compactlib.lab.checks import Either, exercise, value
from compactlib.raster import Grid
from compactlib.spark.scaling import simulate

number_of_patches = value(
    "08.1",
    len(Grid(10_000, 6_000, 512, 384)),
    {
        "The last row and the last column are missing: round up, the patches there reach beyond the scene.": 25 * 15,
        "One axis is rounded up, the other is not.": Either(26 * 15, 25 * 16),
        "From the first patch on, the *rest* of the side is cut by the step: subtract the size first.": 27 * 16,
        "That is without overlap: patches are 384 apart, not 512.": 20 * 12,
        "That is one column of patches.": 26,
        "That is one row of patches.": 16,
    },
    "For each side: how many steps are needed after the first patch? Round up, and count the first patch too.",
)


def patch(rng):
    """The first, the last, or one in the middle of 3 to 8 patches, often with an odd overlap."""
    size = int(rng.integers(6, 40))
    step, count = int(rng.integers(size // 3, size + 1)), int(rng.integers(3, 9))
    length = size + (count - 1) * step - int(rng.integers(0, step))
    return int(rng.choice([0, rng.integers(1, count - 1), count - 1])), count, length, size, step


def core_hints(index, count, length, size, step):
    start, stop = owned(index, count, length, size, step)
    overlap = size - step

    def cut(before, after):
        """The patch without `before` pixels at its start and `after` at its end; nothing is cut at the scene's edge."""
        inner = index * step + before, index * step + size - after
        return inner[0] if index else 0, inner[1] if index < count - 1 else length

    inside = index * step + overlap // 2, (index + 1) * step + overlap // 2
    return {
        "That is the whole patch. Neighbours share their overlap in the middle.": Either(
            (index * step, index * step + size), (index * step, min(length, index * step + size))
        ),
        "The first core begins and the last one ends at the scene's edge.": inside,
        "The first core begins at the scene's edge: nobody else owns those pixels.": (inside[0], stop),
        "The last core ends at the scene's edge, at `length`.": (start, inside[1]),
        "That gives the whole overlap to the later of two neighbours; share it in the middle.": cut(0, overlap),
        "That gives the whole overlap to the earlier of two neighbours; share it in the middle.": cut(overlap, 0),
        "The odd pixel of an overlap goes to the later of two neighbours.": cut((overlap + 1) // 2, overlap // 2),
        "Pixels are whole: the odd one of an overlap goes to the later of two neighbours.": cut(
            overlap / 2, overlap / 2
        ),
        "The odd pixel of an overlap is owned twice here; it goes to the later of two neighbours alone.": (
            cut(overlap // 2, overlap // 2)
        ),
    }


@exercise(
    "08.2",
    draw=patch,
    example=(1, 3, 20, 9, 6),
    corners={"The only patch of a scene owns all of it.": (0, 1, 20, 32, 24)},
    hints=core_hints,
)
def owned(index, count, length, size, step):
    """Half of what two neighbours share, (size - step) // 2, is cut off at the start of the later one; the earlier one
    stops there."""
    core = Grid(length, size, size, step).core(index, 0)
    return core.y, core.y + core.height


def tasks(rng):
    return (rng.integers(1, 20, rng.integers(1, 12)) / 2).tolist(), int(rng.integers(1, 5))


def makespan_hints(seconds, workers):
    n, pile = len(seconds), -(-len(seconds) // workers)
    return {
        "That is a bound: no worker is ever idle there. Tasks cannot be split.": sum(seconds) / workers,
        "That is one worker alone.": sum(seconds),
        "That deals them out in turns; whoever is *free first* gets the next.": (
            max(sum(seconds[k::workers]) for k in range(workers))
        ),
        "That cuts the list into pieces, one for each worker; whoever is *free first* gets the next.": Either(
            max(sum(part) for part in np.array_split(seconds, workers)),
            max(sum(seconds[k : k + pile]) for k in range(0, n, pile)),
        ),
        "Keep the order; that is the longest first.": makespan(sorted(seconds, reverse=True), workers),
        "Keep the order; that is the shortest first.": makespan(sorted(seconds), workers),
        "Keep the order; that is the last one first.": makespan(seconds[::-1], workers),
        "That is the longest task: a bound, if there were workers enough.": max(seconds),
        "Workers do not wait for each other: whoever is free gets the next task at once.": (
            sum(max(seconds[k : k + workers]) for k in range(0, n, workers))
        ),
    }


@exercise("08.3", draw=tasks, example=([4, 3, 2, 7, 1], 2), hints=makespan_hints)
def makespan(seconds, workers):
    """Keep for each worker the second at which it is free; the smallest of them gets the next task."""
    return simulate(seconds, workers).makespan


best_side = value(
    "08.4",
    8,
    {
        "More patches a block is not always less decoding: look at the values between.": 12,
        "Half of that alignment: every second block begins in the middle of a tile.": 4,
        "Patches are asked for, not pixels.": 512,
        "Those are the pixels of the block's stride. How many patches is that?": 1536,
    },
    "Try all of them with `decoded_per_pixel`; the best stride is a multiple of the tile.",
)
