"""A run that begins where a finished one ended: the same parameters with more epochs, in a folder of its own."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compactlib.runs import done, folders
from compactlib.runs.plan import Job
from compactlib.runs.run import HARMLESS

COPY = ".copy"  # in the run's folder, until it is whole
# What belongs to the finished run itself. The rest is what it has trained.
LEFT = (folders.RESULT, folders.DONE, folders.PARAMS, folders.RUNNER_LOCK, folders.KERNEL_LOCK, "*.old-*", "*.log")


class NothingToExtend(ValueError):
    """There is no finished run that a job could go on with."""


def begin(job: Job) -> Path | None:
    """Copy into the job's folder what a finished run has trained with fewer epochs and the same other parameters, and
    return that run's folder. The finished run stays as it is. None where the job has begun already.

    Whether the training can go on for longer is for `training.fit` to say. Raises NothingToExtend.
    """
    shutil.rmtree(job.folder / COPY, ignore_errors=True)  # cut short
    if folders.content(job.folder):
        return None
    source = _longest(job)
    shutil.copytree(source, job.folder / COPY, ignore=shutil.ignore_patterns(*LEFT))
    for path in (job.folder / COPY).iterdir():
        path.rename(job.folder / path.name)
    (job.folder / COPY).rmdir()
    folders.write_params(job.folder, job.params)
    return source


def _longest(job: Job) -> Path:
    found = {}
    for folder in folders.under(job.folder.parents[1], job.folder.parent.name):
        record = done.record_in(folder)
        if record and _essential(record.parameters) == _essential(job.params):
            found[record.parameters.get("epochs", 0)] = folder
    fewer = [epochs for epochs in found if epochs < job.params.get("epochs", 0)]
    if not fewer:
        wanted = f"fewer than {job.params['epochs']} epochs" if "epochs" in job.params else "epochs"
        raise NothingToExtend(
            f"{job.folder.parent} has no finished run with {wanted} and these parameters otherwise. Without --extend, "
            "the notebook trains from the start."
        )
    return found[max(fewer)]


def _essential(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in {"epochs", *HARMLESS}}
