"""The runner over real papermill and real kernels. No notebook here imports compactlib: a kernel costs a second."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from compactlib.__main__ import main
from compactlib.runs import folders, report, results, runner
from compactlib.workers import cores
from tests.runs.samples import notebook

COUNT = "import pathlib\nlog = pathlib.Path(run_dir) / 'starts.txt'\nlog.open('a').write('x')"


def files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """One call with a good and a failing notebook, through the command line."""
    folder = tmp_path_factory.mktemp("course")
    good = notebook(
        folder / "03_toy.ipynb",
        COUNT,
        "import os, sys\nprint(sys.executable, os.getcwd(), os.environ['COMPACT_RUNS'], repr(flip), repr(lr))",
    )
    bad = notebook(folder / "04_bad.ipynb", "## Training", "def f():\n    return {}['x']", "f()", "print('never')")
    status = main(["run", str(bad), str(good), "--runs", str(folder / "runs"), "--set", "flip=false", "--set", "lr=1"])
    return folder, status


def test_a_failure_does_not_stop_the_others_and_the_status_tells(first):
    folder, status = first
    assert status == 1
    assert files(folder / "runs" / "03_toy" / "smoke-flip=false-lr=1.0") == [
        "notebook.ipynb",
        "params.yaml",
        "result.json",
        "starts.txt",
    ]
    assert files(folder / "runs" / "04_bad" / "smoke-flip=false-lr=1.0") == ["notebook.failed.ipynb", "params.yaml"]
    assert (folder / "runs" / "report.html").is_file()


def test_the_kernel_is_this_interpreter_in_the_notebooks_folder_with_typed_values(first):
    folder, _ = first
    node = nbformat.read(folder / "runs/03_toy/smoke-flip=false-lr=1.0/notebook.ipynb", as_version=4)
    printed = "".join(o.get("text", "") for cell in node.cells for o in cell.get("outputs", []))
    assert printed.split() == [sys.executable, str(folder), str(folder / "runs"), "False", "1.0"]


def test_the_failed_notebook_keeps_its_traceback(first):
    folder, _ = first
    node = nbformat.read(folder / "runs/04_bad/smoke-flip=false-lr=1.0/notebook.failed.ipynb", as_version=4)
    assert [o.ename for cell in node.cells for o in cell.get("outputs", [])] == ["KeyError"]


def test_the_record_is_complete_and_reproducible(first):
    folder, _ = first
    record = results.read(folder / "runs/03_toy/smoke-flip=false-lr=1.0/result.json")
    assert record.complete and record.results == []
    assert {part: len(digest) for part, digest in record.fingerprint.items()} == dict.fromkeys(
        ("cells", "parameters", "library"), 64
    )
    assert record.command == "python -m compactlib run 03 --set flip=false --set lr=1.0"
    assert record.parameters["flip"] is False and 0 < record.seconds < 60


def starts(folder):
    return (folder / "runs/03_toy/smoke/starts.txt").read_text()


def test_done_is_skipped_forced_is_run_from_scratch_interrupted_goes_on(tmp_path, capsys):
    path = notebook(tmp_path / "03_toy.ipynb", COUNT)

    def run(**options):
        [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs", **options)
        return outcome.status

    assert (run(), starts(tmp_path)) == ("ok", "x")
    assert (run(), starts(tmp_path)) == ("already done", "x")
    assert "already done" in capsys.readouterr().out
    assert (run(force=True), starts(tmp_path)) == ("ok", "x")
    assert "the earlier run is kept in smoke.old-1" in capsys.readouterr().out
    assert files(tmp_path / "runs/03_toy/smoke.old-1") == ["notebook.ipynb", "params.yaml", "result.json", "starts.txt"]
    # Interrupted: no finished notebook. What is in the folder (checkpoints) stays; a stale result has another name.
    (tmp_path / "runs/03_toy/smoke/notebook.ipynb").unlink()
    assert (run(), starts(tmp_path)) == ("ok", "xx")
    assert (tmp_path / "runs/03_toy/smoke/result.json.old-1").is_file()


def test_a_result_of_a_run_that_failed_later_is_not_on_the_board(tmp_path):
    path = notebook(
        tmp_path / "03_toy.ipynb", "import pathlib\n(pathlib.Path(run_dir) / 'result.json').write_text('{}')", "1/0"
    )
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert outcome.failure.line == "failed in [4]: ZeroDivisionError: division by zero"
    assert files(outcome.job.folder) == ["notebook.failed.ipynb", "params.yaml", "result.failed.json"]


def test_a_backend_of_the_environment_costs_no_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")  # as in containers and on clusters
    path = notebook(tmp_path / "03_toy.ipynb", "import matplotlib.pyplot as plt\nplt.plot([1, 2]);")
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    node = nbformat.read(outcome.job.folder / "notebook.ipynb", as_version=4)
    assert sum("image/png" in o.get("data", {}) for cell in node.cells for o in cell.get("outputs", [])) == 1


def test_the_limit_holds_for_the_whole_notebook(tmp_path, capsys):
    path = notebook(tmp_path / "03_toy.ipynb", *["## Waiting", "import time; time.sleep(1.2)"] * 20)
    began = time.monotonic()
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs", timeout=4 / 60)
    assert time.monotonic() - began < 20  # no single cell takes 4 s; together they take 24
    assert outcome.status == "failed" and outcome.failure.line.startswith("stopped after 0.0666667 min, in [")
    assert "('Waiting')" in outcome.failure.line
    assert files(outcome.job.folder) == ["notebook.failed.ipynb", "params.yaml"]


def test_a_kernel_that_dies_is_reported(tmp_path):
    path = notebook(tmp_path / "03_toy.ipynb", "## Boom", "import os; os._exit(9)")
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert outcome.failure.line == "the kernel died, in [3] ('Boom')"


@pytest.mark.parametrize("deaths", [2, 3])
def test_a_kernel_that_dies_while_it_starts_is_started_again(tmp_path, monkeypatch, deaths):
    python, tries = tmp_path / "python", tmp_path / "tries"
    python.write_text(
        f'#!/bin/sh\necho >> "{tries}"\n[ $(wc -l < "{tries}") -gt {deaths} ] || exit 1\nexec "{sys.executable}" "$@"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert len(tries.read_text()) == 3  # a byte each
    if deaths == 2:
        assert outcome.status == "ok"
    else:
        assert outcome.failure.line == "the kernel did not start: Kernel died before replying to kernel_info"
        assert files(outcome.job.folder) == ["notebook.failed.ipynb", "params.yaml"]


@pytest.mark.parametrize("name", ["{seed}", "{none} [a]* ?'\" größe", "100%"])
def test_a_folder_may_have_any_name(tmp_path, name, capsys):
    path = notebook(tmp_path / name / "03_toy.ipynb", COUNT)
    arguments = ["run", str(path), "--runs", str(tmp_path / name / "runs")]
    assert main(arguments) == main(arguments) == 0
    assert "already done" in capsys.readouterr().out and starts(tmp_path / name) == "x"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [shown.run for shown in report.collect(tmp_path / name / "runs")] == ["smoke"]


def test_two_runners_do_not_share_a_folder(tmp_path):
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    lock = folders.lock(tmp_path / "runs/03_toy/smoke", folders.RUNNER_LOCK)
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert outcome.status == "failed" and "another process" in outcome.failure.line
    lock.release()
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert outcome.status == "ok"
    folders.lock(tmp_path / "runs/03_toy/smoke", folders.RUNNER_LOCK).release()  # and the runner gave it back


def test_a_folder_with_other_content_is_left_alone(tmp_path):
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    (tmp_path / "runs/03_toy/smoke").mkdir(parents=True)
    (tmp_path / "runs/03_toy/smoke/thesis.txt").write_text("precious")
    [outcome] = runner.run_notebooks([str(path)], runs=tmp_path / "runs")
    assert outcome.status == "failed" and files(outcome.job.folder) == ["thesis.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "99"], "There is no notebook '99'"),
        (["run", "{path}", "--profile", "tpu"], "has no profile 'tpu'. It has: smoke."),
        (["run", "{path}", "--set", "epoch=3"], "There is no parameter 'epoch'. Did you mean 'epochs'?"),
        (["run", "{path}", "--set", "flip=maybe"], "flip: 'maybe' is not of type bool"),
        (["run", "{path}", "--timeout", "0"], "--timeout is 0 minutes, expected more than 0"),
    ],
)
def test_a_wrong_call_ends_with_2_and_touches_nothing(tmp_path, capsys, arguments, message):
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    arguments = [argument.format(path=path) for argument in arguments]
    assert main([*arguments, "--runs", str(tmp_path / "runs")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_an_option_that_does_not_exist_is_an_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", "03", "--epochs", "3"])
    assert "unrecognized arguments: --epochs 3" in capsys.readouterr().err


def test_list_shows_parameters_and_profiles(tmp_path, capsys):
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    assert main(["list", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "03_toy: The 03_toy notebook" in shown and "epochs: int = 3" in shown and "passes over the" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_signal_ends_the_kernel_and_leaves_nothing_half_written(tmp_path):
    cell = "import os, pathlib, time\n(pathlib.Path(run_dir) / 'pid').write_text(str(os.getpid()))\ntime.sleep(120)"
    path = notebook(tmp_path / "03_toy.ipynb", cell)
    command = [sys.executable, "-m", "compactlib", "run", str(path), "--runs"]
    running = {
        sent: subprocess.Popen([*command, str(tmp_path / sent.name)], stderr=subprocess.PIPE, text=True)
        for sent in (signal.SIGINT, signal.SIGTERM)
    }
    for sent, process in running.items():
        pid = tmp_path / sent.name / "03_toy/smoke/pid"
        deadline = time.monotonic() + 60
        while not (pid.is_file() and pid.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(sent)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130 and "The same command goes on" in said and "Traceback" not in said
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid.read_text())).wait(10)  # its parent has ended, so the system clears it away
        assert files(pid.parent) == ["params.yaml", "pid"]


MEET = """\
import os, pathlib, time
here, there = (pathlib.Path(run_dir).parents[1] / name / "here" for name in NAMES)
here.parent.mkdir(exist_ok=True)
here.write_text(os.environ["OMP_NUM_THREADS"])
end = time.monotonic() + 60
while not there.exists() and time.monotonic() < end:
    time.sleep(0.05)
print(there.read_text())"""


def two(folder, *cells):
    names = "03_one", "04_two"
    pairs = zip(names, (names, names[::-1]), strict=True)
    return [
        str(notebook(folder / f"{name}.ipynb", *(cell.replace("NAMES", repr(pair)) for cell in cells)))
        for name, pair in pairs
    ]


def test_two_run_at_a_time_with_their_share_of_the_cores(tmp_path, capsys):
    """Each waits until it sees the other."""
    paths = two(tmp_path, MEET)
    assert main(["run", *paths, "--runs", str(tmp_path / "runs")]) == 0  # two is what `run all` does
    for name in ("03_one", "04_two"):
        node = nbformat.read(tmp_path / "runs" / name / "smoke" / "notebook.ipynb", as_version=4)
        assert node.cells[-1].outputs[0].text == f"{max(1, cores() // 2)}\n"
    said = capsys.readouterr().out
    assert said.count(": ok, ") == 2 and said.index("03_one    smoke") < said.index("04_two    smoke")


def test_ctrl_c_ends_both(tmp_path):
    paths = two(tmp_path, MEET, "import time\n(here.parent / 'busy').write_text('')\ntime.sleep(300)")
    command = [sys.executable, "-m", "compactlib", "run", *paths, "--runs", str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 120
        while len([*tmp_path.glob("runs/*/busy")]) < 2:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        kernels = psutil.Process(process.pid).children(recursive=True)
        assert len(kernels) >= 2
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "goes on" in said and "Traceback" not in said
    assert not psutil.wait_procs(kernels, timeout=20)[1]
    assert not [*tmp_path.glob("runs/*/smoke/notebook.ipynb")]


def test_json_of_a_record_is_plain(first):
    folder, _ = first
    content = json.loads((folder / "runs/03_toy/smoke-flip=false-lr=1.0/result.json").read_text())
    assert content["schema"] == 1 and next(iter(content)) == "schema"
