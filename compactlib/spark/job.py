"""The folder of a job: what was asked, so that a second call goes on with the same and nothing else."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from compactlib import __version__
from compactlib.files import atomic_write

PACKED = ".model-"  # begins the names of files that a driver writes for its workers, for one call
_ASKED, _LOCK = "job.json", ".lock"


class Job:
    """A job's folder, locked for this process until the `with` block ends.

    folder: where it is. spec: what was asked, as JSON gives it back. resumed: whether an earlier call began it.
    """

    def __init__(self, folder: Path, spec: dict[str, Any], resumed: bool, lock: FileLock):
        self.folder, self.spec, self.resumed, self._lock = folder, spec, resumed, lock

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *exception: object) -> None:
        self.clear_leftovers()
        self._lock.release()

    def clear_leftovers(self) -> None:
        """Remove the temporary files of workers that were killed while they wrote, and packed models."""
        for leftover in (*self.folder.rglob(".*.tmp"), *self.folder.glob(f"{PACKED}*")):
            leftover.unlink(missing_ok=True)


def open_job(out: str | Path, spec: dict[str, Any]) -> Job:
    """Begin a job in the folder `out`, or go on with the same one: `with open_job(out, spec) as job: ...`.

    spec: what was asked (kind, sources, grid, options), of values that JSON knows; it is written to out/job.json.
    Leftovers of killed workers (`.*.tmp`) are removed. ValueError if `out` is a file, holds files that are no job's,
    or a job with another spec (it names what differs); RuntimeError if another process is at work there.
    """
    out = Path(out)
    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(
            f"{out}: another process is at work on this job; wait for it, or choose another folder"
        ) from None
    try:
        spec = json.loads(json.dumps(spec))
        resumed = (out / _ASKED).exists()
        if resumed:
            _check_same(out, spec)
        else:
            _check_folder(out)  # again: another job may have come and gone since
            atomic_write(out / _ASKED, json.dumps({**spec, "version": __version__}, indent=1) + "\n")
        job = Job(out, spec, resumed, lock)
        job.clear_leftovers()
    except BaseException:
        lock.release()
        raise
    return job


def read_job(out: str | Path, kind: str) -> dict[str, Any]:
    """What was asked of the job in `out`. ValueError if there is none of this kind."""
    path = Path(out) / _ASKED
    if not path.is_file():
        raise ValueError(f"{out}: no job's folder (it has no {_ASKED}); expected one that {kind}() wrote")
    asked = json.loads(path.read_text(encoding="utf-8"))
    if asked.get("kind") != kind:
        raise ValueError(f"{out} holds a job of {asked.get('kind')}(); expected one that {kind}() wrote")
    return asked


def file_facts(path: str | Path) -> dict[str, Any]:
    """What tells a source file from another version of it: path, bytes, and the time of its last change."""
    path = Path(path).resolve()
    found = path.stat()
    return {"path": str(path), "bytes": found.st_size, "modified": found.st_mtime_ns}


def as_json(value: Any) -> Any:
    """NumPy's numbers and arrays, and tuples, as JSON has them; None stays None."""
    return None if value is None else np.asarray(value).tolist()


def append_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add rows of the same columns to a CSV file, which is replaced as a whole."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    if not before:
        writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, before + text.getvalue())


def _check_folder(out: Path) -> None:
    """Whether `out` is new, empty, or a job's folder."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; expected a folder, new or of the same job")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    foreign = sorted(name for name in names if name != _LOCK and not name.startswith(f".{_ASKED}."))
    if foreign and _ASKED not in names:
        raise ValueError(
            f"{out} holds files that are no job's ({', '.join(foreign[:3])}); choose a new or an empty folder"
        )


def _check_same(out: Path, spec: dict[str, Any]) -> None:
    """Whether the folder's job is the one that is asked now."""
    try:
        found = json.loads((out / _ASKED).read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{out / _ASKED} is damaged; choose another folder, or delete this one") from None
    found.pop("version", None)  # a newer version goes on with an older one's job
    differences = _differences(found, spec)
    if differences:
        raise ValueError(
            f"{out} holds another job: {'; '.join(differences[:4])}. Choose another folder, or delete this one"
        )


def _differences(found: Any, asked: Any, name: str = "") -> list[str]:
    """What differs between two JSON values, a sentence each."""
    if isinstance(found, dict) and isinstance(asked, dict):
        keys = list(dict.fromkeys([*found, *asked]))
        return [
            line for key in keys for line in _differences(found.get(key), asked.get(key), f"{name}.{key}".strip("."))
        ]
    if isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        pairs = enumerate(zip(found, asked, strict=True))
        return [line for i, (old, new) in pairs for line in _differences(old, new, f"{name}[{i}]")]
    found, asked = json.dumps(found), json.dumps(asked)  # compared as text: NaN differs from itself
    return [] if found == asked else [f"{name} is {found} there, {asked} is asked"]
