"""Where the project's folders are. The project is used from a clone (`pip install -e .`), never from a wheel."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def runs_dir() -> Path:
    """The folder of all runs: the environment variable COMPACT_RUNS (see `_named`), or `runs/` in the clone."""
    return _named("COMPACT_RUNS") or ROOT / "runs"


def cache_dir() -> Path:
    """Where downloads and decoded arrays go: the environment variable COMPACT_CACHE (see `_named`), or data/cache in
    the clone."""
    return _named("COMPACT_CACHE") or DATA / "cache"


def _named(variable: str) -> Path | None:
    """The folder that an environment variable names, which need not be there yet; None if unset.

    `~` is the home folder, where no shell has expanded it. A relative path is one in the clone: the command line and a
    notebook, whose working folder is another one, mean the same folder. NotADirectoryError for an unknown user's home.
    """
    value = os.environ.get(variable)
    try:
        return ROOT / Path(value).expanduser() if value else None
    except RuntimeError:
        raise NotADirectoryError(f"{variable} is {value!r}, and this machine knows no such user's home.") from None


def data_dir() -> Path | None:
    """The folder that COMPACT_DATA names, None if unset. A relative path is sought from the working folder, then from
    the clone, because a notebook's working folder is seldom the one in which the variable was set.

    Raises NotADirectoryError if there is no such folder.
    """
    value = os.environ.get("COMPACT_DATA")
    if not value:
        return None
    path = Path(value).expanduser()
    for folder in (path, ROOT / path):
        if folder.is_dir():
            return folder.resolve()
    raise NotADirectoryError(
        f"COMPACT_DATA is {value!r}, which is not a folder. Correct it, or unset it to use {cache_dir()} and downloads."
    )
