"""A folder that others may write in: a call ends with a sentence that names what is wrong there, or passes it over."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

from compactlib.spark import patchify, read_patches
from compactlib.spark.measure import measured
from tests.spark.folders import contents, module

DAMAGED = ["[]", "", "{", "null", '"patchify"', '{"kind": 3}', '{"scenes": []}', "[" * 100_000, "9" * 5000, "\xff"]


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Tasks are done in this process, one after the other."""
    monkeypatch.setattr(module("patchify"), "run_tasks", lambda f, tasks, *_, **__: [measured(f, t) for t in tasks])


@pytest.fixture
def scene(tmp_path):
    tifffile.imwrite(tmp_path / "scene.tif", np.arange(100 * 120, dtype=np.uint16).reshape(100, 120), tile=(16, 16))
    return tmp_path / "scene.tif"


@contextlib.contextmanager
def another_user(folder):
    """May read what is in a folder, and write nothing there."""
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0  # whom modes do not stop
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.fixture
def shared(scene):
    """A folder that everybody can reach, with the scene."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(scene, folder)
        yield Path(folder)


def test_what_another_user_has_finished_is_read_and_found_done(shared):
    done = cut(shared / "scene.tif", shared / "out")
    before = contents(done.out)
    with another_user(done.out):
        again = cut(shared / "scene.tif", shared / "out")
        assert (again.tasks, again.parts, again.bytes) == ([], done.parts, done.bytes)
        assert len(read_patches(done.out)) == done.patches
    assert contents(done.out) == before


def test_what_another_user_has_not_finished_is_a_sentence(shared):
    done = cut(shared / "scene.tif", shared / "out")
    next((done.out / "parts").iterdir()).unlink()
    with another_user(done.out), pytest.raises(PermissionError, match="out: the job is another user's, and not done"):
        cut(shared / "scene.tif", shared / "out")


def test_the_lock_is_for_all_who_may_write_in_the_folder(scene, tmp_path):
    (tmp_path / "out").mkdir(mode=0o775)
    (tmp_path / "out").chmod(0o775)
    done = cut(scene, tmp_path / "out")
    assert (done.out / ".lock").stat().st_mode & 0o777 == 0o664


def cut(scene, out):
    return patchify(scene, out, 32, 32, engine="local", progress=False)


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:12])
def test_a_damaged_job_is_named_at_every_door(scene, tmp_path, text):
    done = cut(scene, tmp_path / "out")
    (done.out / "job.json").write_bytes(text.encode("latin-1"))
    for door in (lambda: cut(scene, done.out), lambda: read_patches(done.out)):
        with pytest.raises(ValueError, match=r"job\.json is damaged"):
            door()


def test_a_job_that_is_no_file_is_not_read(scene, tmp_path):
    done = cut(scene, tmp_path / "out")
    (done.out / "job.json").unlink()
    os.mkfifo(done.out / "job.json")  # to read it would wait for ever
    for door in (lambda: cut(scene, done.out), lambda: read_patches(done.out)):
        with pytest.raises(ValueError, match=r"job\.json is damaged"):
            door()


def test_what_is_named_like_a_leftover_but_is_a_folder_stays(scene, tmp_path):
    done = cut(scene, tmp_path / "out")
    before = contents(done.out)
    for name in (".x.tmp", ".model-x", "parts/.y.tmp"):
        (done.out / name).mkdir()
    (done.out / "parts" / ".z.tmp").write_text("of a worker that was killed")
    assert cut(scene, done.out).tasks == []
    assert (done.out / ".x.tmp").is_dir() and not (done.out / "parts" / ".z.tmp").exists()
    for name in (".x.tmp", ".model-x", "parts/.y.tmp"):
        (done.out / name).rmdir()
    assert contents(done.out) == before


@pytest.mark.parametrize("damage", ["text", "column", "type", "path", "scene", "about", "nothing"])
def test_a_damaged_manifest_is_named_and_written_again(scene, tmp_path, damage):
    done = cut(scene, tmp_path / "out")
    path = done.out / "manifest.parquet"
    before, table = path.read_bytes(), pq.read_table(path)
    changed = {
        "column": lambda: table.drop_columns(["valid"]),
        "type": lambda: table.set_column(0, "scene", pa.array(["0"] * len(table))),
        "path": lambda: table.set_column(1, table.schema.field(1), pa.array(["../../secret.parquet"] * len(table))),
        "scene": lambda: table.set_column(0, table.schema.field(0), pa.array([7] * len(table), pa.int32())),
        "about": lambda: table.replace_schema_metadata({b"compactlib": json.dumps({"shape": []}).encode()}),
        "nothing": lambda: table.replace_schema_metadata(None),
    }
    if damage == "text":
        path.write_text("no Parquet")
    else:
        pq.write_table(changed[damage](), path)
    with pytest.raises(ValueError, match=r"manifest\.parquet is damaged"):
        read_patches(done.out)
    assert cut(scene, done.out).tasks == [] and path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_damaged_part_is_named(scene, tmp_path, content):
    done = cut(scene, tmp_path / "out")
    (part, *_) = sorted((done.out / "parts").iterdir())
    part.write_bytes(content)
    with pytest.raises(ValueError, match=f"{part.name} is missing or damaged"):
        len(read_patches(done.out))
    (done.out / "manifest.parquet").unlink()
    with pytest.raises(ValueError, match=f"{part.name} is damaged or no part of patchify"):
        cut(scene, done.out)


def test_a_file_in_the_way_of_a_folder_is_named(scene, tmp_path):
    done = cut(scene, tmp_path / "out")
    for part in (done.out / "parts").iterdir():
        part.unlink()
    (done.out / "parts").rmdir()
    (done.out / "parts").write_text("")
    with pytest.raises(ValueError, match="parts is in the way"):
        cut(scene, done.out)
