"""Tasks on a pool of processes of this machine, which outlives workers that are killed."""

import multiprocessing
import signal
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from tqdm.auto import tqdm

from compactlib.spark.measure import Result, Task, TaskError, TaskFailure, failure, measured
from compactlib.workers import cores, end_with_parent

ATTEMPTS = 4  # as many as Spark's


def run_on_pool(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None, bar: tqdm
) -> list[Result]:
    """See `run_tasks`. Workers are started afresh ("spawn"), so that they hold nothing of this process."""
    workers = min(workers or cores(), max(1, len(tasks)))
    results: dict[int, Result] = {}
    attempts: Counter[int] = Counter()
    left = deque(range(len(tasks)))
    with bar:
        while left:
            lost = _until_broken(function, tasks, workers, left, results, bar)
            attempts.update(lost)
            for index in lost:
                if attempts[index] == ATTEMPTS:
                    raise TaskError(
                        f"the worker of a task ended {ATTEMPTS} times without an answer (is there enough memory? in a "
                        "script, does the call stand under `if __name__ == '__main__':`?); the same call goes on with "
                        "what is left",
                        tasks[index],
                    )
            left.extendleft(reversed(lost))
    return [results[index] for index in range(len(tasks))]


def _until_broken(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    left: "deque[int]",
    results: dict[int, Result],
    bar: tqdm,
) -> list[int]:
    """Do what is left until all is done or a worker is killed; returns the tasks that were in hand then."""
    at_work: dict[Future, int] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool:
        try:
            while left or at_work:
                # One more than workers, so that none waits for this process; no more, so that what a killed worker
                # may have been doing is known.
                while left and len(at_work) <= workers:
                    at_work[pool.submit(measured, function, tasks[left[0]])] = left[0]
                    left.popleft()
                for future in wait(at_work, return_when=FIRST_COMPLETED).done:
                    results[at_work[future]] = future.result()
                    del at_work[future]
                    bar.update()
        except BrokenProcessPool:
            for future in [future for future in at_work if future.done() and not future.exception()]:
                results[at_work.pop(future)] = future.result()
                bar.update()
            return sorted(at_work.values())
        except TaskFailure as error:
            raise failure(str(error)) from None
        finally:
            pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C: what is in hand ends, nothing new begins
    return []


def _begin_worker() -> None:
    """A worker leaves Ctrl-C to the driver, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
