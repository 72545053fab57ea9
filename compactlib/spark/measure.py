"""What a task costs, measured inside its worker, and what went wrong in it, as text that travels."""

import json
import os
import re
import resource
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

Task = dict[str, Any]
Result = dict[str, Any]

# An exception crosses Spark as text inside a Java stack trace; the JSON between these marks is found again there.
_BEGIN, _END = "<compactlib-task ", " compactlib-task>"
# Spark cuts what a process of TorchDistributor prints after 4,000 characters a line.
_LONGEST_SENTENCE, _LONGEST_TRACEBACK = 800, 1500


class TaskError(RuntimeError):
    """A task failed; the text is the sentence that its worker raised.

    task: the task that failed, where it is known. details: the worker's traceback, or what Spark said.
    """

    def __init__(self, sentence: str, task: Task | None = None, details: str = ""):
        super().__init__(sentence)
        self.task, self.details = task, details


class TaskFailure(Exception):
    """What a worker raises in place of the task's own error, whose class the driver may not know."""


def measured(function: Callable[[Task], Result], task: Task) -> Result:
    """The result of function(task), with what it cost: seconds, cpu_seconds (of this process), pid, host, peak_rss_mb.

    Whatever the function raises becomes a TaskFailure whose text `failure` reads.
    """
    began, cpu = time.perf_counter(), time.process_time()
    try:
        result = function(task)
    except Exception as error:
        facts = {"sentence": _sentence(error)[:_LONGEST_SENTENCE], "task": task}
        facts["traceback"] = traceback.format_exc()[-_LONGEST_TRACEBACK:]
        raise TaskFailure(f"{_BEGIN}{json.dumps(facts)}{_END}") from None
    return {
        **result,
        "seconds": round(time.perf_counter() - began, 4),
        "cpu_seconds": round(time.process_time() - cpu, 4),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "peak_rss_mb": round(peak_rss() / 2**20, 1),
    }


def failure(text: str) -> TaskError | None:
    """The task's own error in the text of an exception that came through an engine, or None."""
    found = re.search(f"{re.escape(_BEGIN)}(.*?){re.escape(_END)}", text, re.DOTALL)
    if not found:
        return None
    facts = json.loads(found[1])
    return TaskError(facts["sentence"], facts["task"], facts["traceback"])


def peak_rss() -> int:
    """The most memory this process has held so far, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            # The system's own count of a spawned process begins with what its parent held; this one does not.
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _sentence(error: Exception) -> str:
    """The text of an error that was written for the user; any other with its class in front."""
    return str(error) if isinstance(error, (ValueError, OSError)) and str(error) else f"{type(error).__name__}: {error}"
