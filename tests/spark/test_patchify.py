"""patchify: patches as np.pad and view_as_windows give them, whoever cuts them; a second call does what is missing."""

import csv
import json
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from compactlib.raster import Grid, missing_pixels, open_scene
from compactlib.spark import patchify
from compactlib.spark.cut import statistics
from compactlib.spark.measure import measured
from compactlib.spark.patchify import blocks
from tests.spark.folders import contents, cut, module, stored, table


@pytest.fixture
def here(monkeypatch):
    """Tasks are done in this process, one after the other: what they do is under test, not who does them."""
    monkeypatch.setattr(
        module("patchify"), "run_tasks", lambda function, tasks, *_, **__: [measured(function, t) for t in tasks]
    )


@pytest.mark.parametrize(
    ("size", "step", "halo", "border"),
    [
        (32, 24, 0, "reflect"),
        (32, 32, 7, "constant"),
        (40, 28, 5, "drop"),
        (700, 700, 0, "reflect"),
        (16, 5, 3, "drop"),
    ],
)
def test_patches_are_those_of_the_padded_picture(here, scene, pixels, tmp_path, size, step, halo, border):
    made = patchify(scene, tmp_path / "out", size, step, halo=halo, border=border)
    found, side = table(made.out), size + 2 * halo
    margin = [(halo, halo), (halo, halo), (0, 0)]
    expected = cut(pixels, size, step, halo, border) if border != "drop" else None
    if border == "drop":  # patches lie inside; their halo is mirrored
        expected = cut(np.pad(pixels, margin, mode="reflect"), side, step, 0, "drop")
    assert made.patches == len(found) == len(expected) and made.done_before == 0
    np.testing.assert_array_equal(stored(found, "pixels", "uint8", side, side, 3), expected)
    columns = Grid(500, 700, size, step, halo, border).columns
    for name, values in {"row": np.arange(len(found)) // columns, "column": np.arange(len(found)) % columns}.items():
        np.testing.assert_array_equal(found[name], values)
        np.testing.assert_array_equal(found[{"row": "y", "column": "x"}[name]], values * step)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
@pytest.mark.parametrize("layout", [{"tile": (64, 48)}, {"rowsperstrip": 7}])
def test_all_kinds_of_pixels_and_their_statistics(here, tmp_path, dtype, layout):
    random = np.random.default_rng(1)
    whole = (
        random.normal(0, 50, (150, 170, 4)).astype(dtype)
        if dtype != "uint16"
        else random.integers(0, 65536, (150, 170, 4), dtype)
    )
    tifffile.imwrite(tmp_path / "scene.tif", whole, photometric="minisblack", planarconfig="contig", **layout)
    patchify(tmp_path / "scene.tif", tmp_path / "out", 48, 40)
    found, expected = table(tmp_path / "out"), cut(whole, 48, 40)
    np.testing.assert_array_equal(stored(found, "pixels", dtype, 48, 48, 4), expected)
    flat = expected.reshape(len(expected), -1)
    np.testing.assert_array_equal(found["low"], flat.min(1))
    np.testing.assert_array_equal(found["high"], flat.max(1))
    np.testing.assert_allclose(found["mean"], flat.mean(1, dtype=np.float64), rtol=1e-5, atol=1e-5)
    assert set(found["valid"].to_pylist()) == {1.0}


def test_sums_do_not_overflow():
    brightest = np.full((2, 300, 300, 4), 65535, np.uint16)
    assert statistics(brightest, None)["mean"].tolist() == [65535, 65535]
    assert statistics(np.full((1, 600, 600, 3), 255, np.uint8), None)["mean"].tolist() == [255]
    assert statistics(np.full((1, 300, 300, 4), -32768, np.int16), None)["mean"].tolist() == [-32768]


@pytest.mark.parametrize("nodata", [0, np.nan])
def test_statistics_leave_out_pixels_without_data(nodata):
    patches = np.random.default_rng(2).integers(1, 9, (4, 6, 5, 2)).astype(np.float32)
    patches[1, :3] = nodata  # half of it
    patches[2] = nodata
    patches[3, ..., 0] = nodata  # one channel only: it is data, but for NaN, with which no model can do anything
    found = statistics(patches, missing_pixels(patches, nodata))
    assert found["valid"].tolist() == [1, 0.5, 0, nodata == nodata]
    assert found["mean"][1] == patches[1, 3:].mean() and found["low"][1] == patches[1, 3:].min()
    assert np.isnan([found[name][2] for name in ("low", "high", "mean")]).all()
    np.testing.assert_equal(found["high"][3], patches[3].max() if nodata == nodata else np.nan)


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("float32", -3.4e38), ("uint8", 0)])
def test_a_number_for_no_data_in_one_band_is_in_no_statistic(here, tmp_path, dtype, nodata):
    whole = np.random.default_rng(5).integers(1, 9, (64, 64, 3)).astype(dtype)
    whole[:, 40, 1] = nodata
    tag = [(42113, "s", 0, repr(nodata), True)]
    tifffile.imwrite(tmp_path / "scene.tif", whole, tile=(16, 16), photometric="rgb", extratags=tag)
    patchify(tmp_path / "scene.tif", tmp_path / "out", 32, 32)
    kept = np.where(whole == whole[0, 40, 1], np.nan, whole.astype(float))
    rows = table(tmp_path / "out").to_pylist()
    assert [row["valid"] for row in rows] == [1] * 4  # as GDAL says: there are data in the other bands
    for row in rows:
        part = kept[row["y"] : row["y"] + 32, row["x"] : row["x"] + 32]
        expected = [np.nanmin(part), np.nanmax(part), np.nanmean(part)]
        np.testing.assert_allclose([row["low"], row["high"], row["mean"]], expected, rtol=1e-6)


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", "-9999"), ("float32", "nan"), ("float32", "-1")])
@pytest.mark.parametrize("values", [None, {0: 0, 1: 2}])
def test_a_mask_without_data_is_unknown_and_no_error(here, tmp_path, dtype, nodata, values):
    mask = np.zeros((64, 64), dtype)
    mask[:, 8:16], mask[:16] = 1, float(nodata)
    tifffile.imwrite(tmp_path / "scene.tif", np.ones((64, 64), np.uint8), tile=(16, 16))
    tag = [(42113, "s", 0, nodata, True)]
    tifffile.imwrite(tmp_path / "mask.tif", mask, tile=(16, 16), extratags=tag)
    patchify(tmp_path / "scene.tif", tmp_path / "out", 64, 64, mask=tmp_path / "mask.tif", values=values)
    [row] = table(tmp_path / "out").to_pylist()
    found = np.frombuffer(row["mask"], np.uint8).reshape(64, 64)
    assert row["labelled"] == 0.75 and (found[:16] == 255).all()
    np.testing.assert_array_equal(found[16:], mask[16:] * (2 if values else 1))


def test_nodata_is_what_the_file_says_or_what_is_asked(here, tmp_path):
    whole = np.ones((64, 64), np.uint8)
    whole[:, :32] = 9
    tifffile.imwrite(tmp_path / "scene.tif", whole, tile=(16, 16), extratags=[(42113, "s", 0, "9", True)])
    patchify(tmp_path / "scene.tif", tmp_path / "file", 64, 64)
    patchify(tmp_path / "scene.tif", tmp_path / "asked", 64, 64, nodata=7)
    rows = [table(tmp_path / name).to_pylist()[0] for name in ("file", "asked")]
    assert [(row["valid"], row["high"]) for row in rows] == [(0.5, 1), (1, 9)]


def test_both_engines_give_the_same_bytes(spark, scene, tmp_path):
    on_spark = patchify(scene, tmp_path / "spark", 32, 24, session=spark, progress=False)
    on_pool = patchify(scene, tmp_path / "local", 32, 24, engine="local", workers=2, progress=False)
    assert contents(on_spark.out) == contents(on_pool.out) and on_spark.parts == 12
    assert sorted(path.name for path in on_spark.out.iterdir() if path.name != ".lock") == [
        "job.json",
        "manifest.parquet",
        "parts",
        "tasks.csv",
    ]
    # One after the other in one folder, and with a task for each engine.
    assert patchify(scene, on_spark.out, 32, 24, engine="local", progress=False).done_before == 12


def test_many_scenes_and_their_masks_in_one_job(spark, tmp_path):
    random = np.random.default_rng(3)
    shapes = [(100, 130), (64, 64), (90, 200)]
    scenes = [random.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    masks = [random.choice([0, 1, 2, 255], shape).astype(np.uint8) for shape in shapes]
    masks[1][:] = 255
    for i, (picture, labels) in enumerate(zip(scenes, masks, strict=True)):
        tifffile.imwrite(tmp_path / f"{i}.tif", picture, tile=(32, 32), photometric="rgb")
        tifffile.imwrite(tmp_path / f"mask{i}.tif", labels, rowsperstrip=8)
    paths = [[tmp_path / f"{name}{i}.tif" for i in range(3)] for name in ("", "mask")]
    made = patchify(paths[0], tmp_path / "out", 32, 28, halo=2, border="constant", mask=paths[1], session=spark)
    found = table(made.out)
    pixels, labels = (
        np.concatenate([cut(whole.reshape(*whole.shape[:2], -1), 32, 28, 2, "constant", fill) for whole in wholes])
        for wholes, fill in ((scenes, 0), (masks, 255))  # beyond the scene no class is known
    )
    np.testing.assert_array_equal(stored(found, "pixels", "uint8", 36, 36, 3), pixels)
    np.testing.assert_array_equal(stored(found, "mask", "uint8", 36, 36), labels[..., 0])
    np.testing.assert_allclose(found["labelled"], (labels != 255).mean((1, 2, 3)), atol=1e-6)
    counts = [len(Grid(*shape, 32, 28)) for shape in shapes]
    assert np.bincount(found["scene"]).tolist() == counts and (made.scenes, made.patches) == (3, sum(counts))
    manifest = pq.read_table(made.out / "manifest.parquet")
    assert max(row["labelled"] for row in manifest.to_pylist() if row["scene"] == 1) == 0


def test_the_manifest_lists_every_part_with_what_is_needed_to_skip_it(here, scene, tmp_path):
    made = patchify(scene, tmp_path / "out", 32, 24)
    manifest = pq.read_table(made.out / "manifest.parquet").to_pylist()
    assert len(manifest) == made.parts == 12 and sum(row["bytes"] for row in manifest) == made.bytes
    assert [(row["row"], row["column"]) for row in manifest] == [(r, c) for r in (0, 8, 16) for c in (0, 8, 16, 24)]
    for row in manifest:
        part = pq.read_table(made.out / row["file"])
        assert row["patches"] == len(part) == row["rows"] * row["columns"]
        assert (row["low"], row["high"]) == (min(part["low"].to_pylist()), max(part["high"].to_pylist()))
        assert (made.out / row["file"]).stat().st_size == row["bytes"]
    facts = json.loads(pq.read_metadata(made.out / manifest[0]["file"]).metadata[b"compactlib"])
    assert (facts["name"], facts["shape"], facts["dtype"], facts["block"]) == (
        "scene.tif",
        [32, 32, 3],
        "uint8",
        [0, 0, 8, 8],
    )


def test_a_part_keeps_statistics_of_its_small_columns_and_rows_of_patches_as_row_groups(here, scene, tmp_path):
    patchify(scene, tmp_path / "out", 32, 24)
    part = pq.ParquetFile(tmp_path / "out" / "parts" / "scene-000-block-0008-0000.parquet")
    assert part.num_row_groups == 8  # a strip each: more is never held
    columns = [part.metadata.row_group(1).column(i) for i in range(part.metadata.num_columns)]
    found = {column.path_in_schema: column for column in columns}
    assert not found["pixels"].is_stats_set and found["pixels"].compression == "UNCOMPRESSED"
    assert (found["row"].statistics.min, found["row"].statistics.max) == (9, 9)
    assert all(column.is_stats_set for name, column in found.items() if name != "pixels")


def test_a_second_call_does_only_what_is_missing(spark, scene, tmp_path):
    first = patchify(scene, tmp_path, 32, 24, session=spark, progress=False)
    before = contents(tmp_path)
    for name in ("scene-000-block-0000-0008.parquet", "scene-000-block-0016-0024.parquet"):
        (tmp_path / "parts" / name).unlink()
    second = patchify(str(scene), tmp_path, 32, 24, session=spark, progress=False)
    assert (len(first.tasks), len(second.tasks), second.done_before) == (12, 2, 10)
    assert contents(tmp_path) == before
    with open(tmp_path / "tasks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14 and {row["part"] for row in rows[12:]} == {task["part"] for task in second.tasks}
    assert all(int(row["needed_pixels"]) > 0 and float(row["peak_rss_mb"]) > 30 and row["host"] for row in rows)


def test_a_job_that_is_done_starts_nothing(here, scene, tmp_path, monkeypatch):
    patchify(scene, tmp_path, 64, 64)
    monkeypatch.setattr(module("patchify"), "run_tasks", lambda *_, **__: pytest.fail("nothing is missing"))
    (tmp_path / "manifest.parquet").unlink()
    assert patchify(scene, tmp_path, 64, 64).tasks == [] and (tmp_path / "manifest.parquet").exists()


@pytest.mark.parametrize(("tile", "size", "step"), [(512, 256, 224), (256, 256, 224), (256, 128, 112)])
def test_tiles_are_decoded_little_more_often_than_needed(here, tmp_path, tile, size, step):
    path = tmp_path / "scene.tif"
    blank = (np.zeros((tile, tile), np.uint8) for _ in range((-(-7500 // tile)) ** 2))
    tifffile.imwrite(path, blank, shape=(7500, 7500), dtype=np.uint8, tile=(tile, tile), compression="deflate")
    tasks = patchify(path, tmp_path / "out", size, step).tasks
    decoded, needed = (sum(task[name] for task in tasks) for name in ("decoded_pixels", "needed_pixels"))
    assert 7500**2 < needed < 1.1 * 7500**2 and decoded <= 1.35 * needed


def test_strips_are_read_in_bands_that_decode_each_of_them_about_once(here, tmp_path):
    tifffile.imwrite(tmp_path / "scene.tif", np.zeros((2000, 3000), np.uint8), rowsperstrip=16, compression="deflate")
    tasks = patchify(tmp_path / "scene.tif", tmp_path / "out", 128, 112).tasks
    decoded = sum(task["decoded_pixels"] for task in tasks)
    assert len(tasks) > 2 and 2000 * 3000 <= decoded <= 1.1 * 2000 * 3000


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30000),
    st.integers(1, 30000),
    st.integers(1, 1200),
    st.integers(1, 1200),
    st.integers(4, 64),
    st.integers(1, 4),
    st.booleans(),
)
def test_a_row_of_a_block_fits_in_a_worker_however_large_the_scene(height, width, size, step, tile, channels, striped):
    class Layout:
        shape, dtype = (height, width, channels), np.dtype(np.uint8)

    scene = Layout()
    scene.striped, scene.tile = striped, (tile * 16, width if striped else tile * 16)
    grid = Grid(height, width, size, min(step, size))
    found = blocks(grid, scene)
    assert sum(block.rows * block.columns for block in found) == len(grid)
    patch = size * size * channels
    for block in found:
        # 16 MB of patches, or as many as one; to be aligned may double that.
        assert block.columns * patch <= 2 * max(16 << 20, patch)


def test_the_block_below_comes_next(here, scene, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module("patchify"),
        "run_tasks",
        lambda function, tasks, *_, **__: [seen.append(t["block"]) or measured(function, t) for t in tasks],
    )
    patchify(scene, tmp_path, 32, 24)
    assert len(seen) > 2
    for (row, column, rows, columns), following in pairwise(seen):
        assert following[:2] in ([row + rows, column], [0, column + columns])


def test_blocks_follow_the_tiles(scene):
    with open_scene(scene) as opened:
        assert {(b.row * 24 % 64, b.column * 24 % 64) for b in blocks(Grid(500, 700, 32, 24), opened)} == {(0, 0)}
