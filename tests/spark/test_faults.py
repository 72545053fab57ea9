"""Bad luck and bad input: what is killed ends with the same bytes; what cannot work is said before it starts."""

import errno
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import tifffile

from compactlib.raster import SceneError, create_mosaic
from compactlib.spark import TaskError, patchify
from compactlib.spark.cut import cut_block
from compactlib.spark.measure import measured
from tests.spark import faults
from tests.spark.folders import contents, module


@pytest.fixture(scope="module")
def undisturbed(scene, tmp_path_factory):
    """What the folder holds if nothing happens; cut in this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module("patchify"), "run_tasks", lambda f, tasks, *_, **__: [measured(f, t) for t in tasks])
        return contents(patchify(scene, tmp_path_factory.mktemp("undisturbed"), 32, 24, engine="local").out)


@pytest.fixture(params=["spark", "local"])
def how(request):
    """Arguments of patchify for each engine."""
    if request.param == "spark":
        return {"engine": "spark", "session": request.getfixturevalue("spark"), "progress": False}
    return {"engine": "local", "workers": 2, "progress": False}


@pytest.fixture
def idle(monkeypatch):
    """No task may run."""
    monkeypatch.setattr(module("patchify"), "run_tasks", lambda *_, **__: pytest.fail("a task was started"))


def test_a_worker_killed_while_it_writes_changes_nothing(scene, undisturbed, tmp_path, monkeypatch, how):
    marker = tmp_path / "killed"
    monkeypatch.setattr(module("patchify"), "cut_block", partial(faults.killed_while_writing, str(marker)))
    made = patchify(scene, tmp_path / "out", 32, 24, **how)
    assert marker.exists() and len(made.tasks) == 12
    assert contents(made.out) == undisturbed  # nothing is left of the part that was half written


DRIVER = """
import sys
from functools import partial
from compactlib.spark import patchify, session
from compactlib.spark.cut import cut_block
from compactlib.spark.measure import measured
from tests.spark import faults

if __name__ == "__main__":
    scene, out, engine = sys.argv[1:]
    sys.modules["compactlib.spark.patchify"].cut_block = partial(faults.slow, cut_block)
    how = {}
    if engine == "spark":
        session("local[1]", driver_memory="512m").stop()
        how["session"] = session("local[2,4]")
        print(how["session"]._jvm.Runtime.getRuntime().maxMemory() >> 20, flush=True)
    patchify(scene, out, 32, 24, engine=engine, workers=2, progress=False, **how)
"""


def test_a_killed_driver_leaves_whole_parts_and_the_next_call_goes_on(scene, undisturbed, tmp_path, how):
    engine, out, script = how["engine"], tmp_path / "out", tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen(
        [sys.executable, script, scene, out, engine], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    parts = out / "parts"
    while not list(parts.glob("*.parquet")):
        assert driver.poll() is None, driver.stderr.read().decode()
        time.sleep(0.01)
    workers = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    printed, errors = driver.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=20)
    assert len(gone) >= 2 and not alive  # nobody goes on without the driver
    if engine == "spark":
        assert errors == b""  # what the JVM has to say is not on the screen, nor in a notebook
        assert 900 < int(printed) < 1100  # the second session had a JVM of its own

    ready = {path.name: path.read_bytes() for path in parts.glob("*.parquet")}
    assert 0 < len(ready) < 12 and not (out / "manifest.parquet").exists()
    assert all(undisturbed[name] == content for name, content in ready.items())
    second = patchify(scene, out, 32, 24, **how)
    assert (second.done_before, len(second.tasks)) == (len(ready), 12 - len(ready))
    assert contents(out) == undisturbed


def test_a_damaged_tile_is_a_sentence_and_what_was_done_is_whole(scene, tmp_path):
    damaged = tmp_path / "scene.tif"
    shutil.copy(scene, damaged)
    with tifffile.TiffFile(scene) as tif:
        offset, count = tif.pages[0].dataoffsets[-1], tif.pages[0].databytecounts[-1]
    with open(damaged, "r+b") as file:
        file.seek(offset)
        file.write(b"\0" * count)
    with pytest.raises(TaskError, match=r"scene\.tif: the tile at row 448, column 640 .* cannot be decoded") as caught:
        patchify(damaged, tmp_path / "out", 32, 24, engine="local", workers=1, progress=False)
    assert "\n" not in str(caught.value) and caught.value.task["block"][:2] == [16, 24]
    parts = list((tmp_path / "out" / "parts").iterdir())
    assert all(pq.read_metadata(part).num_rows for part in parts) and len(parts) < 12


def test_two_jobs_do_not_work_in_one_folder(scene, tmp_path, monkeypatch):
    def other(*_, **__):
        with pytest.raises(RuntimeError, match="another process is at work on this job; wait for it"):
            patchify(scene, tmp_path, 32, 24, engine="local")
        raise InterruptedError

    monkeypatch.setattr(module("patchify"), "run_tasks", other)
    with pytest.raises(InterruptedError):
        patchify(scene, tmp_path, 32, 24, engine="local")
    with pytest.raises(InterruptedError):  # the lock is gone with the first
        patchify(scene, tmp_path, 32, 24, engine="local")


def test_a_folder_with_something_else_is_left_alone(idle, scene, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(ValueError, match=r"holds files that are no job's \(thesis\.tex\); choose a new or an empty"):
        patchify(scene, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match=r"thesis\.tex is a file; expected a folder"):
        patchify(scene, tmp_path / "thesis.tex")


def test_a_folder_with_another_run_is_refused_and_the_difference_named(scene, tmp_path, monkeypatch):
    out = tmp_path / "out"
    patchify(scene, out, 64, 64, engine="local", workers=1, progress=False)
    before = contents(out)
    monkeypatch.setattr(module("patchify"), "run_tasks", lambda *_, **__: pytest.fail("a task was started"))
    with pytest.raises(
        ValueError, match=r"holds another job: grid\.size is 64 there, 32 is asked; grid\.step is 64 there"
    ):
        patchify(scene, out, 32, 24)
    with pytest.raises(ValueError, match="nodata is null there, 0 is asked"):
        patchify(scene, out, 64, 64, nodata=0)
    changed = tmp_path / "scene.tif"
    shutil.copy(scene, changed)
    with pytest.raises(ValueError, match=r"scenes\[0\]\.path is "):
        patchify(changed, out, 64, 64)
    (out / "job.json").write_text("{")
    with pytest.raises(ValueError, match=r"job\.json is damaged"):
        patchify(scene, out, 64, 64)
    assert contents(out) == before


def test_a_scene_that_has_changed_is_another_job(scene, tmp_path):
    copy = tmp_path / "scene.tif"
    shutil.copy(scene, copy)
    patchify(copy, tmp_path / "out", 64, 64, engine="local", workers=1, progress=False)
    os.utime(copy, (1, 1))
    with pytest.raises(ValueError, match=r"scenes\[0\]\.modified is"):
        patchify(copy, tmp_path / "out", 64, 64)


def test_without_room_on_the_disk_nothing_starts(idle, tmp_path):
    """For real: patches of a scene, all holes, take twice what the disk has, because a pixel is in 256 of them."""
    size, step = 1024, 64
    across = 1 + math.isqrt(2 * shutil.disk_usage(tmp_path).free // size**2)
    side = size + (across - 1) * step
    try:
        create_mosaic(tmp_path / "scene.tif", side, side)
    except OSError as error:
        pytest.skip(f"the file system does not hold a file of {side**2 / 1e9:.1f} GB, all holes: {error}")
    with pytest.raises(OSError, match=r"No room in .*out: [0-9.,]+ GB are needed and [0-9.,]+ GB are free"):
        patchify(tmp_path / "scene.tif", tmp_path / "out", size, step, engine="local")
    assert not (tmp_path / "out").exists()


def full_after(parts: str, count: int, task: dict) -> dict:
    """cut_block on a disk that is full, for this worker, once `count` parts are on it: the system refuses a byte more
    in a file than a limit that is less than a part."""
    if len(list(Path(parts).glob("*.parquet"))) >= count:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    return cut_block(task)


def test_a_disk_that_fills_up_leaves_whole_parts_and_the_next_call_goes_on(scene, undisturbed, tmp_path, monkeypatch):
    out, how = tmp_path / "out", dict(engine="local", workers=1, progress=False)
    with monkeypatch.context() as patched:
        patched.setattr(module("patchify"), "cut_block", partial(full_after, str(out / "parts"), 3))
        with pytest.raises(TaskError, match=os.strerror(errno.EFBIG)) as caught:
            patchify(scene, out, 32, 24, **how)
    assert "\n" not in str(caught.value) and caught.value.task["part"]
    assert not [path for path in out.rglob(".*") if path.name != ".lock"]  # the part that was half written is gone
    parts = {path.name: path.read_bytes() for path in (out / "parts").iterdir()}
    assert len(parts) == 3 and parts.items() < undisturbed.items() and not (out / "manifest.parquet").exists()
    done = patchify(scene, out, 32, 24, **how)
    assert (done.done_before, len(done.tasks)) == (3, 9)
    assert contents(out) == undisturbed


def test_room_is_asked_for_what_is_missing_only(idle, scene, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(module("patchify"), "check_room", lambda _, nbytes: asked.append(nbytes))
    monkeypatch.setattr(
        module("patchify"), "run_tasks", lambda f, tasks, *_, **__: [f(task) | {"pid": 1} for task in tasks]
    )
    patchify(scene, tmp_path, 32, 24)
    (tmp_path / "parts" / "scene-000-block-0000-0000.parquet").unlink()
    patchify(scene, tmp_path, 32, 24)
    assert asked == [21 * 29 * 32 * 32 * 3, 8 * 8 * 32 * 32 * 3]


def write(path, **options):
    tifffile.imwrite(path, np.zeros((60, 80), np.uint8), **options)
    return path


def test_a_scene_that_cannot_be_read_is_one_sentence(idle, scene, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SceneError, match=r"absent\.tif does not exist"):
        patchify(tmp_path / "absent.tif", out)
    (tmp_path / "text.tif").write_text("no TIFF")
    with pytest.raises(SceneError, match=r"text\.tif is not a TIFF file"):
        patchify([scene, tmp_path / "text.tif"], out)
    (tmp_path / "short.tif").write_bytes(scene.read_bytes()[:-1000])
    with pytest.raises(SceneError, match=r"short\.tif is cut off"):
        patchify(tmp_path / "short.tif", out)
    assert not out.exists()


def test_sizes_and_sources_that_do_not_go_together_are_one_sentence(idle, scene, tmp_path):
    out, grey = tmp_path / "out", write(tmp_path / "grey.tif")
    with pytest.raises(ValueError, match="step=300 is above size=256"):
        patchify(scene, out, 256, 300)
    with pytest.raises(ValueError, match="halo=60 is larger than the scene of 60 x 80 pixels"):
        patchify(grey, out, 32, 32, halo=60)
    with pytest.raises(ValueError, match=r"grey\.tif has 1 channels of uint8, .*scene\.tif has 3 of uint8"):
        patchify([scene, grey], out)
    with pytest.raises(ValueError, match="1 scenes and 2 masks; expected a mask for each scene"):
        patchify(scene, out, mask=[grey, grey])
    with pytest.raises(ValueError, match=r"grey\.tif has 60 x 80 x 1 pixels of uint8; expected the class ids"):
        patchify(scene, out, mask=grey)
    with pytest.raises(ValueError, match="no scene is given"):
        patchify([], out)
    with pytest.raises(ValueError, match="engine='dask' is unknown"):
        patchify(scene, out, engine="dask")
    assert not out.exists()


def test_without_java_the_pool_cuts_the_same_patches(scene, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.warns(RuntimeWarning, match="which was not found: a pool of processes does the work"):
        made = patchify(scene, tmp_path / "out", 32, 24, workers=2, progress=False)
    assert contents(made.out) == undisturbed


def test_a_part_that_a_killed_worker_had_finished_is_not_done_again(scene, tmp_path, monkeypatch):
    tasks = []

    def killed(_, found, *args, **kwargs):
        tasks.extend(found)
        raise KeyboardInterrupt

    monkeypatch.setattr(module("patchify"), "run_tasks", killed)
    with pytest.raises(KeyboardInterrupt):
        patchify(scene, tmp_path, 32, 24)
    first, second = cut_block(tasks[0]), cut_block(tasks[0])
    assert first["needed_pixels"] > 0 == second["needed_pixels"] and first["bytes"] == second["bytes"]
