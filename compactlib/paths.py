"""Where the project's folders are. The project is used from a clone (`pip install -e .`), never from a wheel."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def runs_dir() -> Path:
    """The folder of all runs: the environment variable `COMPACT_RUNS`, or `runs/` in the clone."""
    return Path(os.environ.get("COMPACT_RUNS") or ROOT / "runs")


def cache_dir() -> Path:
    """Where downloads and decoded arrays go: the environment variable COMPACT_CACHE, or data/cache in the clone."""
    return Path(os.environ.get("COMPACT_CACHE") or DATA / "cache").expanduser()


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
