"""Run folders `runs/<notebook>/<name>/`: who may work in one, and how an earlier run makes room for the next."""

import itertools
import re
import shutil
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from compactlib.documents import DocumentError, read_yaml
from compactlib.files import atomic_write

PARAMS, RESULT = "params.yaml", "result.json"
DONE, FAILED, RUNNING = "notebook.ipynb", "notebook.failed.ipynb", "notebook.running.ipynb"
INTERACTIVE = "interactive"  # the run of somebody who works in the notebook
ASIDE = re.compile(r".+\.old-\d+")
RUNNER_LOCK, KERNEL_LOCK = ".runner.lock", ".kernel.lock"
PATIENCE = 10  # seconds for a kernel to end whose runner was killed


class FolderInUse(RuntimeError):
    """Another process is working in the run folder."""


class FinishedRun(RuntimeError):
    """The folder holds a finished run, which nothing but `--force` repeats."""


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


def under(root: Path, notebook: str = "*") -> list[Path]:
    """The run folders below `root`, by notebook and run: those that hold params.yaml or result.json. Folders that were
    moved aside are no runs any more."""
    found = {path.parent for name in (PARAMS, RESULT) for path in root.glob(f"{notebook}/*/{name}")}
    return sorted(folder for folder in found if not is_aside(folder))


def is_aside(path: Path) -> bool:
    """Whether `move_aside` has made this name."""
    return ASIDE.fullmatch(path.name) is not None


def move_aside(folder: Path) -> Path | None:
    """Move what an earlier run left in `folder` to `<name>.old-1` (or -2, ...) beside it, and return that path; None
    where there is nothing. The folder stays, with its locks. Nothing is deleted.

    Only what this tool made is moved: raises FileExistsError for a folder that holds something else (no params.yaml).
    """
    found = content(folder)
    if not found:
        return None
    target = _free(folder)
    target.mkdir()
    # These two last: where the move is cut short, what is left is still known as a run, and it can go on.
    for path in sorted(found, key=lambda path: path.name in (PARAMS, RESULT)):
        path.rename(target / path.name)
    return target


def content(folder: Path) -> list[Path]:
    """What is in the folder beside the locks. Raises FileExistsError where no run made it (no params.yaml)."""
    found = [path for path in folder.iterdir() if path.name not in (RUNNER_LOCK, KERNEL_LOCK)]
    if found and not (folder / PARAMS).is_file():
        raise FileExistsError(f"{folder} is not empty and has no {PARAMS}, so no run made it. Move its content away.")
    return found


def start_afresh(folder: Path) -> None:
    """Empty the folder of interactive work, whose every kernel starts with an empty one. What took time to make is
    moved aside: a result, and any weights."""
    if (folder / RESULT).exists() or any(folder.rglob("*.safetensors")):
        move_aside(folder)
    for path in content(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def keep(file: Path) -> None:
    """Give a file of a run, if it is there, the name `<name>.old-1` (or -2, ...): the next one is written beside it."""
    if file.exists():
        file.rename(_free(file))


def _free(path: Path) -> Path:
    """The first of `<name>.old-1`, `<name>.old-2`, ... that nothing has yet."""
    names = (path.with_name(f"{path.name}.old-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists())


def write_params(folder: Path, values: dict) -> None:
    """Write the parameters as flat YAML that `papermill -f` reads as well."""
    content = {name: value for name, value in values.items() if name != "run_dir"}
    atomic_write(folder / PARAMS, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read_params(folder: Path) -> dict | None:
    """The parameters that an earlier run wrote; None if there are none. Raises DocumentError for a damaged file."""
    path = folder / PARAMS
    if not path.exists():
        return None
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DocumentError(f"{path} holds a {type(content).__name__}, expected lines of 'name: value'.")
    return content


def belongs_to(folder: Path, params: dict) -> bool:
    """Whether what is in the folder is of a run with these parameters; not if it does not say so."""
    try:
        return read_params(folder) == params
    except DocumentError:
        return False
