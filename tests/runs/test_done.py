"""A finished run is never erased: whatever has changed since, and by whichever door the same run comes again."""

import json
import shutil
import subprocess
import sys

import pytest

from compactlib import lab
from compactlib.__main__ import main
from compactlib.app.checkpoints import _written
from compactlib.runs import board, folders, plan, report, results, runner, sweep_file, sweep_run
from tests.runs.samples import PARAMETERS, notebook, profile

# A training, as seen from outside: what it has learned is in a file, and it goes on from there.
TRAIN = "import pathlib\nweights = pathlib.Path(run_dir) / 'last.safetensors'\nweights.open('a').write('day ')"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A course with two finished runs of a notebook, 03 of its profile `gpu` and of seed 1; and a clone with a file."""
    folder = tmp_path_factory.mktemp("course")
    path = notebook(folder / "course/03_toy.ipynb", TRAIN)
    profile(folder / "course", "03_toy-gpu", "epochs: 300\n")
    (folder / "compactlib").mkdir()
    (folder / "compactlib/fit.py").write_text("def fit(): ...\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROOT", folder)
        for seed in (0, 1):
            assert main(["run", str(path), "--profile", "gpu", "--set", f"seed={seed}", *runs(folder)]) == 0
    return folder


def runs(folder):
    return ["--runs", str(folder / "runs")]


@pytest.fixture
def course(trained, tmp_path, monkeypatch):
    """A copy of it, in which something may change."""
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    (folder / "sweep.yaml").write_text(
        f"notebook: {folder}/course/03_toy.ipynb\nprofile: gpu\ngrid: {{seed: [0, 1]}}\n"
    )
    monkeypatch.setattr(plan, "ROOT", folder)
    return folder


def change_source(course):
    (course / "compactlib/fit.py").write_text("def fit(): return 1\n")


def change_cell(course):
    notebook(course / "course/03_toy.ipynb", TRAIN, "print('a cell more')")


def change_profile(course):
    profile(course / "course", "03_toy-gpu", "epochs: 400\nlr: 0.5\n")


def change_parameters_cell(course):
    notebook(course / "course/03_toy.ipynb", TRAIN, parameters=PARAMETERS.replace("flip: bool = True", "flop: int = 2"))


def change_to_early_record(course):
    """As written before the parts were told apart."""
    for path in course.glob("runs/*/*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fingerprint": "0" * 64}))


CHANGES = {
    change_source: ["compactlib"],
    change_cell: ["the notebook's cells"],
    change_profile: ["parameters (epochs: 300 then, 400 now; lr: 0.1 then, 0.5 now)"],
    change_parameters_cell: ["parameters (", "flip: True then, none now", "flop: none then, 2 now", "cells"],
    change_to_early_record: ["its record does not tell which"],
}


def content(course):
    files = [path for path in (course / "runs").rglob("*") if path.is_file() and path.name != "report.html"]
    return {path.relative_to(course): path.read_bytes() for path in files if path.suffix != ".lock"}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", ["run", "sweep", "sweep --engine spark", "a task of a sweep"])
def test_a_finished_run_stays_and_counts_as_done(course, capsys, monkeypatch, change, command):
    change(course)
    before, file = content(course), str(course / "sweep.yaml")
    capsys.readouterr()
    if command == "run":
        arguments = ["run", str(course / "course/03_toy.ipynb"), "--profile", "gpu", "--set", "seed=1"]
        assert main([*arguments, *runs(course)]) == 0
    elif command == "a task of a sweep":  # which comes late, and finds that another machine was faster
        monkeypatch.setattr(sweep_run, "_wait_for", lambda *_: pytest.fail("it was started again"))
        jobs = sweep_file.read(course / "sweep.yaml", runs=course / "runs")
        print(*[sweep_run.carry_out(job).said for job in jobs])
    else:
        assert main([*command.split(), file, *runs(course)]) == 0
    said = capsys.readouterr().out
    assert all(text in said for text in ["done with another version: ", "--force repeats it", *CHANGES[change]])
    if "sweep" in command.split()[:1]:
        assert "2 of 2 runs are done, 2 of them with another version." in said
        assert main(["sweep", file, "--list", *runs(course)]) == 0
        assert capsys.readouterr().out.count("done with another version: ") == 2
    assert content(course) == before and len([path for path in before if path.suffix == ".safetensors"]) == 2


@pytest.mark.parametrize("change", [change_source, change_cell, change_profile])
def test_run_all_leaves_what_is_finished(course, capsys, change):
    def run_all():
        found = [
            runner.run_notebooks(["all"], profile=name, runs=course / "runs", folder=course / "course")
            for name in ("gpu", "smoke")
        ]
        return [outcome.status for [outcome] in found]

    assert run_all() == ["ok", "ok"]
    change(course)
    before = content(course)
    capsys.readouterr()
    assert run_all() == ["already done", "already done"] and content(course) == before
    assert capsys.readouterr().out.count(": done with another version: ") == (1 if change == change_profile else 2)


def test_without_a_change_nothing_is_said_of_versions(course, capsys):
    assert main(["sweep", str(course / "sweep.yaml"), *runs(course)]) == 0
    said = capsys.readouterr().out
    assert said.count("already done") == 2 and "version" not in said and "2 of 2 runs are done. Report" in said


def test_force_keeps_the_old_run_beside_the_new_and_shows_only_the_new(course, capsys):
    change_source(course)
    folder, file = course / "runs/03_toy/gpu-seed=1", str(course / "sweep.yaml")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}
    arguments = ["run", str(course / "course/03_toy.ipynb"), "--profile", "gpu", "--set", "seed=1", "--force"]
    for number in (1, 2):
        assert main([*arguments, *runs(course)]) == 0
        assert f"the earlier run is kept in gpu-seed=1.old-{number}" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.with_name("gpu-seed=1.old-1").iterdir()} == before
    assert (folder / "last.safetensors").read_text() == "day "  # from scratch
    assert [record.run for record in board.collect(course / "runs")] == ["gpu-seed=0", "gpu-seed=1"]
    assert [shown.run for shown in report.collect(course / "runs")] == ["gpu-seed=0", "gpu-seed=1"]
    assert {path.parent.name for path in _written(course / "runs")} == {"gpu-seed=0", "gpu-seed=1"}
    assert main(["sweep", file, *runs(course)]) == 0
    assert "gpu-seed=1: already done" in capsys.readouterr().out


def test_no_run_has_a_name_that_is_kept_for_old_ones():
    name = plan.run_name("smoke", {"dataset": "x.old-1"})
    assert name != "smoke-dataset=x.old-1" and not folders.is_aside(folders.Path(name))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": 1}', '{"schema": 99}', "\x00" * 100])
def test_a_damaged_record_costs_no_checkpoint(course, capsys, damage):
    folder = course / "runs/03_toy/gpu-seed=1"
    (folder / "result.json").write_text(damage)
    assert main(["run", str(course / "course/03_toy.ipynb"), "--profile", "gpu", "--set", "seed=1", *runs(course)]) == 0
    assert (folder / "last.safetensors").read_text() == "day day "  # it went on with what was there
    assert (folder / "result.json.old-1").read_text() == damage and (folder / "notebook.ipynb.old-1").is_file()
    assert results.read(folder / "result.json").complete


def test_an_interrupted_run_of_other_parameters_makes_room_and_is_kept(course, capsys):
    folder = course / "runs/03_toy/gpu-seed=1"
    for name in ("result.json", "notebook.ipynb"):
        (folder / name).unlink()
    change_profile(course)
    assert main(["run", str(course / "course/03_toy.ipynb"), "--profile", "gpu", "--set", "seed=1", *runs(course)]) == 0
    assert (folder / "last.safetensors").read_text() == "day "
    assert (folder.with_name("gpu-seed=1.old-1") / "last.safetensors").read_text() == "day "
    assert results.read(folder / "result.json").parameters["epochs"] == 400


def test_papermill_by_itself_finds_the_folder_taken(course):
    """As a job of a cluster's queue that was sent twice."""
    start = "from compactlib import lab\nrun = lab.start('03_toy', globals())"
    source, before = notebook(course / "course/03_toy.ipynb", start, TRAIN), content(course)
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--cwd", str(source.parent), str(source)]
    command += [str(course / "out.ipynb"), "-p", "epochs", "9", "-p", "run_dir", str(course / "runs/03_toy/gpu-seed=1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "FinishedRun" in done.stderr and "gpu-seed=1 holds a finished run" in done.stderr
    assert "run 03 --profile gpu --set seed=1 --force" in done.stderr
    assert content(course) == before


def test_interactive_work_with_a_result_or_weights_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPACT_RUNS", str(tmp_path))
    space = {}
    exec(PARAMETERS, space)
    for name in ("result.json", "unet/model.safetensors", "notes.txt"):
        path = lab.start("03_toy", space).path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("hours")
    assert sorted(path.name for path in lab.start("03_toy", space).path.iterdir() if path.name[0] != ".") == [
        "params.yaml"
    ]
    kept = [path.relative_to(tmp_path / "03_toy").as_posix() for path in tmp_path.rglob("*.old-*/**/*")]
    assert {"interactive.old-1/result.json", "interactive.old-2/unet/model.safetensors"} <= set(kept)
    assert not any("notes" in path for path in kept)


# A training of `epochs`, as seen from outside; it goes on with what is there.
EPOCHS = """import pathlib
log = pathlib.Path(run_dir) / "cct" / "metrics.jsonl"
log.parent.mkdir(exist_ok=True)
done = len(log.read_text()) if log.exists() else 0
log.open("a").write("x" * (epochs - done))
(log.parent / f"from-{done}").touch()"""


def test_a_finished_run_is_extended_in_a_folder_of_its_own(tmp_path, capsys):
    path = notebook(tmp_path / "03_toy.ipynb", EPOCHS)

    def run(*options):
        return main(["run", str(path), *options, *runs(tmp_path)])

    assert run("--set", "epochs=8", "--extend") == 1
    said = capsys.readouterr().out
    assert "there is nothing to extend" in said and "no finished run with fewer than 8 epochs" in said
    assert run() == run("--set", "epochs=5", "--extend") == run("--set", "epochs=5", "--set", "lr=1") == 0
    before = content(tmp_path)
    capsys.readouterr()
    assert run("--set", "epochs=8", "--extend") == 0
    assert "goes on from smoke-epochs=5\n" in capsys.readouterr().out
    folder = tmp_path / "runs/03_toy/smoke-epochs=8"
    assert (folder / "cct/metrics.jsonl").read_text() == "x" * 8 and (folder / "cct/from-5").exists()
    record = results.read(folder / "result.json")
    assert record.parameters["epochs"] == 8 and record.complete
    assert before.items() <= content(tmp_path).items()  # the other runs are as they were
    assert run("--set", "epochs=8", "--extend") == 0 and "already done" in capsys.readouterr().out
    assert run("--set", "epochs=2", "--extend") == 1
    assert run("--set", "seed=1", "--extend") == 1
    assert run("--force", "--extend") == 2 and "Choose one of them" in capsys.readouterr().err


def test_a_copy_that_was_cut_short_is_made_again(tmp_path):
    path = notebook(tmp_path / "03_toy.ipynb", EPOCHS)
    assert main(["run", str(path), *runs(tmp_path)]) == 0
    half = tmp_path / "runs/03_toy/smoke-epochs=8/.copy/cct"
    half.mkdir(parents=True)
    (half / "metrics.jsonl").write_text("x")
    assert main(["run", str(path), "--set", "epochs=8", "--extend", *runs(tmp_path)]) == 0
    folder = half.parents[1]
    assert sorted(path.name for path in (folder / "cct").iterdir()) == ["from-0", "from-3", "metrics.jsonl"]
    assert not (folder / ".copy").exists()
