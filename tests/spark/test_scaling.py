"""The simulated schedule against cases worked by hand, an optimum found by trying everything, and Graham's bound."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactlib.spark.scaling import simulate

TIMES = st.lists(st.integers(1, 20).map(float), min_size=1, max_size=6)


def optimum(seconds: list[float], workers: int) -> float:
    """The shortest makespan of all ways to deal the tasks out."""
    ways = itertools.product(range(workers), repeat=len(seconds))
    return min(
        max(math.fsum(s for s, w in zip(seconds, way, strict=True) if w == k) for k in range(workers)) for way in ways
    )


@pytest.mark.parametrize(
    ("seconds", "workers", "makespan", "per_worker"),
    [
        ([3, 2, 1], 1, 6, (6,)),
        ([1, 1, 1, 1], 2, 2, (2, 2)),
        ([3, 1, 1, 1], 2, 3, (3, 3)),
        ([1, 1, 1, 3], 2, 4, (2, 4)),  # the long one last: one worker waits
        ([5, 1], 4, 5, (5, 1, 0, 0)),  # more workers than tasks
        ([1] * 6 + [3], 3, 5, (5, 2, 2)),  # Graham's worst case for 3 workers: 3 would do, 2 - 1/3 times that is 5
    ],
)
def test_by_hand(seconds, workers, makespan, per_worker):
    schedule = simulate(seconds, workers)
    assert (schedule.makespan, schedule.per_worker) == (makespan, per_worker)
    assert schedule.efficiency == pytest.approx(sum(seconds) / (workers * makespan))


def test_overhead_counts_as_time_and_not_as_work():
    schedule = simulate([2.0, 2.0, 2.0, 2.0], 2, overhead=0.5)
    assert schedule.makespan == 5.0 and schedule.per_worker == (5.0, 5.0)
    assert schedule.efficiency == pytest.approx(8 / 10)


def test_one_worker_without_overhead_is_always_busy():
    assert simulate([0.1, 0.2, 0.7], 1).efficiency == pytest.approx(1.0)


@settings(deadline=None, max_examples=200)
@given(TIMES, st.integers(1, 3))
def test_graham(seconds, workers):
    makespan, best = simulate(seconds, workers).makespan, optimum(seconds, workers)
    assert best <= makespan <= (2 - 1 / workers) * best + 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=200), st.integers(1, 64), st.floats(0, 10))
def test_no_schedule_beats_the_longest_task_or_the_mean(seconds, workers, overhead):
    schedule = simulate(seconds, workers, overhead)
    total = math.fsum(seconds) + len(seconds) * overhead
    assert schedule.makespan >= max(max(seconds) + overhead, total / workers) * (1 - 1e-9)
    assert math.fsum(schedule.per_worker) == pytest.approx(total) and len(schedule.per_worker) == workers
    assert 0 < schedule.efficiency <= 1 + 1e-9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 0), "workers=0"),
        (([1.0], 1.5), "workers=1.5"),
        (([], 2), "seconds is empty"),
        (([1.0, 0.0], 2), "seconds holds 0.0"),
        (([1.0, math.nan], 2), "seconds holds nan"),
        (([1.0], 2, -1.0), "overhead=-1.0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate(*arguments)
