"""Tasks on Spark: a few numbers and a path go out for each, a row of facts comes back, and nothing else.

As an RDD: a DataFrame's plan and its Arrow batches cost twice the time of a short job and give rows of facts nothing.
"""

import gc
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from py4j.protocol import Py4JError
from tqdm.auto import tqdm

from compactlib.spark.measure import Result, Task, TaskError, measured
from compactlib.spark.said import GOES_ON, explained
from compactlib.spark.session import is_alive, jvm_log

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext
    from pyspark.sql import SparkSession

POLL = 0.2  # seconds between two looks at how far the job is
# A Spark task costs some 20 ms of processor time by itself, so it may hold several of ours; but not many: they are what
# the progress bar counts, and what the last worker may still have to do. Of very many the driver would see to little
# else than Spark's tasks.
PER_CORE, IN_ONE, MOST = 3, 4, 10_000
WAIT = "spark.scheduler.maxRegisteredResourcesWaitingTime"  # Spark's setting for how long executors are waited for
ENDINGS = 10  # executors that end one after the other before any was there


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
    if not is_alive(session.sparkContext):
        raise TaskError(f"the Spark session that is given has ended; start another, and {GOES_ON}")
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
        with suppress(Py4JError, OSError):  # the JVM has ended: `collect` will say so
            waiting = _Waiting(context)
            while collecting.is_alive():
                outcome["done"] = _done(context, group)
                if "in_vain" not in outcome and (sentence := waiting.in_vain()):
                    outcome["in_vain"] = sentence
                    context.cancelJobGroup(group)
                collecting.join(POLL)
        collecting.join()

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
        if "in_vain" in outcome:
            context.stop()  # Spark would go on trying
            raise TaskError(outcome["in_vain"], details=str(outcome["error"]))
        raise explained(outcome["error"], is_alive(context), jvm_log(1000)) from None
    bar.update(bar.total - bar.n)
    return outcome["rows"]


def _done(context, group: str) -> int:
    """Spark tasks of a job group that are finished."""
    tracker = context.statusTracker()
    infos = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
    stages = [tracker.getStageInfo(stage) for info in infos if info for stage in info.stageIds]
    return sum(stage.numCompletedTasks for stage in stages if stage)


class _Waiting:
    """Whether executors come. On a standalone cluster Spark waits for them for ever, and starts those that cannot start
    again and again."""

    def __init__(self, context: "SparkContext"):
        self.context = context
        self.on_cluster = context.master.startswith(("spark://", "local-cluster"))
        longest = context.getConf().get(WAIT, "60s")
        self.longest = context._jvm.org.apache.spark.network.util.JavaUtils.timeStringAsSec(longest)
        self._seen()

    def in_vain(self) -> str | None:
        """A sentence when it is time to give up."""
        if not self.on_cluster:
            return None
        if self.context._jsc.sc().getExecutorMemoryStatus().size() > 1:  # the driver is in it
            self._seen()
            return None
        waited, ended = time.monotonic() - self.since, self._ended()[self.before :]
        if len(ended) >= ENDINGS:
            return (
                f"executors cannot start on {self.context.master}: {ended[-1]}, {len(ended)} times. What they print is "
                "in the folder `work` on the workers' machines; is the Java there 17 or newer, are the executors' "
                "options right?"
            )
        if waited < self.longest:
            return None
        memory = self.context.getConf().get("spark.executor.memory", "1g")
        return (
            f"no executor of {self.context.master} has come in {waited:.0f} s: are its workers there, with {memory} of "
            f"memory free (spark.executor.memory) and a core, and do they reach this machine? {WAIT} waits longer"
        )

    def _seen(self) -> None:
        self.since, self.before = time.monotonic(), len(self._ended())

    def _ended(self) -> list[str]:
        """Of each executor that has ended, why."""
        return re.findall(r"Executor updated: \S+ is now (?:EXITED|FAILED) \((.+)\)", jvm_log(10**6))
