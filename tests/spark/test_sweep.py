"""A sweep as Spark tasks, over real papermill and real kernels."""

import json
from types import SimpleNamespace

import nbformat
import pyspark
import pytest

from compactlib.__main__ import main
from compactlib.runs import sweep_engines
from tests.runs.samples import notebook

# The result follows from the parameters alone; seed 2 fails.
CELL = """import json, pathlib
(pathlib.Path(run_dir) / "found.json").write_text(json.dumps({"seed": seed, "lr": lr}))
1 / (2 - seed)"""


def content(runs):
    """What a runs folder holds, but for logs, the report, and what names the folder itself or a time."""
    found = {}
    for path in sorted(path for path in runs.rglob("*") if path.is_file() and path.suffix not in (".html", ".log")):
        name, text = path.relative_to(runs).as_posix(), path.read_text(encoding="utf-8")
        if path.name == "result.json":
            record = json.loads(text)
            text = {
                key: record[key] for key in ("run", "overrides", "parameters", "command", "fingerprint", "complete")
            }
        elif path.suffix == ".ipynb":
            text = [cell.source.replace(str(runs), "") for cell in nbformat.reads(text, as_version=4).cells]
        found[name] = text
    return found


@pytest.mark.usefixtures("spark")
def test_a_sweep_on_spark_gives_the_same_folders_as_runs_by_hand(tmp_path, capsys):
    path, file = notebook(tmp_path / "03_toy.ipynb", CELL), tmp_path / "sweep.yaml"
    file.write_text(f"notebook: {path}\nset: {{lr: 0.2}}\ngrid: {{seed: [0, 2]}}")
    on_spark, here = tmp_path / "spark", tmp_path / "here"
    arguments = ["sweep", str(file), "--runs", str(on_spark)]
    assert main([*arguments, "--engine", "spark", "--master", "local[2,4]"]) == 1
    shown = capsys.readouterr().out
    logs = "\n".join(path.read_text(encoding="utf-8") for path in on_spark.rglob("sweep.log"))
    assert "[1/2] 03_toy smoke-lr=0.2-seed=0: ok" in shown, shown + logs
    assert "[2/2] 03_toy smoke-lr=0.2-seed=2: failed: failed in [3]: ZeroDivisionError: division by zero; see" in shown
    assert main(["run", str(path), "--set", "lr=0.2", "--set", "seed=0", "--runs", str(here)]) == 0
    assert main(["run", str(path), "--set", "lr=0.2", "--set", "seed=2", "--runs", str(here)]) == 1
    assert content(on_spark) == content(here)
    assert (on_spark / "03_toy/smoke-lr=0.2-seed=0/sweep.log").is_file()
    capsys.readouterr()

    notebook(path, CELL.replace("2 - seed", "3 - seed"))  # mended: what is done stays done
    assert main([*arguments, "--list"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert "done with another version" in rows[0] and rows[1].split()[-1] == "failed"


def test_a_task_uses_the_gpus_that_spark_gave_it_and_a_second_attempt_goes_on(monkeypatch):
    monkeypatch.setattr(sweep_engines, "carry_out", lambda job, **options: options)
    gpus = {"gpu": SimpleNamespace(addresses=["3"])}
    for attempt, given, env in ((0, {}, {}), (1, gpus, {"CUDA_VISIBLE_DEVICES": "3"})):
        task = SimpleNamespace(resources=lambda given=given: given, attemptNumber=lambda attempt=attempt: attempt)
        monkeypatch.setattr(pyspark.TaskContext, "get", lambda task=task: task)
        assert sweep_engines._in_task("job", force=True, timeout=3) == {"env": env, "force": not attempt, "timeout": 3}
