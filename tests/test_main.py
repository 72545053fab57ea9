"""The command line itself; what the commands do is tested with the rooms that do it."""

import io
import math
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import pytest

from compactlib.__main__ import main
from compactlib.lab import Result
from compactlib.runs import results
from compactlib.spark import commands as scenes
from tests.runs.samples import notebook, record_of


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_no_command_stops_at_a_sign_that_the_terminal_does_not_know(encoding, tmp_path):
    path = notebook(tmp_path / "03_toy.ipynb", "## Größe → 3 × 3", "raise ValueError('1 → 2')")
    (tmp_path / "sweep.yaml").write_text(f"notebook: {path}\nset: {{dataset: größe → κ}}\n", encoding="utf-8")
    found = [Result("CCT → κ", "größe", 0.9, note="± 1 Prozentpunkt — «knapp»")]
    record = record_of(notebook="03_toy", run="smoke", results=found)
    results.write(replace(record, command="python → κ"), tmp_path / "runs/03_toy/smoke")
    runs = ["--runs", str(tmp_path / "runs")]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        assert main(["list", "00"]) == main(["list"]) == main(["doctor"]) == 0
        assert main(["board", *runs]) == main(["board", "--markdown", *runs]) == 0
        assert main(["sweep", str(tmp_path / "sweep.yaml"), "--list", *runs]) == 0
        assert main(["run", str(path), "--set", "dataset=größe → κ", *runs]) == 1
        assert main(["run", "größe → κ"]) == 2
    said, problem = (stream.buffer.getvalue().decode(encoding) for stream in (out, err) if not stream.flush())
    assert r"CCT \u2192 \u03ba" in said and r"ValueError: 1 \u2192 2" in said and r"\u2192 \u03ba" in problem


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-3.4e38", -3.4e38), ("-3.4028234663852886E+38", -3.4028234663852886e38), ("-9999", -9999), ("-1.5", -1.5),
        ("-.5e-3", -0.0005), ("-inf", -math.inf), ("1e20", 1e20), ("1e3", 1000), ("255", 255), ("nan", math.nan),
        ("-nan", math.nan),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["patchify", "segment"])
def test_nodata_may_be_any_number(command, text, value, monkeypatch):
    given = []
    monkeypatch.setattr(scenes, f"{command}_command", lambda **options: given.append(options["nodata"]) or 0)
    model = ["--model", "m.safetensors"] if command == "segment" else []
    assert main([command, "scene.tif", "out", "--nodata", text, *model]) == 0
    assert main([command, "--nodata", text, "scene.tif", "out", *model]) == 0
    assert main([command, "scene.tif", "out", f"--nodata={text}", *model]) == 0
    assert [type(one) for one in given] == [type(value)] * 3
    assert all(one == value or (math.isnan(one) and math.isnan(value)) for one in given)


def test_a_number_with_a_typing_error_is_none(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["patchify", "scene.tif", "out", "--nodata", "-3.4e"])
    assert "--nodata" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    path = notebook(tmp_path / "03_toy.ipynb", "1")
    assert main(["run", str(path), "--runs", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "file") in said and "Traceback" not in said
