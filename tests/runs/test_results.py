import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import torch

from compactlib.lab import Paper
from compactlib.runs import board, results
from compactlib.runs.results import Record, Result, ResultError
from compactlib.runs.run import Run, as_text, command, describe

C10 = Paper("cct_table_1", "CCT-2/3x2", "C-10")


def run(path, profile="gpu", overrides=None, **params):
    made = dict(notebook="03_cct", name=path.name, path=path, device=torch.device("cpu"), profile=profile)
    return Run(
        **made, params={"seed": 7, **params}, overrides=overrides or {}, started=datetime.now(UTC), clock=0, lock=None
    )


def good(**changes):
    return Result(
        **{"model": "CCT-2/3x2", "dataset": "cifar10", "value": 0.9, "paper": C10, "comparable": True, **changes}
    )


def test_a_record_comes_back_from_disk_as_it_went(tmp_path):
    made = run(tmp_path, epochs=2).record([good(), good(model="CVT-7/4", paper=None)], data={"name": "cifar10"})
    assert made.path == tmp_path / "result.json"
    assert results.read(made.path) == made
    assert made.seed == 7 and made.parameters == {"seed": 7, "epochs": 2}
    assert made.versions["torch"] == torch.__version__.split("+")[0] or made.versions["torch"] == torch.__version__
    assert made.hardware["threads"] == torch.get_num_threads()
    assert made.peak_memory["host_mib"] > 50  # an interpreter with PyTorch in it
    assert datetime.fromisoformat(made.finished).tzinfo is not None


def test_ours_paper_and_difference(tmp_path):
    [row] = run(tmp_path).record(good(value=0.9125), data="cifar10").table().rows
    assert row == ("CCT-2/3x2", "cifar10", "test accuracy", "91.25 %", "89.75 %", "+1.50", "")


def test_other_units_are_compared_as_they_are():
    distance = good(
        dataset="synapse", value=20.5, unit="mm", metric="HD", paper=Paper("swin_unet_table_1", "SwinUnet", "HD↓")
    )
    assert (distance.ours(), distance.theirs(), distance.difference()) == ("20.5 mm", "21.55 mm", "-1.05")


@pytest.mark.parametrize(
    ("profile", "overrides", "recipe", "expected"),
    [
        ("gpu-cifar10", {}, "paper", True),
        ("gpu-cifar10", {"seed": 3, "num_workers": 4}, "paper", True),
        ("gpu-paper-cifar10", {"seeds": 3, "studies": ["clock"]}, "paper_gpu", True),
        ("gpu-clock", {}, "fast_gpu", False),
        ("gpu-cifar10", {"embed_dim": 64}, "paper", False),
        ("gpu-cifar10", {"epochs": 5000}, "paper", False),
        ("cpu-cifar10", {}, "laptop", False),
        ("smoke", {"recipe": "paper"}, "paper", False),
    ],
)
def test_only_the_papers_settings_count_as_the_papers(tmp_path, profile, overrides, recipe, expected):
    changed = replace(run(tmp_path, profile=profile), overrides=overrides, params={"seed": 0, "recipe": recipe})
    assert changed.as_in_paper is expected


def test_a_smoke_result_never_stands_beside_the_papers(tmp_path):
    record = run(tmp_path, profile="smoke").record(good(), data="cifar10")
    [row] = record.table().rows
    assert row[3:] == ("90.00 %", "-", "-", "not comparable: smoke profile on cifar10")
    assert "89.75" not in str(record) + record._repr_html_() + record.table().to_markdown()


def test_a_result_on_other_data_never_stands_beside_the_papers():
    result = good(dataset="digits")
    assert (result.comparable, result.theirs(), result.difference()) == (False, "-", "-")
    assert results.remark(result) == "not comparable: the paper's number is for cifar10"


def test_a_result_on_unofficial_data_never_stands_beside_the_papers(tmp_path):
    record = run(tmp_path).record([good()], data={"name": "cifar10", "comparable": False})
    assert record.table().rows[0][4:] == (
        "-",
        "-",
        "not comparable: pixels or split of cifar10 are not the official ones",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": 95.0}, "no fraction; divide per cent by 100"),
        ({"value": math.nan}, "expected a finite number"),
        ({"value": True}, "expected a finite number"),
        ({"value": "0.9"}, "expected a finite number"),
        ({"paper": Paper("cct_table_1", "CCT-9", "C-10")}, "CCT-2/3x2: cct_table_1 has no row 'CCT-9'"),
        ({"paper": {"table": "no", "row": "a", "column": "b"}}, "no paper table 'no'"),
    ],
)
def test_a_result_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ResultError, match=message):
        good(**changes)


def test_what_cannot_be_recorded_is_refused(tmp_path):
    with pytest.raises(ResultError, match="nothing to record"):
        run(tmp_path).record([], data="digits")
    with pytest.raises(ResultError, match="unexpected keyword argument 'accuracy'"):
        run(tmp_path).record({"model": "CCT", "accuracy": 0.9}, data="digits")
    with pytest.raises(ResultError, match="data is of type int"):
        run(tmp_path).record(good(), data=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("seed"), "'seed' is a required property"),
        (lambda c: c.update(schema=99), "has schema 99, expected 1"),
        (lambda c: c.update(schema="1" * 10**5), "has schema '1{20,100}[.]"),
        (lambda c: c.update(extra=1), "'extra' was unexpected"),
        (lambda c: c.update(seconds="long"), "seconds: 'long' is not of type 'number'"),
        (lambda c: c.update(seconds=[0] * 10**5), "seconds: .{,250} is not of type|seconds: .{,250} [.][.][.]"),
        (lambda c: c.update(finished="yesterday"), "finished: 'yesterday' is not a 'date-time'"),
        (lambda c: c["results"][0].pop("model"), r"results\[0\]: 'model' is a required property"),
        (lambda c: c["results"][0].update(value=2), "no fraction"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, change, message):
    path = run(tmp_path).record(good(), data="cifar10").path
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=message) as caught:
        results.read(path)
    assert str(path) in str(caught.value) and "Run the notebook again" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_half_a_file_is_named(tmp_path):
    path = run(tmp_path).record(good(), data="cifar10").path
    path.write_text(path.read_text()[:200])
    with pytest.raises(ResultError, match=r"result\.json is not valid JSON"):
        results.read(path)


def test_the_board_shows_every_run_and_warns_of_a_file_it_cannot_read(tmp_path):
    for name, value in (("gpu", 0.9), ("cpu", 0.8)):
        folder = tmp_path / "03_cct" / name
        folder.mkdir(parents=True)
        run(folder).record(
            good(value=value, comparable=name == "gpu", note="" if name == "gpu" else "3 epochs"), data="cifar10"
        )
    (tmp_path / "03_cct" / "bad").mkdir()
    (tmp_path / "03_cct" / "bad" / "result.json").write_text("{")
    with pytest.warns(UserWarning, match=r"bad.result\.json is not valid JSON"):
        table = board.table(tmp_path)
    assert [row[1] for row in table.rows] == ["cpu", "gpu"]
    assert [row[5:] for row in table.rows] == [
        ("80.00 %", "-", "-", "not comparable: 3 epochs"),
        ("90.00 %", "89.75 %", "+0.25", ""),
    ]
    assert [row[table.columns.index("paper")] for row in table.rows] == ["-", "89.75 %"]
    assert "| CCT-2/3x2 | cifar10 | test accuracy | 90.00 % | 89.75 % | +0.25 |" in table.to_markdown()
    assert "No results yet" in str(board.table(tmp_path, notebook="07_none"))


def test_loaded_data_is_described_with_its_sizes_and_caveats():
    from compactlib import datasets

    facts = describe(datasets.load("digits"))
    assert facts["name"] == "digits" and facts["comparable"] is False  # scikit-learn has no official split
    assert facts["train"] + facts["val"] + facts["test"] == 1797  # scikit-learn's documentation
    json.dumps(facts)


def test_the_command_repeats_the_run():
    assert command("03_cct", "smoke", {}) == "python -m compactlib run 03"
    found = command("03_cct", "gpu", {"flip": False, "note": "a b", "widths": [1, 2]})
    assert found == "python -m compactlib run 03 --profile gpu --set flip=false --set 'note=a b' --set widths=1,2"
    assert as_text(0.001) == "0.001"


def test_nan_never_gets_into_the_file(tmp_path):
    record = run(tmp_path).record(good(), data="cifar10")
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(record, seconds=math.nan).to_json()
    assert isinstance(record, Record)
