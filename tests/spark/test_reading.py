"""read_patches: what was cut comes back, pixel for pixel, as a torch Dataset and as a Spark DataFrame."""

import pickle

import numpy as np
import pytest
import tifffile
import torch
from torch.utils.data import DataLoader

from compactlib.raster import Grid, stitch
from compactlib.spark import patchify, read_patches
from compactlib.spark.measure import measured
from tests.spark.folders import cut, module

SIZE, STEP, HALO = 32, 24, 2


@pytest.fixture(scope="module")
def pictures():
    """Two scenes with their masks: (H, W, C) and (H, W); the left part of the first has no data and no classes."""
    random = np.random.default_rng(0)
    scenes = [random.integers(1, 65536, (300, 410, 4), np.uint16), random.integers(1, 65536, (90, 70, 4), np.uint16)]
    masks = [random.integers(0, 3, scene.shape[:2]).astype(np.uint8) for scene in scenes]
    scenes[0][:, :250], masks[0][:, :300] = 0, 255
    return scenes, masks


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """Patches of both, cut in this process."""
    tmp = tmp_path_factory.mktemp("patches") / "a{b,c}[d]*"  # Spark takes a path for a pattern
    tmp.mkdir()
    for kind, arrays in zip(("scene", "mask"), pictures, strict=True):
        for i, array in enumerate(arrays):
            tifffile.imwrite(
                tmp / f"{kind}{i}.tif", array, tile=(64, 64), photometric="minisblack", planarconfig="contig"
            )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            module("patchify"), "run_tasks", lambda function, tasks, *_, **__: [measured(function, t) for t in tasks]
        )
        paths = [[tmp / f"{kind}{i}.tif" for i in range(2)] for kind in ("scene", "mask")]
        patchify(paths[0], tmp / "out", SIZE, STEP, halo=HALO, mask=paths[1], nodata=0)
        patchify(paths[0], tmp / "bare", SIZE, STEP)
    return tmp


@pytest.fixture(scope="module")
def expected(pictures):
    """Patches and labels by scene, row and column."""
    found = {}
    for number, (scene, mask) in enumerate(zip(*pictures, strict=True)):
        grid = Grid(*scene.shape[:2], SIZE, STEP, HALO)
        patches, labels = cut(scene, SIZE, STEP, HALO), cut(mask[..., None], SIZE, STEP, HALO)[..., 0]
        found |= {(number, *place): pair for place, pair in zip(grid, zip(patches, labels, strict=True), strict=True)}
    return found


def places(dataset) -> list[tuple[int, int, int]]:
    return list(zip(*(dataset.table[name].to_pylist() for name in ("scene", "row", "column")), strict=True))


def test_items_are_the_patches_that_were_cut(folder, expected):
    dataset = read_patches(folder / "out")
    assert sorted(places(dataset)) == sorted(expected) and len(dataset) == len(expected)
    assert (dataset.shape, dataset.dtype, dataset.scenes) == ((36, 36, 4), np.uint16, ["scene0.tif", "scene1.tif"])
    for place, (image, mask) in zip(places(dataset), dataset, strict=True):
        pixels, labels = expected[place]
        assert image.dtype == torch.uint16 and mask.dtype == torch.int64 and image.is_contiguous()
        np.testing.assert_array_equal(image.numpy(), pixels.transpose(2, 0, 1))
        np.testing.assert_array_equal(mask.numpy(), labels)


def test_without_masks_an_item_names_its_place(folder):
    dataset = read_patches(folder / "bare")
    assert [tuple(place.tolist()) for _, place in dataset] == places(dataset)
    with pytest.raises(ValueError, match=r"bare has no masks; labelled=0\.5"):
        dataset.where(labelled=0.5)


def test_patches_stitched_are_the_scene(folder, pictures):
    dataset = read_patches(folder / "bare")
    for number, scene in enumerate(pictures[0]):
        chosen = ((row, column, image.permute(1, 2, 0).numpy()) for image, (of, row, column) in dataset if of == number)
        np.testing.assert_array_equal(stitch(dataset.grid(number), chosen, np.zeros_like(scene)), scene)


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_loader_with_two_workers_gives_every_patch_once(folder, expected, shuffled):
    dataset = read_patches(folder / "out").where(valid=0.5)
    dataset = dataset.shuffled(1) if shuffled else dataset
    dataset[0]  # opened here first; the workers read for themselves
    images, masks = zip(*DataLoader(dataset, batch_size=16, num_workers=2), strict=True)
    images, masks = torch.cat(images), torch.cat(masks)
    assert len(images) == len(dataset)
    for place, image, mask in zip(places(dataset), images, masks, strict=True):
        np.testing.assert_array_equal(image.numpy(), expected[place][0].transpose(2, 0, 1))
        np.testing.assert_array_equal(mask.numpy(), expected[place][1])


def test_where_keeps_what_has_data_and_labels_and_opens_no_other_part(folder, expected):
    every = read_patches(folder / "out")
    valid = {place for place, (pixels, _) in expected.items() if (pixels != 0).any(-1).mean() >= 0.4}
    labelled = {place for place, (_, labels) in expected.items() if (labels != 255).mean() >= 0.4}
    assert set(places(every.where(valid=0.4))) == valid
    assert set(places(every.where(labelled=0.4))) == labelled < valid < set(expected)
    both = every.where(valid=0.4).where(labelled=0.4)
    assert set(places(both)) == valid & labelled and len(both.parts) < len(every.parts)
    assert set(both.table.column_names) >= {"y", "x", "low", "high", "mean", "valid", "labelled"}
    with pytest.raises(ValueError, match=r"no patch has valid >= 0\.0 and labelled >= 1\.5; ask for less"):
        len(every.where(labelled=1.5))


def test_shuffled_is_the_same_for_the_same_seed_and_reads_each_row_group_once(folder, monkeypatch):
    every = read_patches(folder / "out")
    first, again, other = (every.shuffled(seed) for seed in (5, 5, 6))
    assert places(first) == places(again) != places(other)
    assert sorted(places(first)) == sorted(places(other)) == sorted(places(every)) != places(first)
    read = []
    opened = type(first)._file
    monkeypatch.setattr(type(first), "_file", lambda self, part: read.append(part) or opened(self, part))
    len(first)
    index_reads = len(read)
    for _ in first:
        pass
    groups = sum(opened(first, part).num_row_groups for part in range(len(first.parts)))
    assert groups > 8 and len(read) - index_reads == groups


def test_a_dataset_travels_without_its_pixels(folder):
    dataset = read_patches(folder / "out")
    dataset[0]
    copy = pickle.loads(pickle.dumps(dataset))
    assert len(copy._groups) == 0 and torch.equal(copy[3][0], dataset[3][0])


def test_a_dataframe_has_the_same_patches(folder, pictures, expected, spark):
    dataset = read_patches(folder / "out").where(valid=0.5)
    frame = dataset.dataframe(spark)
    assert frame.count() == len(dataset)
    rows = frame.where("scene = 0").select("scene", "row", "column", "y", "x", "pixels", "mask").collect()
    assert sorted(tuple(row[:3]) for row in rows) == [place for place in sorted(places(dataset)) if place[0] == 0]
    for row in rows[:20]:
        pixels, labels = expected[tuple(row[:3])]
        assert (row["y"], row["x"]) == (row["row"] * STEP, row["column"] * STEP)
        assert bytes(row["pixels"]) == pixels.tobytes() and bytes(row["mask"]) == labels.tobytes()
    filled = sum((cut(picture, SIZE, STEP) > 0).any((1, 2, 3)).sum() for picture in pictures[0])
    assert read_patches(folder / "bare").dataframe(spark).where("high > 0").count() == filled


def test_an_item_is_the_callers_to_change(tmp_path, monkeypatch):
    grey = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    tifffile.imwrite(tmp_path / "grey.tif", grey, tile=(32, 32))
    monkeypatch.setattr(module("patchify"), "run_tasks", lambda function, tasks, *_, **__: [*map(function, tasks)])
    monkeypatch.setattr(module("patchify"), "append_rows", lambda *_: None)
    patchify(tmp_path / "grey.tif", tmp_path / "out", 32, 32)
    dataset = read_patches(tmp_path / "out")
    dataset[0][0].zero_()
    np.testing.assert_array_equal(dataset[0][0].numpy(), grey[None, :32, :32])


def test_a_folder_that_is_not_ready_is_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="no job's folder"):
        read_patches(tmp_path)
    (tmp_path / "job.json").write_text((folder / "out" / "job.json").read_text())
    with pytest.raises(ValueError, match=r"the job is not done; the same call of patchify\(\) goes on with it"):
        read_patches(tmp_path)
    (tmp_path / "job.json").write_text('{"kind": "segment"}')
    with pytest.raises(ValueError, match=r"holds a job of segment\(\); expected one that patchify\(\) wrote"):
        read_patches(tmp_path)
