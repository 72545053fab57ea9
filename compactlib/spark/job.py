"""The folder of a job: what was asked, so that a second call goes on with the same and nothing else."""

import csv
import io
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from compactlib import __version__
from compactlib.files import atomic_write

PACKED = ".model-"  # begins the names of files that a driver writes for its workers, for one call
_ASKED, _LOCK = "job.json", ".lock"
LARGEST = 1 << 28  # bytes of a job.json; one of 100,000 scenes has a tenth of it


class Job:
    """A job's folder, locked for this process until the `with` block ends.

    folder: where it is. spec: what was asked, as JSON gives it back. resumed: whether an earlier call began it. Without
    a lock it is another user's folder, in which we may read but not write.
    """

    def __init__(self, folder: Path, spec: dict[str, Any], resumed: bool, lock: FileLock | None):
        self.folder, self.spec, self.resumed, self._lock = folder, spec, resumed, lock

    def __enter__(self) -> "Job":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None:
            self.clear_leftovers()
            self._lock.release()

    def will_write(self) -> None:
        """PermissionError if this user may not write here."""
        if self._lock is None:
            raise PermissionError(
                f"{self.folder}: the job is another user's, and not done; you may not write there. Ask them to call "
                "again, or choose another folder"
            )

    def subfolder(self, name: str) -> Path:
        """A folder in the job's, made if it is not there."""
        path = self.folder / name
        if not path.is_dir():
            self.will_write()
            if path.exists() or path.is_symlink():
                raise ValueError(f"{path} is in the way, where the job needs a folder; take it away, and call again")
            path.mkdir()
        return path

    def clear_leftovers(self) -> None:
        """Remove the temporary files of workers that were killed while they wrote, and packed models."""
        with os.scandir(self.folder) as entries:
            folders = [self.folder, *(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))]
        for folder in folders:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left = entry.name.startswith(".") and entry.name.endswith(".tmp")
                    if (left or entry.name.startswith(PACKED)) and not entry.is_dir(follow_symlinks=False):
                        with suppress(FileNotFoundError, PermissionError):  # who may not remove it need not
                            os.unlink(entry.path)


def open_job(out: str | Path, spec: dict[str, Any]) -> Job:
    """Begin a job in the folder `out`, or go on with the same one: `with open_job(out, spec) as job: ...`.

    spec: what was asked (kind, sources, grid, options), of values that JSON knows; it is written to out/job.json.
    Leftovers of killed workers (`.*.tmp`) are removed. ValueError if `out` is a file, holds files that are no job's,
    or a job with another spec (it names what differs); RuntimeError if another process is at work there. Another user's
    folder, in which this one may not write, gives a job that can only be looked at.
    """
    out = Path(out)
    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    # Whoever may write in the folder may hold its lock.
    lock = FileLock(out / _LOCK, mode=(out.stat().st_mode & 0o666) | 0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(
            f"{out}: another process is at work on this job; wait for it, or choose another folder"
        ) from None
    except PermissionError:
        if not is_job(out):
            raise
        lock = None
    try:
        spec = json.loads(json.dumps(spec))
        resumed = is_job(out)
        if resumed:
            _check_same(out, spec)
        else:
            _check_folder(out)  # again: another job may have come and gone since
            atomic_write(out / _ASKED, json.dumps({**spec, "version": __version__}, indent=1) + "\n")
        job = Job(out, spec, resumed, lock)
        if lock is not None:
            job.clear_leftovers()
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    return job


def is_job(out: str | Path) -> bool:
    """Whether there is a job in the folder `out`, be it damaged."""
    return os.path.lexists(Path(out) / _ASKED)


def read_job(out: str | Path, kind: str) -> dict[str, Any]:
    """What was asked of the job in `out`. ValueError if there is none of this kind, or if it is damaged."""
    if not is_job(out):
        raise ValueError(f"{out}: no job's folder (it has no {_ASKED}); expected one that {kind}() wrote")
    asked = _read_asked(Path(out))
    if asked["kind"] != kind:
        raise ValueError(f"{out} holds a job of {asked['kind']}(); expected one that {kind}() wrote")
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
    """Add rows to a CSV file, which is replaced as a whole. Rows of an older version may have other columns."""
    before: list[dict[str, Any]] = []
    if path.is_file():
        try:
            with open(path, newline="", encoding="utf-8", errors="replace") as file:
                before = [{key: row[key] for key in row if isinstance(key, str)} for row in csv.DictReader(file)]
        except csv.Error as error:
            raise ValueError(f"{path} is damaged ({error}); delete it, and call again") from error
    text = io.StringIO()
    names = dict.fromkeys(name for row in (before[:1] + rows[:1]) for name in row)
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows([*before, *rows])
    atomic_write(path, text.getvalue())


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


def _read_asked(out: Path) -> dict[str, Any]:
    """out/job.json, which anybody may have written who shares the folder: an object with a kind."""
    path = out / _ASKED
    wrong = "it is no JSON object with a kind"
    if not path.is_file():  # a folder; a pipe, which would be read for ever
        wrong = "it is no file"
    elif path.stat().st_size <= LARGEST:
        try:
            asked = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(asked, dict) and isinstance(asked.get("kind"), str):
                return asked
        except (ValueError, RecursionError) as error:
            wrong = str(error)
    raise ValueError(f"{path} is damaged ({wrong}); choose another folder, or delete this one")


def _check_same(out: Path, spec: dict[str, Any]) -> None:
    """Whether the folder's job is the one that is asked now."""
    found = _read_asked(out)
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
    return [] if found == asked else [f"{name:.200} is {found:.200} there, {asked:.200} is asked"]
