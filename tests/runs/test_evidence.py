"""What a record of evidence must hold, and that its intervals are those of SciPy and statsmodels' formulas."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from compactlib import lab
from compactlib.runs.evidence import FOLDER, Evidence, EvidenceError, Row, gather, problems, write
from compactlib.runs.results import Record, Result

FACTS = dict(
    name="toy", question="Is A better?", metric="test accuracy", unit="fraction",
    data=({"name": "digits", "train": 10, "checksum": "ab"},), selection="the validation part", command="python -m x",
    hardware={"cpu": "a"}, versions={"torch": "2"}, code=None, minutes=1.0, finished="2026-12-01T00:00:00+00:00",
)  # fmt: skip
ROWS = (Row("A", (0.9, 0.92, 0.94)), Row("B", (0.91, 0.9, 0.95)), Row("C", (0.5, 0.52, 0.51), baseline=True))


def test_intervals_are_students_and_wilsons():
    low, high = ROWS[0].interval()
    values = np.array(ROWS[0].values)
    half = 4.302652729696142 * values.std(ddof=1) / math.sqrt(3)  # t of 97.5 % with two degrees of freedom
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))
    p, n, z = 0.8, 50, 1.959963984540054
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    expected = [(middle + sign * half) / (1 + z * z / n) for sign in (-1, 1)]
    assert Row("nearest", (0.8,), True, items=50).interval() == pytest.approx(expected)
    assert Row("always", (0.5,) * 3).interval() == (0.5, 0.5)


def test_two_rows_are_compared_by_welchs_test_in_words():
    found = Evidence(rows=ROWS, **FACTS)
    for one, other in (("A", "B"), ("A", "C")):
        p = stats.ttest_ind(found[one].values, found[other].values, equal_var=False).pvalue
        assert ("no difference seen" in found.compare(one, other)) == (p > 0.05)
    assert found.compare("A", "C").startswith("A is above C (+41.0 points")
    assert "below" in found.compare("C", "A")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rows": (Row("A", (0.9, 0.9)), ROWS[2])}, "fewer than 3 runs: A"),
        ({"rows": ROWS[:2]}, "no baseline"),
        ({"rows": ROWS[2:]}, "besides the baselines"),
        ({"rows": (Row("A", (0.9, 0.9, math.nan)), ROWS[2])}, "finite"),
        ({"data": ()}, "checksum"),
        ({"data": ({"name": "digits"},)}, "checksum"),
        ({"selection": " "}, "settings"),
        ({"selection": "the test part"}, "test data"),
        ({"command": ""}, "command"),
        ({"hardware": {}}, "hardware"),
    ],
)
def test_a_record_that_proves_nothing_is_refused(changed, said):
    with pytest.raises(EvidenceError, match=said):
        Evidence(**{"rows": ROWS, **FACTS, **changed})


def record(seed: int) -> Record:
    results = [
        Result("A", "digits", 0.9 + seed / 100),
        Result("near", "digits", 0.6),
        Result("A", "digits", 1.0, "loss", ""),
    ]
    return Record(
        notebook="03_cct", run=f"s{seed}", profile="smoke", overrides={}, parameters={}, seed=seed,
        data=list(FACTS["data"]), results=results, versions={"torch": "2"}, code=None, hardware={"cpu": "a"},
        seconds=30.0, peak_memory={}, command="x", started=FACTS["finished"], finished=FACTS["finished"],
    )  # fmt: skip


def test_a_sweeps_records_become_evidence_and_come_back_from_the_disk(tmp_path):
    asked = dict(question="Is A better?", metric="test accuracy", baselines=["near"], selection="nothing was chosen")
    found = gather("toy", asked, [record(seed) for seed in (2, 0, 1)], "python -m compactlib sweep toy.yaml")
    assert found["A"].values == pytest.approx((0.9, 0.91, 0.92)) and found["near"].baseline and found.minutes == 1.5
    write(found, tmp_path)
    again = lab.evidence("toy", tmp_path)
    assert asdict(again) == asdict(found) and "near (baseline)" in str(again)
    content = json.loads((tmp_path / "toy.json").read_text())
    (tmp_path / "toy.json").write_text(json.dumps(content | {"more": 1}))
    with pytest.raises(EvidenceError, match="more"):
        lab.evidence("toy", tmp_path)
    with pytest.raises(FileNotFoundError, match="toy"):
        lab.evidence("other", tmp_path)
    with pytest.raises(EvidenceError, match="fewer than 3 runs"):
        gather("toy", asked, [record(0), record(1)], "x")


def test_what_a_sweep_must_say():
    asked = dict(question="Is A better?", metric="test accuracy", baselines=["near"], selection="nothing was chosen")
    assert not problems(asked) and not problems(asked | {"rows": ["A", "near"]})
    for wrong in (None, [], {}, asked | {"baselines": []}, asked | {"rows": "A"}, asked | {"answer": "yes"}):
        assert problems(wrong), wrong


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_committed_evidence_holds(path):
    found = lab.evidence(path.stem)
    assert found.name == path.stem and len(found.rows) >= 2
    assert all(low <= row.mean <= high for row in found.rows for low, high in [row.interval()])
    assert replace(found) and "/" not in found.hardware["cpu"]


def test_a_picture_shows_every_run_the_mean_and_the_interval():
    found = Evidence(rows=ROWS, **FACTS)
    [axis] = lab.figures.evidence(found).axes
    bars, runs, means = axis.lines[0::3], axis.lines[1::3], axis.lines[2::3]
    for row, bar, dots, mean in zip(ROWS, bars, runs, means, strict=True):
        assert bar.get_xdata() == pytest.approx([100 * end for end in row.interval()])
        assert dots.get_xdata() == pytest.approx([100 * value for value in row.values])
        assert mean.get_xdata() == pytest.approx([100 * row.mean])
    assert [text.get_text() for text in axis.get_yticklabels()] == ["A", "B", "C\n(baseline)"]
    assert axis.get_xlabel().startswith("test accuracy (%)") and axis.get_ylim() == (2.5, -0.5)
