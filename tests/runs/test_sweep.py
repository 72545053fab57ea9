"""Sweeps. Where no kernel is needed, a small script stands for `run`."""

import re
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from compactlib.__main__ import main
from compactlib.paths import NOTEBOOKS, ROOT
from compactlib.runs import folders, report, sweep, sweep_file, sweep_run
from compactlib.runs.catalogue import UsageError
from compactlib.runs.plan import plan
from compactlib.runs.results import Result
from compactlib.runs.run import without_results
from tests.runs.samples import notebook, profile

# Does what `run` does, as seen from outside. In the data set's name: what goes wrong, once if there is a "once" in it.
STUB = """
import os, pathlib, signal, sys, time
folder, record, fate = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
starts = folder / "starts.txt"
starts.open("a").write(os.environ.get("CUDA_VISIBLE_DEVICES", "-") + " ")
first = len(starts.read_text().split()) == 1
print("[1/1] 03_toy " + folder.name + ": started 12:00:00", flush=True)
if "fail" in fate:
    print("[1/1] 03_toy " + folder.name + ": failed in [4]: ZeroDivisionError: division by zero\\n\\na table")
    sys.exit(1)
if "kill" in fate and first:
    os.kill(os.getpid(), signal.SIGKILL)
if "slow" in fate:
    (folder / "began").write_text(str(time.monotonic()))
    time.sleep(0.3)
    (folder / "ended").write_text(str(time.monotonic()))
(folder / "result.json").write_text(record)
(folder / "notebook.ipynb").write_text("{}")
"""


def stub(job, timeout):
    """A command in place of `sweep_run.command`; accuracy and time follow from the seed."""
    found = [Result(model, "digits", 0.9 + job.params["seed"] / 100) for model in ("CCT", "CVT", "ViT")]
    record = replace(without_results(job), results=found, seconds=10.0, fingerprint=job.fingerprint(), complete=True)
    return [sys.executable, "-S", "-c", STUB, str(job.folder), record.to_json(), job.params["dataset"]]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A folder with a notebook and its profile; writes a sweep's file and returns its path."""
    monkeypatch.setattr(sweep_run, "command", stub)
    monkeypatch.setattr(report, "write", lambda runs: runs / "report.html")  # the stub's notebooks are none
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    profile(tmp_path, "03_toy-cpu", "lr: 0.5\n")

    def write(text):
        file = tmp_path / "params" / "sweep-03-test.yaml"
        file.write_text(f"notebook: {path}\n{text}" if "notebook:" not in text else text)
        return file

    return write


def jobs(file):
    return sweep_file.read(file, runs=file.parents[1] / "runs", folder=file.parents[1])


def call(file, *options):
    """The command, in this process."""
    return main(["sweep", str(file), "--runs", str(file.parents[1] / "runs"), *options])


def starts(file, name):
    return (file.parents[1] / "runs/03_toy" / name / "starts.txt").read_text().split()


def test_the_first_name_of_the_grid_varies_slowest_and_runs_are_combined_with_it(toy):
    file = toy("""
notebook: 3
profile: cpu
set: {epochs: 5}
grid:
  seed: [0, 1]
  dataset: [digits, cifar10]
runs:
  - {flip: true, lr: 1}
  - {widths: [3]}
""")
    expected = [
        {"epochs": 5, **settings, "seed": seed, "dataset": dataset}
        for settings in ({"flip": True, "lr": 1.0}, {"widths": [3]})
        for seed in (0, 1)
        for dataset in ("digits", "cifar10")
    ]
    found = jobs(file)
    assert [job.overrides for job in found] == expected and isinstance(found[0].overrides["lr"], float)
    assert found[4].params["lr"] == 0.5  # the profile's
    assert found[0].folder == file.parents[1] / "runs/03_toy/cpu-dataset=digits-epochs=5-flip=true-lr=1.0-seed=0"


def test_a_run_of_a_sweep_and_the_same_run_by_hand_are_the_same(toy):
    file = toy("set: {flip: false}\ngrid: {seed: [7]}")
    [ours] = jobs(file)
    folder = file.parents[1]
    [by_hand] = plan(["03"], settings=["flip=false", "seed=7"], runs=folder / "runs", folder=folder)
    assert (ours.folder, ours.params) == (
        by_hand.folder,
        by_hand.params,
    ) and ours.fingerprint() == by_hand.fingerprint()
    assert [job.name for job in jobs(toy(""))] == ["smoke"]  # no grid at all: one run


def test_profiles_and_sweeps_of_the_course_do_not_mix():
    for file in sorted((NOTEBOOKS / "params").glob("sweep-*.yaml")):
        found = sweep_file.read(file, runs=ROOT / "runs")
        assert found and not any(file.stem.endswith(name) for name in found[0].notebook.profiles())
        assert re.search(r"^# expect: .*\d", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert "TODO" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("grids: {seed: [1]}", ["There is no key 'grids'. Did you mean 'grid'?"]),
        ("epochs: 3", ["There is no key 'epochs'. The notebook's parameters stand under 'set' or 'grid'."]),
        ("set: {epoch: 3}", ["set: There is no parameter 'epoch'. Did you mean 'epochs'?", "epochs: int = 3"]),
        ("grid: {epoch: [3, 4]}", ["grid: There is no parameter 'epoch'. Did you mean 'epochs'?"]),
        ("grid: {seed: [0, one]}", ["grid: seed: 'one' is of type str, expected int. Write for example"]),
        ("runs: [{seed: 1}, {lr: fast}]", ["runs, no. 2: lr: 'fast' is of type str, expected float."]),
        ("set: {flip: 1}\ngrid: {seed: [x]}\nrun: []", ["flip: 1 is of type int", "seed: 'x'", "no key 'run'"]),
        ("grid: {seed: 3}", ["grid: seed is 3, expected a list. Write seed: [3], or move it to 'set'."]),
        ("grid: {seed: []}", ["grid: seed is an empty list, which makes no run."]),
        ("grid: [1]", ["grid is a list, expected names with values. Write for example grid: {seed: [0, 1, 2]}."]),
        ("set: 3", ["set is a int, expected names with values."]),
        ("runs: []", ["runs is [], expected a list of settings. Write for example runs: [{depth: 2}]."]),
        ("runs: {lr: 0.1}", ["runs is {'lr': 0.1}, expected a list of settings."]),
        ("grid: {seed: [1, 2, 1]}", ["Runs 1 and 3 are the same (smoke-seed=1). Remove one of them."]),
        ("runs: [{}, {lr: 0.1}]", ["Runs 1 and 2 are the same (smoke and smoke-lr=0.1)."]),  # lr is 0.1 by default
        ("set: {lr: 1.0}\ngrid: {lr: [2.0]}", ["lr is set in set and in grid. Keep one of them."]),
        ("grid: {lr: [2.0]}\nruns: [{lr: 1.0}]", ["lr is set in grid and in runs. Keep one of them."]),
        ("set: {lr: 1.0, lr: 2.0}", ["is not valid YAML", "'lr' stands here twice"]),
        ("profile: tpu", ["03_toy has no profile 'tpu'. Write one of smoke, cpu."]),
        ("set: {run_dir: x}", ["set: run_dir is set by the runner. --runs DIR says where the runs go."]),
        ("set: {dataset: ' a'}", ["set: dataset is ' a', which --set cannot say. Write it in a profile's file."]),
        ("notebook: 99\ngrid: {seed: 1}", ["There is no notebook '99'.", "seed is 1, expected a list"]),
        ("notebook: [1]", ["notebook is [1], expected a number, a name or a stem."]),
        ("notebook: x: y", ["is not valid YAML"]),
        ("set: {seed: " + "9" * 5000 + "}", ["is not valid YAML: a number of 5,000 characters"]),
        ("set: {lr: " + "[" * 1000, ["is not valid YAML: more than 50 lists"]),
        ("grid: &a {seed: [*a]}", ["is not valid YAML: the alias *a stands for nothing, or for itself"]),
        ("grid: {seed: [a" + ", a" * 9999 + "]}", ["seed: 'a' is of type str"]),
        ("grid: {seed: " + str(list(range(9999))) + ", lr: 1}", ["lr is 1, expected a list"]),
        ("grid: {seed: " + str([f"s{i}" for i in range(9999)]) + "}", ["grid: seed: 's19'", "... and 9,979 more."]),
        ("runs: " + str([{"seed": 5}] * 9000), ["Runs 1 and 21 are the same", "... and 8,979 more."]),
        ("- notebook: 3", ["holds a list, expected lines of 'key: value' with the keys notebook, profile,"]),
    ],
)
def test_every_mistake_is_told_before_anything_starts(toy, capsys, tmp_path, text, messages):
    assert call(toy(text)) == 2
    said = capsys.readouterr().err
    assert all(message in said for message in messages), said
    assert not (tmp_path / "runs").exists()


def test_a_grid_of_a_million_runs_is_a_sentence_at_once(toy, capsys):
    values = list(range(1000))
    began = time.process_time()
    assert call(toy(f"grid:\n  seed: {values}\n  lr: {[value / 1000 for value in values]}"), "--list") == 2
    said = capsys.readouterr().err
    assert "These are 1,000,000 runs (1,000 of seed x 1,000 of lr), expected at most 10,000." in said
    assert call(toy(f"runs: {[{'epochs': k} for k in range(500)]}\ngrid: {{seed: {values}}}"), "--list") == 2
    assert "(500 in runs x 1,000 of seed)" in capsys.readouterr().err
    assert time.process_time() - began < 10


def test_the_time_of_list_grows_with_the_number_of_runs(toy, capsys):
    """It was quadratic: 200 runs took 38 s."""
    seconds = {}
    for count in (1, 500, 2000):
        began = time.process_time()
        assert call(toy(f"profile: cpu\ngrid: {{seed: {list(range(count))}}}"), "--list") == 0
        seconds[count] = time.process_time() - began
        assert capsys.readouterr().out.count("to do") == count
    assert seconds[2000] < 20 * max(seconds[500], 0.1) and seconds[500] < 10


def test_a_file_that_is_not_there_and_a_wrong_profile_are_named(toy, tmp_path, capsys):
    assert main(["sweep", str(tmp_path / "none.yaml")]) == 2
    assert f"There is no file {tmp_path / 'none.yaml'}. A sweep is a YAML file" in capsys.readouterr().err
    assert main(["sweep", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    profile(tmp_path, "03_toy-bad", "epoch: 3\n")
    assert call(toy("profile: bad")) == 2
    assert "03_toy-bad.yaml:\nThere is no parameter 'epoch'" in capsys.readouterr().err
    with pytest.raises(UsageError, match="notebook is 'all', expected one notebook"):
        for stem in ("00_a", "01_b"):
            notebook(tmp_path / f"{stem}.ipynb", "1")
        jobs(toy("notebook: all"))


def test_done_runs_are_not_run_again_and_list_starts_nothing(toy, capsys):
    file = toy("grid: {seed: [0, 1]}")
    assert call(file, "--list") == 0
    assert re.findall(r"smoke-seed=\d +(.+)", capsys.readouterr().out) == ["to do", "to do"]
    assert not (file.parents[1] / "runs").exists()
    assert call(file) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^\[1/2\] 03_toy smoke-seed=0: ok, \d s, CCT 90.00 %, \+2 more$", shown, re.MULTILINE)
    assert re.search(r"^03_toy +smoke +CCT +digits +test accuracy +2 +90.50 % +0.71 ", shown, re.MULTILINE)
    assert "2 of 2 runs are done. Report: " in shown
    toy("grid: {seed: [1, 2]}")
    assert call(file) == 0
    assert "[1/2] 03_toy smoke-seed=1: already done, 10 s" in capsys.readouterr().out
    assert [len(starts(file, f"smoke-seed={seed}")) for seed in range(3)] == [1, 1, 1]
    assert call(file, "--force") == 0
    assert "already done" not in capsys.readouterr().out
    assert call(file, "--list") == 0
    assert re.findall(r"smoke-seed=\d +(.+)", capsys.readouterr().out) == ["done", "done"]


def test_a_failed_run_does_not_stop_the_others_and_a_killed_one_goes_on(toy, capsys):
    file = toy("grid: {dataset: [fail, kill, digits]}")
    assert call(file) == 1
    shown = capsys.readouterr().out
    folder = file.parents[1] / "runs/03_toy"
    log = folder / "smoke-dataset=fail/sweep.log"
    assert (
        f"[1/3] 03_toy smoke-dataset=fail: failed: failed in [4]: ZeroDivisionError: division by zero; see {log}"
        in shown
    )
    assert "a table" in log.read_text()
    assert "[2/3] 03_toy smoke-dataset=kill: failed: killed (SIGKILL, by the system if memory ran out)" in shown
    assert "[3/3] 03_toy smoke-dataset=digits: ok" in shown
    assert "1 of 3 runs are done, 2 failed. The same command goes on with the rest." in shown
    assert call(file, "--list") == 0
    assert re.findall(r"dataset=\w+ +(.+)", capsys.readouterr().out) == ["begun", "begun", "done"]
    assert call(file) == 1
    assert [len(starts(file, f"smoke-dataset={name}")) for name in ("fail", "kill", "digits")] == [2, 2, 1]
    assert "2 of 3 runs are done, 1 failed." in capsys.readouterr().out


def test_a_folder_with_other_content_and_one_in_use_are_left_alone(toy, capsys, monkeypatch):
    monkeypatch.setattr(sweep_run, "PATIENCE", 0.1)
    file = toy("grid: {seed: [0, 1]}")
    other, used = (file.parents[1] / "runs/03_toy" / f"smoke-seed={seed}" for seed in (0, 1))
    other.mkdir(parents=True)
    (other / "thesis.txt").write_text("precious")
    lock = folders.lock(used, folders.RUNNER_LOCK)
    assert call(file) == 1
    lock.release()
    shown = capsys.readouterr().out
    assert "is not empty and has no params.yaml, so no run made it." in shown and "Another process is working" in shown
    assert [path.name for path in other.iterdir() if path.name[0] != "."] == ["thesis.txt"]


def test_on_devices_two_at_a_time_and_never_two_on_one(toy, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    file = toy("grid: {seed: [0, 1, 2, 3]}\nset: {dataset: slow}")
    assert call(file, "--devices", "cuda:1,cuda:3") == 0
    spans = {"1": [], "3": []}
    for job in jobs(file):
        [device] = starts(file, job.name)
        spans[device].append([float((job.folder / name).read_text()) for name in ("began", "ended")])
    assert all(first[1] < second[0] for first, second in map(sorted, spans.values()))  # two on each, one by one
    (begin, end), (other_begin, other_end) = (min(times) for times in spans.values())
    assert begin < other_end and other_begin < end  # and both at a time
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-7")
    assert sweep.places("cuda:1", "local", None) == ["GPU-7"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "cuda:0,gpu1"], "--devices has 'gpu1', expected names such as cuda:0."),
        (["--devices", "cuda:9"], "--devices has cuda:9, and PyTorch sees 1 GPUs here."),
        (["--devices", "cuda:0,cuda:0"], "--devices has cuda:0 twice."),
        (["--devices", "cuda:0", "--engine", "spark"], "--devices is for --engine local."),
        (["--master", "local[2]"], "--master local[2] is Spark's. Add --engine spark"),
        (["--timeout", "0"], "--timeout is 0 minutes, expected more than 0."),
    ],
)
def test_a_wrong_call_ends_with_2(toy, capsys, monkeypatch, options, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert call(toy("grid: {seed: [0]}"), *options) == 2
    assert message in capsys.readouterr().err


def test_the_summary_over_seeds_is_that_of_statistics(toy):
    values = [0.901, 0.934, 0.912]
    records = []
    for seed, value in enumerate(values):
        [job] = jobs(toy(f"grid: {{seed: [{seed}]}}\nset: {{lr: 0.2}}"))
        found = [
            Result("CCT", "digits", value),
            Result("CCT", "digits", 100 * value, metric="throughput", unit="images/s"),
        ]
        records.append(replace(without_results(job), results=found, seconds=10.0 + seed))
    [other] = jobs(toy("set: {lr: 0.3}"))
    records.append(replace(without_results(other), results=[Result("CCT", "digits", 0.5)], seconds=7.0))
    table = sweep.summary(records)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["run"], row["metric"], row["n"]) for row in rows] == [
        ("smoke-lr=0.2", "test accuracy", "3"),
        ("smoke-lr=0.2", "throughput", "3"),
        ("smoke-lr=0.3", "test accuracy", "1"),
    ]
    assert (
        rows[0]["mean"] == f"{100 * np.mean(values):.2f} %" and rows[0]["std"] == f"{100 * np.std(values, ddof=1):.2f}"
    )
    assert rows[0]["min to max"] == "90.10 % to 93.40 %" and rows[0]["seconds"] == "11" and rows[0]["paper"] == "-"
    assert rows[1]["std"] == f"{100 * statistics.stdev(values):.4g}" and rows[1]["mean"] == "91.57 images/s"
    assert (rows[2]["std"], rows[2]["min to max"], rows[2]["seconds"]) == ("-", "50.00 % to 50.00 %", "7")
