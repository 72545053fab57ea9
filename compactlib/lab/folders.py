"""Run folders `runs/<notebook>/<name>/`: who may work in one, and how its old content is removed."""

import shutil
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from compactlib.files import atomic_write

PARAMS = "params.yaml"
RUNNER_LOCK, KERNEL_LOCK = ".runner.lock", ".kernel.lock"


class FolderInUse(RuntimeError):
    """Another process is working in the run folder."""


def lock(folder: Path, name: str, *, seconds: float = 0) -> FileLock:
    """Take the lock `name` of a run folder, which is made if missing. `release()` frees it, and the system does when
    the process ends, however it ends. Raises FolderInUse if another process still holds it after `seconds`."""
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / name, timeout=seconds)
    try:
        held.acquire()
    except Timeout:
        raise FolderInUse(
            f"Another process is working in {folder}. Wait until it ends, stop it, or run under another name "
            "(--set seed=1, say) or in another folder (--runs)."
        ) from None
    return held


def clear(folder: Path) -> None:
    """Remove what an earlier run left in `folder`, all but the locks.

    Only a folder that this tool made is emptied: one that holds params.yaml. Raises FileExistsError otherwise.
    """
    content = [path for path in folder.iterdir() if path.name not in (RUNNER_LOCK, KERNEL_LOCK)]
    if content and not (folder / PARAMS).is_file():
        raise FileExistsError(f"{folder} is not empty and has no {PARAMS}, so no run made it. Move its content away.")
    for path in sorted(content, key=lambda p: p.name == PARAMS):  # params.yaml last: a clearing cut short can go on
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_params(folder: Path, values: dict) -> None:
    """Write the parameters as flat YAML that `papermill -f` reads as well."""
    content = {name: value for name, value in values.items() if name != "run_dir"}
    atomic_write(folder / PARAMS, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_params(folder: Path) -> dict | None:
    """The parameters that an earlier run wrote; None if there are none."""
    path = folder / PARAMS
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else None
