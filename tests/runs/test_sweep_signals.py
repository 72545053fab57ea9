"""Sweeps that are interrupted: the real command, real kernels, real signals."""

import contextlib
import signal
import subprocess
import sys
import time

import psutil
import pytest

from compactlib.__main__ import main
from compactlib.paths import ROOT
from compactlib.runs import results
from tests.runs.samples import notebook

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def waited_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gone(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(40)
    return not psutil.pid_exists(pid)


def test_a_signal_ends_the_kernel_keeps_what_is_done_and_the_same_command_does_the_rest(tmp_path, capfd):
    """The real command, real kernels: seed 1 waits as long as there is no file `go`."""
    cell = """import os, pathlib, time
here = pathlib.Path(run_dir)
(here / "starts.txt").open("a").write("x")
(here / "pid").write_text(str(os.getpid()))
while seed == 1 and not (here.parents[2] / "go").exists():
    time.sleep(0.1)"""
    path = notebook(tmp_path / "03_toy.ipynb", cell)
    file = tmp_path / "sweep.yaml"
    file.write_text(f"notebook: {path}\ngrid: {{seed: [0, 1]}}")
    arguments = ["sweep", str(file), "--runs", str(tmp_path / "runs")]
    first, second = (tmp_path / "runs/03_toy" / f"smoke-seed={seed}" for seed in (0, 1))

    process = subprocess.Popen(
        [sys.executable, "-m", "compactlib", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    waited_for(lambda: (second / "pid").is_file() and (second / "pid").read_text())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=40)
    assert process.returncode == 130 and "The same command goes on" in err and "Traceback" not in err
    assert "[1/2] 03_toy smoke-seed=0: ok" in out and "1 of 2 runs are done. The same command goes on" in out
    assert gone(int((second / "pid").read_text())) and "Interrupted" in (second / "sweep.log").read_text()
    assert (first / "result.json").is_file() and not (second / "result.json").exists()

    (tmp_path / "go").touch()
    assert main(arguments) == 0
    said = capfd.readouterr()
    assert "[1/2] 03_toy smoke-seed=0: already done" in said.out and "[2/2] 03_toy smoke-seed=1: ok" in said.out
    assert "2 of 2 runs are done. Report: " in said.out and (tmp_path / "runs/report.html").is_file()
    assert ((first / "starts.txt").read_text(), (second / "starts.txt").read_text()) == ("x", "xx")
    assert results.read(second / "result.json").complete


def test_a_process_of_a_sweep_ends_when_its_parent_is_killed(tmp_path):
    child = f"""
import os, pathlib, time
from compactlib import __main__ as command
def work(*_):
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pathlib.Path({str(tmp_path / "cleared")!r}).touch()
command._lab = work
command.main(["run", "03", "--end-with-stdin"])"""
    parent = (
        "import subprocess as s, sys, time; s.Popen([sys.executable, '-c', sys.argv[1]], stdin=s.PIPE); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-S", "-c", parent, child], cwd=ROOT)
    waited_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    assert gone(int((tmp_path / "pid").read_text())) and (tmp_path / "cleared").exists()
