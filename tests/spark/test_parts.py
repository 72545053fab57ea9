"""The plan of a million parts: made by arithmetic, found again in one listing, and few patches share a part."""

import os
import time
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from compactlib.raster import Grid
from compactlib.spark import patchify, read_patches
from compactlib.spark.measure import measured
from compactlib.spark.parts import Parts, Source
from tests.spark.folders import contents, cut, module, stored, table


def planned(folder, *grids: Grid, rows: int = 8, columns: int = 8, together: int | None = 1) -> Parts:
    sources = [
        Source("scene.tif", None, number, "scene.tif", grid, grid.blocks(rows, columns), {}, 0)
        for number, grid in enumerate(grids)
    ]
    return Parts(sources, folder, (16, 16, 1), "uint8", together)


@pytest.fixture
def here(monkeypatch):
    """Tasks are done in this process, one after the other."""
    monkeypatch.setattr(
        module("patchify"), "run_tasks", lambda function, tasks, *_, **__: [measured(function, t) for t in tasks]
    )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 7),
)
def test_the_columns_of_a_plan_are_those_of_its_tasks(tmp_path_factory, sides, rows, columns, together):
    grids = [Grid(height, width, 16, 11) for height, width in sides]
    parts = planned(tmp_path_factory.getbasetemp(), *grids, rows=rows, columns=columns, together=together)
    found, names = parts.columns(), [os.path.basename(task["part"]) for task in parts]
    blocks = [(number, block) for number, task in enumerate(parts) for block in task.get("blocks", [task])]
    assert found["part"].tolist() == [number for number, _ in blocks]
    assert found["scene"].tolist() == [block["number"] for _, block in blocks]
    for index, name in enumerate(("row", "column", "rows", "columns")):
        assert found[name].tolist() == [block["block"][index] for _, block in blocks]
    assert names == [parts.name(number) for number in range(len(parts))] and len(set(names)) == len(parts)
    covered = [
        (block["number"], row, column)
        for _, block in blocks
        for row in range(block["block"][0], block["block"][0] + block["block"][2])
        for column in range(block["block"][1], block["block"][1] + block["block"][3])
    ]
    assert sorted(covered) == [(number, *place) for number, grid in enumerate(grids) for place in grid]
    assert parts.patches().sum() == len(covered) and len(parts.patches()) == len(parts)


@pytest.mark.parametrize("together", [1, 3])
def test_what_is_there_is_found_and_what_is_no_part_is_passed_over(tmp_path, together):
    parts = planned(tmp_path, Grid(300, 500, 16, 16), Grid(100, 90, 16, 16), together=together)
    there = np.random.default_rng(0).random(len(parts)) < 0.5
    for number in np.flatnonzero(there):
        (tmp_path / parts.name(number)).touch()
    (tmp_path / parts.name(int(np.flatnonzero(~there)[0]))).mkdir()  # a folder is no part
    strange = ["scene-000-block-0001-0000", "scene-000-block-00000-0000", "scene-007-block-0000-0000", "part-000999"]
    strange += ["scene-000-block-9999-0000", "part-0", "scene-000-block-99999999999999999999-0000", ".part-000000"]
    for name in [f"{name}.parquet" for name in strange] + ["scene-000-block-0000-0000.parquet.bak", "notes.txt"]:
        (tmp_path / name).touch()
    open(os.fsencode(tmp_path) + b"/scene-\xff.parquet", "w").close()  # no UTF-8
    np.testing.assert_array_equal(parts.done(), there)


def test_a_million_parts_are_planned_in_little_time_and_memory(tmp_path):
    grid = Grid(128_000, 128_000, 16, 16)
    tracemalloc.start()
    began = time.process_time()
    parts = planned(tmp_path / "parts", grid)
    assert len(parts) == 10**6 and parts.patches().sum() == len(grid) and not parts.done().any()
    assert parts[999_999]["block"] == [7992, 7992, 8, 8]
    assert time.process_time() - began < 5 and tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()


def test_few_patches_a_block_share_a_part(here, tmp_path, monkeypatch):
    """Scenes of one patch each, thousands of them."""
    monkeypatch.setattr(module("parts"), "MANY", 100)  # not thousands here
    random, paths = np.random.default_rng(0), []
    scenes = random.integers(0, 256, (150, 20, 20, 2), np.uint8)
    masks = random.integers(0, 3, (150, 20, 20), np.uint8)
    for number, pair in enumerate(zip(scenes, masks, strict=True)):
        paths.append([tmp_path / f"{number}.tif", tmp_path / f"mask{number}.tif"])
        for path, picture in zip(paths[-1], pair, strict=True):
            tifffile.imwrite(
                path, picture, photometric="minisblack", **({"planarconfig": "contig"} if picture.ndim > 2 else {})
            )
    made = patchify([path for path, _ in paths], tmp_path / "out", 16, 4, mask=[mask for _, mask in paths])
    assert made.parts == len(list((made.out / "parts").iterdir())) == 10 and made.patches == 600
    found = table(made.out)
    np.testing.assert_array_equal(
        stored(found, "pixels", "uint8", 16, 16, 2), np.concatenate([cut(scene, 16, 4) for scene in scenes])
    )
    manifest = pq.read_table(made.out / "manifest.parquet")
    assert len(manifest) == 150 and sum(manifest["patches"].to_pylist()) == 600
    sizes = {row["file"]: row["bytes"] for row in manifest.to_pylist()}
    assert made.bytes == sum(sizes.values()) == sum(path.stat().st_size for path in (made.out / "parts").iterdir())
    highs = [scene[:20, :20].max() for scene in scenes]
    assert manifest["high"].to_pylist() == highs

    dataset = read_patches(made.out)
    assert len(dataset) == 600 and len(dataset.parts) == 10
    image, mask = dataset[4 * 77 + 3]
    np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), scenes[77][4:20, 4:20])
    np.testing.assert_array_equal(mask.numpy(), masks[77][4:20, 4:20])

    before = contents(made.out)
    (made.out / "parts" / "part-000003.parquet").unlink()
    again = patchify([path for path, _ in paths], made.out, 16, 4, mask=[mask for _, mask in paths])
    assert (again.done_before, len(again.tasks), again.bytes) == (9, 1, made.bytes) and contents(made.out) == before


def test_a_job_of_an_older_version_keeps_its_parts(here, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "scene.tif", np.zeros((300, 300), np.uint8), tile=(16, 16))
    old = patchify(tmp_path / "scene.tif", tmp_path / "old", 96, 96)
    before = contents(old.out)
    monkeypatch.setattr(module("parts"), "MANY", 1)  # this version would put more into a part
    new = patchify(tmp_path / "scene.tif", tmp_path / "new", 96, 96)
    assert set(contents(new.out)) != set(before)
    next((old.out / "parts").iterdir()).unlink()
    assert len(patchify(tmp_path / "scene.tif", old.out, 96, 96).tasks) == 1 and contents(old.out) == before
