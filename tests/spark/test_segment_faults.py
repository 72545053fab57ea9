"""Bad luck in the middle of a segmentation: killed workers and a killed driver leave the same bytes in the end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from compactlib.spark import segment
from compactlib.spark.measure import measured
from compactlib.spark.session import java_available
from tests.spark.folders import module


def network(fatal: str | None = None) -> nn.Module:
    """A small model; with `fatal`, the first worker that has segmented some tiles kills itself, once, as the system
    would for memory: with SIGKILL."""
    driver = os.getpid()

    class Fatal(nn.Conv2d):  # local, so that its code travels with it
        calls = 0

        def forward(self, x):
            Fatal.calls += 1
            if fatal and os.getpid() != driver and Fatal.calls > 5 and not os.path.exists(fatal):
                open(fatal, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(x)

    torch.manual_seed(0)
    return Fatal(1, 3, 5, padding=2)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1300), dtype=np.uint8)
    tifffile.imwrite(path, pixels, tile=(256, 256))
    return path


OPTIONS = dict(tile=192, halo=16, block=512, probabilities=True, progress=False)


@pytest.fixture(scope="module")
def undisturbed(scene, tmp_path_factory):
    """The mask and the probabilities if nothing happens; made in this process."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module("segment"), "run_tasks", lambda f, tasks, *_, **__: [measured(f, t) for t in tasks])
        done = segment(scene, network(), tmp_path_factory.mktemp("undisturbed"), engine="local", **OPTIONS)
    torch.set_num_threads(threads)  # a worker takes one
    assert len(np.unique(tifffile.imread(done.mask))) == 3
    return done.mask.read_bytes(), done.probabilities.read_bytes()


@pytest.mark.parametrize("engine", ["spark", "local"])
def test_a_killed_worker_changes_nothing(scene, tmp_path, undisturbed, engine, request):
    how = {"session": request.getfixturevalue("spark")} if engine == "spark" else {"workers": 1}
    model = network(str(tmp_path / "killed"))
    done = segment(scene, model, tmp_path / "out", engine=engine, **how, **OPTIONS)
    assert (tmp_path / "killed").exists() and len(done.tasks) == 9
    assert (done.mask.read_bytes(), done.probabilities.read_bytes()) == undisturbed


DRIVER = """
import sys
from compactlib.spark import segment
from tests.spark.test_segment_faults import OPTIONS, network

if __name__ == "__main__":
    segment(sys.argv[1], network(), sys.argv[2], engine="local", workers=1, **OPTIONS)
"""


def test_a_killed_driver_leaves_nothing_half_written(scene, tmp_path, undisturbed, request):
    out, script = tmp_path / "out", tmp_path / "driver.py"
    script.write_text(DRIVER)
    process = subprocess.Popen([sys.executable, str(script), str(scene), str(out)])
    while len(list((out / "blocks").glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "mask.tif").exists() and (out / ".mask.tif.part").exists()
    # On the other engine, where there is one.
    how = {"session": request.getfixturevalue("spark")} if java_available() else {"engine": "local", "workers": 1}
    done = segment(scene, network(), out, **how, **OPTIONS)
    assert 2 <= done.done_before < 9 and len(done.tasks) == 9 - done.done_before
    assert (done.mask.read_bytes(), done.probabilities.read_bytes()) == undisturbed
    assert not [path for path in out.rglob(".*") if path.name != ".lock"]
