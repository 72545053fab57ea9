"""Running notebooks, one after another, each in its run folder: done ones are skipped, interrupted ones resumed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from compactlib.lab import execute, folders, machine, progress, report, results
from compactlib.lab.catalogue import Notebook
from compactlib.lab.execute import Failure
from compactlib.lab.plan import Job, plan
from compactlib.lab.results import DASH, Record, ResultError
from compactlib.lab.tables import Table
from compactlib.paths import NOTEBOOKS, runs_dir

FAILED_RESULT = "result.failed.json"


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `status` is "ok", "already done" or "failed"."""

    job: Job
    status: str
    seconds: float
    record: Record | None = None
    failure: Failure | None = None


def run_notebooks(
    names: Sequence[str],
    *,
    profile: str = "smoke",
    settings: Sequence[str] = (),
    timeout: float | None = None,
    force: bool = False,
    runs: str | Path | None = None,
    folder: Path = NOTEBOOKS,
) -> list[Outcome]:
    """Run notebooks (numbers, names, paths or "all") with a profile and settings `name=value`, and write the report.

    `timeout` is in minutes and holds for each notebook. A run that is complete and whose code, parameters and library
    are the same is not repeated unless `force`; an interrupted one with the same parameters goes on in its folder.
    A notebook that fails does not stop the others. Prints progress, a table and the report's path.
    Raises UsageError or ParameterError before anything starts.
    """
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout is {timeout} minutes, expected more than 0.")
    root = Path(runs or runs_dir()).resolve()
    jobs = plan(names, profile=profile, settings=settings, runs=root, folder=folder)
    outcomes = []
    for number, job in enumerate(jobs, start=1):
        label = f"[{number}/{len(jobs)}] {job.notebook.stem} {job.name}"
        try:
            outcome = run_job(job, label=label, timeout=timeout and timeout * 60, force=force)
        except KeyboardInterrupt:
            if outcomes:
                print(f"\n{summary(outcomes)}\n", flush=True)
            raise
        outcomes.append(outcome)
        if outcome.failure:
            print(f"{label}: {outcome.failure.line}\n{outcome.failure.text}\n", flush=True)
    print(f"\n{summary(outcomes)}\n")
    print(f"Report: {report.write(root)}", flush=True)
    return outcomes


def run_job(job: Job, *, label: str, timeout: float | None = None, force: bool = False) -> Outcome:
    """Run one job (see `run_notebooks`; `timeout` in seconds). Another process in the same folder is a failure."""
    began = time.monotonic()
    try:
        lock = folders.lock(job.folder, folders.RUNNER_LOCK)
    except folders.FolderInUse as error:
        return Outcome(job, "failed", 0.0, failure=Failure("another process is working in its folder", str(error)))
    try:
        # Read now, not when the call was planned: in a long queue a notebook may have been edited meanwhile.
        job = replace(job, notebook=Notebook(job.notebook.path))
        fingerprint = job.fingerprint
        done = finished(job, fingerprint)
        if done and not force:
            print(f"{label}: already done (--force repeats it)", flush=True)
            return Outcome(job, "already done", done.seconds, record=done)
        try:
            prepare(job, fresh=force)
        except FileExistsError as error:
            return Outcome(job, "failed", 0.0, failure=Failure("its folder holds something else", str(error)))
        failure = _execute(job, label, timeout)
        seconds = time.monotonic() - began
        if failure:
            return Outcome(job, "failed", seconds, failure=failure)
        return Outcome(job, "ok", seconds, record=_complete(job, fingerprint, began))
    finally:
        lock.release()


def finished(job: Job, fingerprint: str) -> Record | None:
    """The record of an earlier run that this job would only repeat."""
    if not (job.folder / results.FILE).is_file() or not (job.folder / execute.DONE).is_file():
        return None
    try:
        record = results.read(job.folder / results.FILE)
    except ResultError:
        return None  # damaged or of an older schema: made anew
    return record if record.complete and record.fingerprint == fingerprint else None


def prepare(job: Job, *, fresh: bool) -> None:
    """Empty the folder, unless it holds an interrupted run with the same parameters, which is to be resumed.

    Of such a run only the result goes: while the notebook runs there must be none. A change of code alone does not
    cost the checkpoints: an error in the last cell, once mended, must not mean a day of training again.
    """
    if fresh or (job.folder / execute.DONE).is_file() or folders.read_params(job.folder) != job.params:
        folders.clear(job.folder)
    for name in (results.FILE, FAILED_RESULT):
        (job.folder / name).unlink(missing_ok=True)
    folders.write_params(job.folder, job.params)


def _execute(job: Job, label: str, timeout: float | None) -> Failure | None:
    """Execute with a line of progress; a result that was recorded before the notebook failed is set aside."""
    with progress.line(label) as show:
        failure = execute.execute(
            job.notebook.path,
            job.folder,
            job.values | {"run_dir": str(job.folder)},
            timeout=timeout,
            env={"COMPACT_RUNS": str(job.folder.parents[1])},
            progress=show,
        )
    if failure and (job.folder / results.FILE).is_file():
        # The board must not show it as one of a finished run.
        (job.folder / results.FILE).replace(job.folder / FAILED_RESULT)
    return failure


def _complete(job: Job, fingerprint: str, began: float) -> Record:
    """Mark the run's record as complete. A notebook that recorded nothing gets a record without results."""
    path = job.folder / results.FILE
    record = results.read(path) if path.is_file() else _bare(job)
    record = replace(
        record,
        profile=job.profile,
        overrides=job.overrides,
        command=job.command,
        seconds=round(time.monotonic() - began, 2),
        fingerprint=fingerprint,
        complete=True,
    )
    return results.write(record, job.folder)


def _bare(job: Job) -> Record:
    device = torch.device("cpu")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Record(
        notebook=job.notebook.stem,
        run=job.name,
        profile=job.profile,
        overrides=job.overrides,
        parameters=job.params,
        seed=job.params["seed"],
        data=[],
        results=[],
        versions=machine.versions(),
        code=machine.code_version(),
        hardware=machine.hardware(device),
        seconds=0.0,
        peak_memory={"host_mib": None, "gpu_mib": None},
        command=job.command,
        started=now,
        finished=now,
    )


def summary(outcomes: Sequence[Outcome]) -> Table:
    """The table at the end of a call: one row a result, and one for a run without."""
    rows = []
    for outcome in outcomes:
        front = (outcome.job.notebook.stem, outcome.job.name, outcome.status, f"{outcome.seconds:.0f}")
        found = outcome.record.results if outcome.record else []
        lines = [(f"{r.model} on {r.dataset}, {r.metric}: {r.ours()}", r.theirs()) for r in found]
        for line in lines or [(outcome.failure.line if outcome.failure else DASH, DASH)]:
            rows.append((*front, *line))
            front = ("", "", "", "")
    columns = ("notebook", "run", "status", "seconds", "result", "paper")
    note = "A dash under paper: no number there, or none that is comparable (`python -m compactlib board` says why)."
    return Table(columns, tuple(rows), numeric=("seconds", "paper"), note=note)
