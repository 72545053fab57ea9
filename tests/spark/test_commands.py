"""The commands for scenes, as people type them: what they write, what they say, and how they end."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import timm
import torch

from compactlib.__main__ import main
from compactlib.datasets.drawn.aerial import aerial
from compactlib.models import save_model
from compactlib.segmentation import predict_tiled
from compactlib.spark import patchify
from tests.spark.folders import contents

SPARK = """
import sys
from compactlib.__main__ import main
status = main(sys.argv[1:])
from pyspark.sql import SparkSession
assert SparkSession.getActiveSession() is None, "the command left its session"
assert "torch" not in sys.modules and "timm" not in sys.modules, "patchify needs no PyTorch"
sys.exit(status)
"""


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_scene_writes_a_picture_and_its_mask(tmp_path, capsys):
    path, mask = tmp_path / "scene.tif", tmp_path / "mask.tif"
    assert run("scene", path, "--height", 300, "--width", 200, "--seed", 3, "--mask", mask) == 0
    for written, expected in zip((path, mask), aerial(300, 200, seed=3), strict=True):
        np.testing.assert_array_equal(tifffile.imread(written), expected)
    shown = capsys.readouterr()
    assert re.search(r"scene.tif \(0.\d MB\), .*mask.tif \(0.0 MB\): 300 x 200 pixels, ", shown.out)
    assert "100%" in shown.err


def test_patchify_on_spark_is_what_the_function_makes(spark, scene, tmp_path):
    options = ("--size", "32", "--step", "24", "--halo", "4", "--border", "constant", "--nodata", "0")
    command = [sys.executable, "-c", SPARK, "patchify", scene, tmp_path / "out", *options, "--master", "local[2,4]"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = patchify(
        scene, tmp_path / "same", 32, 24, halo=4, border="constant", nodata=0, session=spark, progress=False
    )
    assert contents(tmp_path / "out") == contents(tmp_path / "same")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(rf".*out: 609 patches, {made.parts} parts, {made.bytes / 1e6:.1f} MB, [\d.]+ s", first), first
    # How often a tile is decoded depends on which blocks a worker happens to get.
    cost = r"Read [12]\.\d MB, decoded [12]\.\d\d pixels for each one needed; peak memory of a worker \d+ MB\."
    assert re.fullmatch(cost, second), second
    # The same call from a notebook finds nothing left to do.
    again = patchify(scene, tmp_path / "out", 32, 24, halo=4, border="constant", nodata=0, session=spark)
    assert again.done_before == made.parts and not again.tasks


def test_patchify_takes_scenes_with_their_masks_and_goes_on(scene, tmp_path, capsys):
    mask = tmp_path / "mask.tif"
    tifffile.imwrite(mask, np.zeros((500, 700), np.uint8), tile=(64, 64))
    options = ("--size", 64, "--step", 64, "--mask", mask, mask, "--engine", "local", "--workers", 1)
    assert run("patchify", scene, scene, tmp_path / "out", *options) == 0
    first = capsys.readouterr().out
    assert "176 patches" in first and "done before" not in first
    assert run("patchify", scene, scene, tmp_path / "out", *options) == 0
    (second,) = capsys.readouterr().out.splitlines()
    assert re.search(r"176 patches, (\d+) parts \(\1 done before\)", second)


def test_segment_averages_the_models_of_its_files(pixels, scene, tmp_path, capsys):
    arguments = dict(in_chans=3, num_classes=3, width=4, depth=1)
    settings = dict(tile=96, halo=16, mode="blend", mean=0.5, std=0.25, batch_size=1)
    files, shares = [], []
    for seed in range(2):
        torch.manual_seed(seed)
        model = timm.create_model("unet", **arguments)
        files.append(save_model(tmp_path / f"{seed}.safetensors", model, "unet", mean=0.5, std=0.25, **arguments))
        shares.append(torch.from_numpy(predict_tiled(model, pixels, **settings)).softmax(dim=-1))
    expected = (shares[0] + shares[1]) / 2

    options = ("--tile", 96, "--halo", 16, "--mode", "blend", "--batch-size", 1, "--block", 512, "--probabilities")
    assert (
        run("segment", scene, tmp_path / "out", "--model", *files, *options, "--engine", "local", "--workers", 1) == 0
    )
    found = tifffile.imread(tmp_path / "out/probabilities.tif")
    np.testing.assert_allclose(found, 255 * expected, atol=0.501)
    mask = torch.from_numpy(tifffile.imread(tmp_path / "out/mask.tif")).long()
    best = expected.max(dim=-1).values
    torch.testing.assert_close(expected.gather(-1, mask[..., None])[..., 0], best)  # the largest, or one as large
    first, second = capsys.readouterr().out.splitlines()
    assert re.search(r"mask.tif, .*probabilities.tif: 3 classes, 2 blocks, [\d.]+ s", first)
    assert second.startswith("Read ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("patchify {folder}/none.tif {folder}/out", "none.tif does not exist"),
        ("patchify {folder} {folder}/out", "is a folder"),
        ("patchify {text} {folder}/out", "note.txt"),
        ("patchify {scene} {folder}/out --step 300", "step=300 is above size=256"),
        ("patchify {scene} {folder}/out --halo 500", "halo=500 is larger than the scene"),
        ("patchify {scene} {folder}/out --border wrap", "border='wrap' is not known"),
        ("patchify {scene} {scene} {folder}/out --mask {scene}", "2 scenes and 1 masks"),
        ("patchify {scene} {text}", "note.txt is a file"),
        ("patchify {scene} {folder}", "holds files that are no job's"),
        ("patchify {scene} {folder}/out --engine local --master local[2]", "--master local[2] is Spark's"),
        (
            "patchify {scene} {folder}/out --master local[2] --workers 3",
            "--workers 3: expected the workers of --master",
        ),
        ("patchify {scene} {folder}/out --engine local --workers 0", "--workers 0: expected 1 or more"),
        ("segment {scene} {folder}/out --model {folder}/none.safetensors", "none.safetensors is not there"),
        ("segment {scene} {folder}/out --model {text}", "note.txt is damaged or no model's file"),
        ("scene {folder}/s.tif --height 0", "height=0"),
        ("scene {folder}/s.tif --mask {folder}/s.tif", "cannot both be"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(scene, tmp_path, capsys, arguments, message):
    text = tmp_path / "note.txt"
    text.write_text("not a picture")
    assert main(arguments.format(folder=tmp_path, scene=scene, text=text).split()) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert message in said
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_another_job_in_the_folder_is_left_alone(scene, tmp_path, capsys):
    patchify(scene, tmp_path / "out", 128, 128, engine="local", workers=1, progress=False)
    before = contents(tmp_path / "out")
    assert run("patchify", scene, tmp_path / "out", "--size", 64, "--step", 64, "--engine", "local") == 2
    assert "holds another job: grid.size is 128 there, 64 is asked" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("engine", ["spark", "local"])
def test_an_interrupted_patchify_goes_on(engine, request, scene, tmp_path, capsys):
    if engine == "spark":
        request.getfixturevalue("spark")  # skips without Java
    scenes = 20 * [scene]  # 240 parts: it will not be over before the signal
    options = ("--size", "32", "--step", "24", "--engine", engine, "--workers", "2")
    command = ["patchify", *scenes, tmp_path / "out", *options]
    running = subprocess.Popen(
        [sys.executable, "-m", "compactlib", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/parts/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, said = running.communicate(timeout=60)
    assert running.returncode == 130 and out == ""
    assert said.splitlines()[-1] == "Interrupted. The same command goes on with what is left."
    assert "Traceback" not in said, said
    done = len(list(tmp_path.glob("out/parts/*.parquet")))
    assert 0 < done < 240

    assert run(*command[:-2], "--workers", "2") == 0
    (before,) = re.findall(r"240 parts \((\d+) done before\)", capsys.readouterr().out)
    assert done <= int(before) < 240
    assert not list(Path(tmp_path / "out").rglob(".*.tmp"))
