"""What all tests share: no network, Ctrl-C, one seed."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from compactlib.paths import ROOT

# No test, and no kernel or process that a test starts, reaches the network.
OFFLINE = str(ROOT / "tests" / "notebooks" / "offline")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH", "")]))
if "sitecustomize" not in sys.modules or not hasattr(sys.modules["sitecustomize"], "_getaddrinfo"):
    exec(compile((Path(OFFLINE) / "sitecustomize.py").read_text(), "sitecustomize", "exec"), {"__name__": "offline"})

# A shell that runs the tests in the background has them ignore Ctrl-C, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)
