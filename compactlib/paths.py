"""Where the project's folders are. The project is used from a clone (`pip install -e .`), never from a wheel."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def runs_dir() -> Path:
    """The folder of all runs: the environment variable `COMPACT_RUNS`, or `runs/` in the clone."""
    return Path(os.environ.get("COMPACT_RUNS") or ROOT / "runs")
