from pathlib import Path

import pytest

from compactlib.paths import ROOT, cache_dir, runs_dir

FOLDERS = {"COMPACT_RUNS": runs_dir, "COMPACT_CACHE": cache_dir}


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_folder_of_the_environment_is_one_folder_wherever_it_is_asked_for(variable, tmp_path, monkeypatch):
    """The command line works in the clone, a notebook's kernel in notebooks/, a task of Spark's anywhere."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for value, expected in {
        "~/there": tmp_path / "home/there",
        "~": tmp_path / "home",
        "there/it is": ROOT / "there/it is",
        str(tmp_path / "{a}"): tmp_path / "{a}",
    }.items():
        monkeypatch.setenv(variable, value)
        found = set()
        for folder in (ROOT, ROOT / "notebooks", tmp_path):
            monkeypatch.chdir(folder)
            found.add(Path(FOLDERS[variable]()).absolute())
        assert found == {expected}
    monkeypatch.setenv(variable, "~nobody-of-this-name/there")
    with pytest.raises(NotADirectoryError, match=f"{variable} is '~nobody"):
        FOLDERS[variable]()
    for unset in ("", None):
        monkeypatch.setenv(variable, unset) if unset is not None else monkeypatch.delenv(variable)
        assert FOLDERS[variable]() in (ROOT / "runs", ROOT / "data/cache")
