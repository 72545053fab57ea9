"""How many workers a job could use: the times that its tasks took, dealt out to more workers than there were."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Tasks on workers. makespan: seconds until the last one ends. efficiency: the share of all workers' seconds that
    went into the tasks' own work, 0 to 1. per_worker: seconds that each worker was busy, overhead included."""

    makespan: float
    efficiency: float
    per_worker: tuple[float, ...]


def simulate(seconds: Sequence[float], workers: int, overhead: float = 0.0) -> Schedule:
    """What `workers` equal workers make of tasks that take `seconds`, handed out in this order to whoever is free.

    That is how Spark's scheduler and a process pool work. The makespan is at most 2 - 1/workers times the shortest
    that any order could give (Graham 1966, "Bounds for certain multiprocessing anomalies").

    overhead: seconds that each task costs beside its own work (to be scheduled, sent and answered).

    What the times do not show is not in the result: workers that share a disk or a memory bus, and a driver that
    cannot keep up. Raises ValueError for fewer than one worker, no tasks, or times that are not finite and above 0.
    """
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers={workers!r}: expected a whole number, 1 or more")
    if len(seconds) == 0:
        raise ValueError("seconds is empty: expected the time of at least one task")
    if wrong := [value for value in seconds if not (math.isfinite(value) and value > 0)]:
        raise ValueError(f"seconds holds {wrong[0]!r}: expected times above 0")
    if not (math.isfinite(overhead) and overhead >= 0):
        raise ValueError(f"overhead={overhead!r}: expected seconds, 0 or more")
    free_at = [(0.0, worker) for worker in range(workers)]  # a heap: whoever is free first comes first
    for value in seconds:
        busy, worker = free_at[0]
        heapq.heapreplace(free_at, (busy + value + overhead, worker))
    busy = [end for end, _ in sorted(free_at, key=lambda entry: entry[1])]
    makespan = max(busy)
    return Schedule(makespan, math.fsum(seconds) / (workers * makespan), tuple(busy))
