"""What processes that share the work of a machine have in common."""

import multiprocessing
import os
import threading


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """In a worker: end when the process that started it ends, even if that one is killed and cannot say so.

    Otherwise the worker would wait for its next task for ever.
    """

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
