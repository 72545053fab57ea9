"""Who does the runs of a sweep: processes of this machine, or Spark, which knows the others."""

import queue
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from compactlib.runs.at_once import as_they_end
from compactlib.runs.catalogue import Notebook
from compactlib.runs.plan import Failure, Job
from compactlib.runs.runner import Outcome
from compactlib.runs.sweep_run import Children, carry_out

MOST_THREADS = 256  # of this process, each of which waits for a task of Spark's


def here(jobs: Sequence[Job], devices: Sequence[str], options: dict[str, Any]) -> Iterator[Outcome]:
    """How the jobs end, as they do, with one process at a time for each device; without devices, one at a time.

    A device is what CUDA_VISIBLE_DEVICES is to be; `options` are those of `carry_out`.
    """
    free: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for device in devices or [None]:
        free.put(device)
    children = Children()

    def one(job: Job) -> Outcome:
        device = free.get()
        try:
            env = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
            return carry_out(job, env=env, start=children.start, **options)
        finally:
            free.put(device)

    return as_they_end(one, jobs, len(devices) or 1, children.stop)


def on_spark(jobs: Sequence[Job], master: str | None, options: dict[str, Any]) -> Iterator[Outcome]:
    """The same with a task of Spark's for each job. Every machine has to see the same clone and runs folder. A run has
    the GPUs that Spark gives its task (spark.task.resource.gpu.amount).

    Each task is a Spark job of its own: we hear of it when it ends, and one that is lost for good, its worker killed as
    often as Spark tries a task, takes no other with it. RuntimeError where Spark cannot start.
    """
    from compactlib.spark.session import active_or_new
    from compactlib.spark.session import session as spark_session

    before = _running()
    # Not shipped as a zip: the workers start `python -m compactlib`, so they need the clone itself.
    session = spark_session(master, ship=False) if master else active_or_new()
    context = session.sparkContext

    def one(job: Job) -> Outcome:
        job = replace(job, notebook=Notebook(job.notebook.path))  # without the content that it has read
        try:
            return context.parallelize([job], 1).map(partial(_in_task, **options)).collect()[0]
        except Exception as error:
            said = next((text for text in str(error).splitlines() if text.strip()), type(error).__name__)
            return Outcome(job, "failed", 0.0, failure=Failure(f"its Spark task was lost ({said})", str(error)))

    try:
        yield from as_they_end(one, jobs, min(len(jobs), MOST_THREADS), context.cancelAllJobs)
    finally:
        if before is None:
            session.stop()


def _in_task(job: Job, *, force: bool, **options: Any) -> Outcome:
    """In Spark's worker. The process that it starts ends with it, for example when Spark cancels the task."""
    from pyspark import TaskContext

    task = TaskContext.get()
    gpu = task.resources().get("gpu")
    env = {"CUDA_VISIBLE_DEVICES": ",".join(gpu.addresses)} if gpu else {}
    # Spark tries again where a worker was killed: that attempt goes on with what the first one did.
    return carry_out(job, env=env, force=force and not task.attemptNumber(), **options)


def _running() -> Any:
    """The Spark session of this process, or None."""
    if "pyspark.sql" not in sys.modules:
        return None
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()
