"""Many runs of a notebook: one after another, one on each GPU, or as tasks of Spark's; and a table over their seeds.

The run folders are all that a sweep knows: what is done there is not run again, so the same command goes on after
Ctrl-C, and two machines that share the folder share the work.
"""

import os
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from compactlib.runs import folders, runner
from compactlib.runs.catalogue import UsageError
from compactlib.runs.plan import Job, library_digest, run_name
from compactlib.runs.results import DASH, Record, Result
from compactlib.runs.runner import Outcome
from compactlib.runs.sweep_engines import here, on_spark
from compactlib.runs.sweep_run import LOG
from compactlib.runs.tables import Table

NOTE = "std: of the sample, in percentage points for a percentage. seconds: mean of the whole run."


def run(
    jobs: Sequence[Job],
    *,
    engine: str = "local",
    devices: Sequence[str] = (),
    master: str | None = None,
    timeout: float | None = None,
    force: bool = False,
) -> list[Outcome]:
    """Do the jobs of a sweep (see `sweep_file.read`) and return how each ended, in their order.

    devices: as `places` returns them; engine="spark": one task a run, on `master` (default: this machine). `timeout`
    is in minutes, for each run. A run that fails does not stop the others. Prints a line as a run ends, and a table.
    Ctrl-C ends the processes and passes on. RuntimeError where Spark cannot start.
    """
    from compactlib.runs import report  # here: a list of runs does not wait for nbformat

    outcomes: dict[Path, Outcome] = {}
    root = jobs[0].folder.parents[1]
    number = {job.folder: f"[{i}/{len(jobs)}]" for i, job in enumerate(jobs, start=1)}
    with tqdm(desc="runs", total=len(jobs), disable=None) as bar:

        def tell(outcome: Outcome) -> None:
            outcomes[outcome.job.folder] = outcome
            with tqdm.external_write_mode():
                print(f"{number[outcome.job.folder]} {line(outcome)}", flush=True)
            bar.update()

        library = library_digest()
        for job in jobs if not force else ():
            if outcome := runner.already(job, library):
                tell(outcome)
        left = [job for job in jobs if job.folder not in outcomes]
        options = {"timeout": timeout, "force": force}
        try:
            if left:
                ending = on_spark(left, master, options) if engine == "spark" else here(left, devices, options)
                with closing(ending):
                    for outcome in ending:
                        tell(outcome)
        except KeyboardInterrupt:
            bar.close()
            _wait_until_free(left)
            print(f"\n{_count(jobs, outcomes.values())} Report: {report.write(root)}", flush=True)
            raise
    ordered = [outcomes[job.folder] for job in jobs]
    if any(outcome.record and outcome.record.results for outcome in ordered):
        print(f"\n{summary([outcome.record for outcome in ordered if outcome.record])}")
    print(f"\n{_count(jobs, ordered)} Report: {report.write(root)}", flush=True)
    return ordered


def places(devices: str | None, engine: str, master: str | None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES is for each of `--devices cuda:0,cuda:1`. Raises UsageError, before any run starts."""
    if master is not None and engine != "spark":
        raise UsageError(f"--master {master} is Spark's. Add --engine spark, or leave out the master.")
    if devices is None:
        return []
    if engine == "spark":
        raise UsageError("--devices is for --engine local. With Spark, its settings say which machine has which GPU.")
    import torch

    names, count = [name.strip() for name in devices.split(",")], torch.cuda.device_count()
    for name in names:
        if not re.fullmatch(r"cuda:\d+", name):
            raise UsageError(f"--devices has '{name}', expected names such as cuda:0. Write --devices cuda:0,cuda:1.")
        if int(name[5:]) >= count:
            raise UsageError(f"--devices has {name}, and PyTorch sees {count} GPUs here. They count from cuda:0.")
    indices = [int(name[5:]) for name in names]
    if twice := [index for index, times in Counter(indices).items() if times > 1]:
        raise UsageError(f"--devices has cuda:{twice[0]} twice. Two runs at a time on one GPU would share its memory.")
    # Where a scheduler gave us some of the machine's GPUs, cuda:0 is the first of those.
    given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return [given[index] if given else str(index) for index in indices]


def _wait_until_free(jobs: Sequence[Job], seconds: float = 15) -> None:
    """Wait for runs that were asked to end elsewhere, so that the same command finds their folders free."""
    until = time.monotonic() + seconds  # for all of them: one may be at work for somebody else
    for job in jobs:
        if job.folder.is_dir():
            with suppress(folders.FolderInUse):
                folders.lock(job.folder, folders.RUNNER_LOCK, seconds=max(0, until - time.monotonic())).release()


def line(outcome: Outcome) -> str:
    """A run in a line."""
    name = f"{outcome.job.notebook.stem} {outcome.job.name}"
    if outcome.failure:
        log = outcome.job.folder / LOG
        return f"{name}: {outcome.status}: {outcome.failure.line}" + (f"; see {log}" if log.is_file() else "")
    found = outcome.record.results
    first = [f"{found[0].model} {found[0].ours()}"] if found else []
    more = [f"+{len(found) - 1} more"] if len(found) > 1 else []
    return f"{name}: " + ", ".join([outcome.said, f"{outcome.seconds:.0f} s", *first, *more])


def listing(jobs: Sequence[Job]) -> Table:
    """The runs of a sweep and how far each is: done, failed, begun or to do."""
    library = library_digest()
    rows = [(str(i), job.notebook.stem, job.name, state(job, library)) for i, job in enumerate(jobs, start=1)]
    return Table(("no.", "notebook", "run", "state"), tuple(rows), numeric=("no.",))


def state(job: Job, library: str | None = None) -> str:
    """Of its folder, seen from outside: a run that is begun may be interrupted, or at work just now. `library` as for
    `Job.fingerprint`."""
    if finished := runner.already(job, library):
        return f"done with another version: {finished.differs}" if finished.differs else "done"
    if not folders.belongs_to(job.folder, job.params):
        return "to do"  # nothing there, or another run, which makes room for this one
    return "failed" if (job.folder / folders.FAILED).is_file() else "begun"


def _count(jobs: Sequence[Job], outcomes: Iterable[Outcome]) -> str:
    outcomes = list(outcomes)
    failed = sum(outcome.failure is not None for outcome in outcomes)
    others = sum(bool(outcome.differs) for outcome in outcomes)
    rest = " The same command goes on with the rest." if failed or len(outcomes) < len(jobs) else ""
    other = f", {others} of them with another version" if others else ""
    failures = f", {failed} failed" if failed else ""
    return f"{len(outcomes) - failed} of {len(jobs)} runs are done{other}{failures}.{rest}"


def summary(records: Iterable[Record]) -> Table:
    """Results over their seeds: a row for each notebook, settings but for the seed, model, data set and metric."""
    groups: dict[tuple, list[tuple[Result, float]]] = defaultdict(list)
    for record in records:
        settings = {name: value for name, value in record.overrides.items() if name != "seed"}
        for r in record.results:
            key = (record.notebook, run_name(record.profile, settings), r.model, r.dataset, r.metric, r.unit)
            groups[key].append((r, record.seconds))
    rows = [(*key[:-1], *_statistics(*zip(*group, strict=True))) for key, group in groups.items()]
    columns = ("notebook", "run", "model", "data", "metric", "n", "mean", "std", "min to max", "paper", "seconds")
    return Table(columns, tuple(rows), numeric=("n", "mean", "std", "min to max", "paper", "seconds"), note=NOTE)


def _statistics(found: Sequence[Result], seconds: Sequence[float]) -> tuple[str, ...]:
    """The numbers of a row as text: n, mean, standard deviation, range, the paper's, seconds."""
    values = [r.value for r in found]
    mean, low, high = (replace(found[0], value=v).ours() for v in (statistics.fmean(values), min(values), max(values)))
    spread = statistics.stdev(values) if len(values) > 1 else None
    std = DASH if spread is None else f"{100 * spread:.2f}" if found[0].unit == "fraction" else f"{spread:.4g}"
    paper = {r.theirs() for r in found}
    theirs = paper.pop() if len(paper) == 1 else DASH
    return str(len(values)), mean, std, f"{low} to {high}", theirs, f"{statistics.fmean(seconds):.0f}"
