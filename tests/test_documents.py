"""Files that ask for all memory, all stack or all time: each is one sentence, at once."""

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from compactlib.documents import DocumentError, read_json, read_yaml


def chain(line):
    """Lines that each name the one before nine times."""
    return "\n".join(line.format(now, ", ".join([f"*{before}"] * 9)) for before, now in pairwise("abcdefghijkl"))


YAML = {
    "an alias bomb": "a: &a [x, x, x]\n" + chain("{0}: &{0} [{1}]"),
    "a bomb of merges": "a: &a {k: 1}\n" + chain("{0}: &{0} {{<<: [{1}], own: 1}}"),
    "a bomb in one list": "- &a [" + "x, " * 9999 + "x]\n" + "- *a\n" * 9999,
    "an alias of itself": "a: &a {b: *a}",
    "an alias of nothing": "a: *b",
    "brackets": "a: " + "[" * 50_000,
    "braces": "{a: " * 50_000,
    "dashes": "- " * 50_000 + "a",
    "question marks": "? " * 50_000 + "a",
    "a whole number": "a: " + "9" * 5000,
    "a hexadecimal number": "a: 0x" + "f" * 5000,
    "a number in base 60": "a: 1" + ":59" * 30_000,
    "a decimal number": "a: " + "1" * 5000 + ".5",
    "no number": "a: !!int abc",
    "an empty number": "a: !!float ''",
    "no boolean": "a: !!bool maybe",
    "a call": "a: !!python/object/apply:os.system [id]",
    "a name twice": "a: 1\nb: 2\na: 3",
    "a list as a name": "? [1, 2]\n: 3",
    "two documents": "a: 1\n---\na: 2",
    "a control character": "a: \x00",
    "other bytes": b"a: \xff\xfe",
    "no YAML": "a: [",
    "a large file": "# " + "x" * 300_000,
}
JSON = {
    "brackets": "[" * 100_000,
    "objects": '{"a": ' * 100_000,
    "a whole number": '{"a": ' + "9" * 5000 + "}",
    "a number too large": '{"a": 1e999}',
    "no number": '{"a": NaN}',
    "half a pair": '{"a": "\\ud800"}',
    "other bytes": b'{"a": "\xff"}',
    "half a file": '{"a": [1, 2',
    "an empty file": "",
}


def refused(read, path):
    began = time.process_time()
    with pytest.raises(DocumentError) as caught:
        read(path)
    assert time.process_time() - began < 1
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000 + len(str(path))


@pytest.mark.parametrize("content", YAML.values(), ids=YAML.keys())
def test_yaml(content, tmp_path):
    (tmp_path / "f.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(read_yaml, tmp_path / "f.yaml")


@pytest.mark.parametrize("content", JSON.values(), ids=JSON.keys())
def test_json(content, tmp_path):
    (tmp_path / "f.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(read_json, tmp_path / "f.json")


@pytest.mark.parametrize("read", [read_yaml, read_json])
def test_what_is_no_file_is_neither_waited_for_nor_read(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "zero", "loop", "none", "."):
        refused(read, tmp_path / name)


def test_what_people_write_is_read_as_yaml_reads_it(tmp_path):
    text = """
    base: &base {lr: 1.0e-3, epochs: 300, flip: true, name: "größe", none: null}
    list: [1, -2, 0x1f, .5, -3.4e+38, .inf]
    other: {<<: *base, epochs: 5}
    again: [*base, *base]
    """
    (tmp_path / "f.yaml").write_text(text, encoding="utf-8")
    assert read_yaml(tmp_path / "f.yaml") == yaml.safe_load(text)
    (tmp_path / "f.yaml").write_text("day: 2026-02-31")  # a date that is none is a text, as is one that is one
    assert read_yaml(tmp_path / "f.yaml") == {"day": "2026-02-31"}
    (tmp_path / "f.yaml").write_text("")
    assert read_yaml(tmp_path / "f.yaml") is None


def test_nothing_else_in_the_project_reads_yaml():
    root = Path(__file__).parents[1] / "compactlib"
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name == "documents.py" or not any(word in text for word in ("yaml.load", "safe_load", "yaml.full"))
