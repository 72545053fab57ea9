"""`lab.start`, in a namespace made by hand, in a real kernel, and under plain papermill."""

import json
import random
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from compactlib import lab
from compactlib.runs import folders, kernel
from compactlib.runs.parameters import ParameterError
from tests.runs.samples import PARAMETERS, START, notebook


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPACT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def namespace(**changes):
    made = {}
    exec(PARAMETERS, made)  # as a kernel does
    return made | changes


def test_a_run_has_its_folder_device_and_checked_parameters(runs):
    run = lab.start("03_toy", namespace(lr=1, device="cpu"))
    assert run.path == runs / "03_toy" / "interactive" and run.path.is_dir()
    assert run.device == torch.device("cpu") and run.seed == 0 and run.smoke
    assert run.params["lr"] == 1.0 and isinstance(run.params["lr"], float)
    assert "run_dir" not in run.params and str(runs) not in repr(run)
    assert folders.read_params(run.path) == run.params


def test_what_is_printed_is_the_same_on_every_machine(runs, capsys):
    lab.start("03_toy", namespace())
    assert capsys.readouterr() == ("03_toy: 8 parameters ok, seed 0\n", "")


def test_the_seed_decides_all_three_generators(runs):
    def draws(seed):
        lab.start("03_toy", namespace(seed=seed))
        return random.random(), np.random.rand(), torch.rand(1).item()

    first = draws(5)
    random.random(), np.random.rand(), torch.rand(1)
    assert draws(5) == first
    assert all(a != b for a, b in zip(draws(6), first, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flip": "false"}, "flip: 'false' is of type str, expected bool"),
        ({"epochs": 10}, "epochs: 10 is out of range, expected 1 to 9"),
        ({"dataset": "dogs"}, "dataset: 'dogs' is not allowed, expected one of digits, cifar10"),
        ({"widths": [1, 99]}, "widths: 99 is out of range, expected 1 to 9"),
        ({"device": "tpu"}, "device: 'tpu' is not allowed, expected one of auto, cpu, cuda, mps"),
        ({"seed": -1}, "seed: -1 is out of range"),
    ],
)
def test_a_value_that_does_not_fit_stops_before_anything_is_touched(runs, changes, message):
    ranges = {"epochs": (1, 9), "dataset": ["digits", "cifar10"], "widths": (1, 9)}
    with pytest.raises(ParameterError, match=message):
        lab.start("03_toy", namespace(**changes), ranges=ranges)
    assert not runs.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the test needs to be absent")
def test_a_device_that_is_not_there_is_an_error(runs):
    with pytest.raises(ValueError, match=r"device: 'cuda' was asked for, and PyTorch finds only: .*cpu"):
        lab.start("03_toy", namespace(device="cuda"))


def test_the_notebooks_author_is_told_of_mistakes(runs):
    with pytest.raises(ParameterError, match=r"has to declare device: str, run_dir: str\."):
        lab.start("03_toy", {"seed": 0, "__annotations__": {"seed": int}})
    with pytest.raises(ParameterError, match=r"ranges: There is no parameter 'epoch'. Did you mean 'epochs'"):
        lab.start("03_toy", namespace(), ranges={"epoch": (1, 2)})


def test_an_interactive_run_starts_afresh_and_a_given_folder_is_kept(runs, tmp_path):
    space = namespace()
    run = lab.start("03_toy", space)
    (run.path / "last.safetensors").write_text("old")
    again = lab.start("03_toy", space)
    assert again.path == run.path and not (run.path / "last.safetensors").exists()

    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "last.safetensors").write_text("old")
    assert lab.start("03_toy", namespace(run_dir=str(kept))).path == kept
    assert (kept / "last.safetensors").read_text() == "old"


def test_parameters_from_plain_papermill_have_a_folder_that_is_kept(runs):
    """As the kernel sees it: the parameters cell, then the cell that papermill puts behind it."""
    declared = "epochs: int = 2\nseed: int = 0\ndevice: str = 'cpu'\nrun_dir: str = ''"
    space = {"epochs": 3, "seed": 0, "device": "cpu", "run_dir": "", "In": ["", declared, "# Parameters\nepochs = 3\n"]}
    run = lab.start("03_toy", space)
    assert run.path == runs / "03_toy" / "smoke-epochs=3"
    (run.path / "last.safetensors").write_text("half way")
    run.lock.release()
    again = lab.start("03_toy", {**space, "_lab_run": None})
    assert again.path == run.path and (run.path / "last.safetensors").read_text() == "half way"


def test_a_folder_that_no_run_made_is_not_emptied(runs):
    folder = runs / "03_toy" / "interactive"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"has no params\.yaml, so no run made it"):
        lab.start("03_toy", namespace())
    assert (folder / "thesis.txt").read_text() == "precious"


def test_a_second_kernel_gets_an_interactive_folder_of_its_own(runs):
    first, second = lab.start("03_toy", namespace()), lab.start("03_toy", namespace())
    assert (first.path.name, second.path.name) == ("interactive", "interactive-2")
    assert first.path.is_dir()


def test_one_given_folder_is_for_one_kernel(tmp_path):
    held = folders.lock(tmp_path / "a", folders.KERNEL_LOCK)
    with pytest.raises(folders.FolderInUse, match=r"Another process is working in .*Wait until it ends"):
        folders.lock(tmp_path / "a", folders.KERNEL_LOCK, seconds=0.1)
    held.release()
    folders.lock(tmp_path / "a", folders.KERNEL_LOCK).release()


def test_in_a_kernel_reruns_students_variables_and_later_annotations_do_no_harm(tmp_path):
    """One kernel, as in JupyterLab: what `In` knows is what counts."""
    injected = "# Parameters\nepoch = 3\n"
    show = "try:\n    {}\nexcept Exception as error:\n    print(error)"
    cells = [
        "lr: str = 'an exercise, before'\nmine = 7",
        PARAMETERS,
        START,  # 2
        "answer: float = 'left empty'\nlr: str = 'reused'\nlr = 0.2",
        START,  # 4: same kernel, again
        PARAMETERS.replace("epochs: int = 3", "epochs: int = 8"),
        START + "\nprint(run.params['epochs'], run.overrides)",  # 6: a parameter edited by hand
        injected,
        show.format(START.replace("\n", "\n    ")),  # 8: papermill's cell
        "%time 1",
        PARAMETERS.replace("flip: bool = True", "flip: bool = 'false'"),
        show.format(START.replace("\n", "\n    ")),  # 11
    ]
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    manager = kernel.manager_class({"COMPACT_RUNS": str(tmp_path / "runs")})
    NotebookClient(node, kernel_name="python3", kernel_manager_class=manager, timeout=120).execute()

    def text(index):
        return "".join(output.get("text", "") for output in node.cells[index].outputs)

    assert text(2) == text(4) == "03_toy: 8 parameters ok, seed 0\n"
    assert text(6) == "03_toy: 8 parameters ok, seed 0\n8 {}\n"
    assert "There is no parameter 'epoch'. Did you mean 'epochs'?\nKnown parameters:\n  epochs: int = 8" in text(8)
    assert "of type str, expected bool" in text(11)


def test_under_plain_papermill(tmp_path):
    """`-p flip false` arrives as text and an unknown name is only warned of: here both stop the notebook. The same
    values, typed, from a file go through."""
    last = "run.record({'model': 'm', 'dataset': dataset, 'value': 0.5}, data=dataset)"
    source = notebook(tmp_path / "03_toy.ipynb", START, last)
    (tmp_path / "p.yaml").write_text(f"flip: false\nlr: 1\nrun_dir: {tmp_path / 'right'}\n")

    def papermill(output, *arguments):
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(source), str(tmp_path / output)]
        return subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)

    untyped = ["-p", "flip", "false", "-p", "epoch", "3", "-p", "run_dir", str(tmp_path / "wrong")]
    wrong = papermill("wrong.ipynb", *untyped)
    right = papermill("right.ipynb", "-f", str(tmp_path / "p.yaml"))

    said = wrong.communicate(timeout=120)[1]
    assert wrong.returncode == 1
    assert "There is no parameter 'epoch'. Did you mean 'epochs'?" in said
    assert "flip: 'false' is of type str, expected bool" in said
    assert not (tmp_path / "wrong").exists()

    said = right.communicate(timeout=120)[1]
    assert right.returncode == 0, said
    record = json.loads((tmp_path / "right" / "result.json").read_text())
    assert record["parameters"] | {"flip": False, "lr": 1.0} == record["parameters"]
    assert record["profile"] == "smoke" and record["overrides"] == {"flip": False, "lr": 1.0}


def test_the_shown_run_is_stable(runs):
    with redirect_stdout(StringIO()):
        run = lab.start("03_toy", namespace())
    assert repr(run) == "Run(notebook='03_toy', name='interactive', profile='smoke')"
    assert run.hardware().startswith(f"{run.device.type}: ")
