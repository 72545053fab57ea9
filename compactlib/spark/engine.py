"""Tasks on Spark or on a pool of processes: the same function, the same results."""

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from compactlib.spark.measure import Result, Task, TaskError
from compactlib.spark.on_pool import run_on_pool
from compactlib.spark.on_spark import run_on_spark
from compactlib.spark.session import active_or_new, java_available

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TaskError", "choose_engine", "run_tasks"]


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    engine: str = "spark",
    *,
    session: "SparkSession | None" = None,
    workers: int | None = None,
    weights: Sequence[int] | None = None,
    label: str = "tasks",
    progress: bool = True,
) -> list[Result]:
    """Call function(task) for every task in worker processes; returns the results in the order of `tasks`.

    function: of a module, or a functools.partial of one, so that a worker can import it; a task may be done more than
    once (a killed worker, a speculative copy) and must give the same each time. Tasks and results are small dicts of
    values that JSON knows. `tasks` may make them when they are asked for: each is asked for when it is dealt, on Spark
    in the worker, to which the sequence itself travels. They start about in their order; on Spark one worker does a run
    of neighbours. weights: how much work each is against the others; default: a task's "weight", else alike. To each
    result come seconds, cpu_seconds, pid, host and peak_rss_mb, as measured in the worker.

    engine: "spark" or "local" (a process pool); see `choose_engine`. session: Spark's, for engine="spark"; default: the
    active one, else a new local one, which stays. workers: processes of the pool, or of that new session; default: one
    per core. A task whose worker is killed is done again, four times at most (Spark: as its master says, `local[2,4]`).

    Raises TaskError with the sentence of the task that failed; the tasks that were done are done. Ctrl-C stops the job.
    """
    if choose_engine(engine) == "local":
        return run_on_pool(function, tasks, workers, _bar(label, len(tasks), progress))
    session = session or active_or_new(workers)
    if weights is None:
        weights = [task.get("weight", 1) for task in tasks]
    return run_on_spark(function, tasks, weights, session, label, _bar(label, len(tasks), progress))


def choose_engine(engine: str) -> str:
    """The engine that can work here: "spark" without pyspark or Java becomes "local", with a RuntimeWarning."""
    if engine not in ("spark", "local"):
        raise ValueError(f"engine={engine!r} is unknown; expected 'spark' or 'local'")
    if engine == "local":
        return engine
    missing = "pyspark is not installed" if importlib.util.find_spec("pyspark") is None else None
    missing = missing or (None if java_available() else "Spark needs Java 17 or newer, which was not found")
    if missing:
        warnings.warn(f"{missing}: a pool of processes does the work, with the same result", RuntimeWarning, 3)
        return "local"
    return engine


def _bar(label: str, total: int, progress: bool) -> tqdm:
    return tqdm(total=total, desc=label, disable=not progress)
