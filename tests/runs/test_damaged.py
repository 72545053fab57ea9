"""Files of runs that somebody else, or a full disk, has damaged: each is named and left out, and the rest works."""

import json
import os
import shutil
from dataclasses import asdict, fields

import nbformat
import pytest

from compactlib import schemas
from compactlib.__main__ import main
from compactlib.documents import DocumentError
from compactlib.lab import Paper, Result
from compactlib.runs import board, report, results
from compactlib.runs.board import pictures as figures
from compactlib.runs.folders import write_params
from compactlib.runs.results import Record
from compactlib.training import ablation
from tests.runs.samples import record_of

PAPER = Paper("cct_table_11", "CCT-7/3x1", "C-10")
RESULT = Result("CCT-7/3x1", "cifar10", 0.94, params_count=3_760_000, seconds=900.0, paper=PAPER, comparable=True)
WRONG = (None, True, 7, -1, 2.5, "text", [], ["x"], {}, {"x": ["y"]}, [{}], [[[]]], "9" * 10**4)
# Values that are right where a field may hold several kinds of things.
RIGHT = {
    "overrides": ([], {}, {"x": ["y"]}), "parameters": ({}, {"x": ["y"]}), "seed": (7, -1), "data": ([], [{}]),
    "results": ([],), "versions": ({},), "code": (None,), "hardware": ({},), "seconds": (7, 2.5),
    "fingerprint": (None, "text", {}, "9" * 10**4), "complete": (True,),
    **{name: ("text", "9" * 10**4) for name in ("notebook", "run", "profile", "command")},
}  # fmt: skip
RIGHT_RESULT = {
    "value": (), "params_count": (None, 7), "seconds": (None, 7, 2.5), "paper": (None,), "comparable": (True,),
    "unit": ("9" * 10**4, "text"), **{name: ("text", "9" * 10**4) for name in ("model", "dataset", "metric", "note")},
}  # fmt: skip
RIGHT_PAPER = {"where": ({},)}


def contents():
    """Records, each with one field that is wrong; the field's place says which."""
    good = json.loads(record_of(notebook="03_cct", run="bad", results=[RESULT]).to_json())

    def changed(place, value):
        content = json.loads(json.dumps(good))
        inner = content
        for key in place[:-1]:
            inner = inner[key]
        if value is fields:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return content

    for right, part, place in (
        (RIGHT, good, ()),
        (RIGHT_RESULT, good["results"][0], ("results", 0)),
        (RIGHT_PAPER, good["results"][0]["paper"], ("results", 0, "paper")),
    ):
        for name in part:
            for value in (fields, *WRONG):  # `fields` stands for: not there
                if not any(value == one and type(value) is type(one) for one in right.get(name, ())):
                    yield (*place, name), changed((*place, name), value)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A good run, and one for each way in which a field may be wrong."""
    folder = tmp_path_factory.mktemp("runs")
    results.write(record_of(notebook="03_cct", run="good", results=[RESULT]), folder / "03_cct/good")
    write_params(folder / "03_cct/good", {"epochs": 3})
    for number, (_, content) in enumerate(contents()):
        path = folder / f"03_cct/bad-{number}/result.json"
        path.parent.mkdir()
        path.write_text(json.dumps(content))
    return folder


def bad(runs):
    return sorted(path.name for path in (runs / "03_cct").glob("bad-*"))


def test_every_wrong_field_is_named_and_the_rest_is_on_the_board(runs):
    with board.told(problems := []):
        found = board.collect(runs)
    assert [record.run for record in found] == ["good"]
    assert (
        sorted(problem.split("/03_cct/")[1].split("/")[0] for problem in problems) == bad(runs) and len(problems) > 300
    )
    for problem in problems:
        assert "result.json" in problem and "Run the notebook again" in problem and len(problem) < 1000
    page = board.BoardPage(runs)
    assert "result.json" in page.message.value and [record.run for record in board.select(page.records, data="cifar10")]


def test_the_report_shows_all_of_them(runs):
    shown = report.collect(runs)
    assert len(shown) == 1 + len(bad(runs))
    assert {one.run for one in shown if one.record is None} == set(bad(runs))
    assert all("result.json" in one.error for one in shown if one.record is None)
    text = report.write(runs).read_text(encoding="utf-8")
    assert "CCT-7/3x1" in text and "bad-0" in text


def test_the_commands_name_them_and_go_on(runs, tmp_path, capsys):
    assert main(["board", "--runs", str(runs)]) == 0
    said = capsys.readouterr()
    assert "CCT-7/3x1" in said.out and said.err.count("result.json") == len(bad(runs)) and "Warning" not in said.err
    assert main(["board", "--runs", str(runs), "--out", str(tmp_path / "talk")]) == 0
    assert "CCT-7/3x1" in (tmp_path / "talk/board.md").read_text() and "bad-0" in capsys.readouterr().err
    shutil.copytree(runs, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs/03_cct/good")
    assert main(["board", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert "no results to export" in said and "bad-0" in said


def test_what_is_no_file_or_no_json_is_named(tmp_path, capsys):
    good = record_of(notebook="03_cct", run="good", results=[RESULT])
    results.write(good, tmp_path / "03_cct/good")
    for number, content in enumerate([b"", b"{", b"[]", b"7", b"null", b"\xff", b"[" * 10**5, b'{"schema": 1e999}']):
        path = tmp_path / f"03_cct/bad-{number}/result.json"
        path.parent.mkdir()
        path.write_bytes(content)
    (tmp_path / "03_cct/pipe").mkdir()
    os.mkfifo(tmp_path / "03_cct/pipe/result.json")
    (tmp_path / "03_cct/folder/result.json").mkdir(parents=True)
    (tmp_path / "03_cct/folder/notebook.ipynb").mkdir()
    (tmp_path / "03_cct/folder/params.yaml").mkdir()
    (tmp_path / "03_cct/.x.tmp").mkdir()
    (tmp_path / "03_cct/file").write_text("")
    os.mkdir(os.fsencode(tmp_path / "03_cct") + b"/\xff")
    (tmp_path / "03_cct/dangling").mkdir()
    (tmp_path / "03_cct/dangling/result.json").symlink_to(tmp_path / "nowhere")
    assert main(["board", "--runs", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "CCT-7/3x1" in said.out and said.err.count("result.json") == 10
    report.write(tmp_path)
    shown = {one.run: one for one in report.collect(tmp_path)}
    assert {name for name, one in shown.items() if one.record} == {"good"}


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "{}", '{"cells": 3}', '{"nbformat": 4}', '{"nbformat": "x", "cells": [], "metadata": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "[" * 10**5,
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"id": "a", "cell_type": "code", "source": "", '
        '"metadata": {}, "execution_count": 1, "outputs": [{"output_type": "display_data", "metadata": [], "data": 3}]}'
        "]}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["notebook.ipynb", "notebook.failed.ipynb"])
def test_a_damaged_notebook_is_named_on_the_page(tmp_path, name, content):
    for run in ("bad", "good"):
        write_params(tmp_path / "03_cct" / run, {"epochs": 3})
    (tmp_path / "03_cct/bad" / name).write_text(content)
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "03_cct/good/notebook.ipynb")
    first, second = report.collect(tmp_path)
    assert (first.run, first.state, second.state) == ("bad", "failed", "ok") and name in first.error
    assert len(first.error) < 1000
    report.write(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "a: [", "a: &a [*a]", "a: " + "9" * 5000, "- " * 1000])
def test_damaged_parameters_are_named_on_the_page(tmp_path, content):
    (tmp_path / "03_cct/bad").mkdir(parents=True)
    (tmp_path / "03_cct/bad/params.yaml").write_text(content)
    [shown] = report.collect(tmp_path)
    assert "params.yaml" in shown.error and shown.parameters == {}
    report.write(tmp_path)


def test_damaged_learning_curves_are_named_and_the_rest_is_drawn(tmp_path):
    folder = tmp_path / "04_ablations/smoke"
    results.write(record_of(notebook="04_ablations", run="smoke", results=[RESULT]), folder)
    row = '{"epoch": 1, "train_loss": 1.0, "seconds": 2.0, "val_accuracy": 0.5}\n'
    lines = {
        "good": row, "killed": row + '{"epoch": 2, "tr', "text": row + "x\n" + row, "list": "[]\n" + row,
        "number": row + "3\n" + row, "words": row + row.replace("1.0", '"high"') + row, "bytes": b"\xff" * 100,
        "long": row + row.replace("1.0", "9" * 5000) + row, "nan": row.replace("0.5", "NaN"),
    }  # fmt: skip
    for name, content in lines.items():
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "pipe").mkdir()
    os.mkfifo(folder / "pipe/metrics.jsonl")
    for name in ("trial", "other"):
        (folder / name).mkdir()
        (folder / name / "metrics.jsonl").write_text(row)
        (folder / name / "trial.json").write_text('{"settings": []}' if name == "trial" else "[]")
    with board.told(problems := []):
        curves = figures.histories(board.collect(tmp_path))
    names = {name.removeprefix("04 smoke: "): len(rows) for name, rows in curves.items()}
    assert names == dict.fromkeys(["good", "killed", "text", "number", "words", "long", "nan", "trial", "other"], 1)
    said = "\n".join(problems)
    for name in ("text", "list", "number", "words", "long", "pipe"):
        assert f"smoke/{name}/metrics.jsonl" in said
    assert "trial/trial.json" in said and "other/trial.json" in said and "killed" not in said
    figures.plt.close(figures.learning(curves))


def test_a_damaged_trial_says_what_to_do(tmp_path):
    (tmp_path / "trial.json").write_text('{"settings": {}, "seed": 0}')
    with pytest.raises(DocumentError, match=r"trial\.json: 'accuracy' is a required property.*Remove the file"):
        ablation.read_trial(tmp_path / "trial.json")


def test_the_schemas_know_the_fields_of_what_is_written():
    names = {field.name for field in fields(Record)} - {"path"}
    assert set(schemas.RECORD["properties"]) == names
    assert set(schemas.RESULT["properties"]) == set(asdict(RESULT))
    assert set(schemas.PAPER["properties"]) == set(asdict(PAPER))
    assert set(schemas.TRIAL["properties"]) == {field.name for field in fields(ablation.Trial)} - {"folder"}
