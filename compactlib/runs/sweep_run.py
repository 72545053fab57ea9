"""One run of a sweep: the command `run` as a process of its own, with a log. Here or as a task of Spark's."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from compactlib.paths import NOTEBOOKS, ROOT
from compactlib.runs import folders, results, runner
from compactlib.runs.catalogue import Notebook
from compactlib.runs.plan import Failure, Job
from compactlib.runs.run import as_text
from compactlib.runs.runner import Outcome

LOG = "sweep.log"
PATIENCE = 20  # seconds for a process to leave the folder: one whose parent was killed is just ending
INTERRUPTED = "interrupted"  # a status beside those of `Outcome`
ASKED_TO_END = (130, -signal.SIGINT, -signal.SIGTERM)


def command(job: Job, timeout: float | None) -> list[str]:
    """The call that does the job; `timeout` in minutes. It ends when this process ends, or closes its stdin."""
    path = job.notebook.path
    parts = ["run", job.notebook.stem if path.parent == NOTEBOOKS else str(path), "--end-with-stdin", "--no-report"]
    parts += ["--profile", job.profile, "--runs", str(job.folder.parents[1])]
    parts += ["--timeout", str(timeout)] if timeout else []
    parts += [part for name, value in job.overrides.items() for part in ("--set", f"{name}={as_text(value)}")]
    return [sys.executable, "-m", "compactlib", *parts]


def carry_out(
    job: Job,
    *,
    timeout: float | None = None,
    force: bool = False,
    env: dict[str, str] | None = None,
    start: Callable[..., subprocess.Popen] = subprocess.Popen,
) -> Outcome:
    """Do a job, or go on with it, in a process of its own, and say how it ended; raises nothing for a run that fails.

    `timeout` is in minutes; `env` is added to the process's environment; `start` starts it.
    """
    job = replace(job, notebook=Notebook(job.notebook.path))  # read now: in a long sweep it may have been edited
    began = time.monotonic()
    try:
        if outcome := _make_ready(job, force):
            return outcome
        log, status = _wait_for(command(job, timeout), job.folder / LOG, env, start)
        seconds = time.monotonic() - began
        if status == 0:
            return Outcome(job, "ok", seconds, record=results.read(job.folder / results.FILE))
    except (folders.FolderInUse, results.ResultError, OSError) as error:
        line = str(error).splitlines()[0]
        return Outcome(job, "failed", time.monotonic() - began, failure=Failure(line, str(error)))
    return Outcome(job, INTERRUPTED if status in ASKED_TO_END else "failed", seconds, failure=_why(job, status, log))


def _make_ready(job: Job, force: bool) -> Outcome | None:
    """The outcome of a run that is done by now; else prepare the folder as `run` does.

    `run` would do so itself, but it moves another run aside, and the log is in the folder by then.
    """
    lock = folders.lock(job.folder, folders.RUNNER_LOCK, seconds=PATIENCE)
    try:
        if not force and (outcome := runner.already(job)):
            return outcome
        runner.prepare(job, fresh=force)
        return None
    finally:
        lock.release()


def _wait_for(call: list[str], path: Path, env: dict[str, str] | None, start: Callable) -> tuple[str, int]:
    """Run a process to its end: what it wrote to its log this time, and its exit status."""
    with path.open("ab") as log:  # appended: what an interrupted run said stays
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {shlex.join(call)}\n".encode())
        log.flush()
        begin = log.tell()
        # A session of its own: Ctrl-C in the terminal reaches the parent only, which tells its children once.
        with start(
            call,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=os.environ | (env or {}),
            start_new_session=True,
        ) as process:
            status = process.wait()
    with path.open("rb") as log:
        log.seek(begin)
        return log.read().decode(errors="replace"), status


def _why(job: Job, status: int, log: str) -> Failure:
    """The reason in a line: what `run` said of the failure, else a line of the log."""
    if status < 0 and status not in ASKED_TO_END:
        name = signal.Signals(-status).name
        memory = ", by the system if memory ran out" if -status == signal.SIGKILL else ""
        return Failure(f"killed ({name}{memory}); the same command goes on with it", log)
    if status in ASKED_TO_END:
        return Failure("asked to end", log)
    said = re.findall(rf"^\[1/1\] {re.escape(f'{job.notebook.stem} {job.name}')}: (?!started )(.+)$", log, re.MULTILINE)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    rest = lines[:1] if status == 2 else lines  # a wrong call is explained from its first line on
    return Failure((said or rest or [f"exit status {status}"])[-1], log)


class Children:
    """The processes of a sweep on this machine, which do not outlive it."""

    def __init__(self) -> None:
        self._lock, self._stopped, self._alive = threading.Lock(), False, []

    def start(self, call: Sequence[str], **options) -> subprocess.Popen:
        """As subprocess.Popen; raises ChildProcessError once `stop` was called."""
        with self._lock:
            if self._stopped:
                raise ChildProcessError("The sweep was stopped.")
            self._alive = [process for process in self._alive if process.poll() is None]
            self._alive.append(subprocess.Popen(call, **options))
            return self._alive[-1]

    def stop(self) -> None:
        """Ask all to end, as Ctrl-C does, and wait for none of them. May be called again."""
        with self._lock:
            self._stopped = True
            for process in self._alive:
                process.stdin.close()
