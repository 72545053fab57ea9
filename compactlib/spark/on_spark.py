"""Tasks on Spark: a few numbers and a path go out for each, a row of facts comes back, and nothing else.

As an RDD: a DataFrame's plan and its Arrow batches cost twice the time of a short job and give rows of facts nothing.
"""

import gc
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from py4j.protocol import Py4JError
from tqdm.auto import tqdm

from compactlib.spark.measure import Result, Task, TaskError, failure, measured

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import SparkSession

POLL = 0.2  # seconds between two looks at how far the job is
# A Spark task costs some 20 ms of processor time by itself, so it may hold several of ours; but not many: they are what
# the progress bar counts, and what the last worker may still have to do. Of very many the driver would see to little
# else than Spark's tasks.
PER_CORE, IN_ONE, MOST = 3, 4, 10_000


def run_on_spark(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    weights: Sequence[int],
    session: "SparkSession",
    label: str,
    bar: tqdm,
) -> list[Result]:
    """See `run_tasks`. Each Spark task gets a hand of ours: their numbers. The sequence `tasks` travels once to each
    worker, with the function, and makes them there."""
    if not len(tasks):
        return []
    hands = deal(weights, hands_of(len(tasks), session.sparkContext.defaultParallelism))
    work = session.sparkContext.parallelize(hands, len(hands)).flatMap(partial(_work, function, tasks))
    with bar:
        results = dict(_collect(work, label, bar, len(hands)))
    return [results[number] for number in range(len(tasks))]


def hands_of(tasks: int, cores: int) -> int:
    """How many hands so many tasks are dealt out in: one for each of few, several in a hand of many."""
    return min(tasks, max(PER_CORE * cores, min(MOST, -(-tasks // IN_ONE))))


def deal(weights: Sequence[int], count: int) -> list[range]:
    """The numbers of tasks of these weights in at most `count` hands of about the same weight, the heaviest hand first.

    A hand is a run of tasks that follow each other: a worker keeps what two neighbours share.
    """
    weights = np.asarray(weights, np.float64)
    ends = np.cumsum(weights)
    middles = (ends - weights / 2) / ends[-1]  # of the tasks, as a share of all the work
    hand = np.arange(len(weights)) if count == len(weights) else (count * middles).astype(np.int64)
    starts = np.flatnonzero(np.diff(hand, prepend=-1))
    hands = [range(start, stop) for start, stop in pairwise([*starts.tolist(), len(weights)])]
    return [hands[number] for number in np.argsort(-np.add.reduceat(weights, starts), kind="stable")]


def _work(function: Callable[[Task], Result], tasks: Sequence[Task], hand: range) -> Iterator[tuple[int, Result]]:
    """In the worker: the tasks of a hand, one after the other."""
    for number in hand:
        yield number, measured(function, tasks[number])
    if not gc.get_freeze_count():
        # Spark collects garbage after each of its tasks. What this worker has loaded is none: not to look through it
        # saves some 50 ms of processor time each time.
        gc.collect()
        gc.freeze()


def _collect(rdd: "RDD", label: str, bar: tqdm, count: int) -> list:
    """What is in an RDD; shows how many of its `count` Spark tasks are done while a thread waits for them."""
    context, group = rdd.context, f"compactlib-{uuid.uuid4()}"
    outcome: dict[str, Any] = {}

    def collect() -> None:
        try:
            context.setJobGroup(group, label, interruptOnCancel=True)  # holds for this thread
            outcome["rows"] = rdd.collect()
        except BaseException as error:
            outcome["error"] = error

    def watch() -> None:
        collecting.join(POLL)
        while collecting.is_alive():
            with suppress(Py4JError):  # the JVM has ended: `collect` will say so
                outcome["done"] = _done(context, group)
            collecting.join(POLL)

    # This thread never talks to the JVM while it waits: Ctrl-C would break an answer off in the middle.
    collecting, watching = threading.Thread(target=collect, daemon=True), threading.Thread(target=watch, daemon=True)
    collecting.start()
    watching.start()
    try:
        while watching.is_alive():
            watching.join(POLL)
            if (more := bar.total * outcome.get("done", 0) // count - bar.n) > 0:
                bar.update(more)
    except BaseException:  # Ctrl-C: the tasks must not go on without anyone to wait for them
        context.cancelJobGroup(group)
        watching.join()
        raise
    collecting.join()
    if "error" in outcome:
        raise _explained(outcome["error"]) from None
    bar.update(bar.total - bar.n)
    return outcome["rows"]


def _done(context, group: str) -> int:
    """Spark tasks of a job group that are finished."""
    tracker = context.statusTracker()
    infos = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for info in infos if info for stage in info.stageIds]
    return sum(stage.numCompletedTasks for stage in stages if stage)


def _explained(error: BaseException) -> BaseException:
    """The task's own error, where the text of Spark's holds one; else what Spark says, without its stack traces."""
    text = str(error)
    if found := failure(text):
        return found
    if "Python worker exited unexpectedly" in text:
        return TaskError(
            "the Python worker of a task was killed as often as Spark tries a task (is there enough memory? a master "
            "of local[N] tries once, local[N,4] four times); the same call goes on with what is left",
            details=text,
        )
    first = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
    return TaskError(f"Spark gave up: {first}", details=text)
