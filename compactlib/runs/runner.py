"""Running notebooks, one after another, each in its run folder: done ones are skipped, interrupted ones resumed."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from compactlib.paths import NOTEBOOKS, runs_dir
from compactlib.runs import done, folders, progress, results
from compactlib.runs import extend as extending
from compactlib.runs.at_once import as_they_end, end_kernels
from compactlib.runs.catalogue import Notebook
from compactlib.runs.plan import Failure, Job, plan
from compactlib.runs.results import DASH, Record, ResultError
from compactlib.runs.run import without_results
from compactlib.runs.tables import Table
from compactlib.workers import cores

FAILED_RESULT = "result.failed.json"


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `status` is "ok", "already done" or "failed"; `differs` says what is another now than in a run
    that is already done, empty if nothing is."""

    job: Job
    status: str
    seconds: float
    record: Record | None = None
    failure: Failure | None = None
    differs: str = ""

    @property
    def said(self) -> str:
        """The status in words."""
        return f"done with another version: {self.differs}; --force repeats it" if self.differs else self.status


def run_notebooks(
    names: Sequence[str],
    *,
    profile: str = "smoke",
    settings: Sequence[str] = (),
    timeout: float | None = None,
    force: bool = False,
    extend: bool = False,
    runs: str | Path | None = None,
    folder: Path = NOTEBOOKS,
    write_report: bool = True,
    at_once: int = 1,
) -> list[Outcome]:
    """Run notebooks (numbers, names, paths or "all") with a profile and settings `name=value`, and write the report.

    `timeout` is in minutes and holds for each notebook. A finished run stays, and is said to be of another version
    where its code, parameters or library are not the same; `force` moves it aside and runs the notebook again. An
    interrupted one with the same parameters goes on in its folder. With `extend`, a new run begins with what a finished
    one of fewer epochs has trained (`extend.begin`). A notebook that fails does not stop the others.
    at_once: how many run at a time; they share the cores. Prints progress, a table and, with `write_report`, the
    report's path.
    Raises UsageError or ParameterError before anything starts.
    """
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout is {timeout} minutes, expected more than 0.")
    root = Path(runs or runs_dir()).resolve()
    jobs = plan(names, profile=profile, settings=settings, runs=root, folder=folder)
    labels = {job.folder: f"[{i}/{len(jobs)}] {job.notebook.stem} {job.name}" for i, job in enumerate(jobs, start=1)}
    options = {"timeout": timeout and timeout * 60, "force": force, "extend": extend}
    at_once = min(at_once, len(jobs))
    if at_once > 1:  # each with its share of the cores: threads that wait for each other cost more than they do
        options["env"] = {"OMP_NUM_THREADS": str(max(1, cores() // at_once))}
    outcomes = {}

    def one(job: Job) -> Outcome:
        return run_job(job, label=labels[job.folder], **options)

    # One at a time stays in this thread, where Ctrl-C interrupts the kernel itself.
    ending = as_they_end(one, jobs, at_once, end_kernels) if at_once > 1 else (one(job) for job in jobs)
    try:
        with closing(ending):
            for outcome in ending:
                outcomes[outcome.job.folder] = outcome
                _tell(labels[outcome.job.folder], outcome)
    finally:
        ordered = [outcomes[job.folder] for job in jobs if job.folder in outcomes]
        if ordered:
            print(f"\n{summary(ordered)}\n", flush=True)
    if write_report:
        from compactlib.runs import report

        print(f"Report: {report.write(root)}", flush=True)
    return ordered


def _tell(label: str, outcome: Outcome) -> None:
    """How a job has ended, in a line; why, where it failed."""
    with tqdm.external_write_mode():
        if outcome.failure:
            print(f"{label}: {outcome.failure.line}\n{outcome.failure.text}\n", flush=True)
        elif outcome.status == "ok":
            first = outcome.record.results[: int(outcome.job.notebook.is_lesson)]
            said = [f"{outcome.seconds:.0f} s", *(f"{result.model} {result.ours()}" for result in first)]
            print(f"{label}: ok, {', '.join(said)}", flush=True)


def run_job(
    job: Job,
    *,
    label: str,
    timeout: float | None = None,
    force: bool = False,
    extend: bool = False,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run one job (see `run_notebooks`; `timeout` in seconds; `env` is added to the kernel's environment). Another
    process in the same folder is a failure."""
    began = time.monotonic()
    try:
        lock = folders.lock(job.folder, folders.RUNNER_LOCK)
        try:
            return _run(job, label, timeout, force, extend, env or {}, began)
        finally:
            lock.release()
    except folders.FolderInUse as error:
        line, text = "another process is working in its folder", str(error)
    except FileExistsError as error:
        line, text = "its folder holds something else", str(error)
    except ResultError as error:
        line, text = "what it recorded cannot be read", str(error)
    except extending.NothingToExtend as error:
        line, text = "there is nothing to extend", str(error)
    return Outcome(job, "failed", time.monotonic() - began, failure=Failure(line, text))


def _run(
    job: Job, label: str, timeout: float | None, force: bool, extend: bool, env: Mapping[str, str], began: float
) -> Outcome:
    """The same in a folder that is locked."""
    # Read now, not when the call was planned: in a long queue a notebook may have been edited meanwhile.
    job = replace(job, notebook=Notebook(job.notebook.path))
    if not force and (outcome := already(job)):
        print(f"{label}: {outcome.said}" + ("" if outcome.differs else " (--force repeats it)"), flush=True)
        return outcome
    fingerprint = job.fingerprint()
    if extend and (source := extending.begin(job)):
        print(f"{label}: goes on from {source.name}", flush=True)
    if kept := prepare(job, fresh=force):
        print(f"{label}: the earlier run is kept in {kept.name}", flush=True)
    failure = _execute(job, label, timeout, env)
    seconds = time.monotonic() - began
    if failure:
        return Outcome(job, "failed", seconds, failure=failure)
    return Outcome(job, "ok", seconds, record=_complete(job, fingerprint, began))


def already(job: Job, library: str | None = None) -> Outcome | None:
    """The outcome of a job whose run is finished. `library` as for `Job.fingerprint`."""
    found = done.find(job, library)
    return found and Outcome(job, "already done", found.record.seconds, record=found.record, differs=found.differs)


def prepare(job: Job, *, fresh: bool) -> Path | None:
    """Make the folder ready for a run, with nothing lost: returns where an earlier run is kept, None if it goes on.

    An interrupted run with the same parameters goes on in its folder, and so does one whose record is damaged: its
    checkpoints are whole. A change of code alone does not cost them either: an error in the last cell, once mended,
    must not mean a day of training again. Any other content is moved aside. While the notebook runs there is no result
    and no finished notebook; what an earlier attempt left of them gets another name.
    """
    kept = None
    if fresh or not folders.belongs_to(job.folder, job.params):
        # A runner that was killed leaves its kernel alive for a moment, which writes into the folder.
        kernel = folders.lock(job.folder, folders.KERNEL_LOCK, seconds=folders.PATIENCE)
        try:
            kept = folders.move_aside(job.folder)
        finally:
            kernel.release()
    for name in (results.FILE, folders.DONE):
        folders.keep(job.folder / name)
    (job.folder / FAILED_RESULT).unlink(missing_ok=True)
    folders.write_params(job.folder, job.params)
    return kept


def _execute(job: Job, label: str, timeout: float | None, env: Mapping[str, str]) -> Failure | None:
    """Execute with a line of progress; a result that was recorded before the notebook failed is set aside."""
    from compactlib.runs.execute import execute  # here: a wrong parameter does not wait for papermill

    with progress.line(label) as show:
        failure = execute(
            job.notebook.path,
            job.folder,
            job.values | {"run_dir": str(job.folder)},
            timeout=timeout,
            env={"COMPACT_RUNS": str(job.folder.parents[1]), **env},
            progress=show,
        )
    if failure and (job.folder / results.FILE).is_file():
        # The board must not show it as one of a finished run.
        (job.folder / results.FILE).replace(job.folder / FAILED_RESULT)
    return failure


def _complete(job: Job, fingerprint: dict[str, str], began: float) -> Record:
    """Mark the run's record as complete. A notebook that recorded nothing gets a record without results."""
    path = job.folder / results.FILE
    record = results.read(path) if path.is_file() else without_results(job)
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


def summary(outcomes: Sequence[Outcome]) -> Table:
    """The table at the end of a call: all results of a single run; of several runs the headline of each."""
    rows = []
    for outcome in outcomes:
        status = outcome.status + (" *" if outcome.differs else "")
        front = (outcome.job.notebook.stem, outcome.job.name, status, f"{outcome.seconds:.0f}")
        found = outcome.record.results if outcome.record else []
        lines = [(f"{r.model} on {r.dataset}, {r.metric}: {r.ours()}", r.theirs()) for r in found]
        if len(outcomes) > 1:
            lines = lines[: int(outcome.job.notebook.is_lesson)]  # a tool's trainings are there to look at
        for line in lines or [(outcome.failure.line if outcome.failure else DASH, DASH)]:
            rows.append((*front, *line))
            front = ("", "", "", "")
    columns = ("notebook", "run", "status", "seconds", "result", "paper")
    note = "A dash under paper: no number there, or none that is comparable (`python -m compactlib board` says why)."
    if any(outcome.differs for outcome in outcomes):
        note += "\n* with another version of the notebook, its parameters or compactlib; --force repeats it."
    return Table(columns, tuple(rows), numeric=("seconds", "paper"), note=note)
