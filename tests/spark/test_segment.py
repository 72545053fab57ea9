"""The mask of a scene, made in blocks by many processes, against what the models give for the whole scene at once."""

import json
import math
import os
import pickle
import shutil
import sys
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
import tifffile
import timm
import torch
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import save_model
from compactlib.raster import create_mosaic, open_scene
from compactlib.segmentation import predict_tiled
from compactlib.spark import segment
from compactlib.spark.measure import measured
from compactlib.spark.segment_tasks import BlockTasks
from tests.raster.test_vrt import assembled
from tests.spark.folders import module

GEO = {
    33550: (12, 3, (0.5, 0.5, 0.0)),  # pixels of half a metre
    33922: (12, 6, (0.0, 0.0, 0.0, 600000.0, 5300000.0, 0.0)),
    34735: (3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32632)),
}
MEAN, STD = (0.4, 0.6), (0.2, 0.3)


def write(path, pixels, nodata=None):
    tags = [(code, *tag, True) for code, tag in GEO.items()]
    tags += [] if nodata is None else [(42113, 2, 0, str(nodata), True)]
    layout = dict(tile=(256, 256), compression="deflate", photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(path, pixels, **layout, extratags=tags)
    return path


def pixels_of(height, width, dtype=np.uint8):
    """Blurred noise, two channels, with a corner of zeros."""
    noise = torch.rand(1, 2, height // 8 + 1, width // 8 + 1, generator=torch.Generator().manual_seed(1))
    smooth = nn.functional.interpolate(noise, scale_factor=8, mode="bilinear")[0, :, :height, :width]
    pixels = (255 * smooth.permute(1, 2, 0).numpy()).astype(dtype)
    pixels[-90:, -70:] = 0
    return pixels


def unpadded(classes=3):
    return timm.create_model("unet_valid", in_chans=2, num_classes=classes, width=4, depth=2)  # loses 20 pixels


def padded(classes=3, **arguments):
    return timm.create_model("unet", in_chans=2, num_classes=classes, width=4, depth=2, **arguments)


PADDED = padded()


@pytest.fixture(scope="module")
def pixels():
    return pixels_of(610, 1101)


@pytest.fixture(scope="module")
def scene(tmp_path_factory, pixels):
    return write(tmp_path_factory.mktemp("scene") / "scene.tif", pixels)


@contextmanager
def this_process():
    """Arguments for a job whose blocks are made in this process. A pool, which takes seconds to start, gives the same
    bytes: see the first test, and test_segment_faults.py."""

    def run(function, tasks, *_, **__):
        return [measured(function, task) for task in tasks]

    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module("segment"), "run_tasks", run)
        yield {"engine": "local", "progress": False}
    torch.set_num_threads(threads)  # a worker takes one


@pytest.fixture
def here():
    with this_process() as arguments:
        yield arguments


def test_an_unpadded_unet_gives_its_one_pass_mask(tmp_path, scene, pixels):
    model = unpadded().double()  # in float32, classes that are as good as equal depend on the order of a sum
    done = segment(scene, model, tmp_path / "out", tile=128, block=512, engine="local", workers=2, progress=False)
    assert (done.classes, done.blocks, done.done_before, len(done.tasks)) == (3, 6, 0, 6)
    assert {"seconds", "cpu_seconds", "pid", "bytes_read", "decoded_pixels", "peak_rss_mb"} <= set(done.tasks[0])
    assert sum(task["pixels"] for task in done.tasks) == 610 * 1101
    mirrored = np.pad(pixels, [(20, 20 + -side % 4) for side in pixels.shape[:2]] + [(0, 0)], mode="reflect")
    with torch.inference_mode():
        scores = model.eval()(torch.from_numpy(mirrored).permute(2, 0, 1)[None].contiguous().float().div(255).double())
    expected = scores[0, :, :610, :1101].argmax(0).numpy()
    assert len(np.unique(expected)) == 3
    np.testing.assert_array_equal(tifffile.imread(done.mask), expected)


def test_blended_tiles_and_probabilities_are_those_of_the_whole_scene(tmp_path, scene, pixels, here):
    path = save_model(
        tmp_path / "unet.safetensors", padded(), "unet", mean=MEAN, std=STD, in_chans=2, num_classes=3, width=4, depth=2
    )
    options = dict(tile=96, halo=16, batch_size=1, probabilities=True, block=512)
    done = segment(scene, path, tmp_path / "out", **options, **here)
    torch.manual_seed(0)  # the same weights again
    scores = predict_tiled(padded(), pixels, 96, 16, "blend", mean=MEAN, std=STD, batch_size=1)
    np.testing.assert_array_equal(tifffile.imread(done.mask), scores.argmax(-1))
    expected = 255 * torch.from_numpy(scores).softmax(-1).numpy()
    found = tifffile.imread(done.probabilities)
    assert found.dtype == np.uint8 and found.shape == (610, 1101, 3)
    assert np.abs(found - expected).max() <= 0.501 and found.std() > 1


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory, pixels):
    """A scene with nodata, two models, and what comes of them."""
    folder = tmp_path_factory.mktemp("ensemble")
    scene = write(folder / "scene.tif", pixels, nodata=0)
    torch.manual_seed(0)
    one, other = unpadded(), padded()
    path = folder / "one.safetensors"
    save_model(path, one, "unet_valid", mean=0.5, std=0.2, in_chans=2, num_classes=3, width=4, depth=2)
    options = dict(probabilities=True, block=1024)
    with this_process() as here:
        done = segment(scene, [path, other], folder / "out", **options, **here)
    return scene, (one, other), ([path, other], options), done


def test_an_ensemble_is_the_mean_of_probabilities_and_the_georeference_stays(ensemble, pixels):
    scene, (one, other), _, done = ensemble
    empty = (pixels == 0).all(-1)
    white = (pixels / 255).astype(np.float32)
    scores = (  # what has no data is the mean: 0.5 where that is the mean, 0 where none is given
        predict_tiled(one, np.where(empty[..., None], np.float32(0.5), white), 516, 20, mean=0.5, std=0.2),
        predict_tiled(other, white, 384, 64, "blend"),
    )
    expected = sum(torch.from_numpy(each).softmax(-1).numpy() for each in scores) / 2
    assert empty.sum() >= 90 * 70
    mask, shares = tifffile.imread(done.mask), tifffile.imread(done.probabilities)
    assert (mask[empty] == 255).all() and (mask[~empty] < 3).all() and not shares[empty].any()
    assert np.abs(shares - 255 * expected)[~empty].max() <= 0.501
    first, second = np.sort(expected, axis=-1)[..., :-3:-1].transpose(2, 0, 1)
    sure = ~empty & (first - second > 1e-5)
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(mask[sure], expected.argmax(-1)[sure])

    for product, nodata in ((done.mask, 255), (done.probabilities, None)):
        with open_scene(product) as written, open_scene(scene) as source, tifffile.TiffFile(product) as tiff:
            assert written.geo == source.geo and written.nodata == nodata and set(written.geo) == set(GEO)
            assert tiff.pages.first.tags[33922].value == GEO[33922][2] and tiff.is_bigtiff


def test_spark_gives_the_same_bytes(ensemble, tmp_path, spark):
    scene, _, (models, options), made = ensemble
    done = segment(scene, models, tmp_path / "out", session=spark, progress=False, **options)
    assert (done.blocks, len(done.tasks)) == (2, 2)
    assert done.mask.read_bytes() == made.mask.read_bytes()
    assert done.probabilities.read_bytes() == made.probabilities.read_bytes()


@pytest.mark.parametrize("nodata", [np.nan, -9999])
def test_missing_pixels_of_floats_do_not_spread(tmp_path, nodata, here):
    pixels = pixels_of(300, 280, np.float32) / 255
    filled = pixels.copy()
    pixels[100:103, 50:200], filled[100:103, 50:200] = nodata, 0
    masks = []
    for name, array, tag in (("holes", pixels, nodata), ("filled", filled, None)):
        done = segment(write(tmp_path / f"{name}.tif", array, tag), PADDED, tmp_path / name, **here)
        masks.append(tifffile.imread(done.mask))
    assert (masks[0][100:103, 50:200] == 255).all()
    masks[0][100:103, 50:200] = masks[1][100:103, 50:200]
    np.testing.assert_array_equal(*masks)


def test_a_block_without_data_is_not_predicted(tmp_path, here):
    pixels = pixels_of(600, 1100)
    pixels[:, 400:] = 0
    done = segment(write(tmp_path / "scene.tif", pixels, 0), PADDED, tmp_path / "out", block=512, **here)
    mask = tifffile.imread(done.mask)
    assert (mask[:, 400:] == 255).all() and (mask[:, :300] < 3).all()


def test_another_call_does_what_is_missing_and_nothing_else(tmp_path, scene, here):
    out = tmp_path / "out"
    call = dict(block=512, **here)
    first = segment(scene, PADDED, out, **call)
    mask = first.mask.read_bytes()
    assert sorted(path.name for path in out.iterdir() if path.name != ".lock") == [
        "blocks",
        "job.json",
        "mask.tif",
        "tasks.csv",
    ]
    again = segment(scene, PADDED, out, **call)
    assert (again.done_before, again.tasks, again.mask.read_bytes()) == (6, [], mask)

    torch.manual_seed(1)
    for change, said in (
        ({"model": padded()}, r"models\[0\].weights is"),
        ({"probabilities": True}, "probabilities is false there, true is asked"),
        ({"tile": 128}, r"models\[0\].tile is 384 there, 128 is asked"),
        ({"mean": 0.5, "std": 0.2}, "mean"),
    ):
        with pytest.raises(ValueError, match=f"holds another job: .*{said}"):
            segment(scene, **{"model": PADDED, "out": out, **call, **change})

    first.mask.unlink()  # taken away: made again
    anew = segment(scene, PADDED, out, **call)
    assert anew.done_before == 0 and len(anew.tasks) == 6 and anew.mask.read_bytes() == mask
    assert len((out / "tasks.csv").read_text().splitlines()) == 1 + 6 + 6


def test_blocks_start_where_tiles_start(tmp_path, scene, here):
    done = segment(scene, PADDED, tmp_path / "out", **here)
    asked = json.loads((done.out / "job.json").read_text())
    assert asked["models"][0]["tile"] == 384 and asked["block"] == [1536, 1536]  # 4 tiles of 384, 3 of the mask's 512


def test_a_striped_scene_is_made_in_bands(tmp_path, here):
    pixels, path = pixels_of(700, 1500), tmp_path / "scene.tif"
    layout = dict(photometric="minisblack", planarconfig="contig", compression="deflate")
    tifffile.imwrite(path, pixels, rowsperstrip=8, **layout)
    options = dict(tile=256, halo=16, batch_size=1, **here)
    bands = segment(path, PADDED, tmp_path / "bands", **options)
    squares = segment(path, PADDED, tmp_path / "squares", block=1024, **options)
    assert json.loads((bands.out / "job.json").read_text())["block"] == [512, 1536]
    expected = predict_tiled(PADDED, pixels, 256, 16, "blend", batch_size=1).argmax(-1)
    np.testing.assert_array_equal(tifffile.imread(bands.mask), expected)
    np.testing.assert_array_equal(tifffile.imread(squares.mask), expected)

    def total(done, name):
        return sum(task[name] for task in done.tasks)

    # A strip is as wide as the scene: a band decodes what it needs, a square what lies beside it as well.
    assert total(bands, "decoded_pixels") <= 1.05 * total(bands, "needed_pixels")
    assert total(squares, "decoded_pixels") >= 1.5 * total(squares, "needed_pixels")
    assert total(bands, "decoded_pixels") < total(squares, "decoded_pixels")


@pytest.mark.parametrize("flat", [1000, 2], ids=["one VRT", "a VRT for each row"])
def test_a_mask_of_many_files_is_the_mask_of_one(ensemble, tmp_path, here, monkeypatch, flat):
    scene, _, (models, options), _ = ensemble
    monkeypatch.setattr(module("products"), "FLAT", flat)
    call = dict(options | {"block": 512}, mosaic="files", **here)
    done = segment(scene, models, tmp_path / "out", **call)
    assert (done.mask.name, done.probabilities.name, done.blocks) == ("mask.vrt", "probabilities.vrt", 6)
    one = segment(scene, models, tmp_path / "one", **options | {"block": 512}, **here)
    for many, whole in ((done.mask, one.mask), (done.probabilities, one.probabilities)):
        expected = np.atleast_3d(tifffile.imread(whole))
        np.testing.assert_array_equal(assembled(many), expected)
        for row, column in ((0, 1), (1, 2)):
            with open_scene(many.with_suffix("") / f"{row:04d}_{column:04d}.tif") as part, open_scene(whole) as other:
                y, x = 512 * row, 512 * column
                np.testing.assert_array_equal(part[0:512, 0:512], expected[y : y + 512, x : x + 512])
                assert part.nodata == other.nodata and part.geo[33550] == GEO[33550]
                assert part.geo[33922][2] == (-x, -y, 0, 600000, 5300000, 0)

    # What somebody took away is made again, and nothing else; a folder of the other kind is another job.
    before = {path: path.read_bytes() for path in done.out.rglob("*") if path.is_file() and path.name != "tasks.csv"}
    (done.mask.with_suffix("") / "0000_0002.tif").unlink()
    (done.probabilities.with_suffix("") / "0001_0001.tif").unlink()
    done.mask.unlink()
    again = segment(scene, models, done.out, **call)
    assert (again.done_before, len(again.tasks)) == (4, 2)
    assert {path: path.read_bytes() for path in before} == before
    assert segment(scene, models, done.out, **call).tasks == []
    for folder, how in ((done.out, "file"), (one.out, "files")):
        with pytest.raises(ValueError, match="holds another job: mosaic is .* there, .* is asked"):
            segment(scene, models, folder, **call | {"mosaic": how})


def test_a_worker_parses_the_tables_of_tiles_once(tmp_path, scene, here, monkeypatch):
    """Of the scene and of both mosaics; with each block they would cost a job of millions of tiles years."""
    parsed = []
    for name, of in (("read_page", "compactlib.raster.scene"), ("_Layout", "compactlib.raster.mosaic")):
        original = getattr(sys.modules[of], name)
        monkeypatch.setattr(sys.modules[of], name, lambda path, *a, o=original: parsed.append(str(path)) or o(path, *a))
    done = segment(scene, PADDED, tmp_path / "out", block=512, probabilities=True, **here)
    assert len(done.tasks) == 6 and len(parsed) == 4  # the scene by the driver as well
    assert sum(task["needed_pixels"] for task in done.tasks) > 610 * 1101 > done.tasks[0]["needed_pixels"]


def test_a_mark_that_no_worker_wrote_is_not_believed(tmp_path, scene, here):
    done = segment(scene, PADDED, tmp_path / "out", block=512, **here)
    tasks = []
    for mark, content in zip(
        sorted((done.out / "blocks").iterdir()), ("[]", "{", '{"row": "0"}', "[" * 9999), strict=False
    ):
        mark.write_text(content)
    with pytest.MonkeyPatch.context() as patched:
        # The driver asks whether a mark is there; the worker, which may have come late, what it says.
        patched.setattr(module("segment_tasks").BlockTasks, "marked", lambda self: np.zeros(len(self), bool))
        patched.setattr(
            module("segment"), "run_tasks", lambda f, found, *_, **__: tasks.extend(map(f, found)) or [{"row": 0}] * 6
        )
        segment(scene, PADDED, tmp_path / "out", block=512, **here)
    assert [set(task) for task in tasks] == [set(tasks[0])] * 6 and sum(task["pixels"] for task in tasks) == 610 * 1101


def test_a_packed_model_that_someone_changed_is_not_opened(tmp_path, scene, here, monkeypatch):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    def swapped(function, tasks, *_, **__):
        (packed,) = (tmp_path / "out").glob(".model-*")
        packed.write_bytes(pickle.dumps(Trap()))
        return [function(task) for task in tasks]

    monkeypatch.setattr(module("segment"), "run_tasks", swapped)
    with pytest.raises(ValueError, match=r"\.model-[0-9a-f]{64}\.pt is not the file that this job wrote"):
        segment(scene, PADDED, tmp_path / "out", block=512, engine="local", progress=False)
    assert not (tmp_path / "sprung").exists()


def test_a_mask_of_a_million_blocks_is_planned_in_little_time_and_memory(tmp_path):
    tracemalloc.start()
    began = time.process_time()
    tasks = BlockTasks((10**6, 10**6), (1000, 1000), tmp_path)
    assert len(tasks) == 10**6 and not tasks.marked().any() and tasks.weights().sum() == 10**12
    assert time.process_time() - began < 5 and tracemalloc.get_traced_memory()[1] < 200e6
    tracemalloc.stop()
    uneven = BlockTasks((2500, 1800), (1000, 1000), tmp_path)
    windows = [task["window"] for task in uneven]
    assert windows[:2] == [[0, 0, 1000, 1000], [1000, 0, 1000, 1000]]  # the largest first, else row by row
    assert windows[2:4] == [[0, 1000, 1000, 800], [1000, 1000, 1000, 800]]
    assert windows[4:] == [[2000, 0, 500, 1000], [2000, 1000, 500, 800]]
    assert uneven.weights().tolist() == [window[2] * window[3] for window in windows]


class Silent(nn.Module):
    """A model that says nothing about itself."""

    def __init__(self, **answer):
        super().__init__()
        self.conv = nn.Conv2d(**{"in_channels": 2, "out_channels": 3, "kernel_size": 1, **answer})

    def forward(self, x):
        return self.conv(x)


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        (timm.create_model("unet", width=4), {}, "an image of 2 channels; the model has in_chans=3"),
        (Silent(in_channels=3), {}, "Silent and .*scene.tif do not go together: .*3 channels"),
        (nn.Sequential(Silent(), nn.Flatten()), {}, "answered with shape"),
        (padded(1), {}, "UNet gives 1 scores a pixel; expected 2 to 255 classes"),
        (Silent(out_channels=256), {}, "Silent gives 256 scores a pixel"),
        ([padded(), padded(4)], {}, r"an ensemble have \[3, 4\] classes; expected the same number"),
        ([padded(), timm.create_model("unet", width=4)], {}, r"model 1 \(UNet\) and .* in_chans=3"),
        ([], {}, "no model is given"),
        ("nowhere.safetensors", {}, "nowhere.safetensors is not there"),
        (padded(), {"tile": 128, "halo": 700}, "halo=700 is larger than the image, which has 610 x 1101 pixels"),
        (padded(), {"halo": 16}, "halo=16 is given without a tile"),
        (padded(), {"tile": 0}, "tile=0: expected a whole number"),
        (padded(), {"mode": "hann"}, "mode='hann' is unknown"),
        (unpadded(), {"tile": 128, "halo": 16}, "use halo=20"),
        (padded(), {"mean": 0.5}, "mean and std belong together"),
        (padded(), {"mean": (1, 2, 3), "std": 1}, "expected 2, one per channel"),
        (padded(), {"block": 700}, "block=700: expected a multiple of 512"),
        (padded(), {"batch_size": 0}, "batch_size=0"),
        (padded(), {"mosaic": "vrt"}, "mosaic='vrt' is unknown; expected 'file' or 'files'"),
        (padded(), {"engine": "dask"}, "engine='dask' is unknown"),
    ],
)
def test_what_cannot_work_is_named_before_any_task(tmp_path, scene, model, options, said):
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        segment(scene, model, tmp_path / "out", **{"engine": "local", **options})
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_seen_first(tmp_path):
    """For real: 255 channels of probabilities of a scene whose pixels, all holes, are 1/128 of what the disk has."""
    side = 512 + math.isqrt(shutil.disk_usage(tmp_path).free // 128)
    try:
        create_mosaic(tmp_path / "scene.tif", side, side)
    except OSError as error:
        pytest.skip(f"the file system does not hold a file of {side**2 / 1e9:.1f} GB, all holes: {error}")
    model = Silent(in_channels=1, out_channels=255)
    with pytest.raises(OSError, match="No room in .*out: [0-9.,]+ GB are needed and"):
        segment(tmp_path / "scene.tif", model, tmp_path / "out", tile=64, probabilities=True, engine="local")
    assert not (tmp_path / "out").exists()
