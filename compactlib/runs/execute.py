"""One notebook through papermill: a limit for the whole run, a line of progress, and no half-written notebook."""

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from compactlib.files import atomic_write
from compactlib.runs import kernel
from compactlib.runs.folders import DONE, FAILED, RUNNING
from compactlib.runs.plan import Failure
from compactlib.runs.terminal import plain

STARTS = 3  # how often a kernel is started that dies before its first cell
# What papermill logs, this module says itself. Without a handler it would break into the line of progress.
logging.getLogger("papermill").addHandler(logging.NullHandler())
# A kernel that was told to end is dead, which nbclient notes in a task that nobody waits for any more. Where a kernel
# dies by itself, the error arrives by the usual way.
logging.getLogger("asyncio").addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], DeadKernelError))
)


def execute(
    source: Path,
    folder: Path,
    values: dict[str, Any],
    *,
    timeout: float | None = None,
    env: dict[str, str] | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, section: None,
) -> Failure | None:
    """Execute `source` with papermill, parameters `values`, in its own folder, and write it into `folder`.

    Finished, the notebook is `notebook.ipynb`; failed, `notebook.failed.ipynb`; before that it has a temporary name.
    `timeout` is in seconds and holds for the whole notebook. `progress(done, total, section)` counts code cells.
    Returns why it failed, or None. KeyboardInterrupt stops the kernel, keeps nothing, and passes on.
    """
    for name in (DONE, FAILED, RUNNING):
        (folder / name).unlink(missing_ok=True)
    running = folder / RUNNING
    watch = _Watch(nbformat.read(source, as_version=4), timeout, progress)
    call = partial(
        papermill.execute_notebook,
        _literally(source),
        _literally(running),
        parameters=values,
        kernel_name=kernel.NAME,
        language="python",
        cwd=source.parent,
        progress_bar=False,
        kernel_manager_class=kernel.manager_class(env),
        timeout_func=watch.remaining,
        on_cell_start=watch.cell_start,
    )
    try:
        _started(call, watch)
        progress(watch.total, watch.total, watch.section)
        failure = None
    except PapermillExecutionError as error:
        failure = _failed_cell(error)
    except CellTimeoutError:
        failure = Failure(
            f"stopped after {timeout / 60:g} min, in {watch.place}", "Give it more with --timeout MINUTES."
        )
    except DeadKernelError:
        failure = Failure(f"the kernel died, in {watch.place}", "Most often that means too little memory.")
    except _NotStarted as error:
        failure = Failure(
            f"the kernel did not start: {error}", f"{STARTS} tries. Is there memory, and is ipykernel whole (make env)?"
        )
    except BaseException:
        running.unlink(missing_ok=True)
        raise
    final = folder / (FAILED if failure else DONE)
    atomic_write(final, running.read_bytes())
    running.unlink()
    return failure


def _literally(path: Path) -> str:
    """A path for papermill, which would put parameters in place of names in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


class _NotStarted(RuntimeError):
    """No kernel came up."""


def _started(call: Callable[[], Any], watch: "_Watch") -> None:
    """Make the call, and again where its kernel dies before the first cell.

    Jupyter chooses a kernel's ports before the kernel takes them. In between, another process may take one, most
    likely another kernel that starts in the same second.
    """
    for attempt in range(1, STARTS + 1):
        try:
            call()
            return
        except RuntimeError as error:
            if watch.done:
                raise
            if attempt == STARTS:
                raise _NotStarted(str(error)) from error


class _Watch:
    """Follows the cells: how much of the time is left, how far the notebook is, under which heading."""

    def __init__(
        self, node: nbformat.NotebookNode, timeout: float | None, progress: Callable[[int, int, str], None]
    ) -> None:
        self.total = 1 + sum(cell.cell_type == "code" for cell in node.cells)  # papermill adds the parameters' cell
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.progress, self.done, self.section = progress, 0, ""

    @property
    def place(self) -> str:
        return f"[{self.done}]" + (f" ('{self.section}')" if self.section else "")

    def remaining(self, cell: nbformat.NotebookNode) -> float | None:
        """What nbclient may wait for this cell: papermill's own limit is per cell, a run's is what is left of it."""
        return None if self.deadline is None else max(0.01, self.deadline - time.monotonic())

    def cell_start(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            self.progress(self.done, self.total, self.section)
            self.done += 1
        elif headings := re.findall(r"^#+\s*(.+)$", cell.source, re.MULTILINE):
            self.section = headings[-1].strip()


def _failed_cell(error: PapermillExecutionError) -> Failure:
    message = plain(f"{error.ename}: {error.evalue}")
    trace = plain("\n".join(error.traceback)).splitlines()
    shown = ["  ...", *trace[-12:]] if len(trace) > 12 else trace
    first = message.splitlines()[0]
    return Failure(f"failed in [{error.exec_count}]: {first}", "\n".join(shown) or message)
