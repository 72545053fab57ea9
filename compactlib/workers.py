"""What the processes of our pools have in common."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """In a worker: end when the process that started it ends, even if that one is killed and cannot say so.

    Otherwise the worker would wait for its next task for ever.
    """

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
