"""Subnormal numbers count as zero in every thread that computes, from `fit` or `lab.start` on."""

import os
import platform
import subprocess
import sys

import pytest

COUNT = "import torch; print(int((torch.full((4_000_000,), 1e-39) * 1.0).count_nonzero()))"  # on all threads
FIT = """
import timm
from compactlib import datasets, training
data = datasets.load("digits", fraction=0.1)
model = timm.create_model("cct_2_3x2_32", img_size=8, in_chans=1)
training.fit(model, data, training.Recipe(epochs=1, warmup_epochs=0), progress=False)
"""
START = """
from compactlib import lab
seed: int = 0
device: str = "cpu"
run_dir: str = ""
lab.start("00_none", globals())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="PyTorch may not know how on this processor")
@pytest.mark.parametrize(
    ("before", "flushed"), [("", False), (FIT, True), (START, True)], ids=["nothing", "fit", "start"]
)
def test_subnormal_numbers_count_as_zero(before, flushed, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "2", "COMPACT_RUNS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", before + COUNT], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) == (0 if flushed else 4_000_000)
