"""Tasks on Spark: a few numbers and a path go out for each, a row of facts comes back, and nothing else.

As an RDD: a DataFrame's plan and its Arrow batches cost twice the time of a short job and give rows of facts nothing.
"""

import gc
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from tqdm.auto import tqdm

from compactlib.spark.measure import Result, Task, TaskError, failure, measured

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import SparkSession

POLL = 0.2  # seconds between two looks at how far the job is
# A Spark task costs some 20 ms of processor time by itself, so it may hold several of ours; but not many: they are what
# is lost with a worker, what the progress bar counts, and what the last worker may still have to do.
PER_CORE, IN_ONE = 3, 4


def run_on_spark(
    function: Callable[[Task], Result], tasks: Sequence[Task], session: "SparkSession", label: str, bar: tqdm
) -> list[Result]:
    """See `run_tasks`. Each Spark task gets a hand of ours."""
    if not tasks:
        return []
    count = min(len(tasks), max(PER_CORE * session.sparkContext.defaultParallelism, -(-len(tasks) // IN_ONE)))
    hands = deal(tasks, count)
    work = session.sparkContext.parallelize(hands, len(hands)).flatMap(partial(_work, function))
    with bar:
        results = dict(_collect(work, label, bar, len(hands)))
    return [results[number] for number in range(len(tasks))]


def deal(tasks: Sequence[Task], count: int) -> list[list[tuple[int, Task]]]:
    """Tasks with their numbers in at most `count` hands of about the same weight, the heaviest hand first.

    A hand is a run of tasks that follow each other: a worker keeps what two neighbours share. A task without a weight
    counts 1.
    """
    weights = [task.get("weight", 1) for task in tasks]
    ends = list(accumulate(weights))
    hands: dict[int, list[tuple[int, Task]]] = defaultdict(list)
    for number, (task, weight, end) in enumerate(zip(tasks, weights, ends, strict=True)):
        middle = (end - weight / 2) / ends[-1]  # of the task, as a share of all the work
        hands[number if count == len(tasks) else int(count * middle)].append((number, task))
    return sorted(hands.values(), key=lambda hand: -sum(weights[number] for number, _ in hand))


def _work(function: Callable[[Task], Result], hand: list[tuple[int, Task]]) -> Iterator[tuple[int, Result]]:
    """In the worker: the tasks of a hand, one after the other."""
    for number, task in hand:
        yield number, measured(function, task)
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
