"""Several runs at a time: which end first is told first, and Ctrl-C ends all of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

import psutil

Job, Outcome = TypeVar("Job"), TypeVar("Outcome")


def as_they_end(
    one: Callable[[Job], Outcome], jobs: Sequence[Job], threads: int, stop: Callable[[], None]
) -> Iterator[Outcome]:
    """one(job) for all jobs, in threads. After Ctrl-C, which reaches this thread only, none begins, and `stop` is
    called until the others have ended."""
    futures: list[Future] = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            futures += [pool.submit(one, job) for job in jobs]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures):
                stop()
                time.sleep(0.1)
            raise


def end_kernels() -> None:
    """Ask the kernels that this process has started to end; who waits for one of them sees it die."""
    for child in psutil.Process().children():
        try:
            if "ipykernel_launcher" in child.cmdline():
                child.terminate()
        except psutil.NoSuchProcess:
            continue
