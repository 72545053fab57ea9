"""A real standalone cluster, with a secret: what is killed there ends with the same bytes, what is refused says so."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from compactlib.spark import patchify, segment
from compactlib.spark.java import java_available
from compactlib.spark.measure import measured
from tests.spark.cluster import standalone
from tests.spark.faults import VICTIMS
from tests.spark.folders import contents, module
from tests.spark.test_segment_faults import network

pytestmark = pytest.mark.skipif(not java_available(), reason="Java 17 or newer was not found")

OPTIONS = dict(tile=192, halo=16, block=512, probabilities=True, progress=False)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("cluster"), workers=2) as started:
        yield started


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 256, (1100, 1300), np.uint8), tile=(256, 256))
    return path


JOBS = """
import os, sys
from functools import partial
from compactlib.spark import patchify, segment, session
from tests.spark import faults
from tests.spark.test_cluster import OPTIONS
from tests.spark.test_segment_faults import network

folder, scene, master = sys.argv[1:]
settings = {"spark.authenticate": "true", "spark.authenticate.secret": os.environ["SECRET"]}
settings |= {"spark.executor.memory": "512m", "spark.driver.host": "127.0.0.1"}
settings["spark.scheduler.maxRegisteredResourcesWaitingTime"] = "300s"  # a machine may be busy with other tests
running = session(master, **settings)

module = sys.modules["compactlib.spark.patchify"]
os.mkdir(f"{folder}/patchify")
module.cut_block = partial(faults.struck, f"{folder}/patchify", module.cut_block)
print(len(patchify(scene, f"{folder}/patches", 64, 48, session=running, progress=False).tasks), flush=True)
sys.stdin.readline()  # another worker has come

import compactlib.spark.segment_block as module
os.mkdir(f"{folder}/segment")
module.segment_block = partial(faults.struck, f"{folder}/segment", module.segment_block)
print(len(segment(scene, network(), f"{folder}/mask", session=running, **OPTIONS).tasks), flush=True)
"""


def test_killed_pythons_executors_and_workers_change_nothing(cluster, scene, tmp_path, monkeypatch):
    def here(function, tasks, *_, **__):
        return [measured(function, task) for task in tasks]

    monkeypatch.setattr(module("patchify"), "run_tasks", here)
    monkeypatch.setattr(module("segment"), "run_tasks", here)
    threads = torch.get_num_threads()
    patches = patchify(scene, tmp_path / "here" / "patches", 64, 48, engine="local")
    mask = segment(scene, network(), tmp_path / "here" / "mask", engine="local", **OPTIONS)
    torch.set_num_threads(threads)  # a worker takes one

    command = [sys.executable, "-c", JOBS, tmp_path, scene, cluster.master]
    driver = subprocess.Popen(
        [str(part) for part in command],
        env=os.environ | {"SECRET": cluster.secret},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = driver.stdout.readline()
    if first:
        cluster.start_workers(1)  # in the place of the one that was killed
    second, errors = driver.communicate("go\n" if first else None)
    assert driver.returncode == 0, errors
    assert (int(first), int(second)) == (patches.parts, mask.blocks) and errors == ""
    for job in ("patchify", "segment"):
        assert {path.name for path in (tmp_path / job).iterdir()} == set(VICTIMS)  # each was struck
    assert contents(tmp_path / "patches") == contents(patches.out)
    for product in (mask.mask, mask.probabilities):
        assert (tmp_path / "mask" / product.name).read_bytes() == product.read_bytes()
    left = [path for name in ("patches", "mask") for path in (tmp_path / name).rglob(".*") if path.name != ".lock"]
    assert not left and sum(process.poll() is not None for process in cluster.processes) == 2


REFUSED = """
import sys
from compactlib.spark import session
settings = {"spark.authenticate": "true", "spark.authenticate.secret": sys.argv[2]} if sys.argv[2:] else {}
try:
    session(sys.argv[1], **settings)
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize("secret", [(), ("another",)], ids=["no secret", "another secret"])
def test_a_cluster_with_a_secret_takes_nobody_without_it(cluster, secret):
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, cluster.master, *secret], capture_output=True, text=True, check=True
    )
    (said,) = done.stdout.splitlines()
    assert cluster.master in said and "spark.authenticate.secret" in said and done.stderr == ""
