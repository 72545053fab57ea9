"""Training on Spark against the same steps taken here by plain PyTorch, and what misfits get."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import timm
import torch
from torch.nn.functional import cross_entropy

from compactlib.models import load_model, read_facts
from compactlib.spark import TaskError, patchify, read_patches
from compactlib.spark.training import train_on_patches
from compactlib.training.seeding import seeded

ARGUMENTS = dict(in_chans=3, num_classes=2, width=4, depth=1, norm="none")
EPOCHS, BATCH, LR, SEED = 3, 8, 5e-3, 4

CLUSTER = """
import json, shutil, sys
from pathlib import Path
from pyspark.find_spark_home import _find_spark_home
from compactlib.spark import session
from compactlib.spark.training import train_on_patches

patches, out, arguments, settings = *sys.argv[1:3], *map(json.loads, sys.argv[3:])
running = session("local-cluster[2,1,1024]")
try:
    train_on_patches(patches, "unet", arguments, out, **settings, num_processes=2, session=running, progress=False)
finally:
    work = Path(_find_spark_home()) / "work" / running.sparkContext.applicationId
    running.stop()
    shutil.rmtree(work)  # a local cluster keeps the executors' folders there
"""


def write(folder, spark, labels: np.ndarray):
    """Patches of 32 pixels, 64 of them, of a picture that is brighter where the class is 1."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 100, (256, 256, 3)) + 120 * (labels == 1)[..., None]
    tifffile.imwrite(folder / "scene.tif", pixels.astype(np.uint8), tile=(64, 64), photometric="rgb")
    tifffile.imwrite(folder / "mask.tif", labels, tile=(64, 64))
    made = patchify(
        folder / "scene.tif", folder / "out", 32, 32, mask=folder / "mask.tif", session=spark, progress=False
    )
    return made.out


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    rows, columns = np.indices((256, 256))
    return ((rows // 24 + columns // 40) % 2).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(spark, labels, tmp_path_factory):
    return write(tmp_path_factory.mktemp("patches"), spark, labels)


def plain_steps(folder) -> tuple[torch.nn.Module, list[float]]:
    """The model and the mean loss of each epoch, after steps on batches of what the two processes take together."""
    with seeded(SEED):
        model = timm.create_model("unet", **ARGUMENTS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
    losses = []
    for epoch in range(EPOCHS):
        patches = read_patches(folder).shuffled(SEED + epoch)
        half = len(patches) // 2
        steps = []
        for first in range(0, half, BATCH // 2):
            chosen = [patches[start + first + i] for start in (0, half) for i in range(BATCH // 2)]
            images, masks = (torch.stack(column) for column in zip(*chosen, strict=True))
            loss = cross_entropy(model((images / 255 - 0.5) / 0.25), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(float(np.mean(steps)))
    return model, losses


def test_two_executors_learn_what_one_process_would(folder, tmp_path):
    out = tmp_path / "unet.safetensors"
    settings = dict(epochs=EPOCHS, batch_size=BATCH, lr=LR, seed=SEED, loss="ce")
    command = [sys.executable, "-c", CLUSTER, folder, out, json.dumps(ARGUMENTS), json.dumps(settings)]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # a notebook stores none

    history = [json.loads(line) for line in (tmp_path / "unet.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in history] == [1, 2, 3]
    for row in history:
        assert [(rank["rank"], rank["patches"]) for rank in row["ranks"]] == [(0, 32), (1, 32)]
        assert len({rank["pid"] for rank in row["ranks"]}) == 2
    losses = [row["loss"] for row in history]
    assert losses[2] < 0.7 * losses[0]

    expected, expected_losses = plain_steps(folder)
    assert losses == pytest.approx(expected_losses, rel=1e-3)
    found = load_model(out).state_dict()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=1e-3)
    assert read_facts(out)["mean"] == 0.5 and read_facts(out)["std"] == 0.25


def test_an_error_in_one_process_ends_the_job_and_is_its_sentence(spark, labels, tmp_path):
    labels = labels.copy()
    labels[-1, -1] = 7  # in the last patch, which the driver does not look at
    folder = write(tmp_path, spark, labels)
    with pytest.raises(TaskError, match=r"^target has the class ids \[7\]; expected 0 to 1"):
        train_on_patches(
            folder, "unet", ARGUMENTS, tmp_path / "unet.safetensors", batch_size=8, session=spark, progress=False
        )
    assert not list(tmp_path.glob("*unet*"))
    assert spark.range(4).count() == 4  # the session still works


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ({}, dict(batch_size=5), "batch_size=5: expected a multiple of num_processes=2"),
        ({}, dict(batch_size=128), "64 such patches, fewer than batch_size=128"),
        ({}, dict(epochs=0), "epochs=0"),
        (
            {},
            dict(loss="weighted_ce"),
            "loss='weighted_ce' is not known here; expected one of ce, dice, dice_ce, focal",
        ),
        (dict(in_chans=1), {}, "cannot learn from .*: expected images .batch, 1, height, width."),
        (dict(depth=9), {}, "cannot learn from"),
        ({}, dict(num_processes=4), "num_processes=4: all run at once, and the session local.2,4. has 2 cores"),
    ],
)
def test_misfits_are_seen_before_any_task(spark, folder, tmp_path, arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        train_on_patches(folder, "unet", ARGUMENTS | arguments, tmp_path / "u.safetensors", session=spark, **settings)
    assert not list(tmp_path.iterdir())


def test_patches_without_masks_are_nothing_to_learn_from(spark, scene, tmp_path):
    patchify(scene, tmp_path / "out", 64, 64, session=spark, progress=False)
    with pytest.raises(ValueError, match="has no masks to learn from; call patchify"):
        train_on_patches(tmp_path / "out", "unet", ARGUMENTS, tmp_path / "u.safetensors", session=spark)
