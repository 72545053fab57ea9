"""The results in data/results: complete records of committed code, and what the README says of them."""

import re

import pytest

from compactlib.paths import DATA, ROOT
from compactlib.runs import board, results
from compactlib.runs.catalogue import find

FILES = sorted((DATA / "results").glob("*.json"))
ROWS = re.findall(r"^\|.*\]\((data/results/[\w.=-]+\.json)\).*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
LINES = re.findall(r"^\|.*\]\(data/results/[\w.=-]+\.json\).*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_a_complete_record_of_a_profile(path):
    record = results.read(path)
    assert record.complete and record.code and record.results
    assert path.stem == f"{record.notebook}-{record.run}"
    (notebook,) = find(record.notebook)
    assert record.profile in ["smoke", *notebook.profiles()]
    assert record.hardware["cpu"] and record.versions["torch"]
    assert str(ROOT) not in path.read_text("utf-8")


def test_the_board_shows_them():
    assert len(board.collect(DATA / "results")) == len(FILES)


def test_the_readme_links_to_each_and_prints_its_numbers():
    assert sorted(ROWS) == [path.relative_to(ROOT).as_posix() for path in FILES]
    for name, line in zip(ROWS, LINES, strict=True):
        record = results.read(ROOT / name)
        printed = re.findall(r"\*\*(\d+\.\d+) %\*\*", line)
        found = {f"{100 * result.value:.{len(text.split('.')[1])}f}" for result in record.results for text in printed}
        assert printed and set(printed) <= found, line
