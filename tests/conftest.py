"""What all tests share: golden cases, in the clone and, where it is there, in the shared folder beside it."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compactlib.paths import ROOT

# No test, and no kernel or process that a test starts, reaches the network.
OFFLINE = str(ROOT / "tests" / "notebooks" / "offline")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH", "")]))
if "sitecustomize" not in sys.modules or not hasattr(sys.modules["sitecustomize"], "_getaddrinfo"):
    exec(compile((Path(OFFLINE) / "sitecustomize.py").read_text(), "sitecustomize", "exec"), {"__name__": "offline"})

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

GOLDEN = (ROOT / "tests" / "golden", ROOT.parent / "shared" / "golden")


def golden_cases(*prefixes: str) -> list[Path]:
    """Folders of golden cases whose name starts with one of `prefixes`, each name once."""
    found = {p.name: p for folder in reversed(GOLDEN) for p in folder.glob("*/") if p.name.startswith(prefixes)}
    assert found, f"no golden case {prefixes} in {GOLDEN[0]}"
    return [found[name] for name in sorted(found)]


class GoldenCase:
    """One folder: `arrays` (tensors by name), `weights` (the reference's state dict), `meta`."""

    def __init__(self, folder: Path):
        self.meta = json.loads((folder / "meta.json").read_text())
        self.arrays = {name: torch.from_numpy(array) for name, array in np.load(folder / "io.npz").items()}
        self.weights = load_file(folder / "weights.safetensors") if (folder / "weights.safetensors").exists() else {}

    def assert_close(self, actual: torch.Tensor, name: str) -> None:
        tolerance = self.meta["tolerance"]
        torch.testing.assert_close(actual, self.arrays[name], rtol=tolerance["rtol"], atol=tolerance["atol"])


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)
