"""What the README tells people to type exists, and its example runs."""

import inspect
import re
import subprocess
import sys

import pytest
import timm
import torch
import yaml

from compactlib import spark
from compactlib.__main__ import parser
from compactlib.paths import ROOT
from compactlib.runs.catalogue import notebooks

PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "notebooks/README.md")}
README = PAGES["README.md"]
ON_SPARK, EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_runs(tmp_path):
    done = subprocess.run([sys.executable, "-c", EXAMPLE], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 1 and (tmp_path / "runs/mine/best.safetensors").exists()


def test_the_example_on_spark_is_a_call_of_the_function(monkeypatch):
    """tests/spark/test_training.py runs such a call."""
    calls, wanted = [], inspect.signature(spark.train_on_patches)
    monkeypatch.setattr(spark, "session", lambda master: master)
    monkeypatch.setattr(spark, "train_on_patches", lambda *given, **named: calls.append(wanted.bind(*given, **named)))
    exec(ON_SPARK, {})
    (call,) = calls
    assert call.arguments["session"].startswith("local-cluster[")
    model = timm.create_model(call.arguments["model_name"], **call.arguments["arguments"])
    assert model(torch.zeros(1, 3, 256, 256)).shape[1] == 5  # the classes of a procedural scene, patches of 256


@pytest.mark.parametrize("command", re.findall(r"python -m compactlib ([^#\n`]+)", "".join(PAGES.values())))
def test_the_commands_are_known(command):
    parser().parse_args(command.replace(" --help", "").split())


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_and_files_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    text = PAGES[page]
    for target in re.findall(r"^make ([a-z]+)|`make ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), link
    for path in re.findall(r"`((?:notebooks|compactlib|data)/[\w./-]+)`", text):
        assert (ROOT / path).exists() or path in ("data/cache", "notebooks/NN_name.ipynb"), path


def test_the_map_of_the_course_counts_the_exercises():
    rows = re.findall(r"^\| \[(\d\d) .*\| (\d) \+ 1[^|]*\|$", PAGES["notebooks/README.md"], re.MULTILINE)
    lessons = [notebook for notebook in notebooks() if notebook.is_lesson]
    checks = {n.number: sum("check" in cell.metadata.get("tags", []) for cell in n.node.cells) for n in lessons}
    assert {number: int(count) for number, count in rows} == checks


def test_conda_installs_what_the_lock_file_says():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert {"python=3.11", "openjdk=17"} <= {d for d in environment["dependencies"] if isinstance(d, str)}
    assert {"pip": ["-r requirements.lock"]} in environment["dependencies"]


def test_the_lock_file_pins_with_hashes_and_names_no_registry():
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry) and "--hash=sha256:" in entry, entry[:80]
    assert "://" not in lock
