"""A run of a notebook, as its cells see it."""

import hashlib
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compactlib.runs import machine, results
from compactlib.runs.results import Record, Result, ResultError

if TYPE_CHECKING:
    import torch

    from compactlib.runs.plan import Job

HARMLESS = {"device", "num_workers", "run_dir"}  # parameters that change where and how fast, not what


@dataclass(frozen=True)
class Run:
    """What `lab.start` returns. `path` is the run folder, `params` the checked parameters without `run_dir`."""

    notebook: str
    name: str
    path: Path = field(repr=False)  # not shown: it differs between machines
    device: "torch.device" = field(repr=False)
    params: dict[str, Any] = field(repr=False)
    profile: str
    overrides: dict[str, Any] = field(repr=False)
    started: datetime = field(repr=False)
    clock: float = field(repr=False)
    lock: Any = field(repr=False, compare=False)

    @property
    def seed(self) -> int:
        return self.params["seed"]

    @property
    def smoke(self) -> bool:
        """Whether this is the short run on embedded data, changed or not: it never stands beside the paper's."""
        return self.profile == "smoke"

    @property
    def as_stored(self) -> bool:
        """Whether the parameters are the notebook's defaults: then a learned value has to lie in its band."""
        return self.smoke and not set(self.overrides) - HARMLESS

    @property
    def as_in_paper(self) -> bool:
        """Whether this is a profile with the paper's recipe, changed in nothing that could change its accuracy much."""
        changed = set(self.overrides) - HARMLESS - {"seed", "seeds", "studies", "precision"}
        return "paper" in str(self.params.get("recipe")).split("_") and not self.smoke and not changed

    def hardware(self) -> str:
        """Device, processor, cores and threads in a line, for a cell whose output is not compared."""
        return machine.hardware_line(machine.hardware(self.device))

    def record(self, found: Result | Mapping | Iterable[Result | Mapping], *, data: Any, headline: str = "") -> Record:
        """Write `result.json` and return the record, which shows itself as a table beside the paper's numbers.

        `found` is one result or several (`lab.Result`, or a dict of its fields). `data` says on what: the ImageData,
        its card, a dict, a text, or a list of those. The results of the model `headline` come first, if there are any:
        the first result stands for the run where there is a line for each. A second call replaces the first. Raises
        ResultError.
        """
        several = [found] if isinstance(found, (Result, Mapping)) else list(found)
        if not several:
            raise ResultError("There is nothing to record: pass a lab.Result, or a list of them.")
        described = [describe(one) for one in (data if isinstance(data, (list, tuple)) else [data])]
        unofficial = {one["name"] for one in described if one.get("comparable") is False}
        checked = [self._result(one, unofficial) for one in several]
        record = Record(
            notebook=self.notebook,
            run=self.name,
            profile=self.profile,
            overrides=self.overrides,
            parameters=self.params,
            seed=self.seed,
            data=described,
            results=sorted(checked, key=lambda result: result.model != headline),
            versions=machine.versions(),
            code=machine.code_version(),
            hardware=machine.hardware(self.device),
            seconds=round(time.monotonic() - self.clock, 2),
            peak_memory=machine.peak_memory(self.device),
            command=command(self.notebook, self.profile, self.overrides),
            started=self.started.isoformat(timespec="seconds"),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return results.write(record, self.path)

    def _result(self, found: Result | Mapping, unofficial: set[str]) -> Result:
        """A checked result. Not comparable, whatever the notebook says: the smoke profile, and unofficial data."""
        try:
            result = found if isinstance(found, Result) else Result(**found)
        except TypeError as error:
            raise ResultError(f"{error}. A result has model, dataset and value, and what lab.Result names.") from None
        if self.smoke:
            changes = ", changed" if self.overrides else ""
            return replace(result, comparable=False, note=result.note or f"smoke profile{changes} on {result.dataset}")
        if result.comparable and result.dataset in unofficial:
            why = f"pixels or split of {result.dataset} are not the official ones"
            return replace(result, comparable=False, note="; ".join(filter(None, (result.note, why))))
        if result.paper and not result.comparable and not result.note:
            return replace(result, note="other settings than the paper's")
        return result


def describe(data: Any) -> dict[str, Any]:
    """What a record says about data: for loaded data name, title, licence, caveats, which files were read and whether
    they are the official ones, and the sizes of its parts. A dict is taken as it is, a text as the name."""
    if isinstance(data, str):
        return {"name": data}
    if isinstance(data, Mapping):
        return dict(data)
    card = getattr(data, "card", data)
    if not hasattr(card, "name"):
        raise ResultError(f"data is of type {type(data).__name__}, expected loaded data, its card, a dict or a text.")
    facts = {key: getattr(card, key) for key in ("name", "title", "licence", "caveats") if hasattr(card, key)}
    facts |= {key: getattr(data, key) for key in ("source", "comparable") if hasattr(data, key)}
    parts = {part: getattr(data, part) for part in ("train", "val", "test") if hasattr(data, part)}
    checksum = {"checksum": _checksum(parts.values())} if parts else {}
    return {**facts, **{name: len(part) for name, part in parts.items()}, **checksum}


def _checksum(parts: Iterable[Any]) -> str:
    """Names the very numbers of all parts: the first 16 digits of the SHA-256 of their arrays."""
    found = hashlib.sha256()
    for part in parts:
        for name, array in sorted(vars(part).items()):
            found.update(f"{name} {array.dtype} {array.shape};".encode())
            found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:16]


def command(notebook: str, profile: str, overrides: Mapping[str, Any]) -> str:
    """The command that repeats a run."""
    parts = [
        "python",
        "-m",
        "compactlib",
        "run",
        notebook.split("_")[0] if notebook[:2].isdigit() else notebook,
    ]
    parts += ["--profile", profile] if profile != "smoke" else []
    for name, value in overrides.items():
        parts += ["--set", f"{name}={as_text(value)}"]
    return shlex.join(parts)


def as_text(value: Any) -> str:
    """A parameter's value as `--set` takes it."""
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def without_results(job: "Job") -> Record:
    """The record of a notebook that has recorded nothing."""
    import torch

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
