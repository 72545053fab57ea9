"""What is done already. A finished run stays and counts, also where notebook, parameters or library differ by now:
then it is said what differs, and only `--force` repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactlib.runs import folders, results
from compactlib.runs.plan import Job
from compactlib.runs.results import Record, ResultError


@dataclass(frozen=True)
class Done:
    """A finished run. `differs` says what is another now than in the run; empty where a job would only repeat it."""

    record: Record
    differs: str


def record_in(folder: Path) -> Record | None:
    """The record of the finished run in `folder`, None if there is none: a record that is whole and marked complete,
    beside a notebook that came to its end. A damaged record finishes nothing, and costs nothing: see
    `runner.prepare`."""
    if not (folder / results.FILE).is_file() or not (folder / folders.DONE).is_file():
        return None
    try:
        record = results.read(folder / results.FILE)
    except ResultError:
        return None
    return record if record.complete else None


def find(job: Job, library: str | None = None) -> Done | None:
    """The finished run that has the job's name, whatever its version. `library` as for `Job.fingerprint`."""
    record = record_in(job.folder)
    return record and Done(record, _differences(record, job.params, job.fingerprint(library)))


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two sets of parameters: `epochs: 3 then, 5 now`."""

    def said(params: Mapping[str, Any], name: str) -> str:
        return repr(params[name]) if name in params else "none"

    names = [name for name in (then | now) if said(then, name) != said(now, name)]
    return "; ".join(f"{name}: {said(then, name)} then, {said(now, name)} now" for name in names)


def _differences(record: Record, params: Mapping[str, Any], fingerprint: Mapping[str, str]) -> str:
    what = changed(record.parameters, params)
    if not isinstance(record.fingerprint, dict):  # of an earlier schema: one digest of everything, or none
        others = "the notebook's cells or compactlib (its record does not tell which)"
        return f"parameters ({what}), {others}" if what else others
    commit = (record.code or {}).get("commit")
    names = {
        "parameters": f"parameters ({what})" if what else "parameters",
        "cells": "the notebook's cells",
        "library": "compactlib" + (f" (commit {commit[:7]} then)" if commit else ""),
    }
    return ", ".join(name for part, name in names.items() if record.fingerprint.get(part) != fingerprint[part])
