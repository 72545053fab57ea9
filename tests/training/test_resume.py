"""A run that is killed and started again ends with the weights of one that was not."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, fit, load_run

TRAIN = """
import sys, torch
from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, fit
torch.set_num_threads(1)
torch.manual_seed(0)
model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=2)
recipe = Recipe(epochs=12, warmup_epochs=2, mixup=0.8, cutmix=1.0, mixup_off_epoch=8, ema_decay=0.9, random_erasing=0.2)
print("start", flush=True)
fit(model, datasets.load("digits", fraction=0.5), recipe, sys.argv[1], progress=False)
"""


def start(folder) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "start\n"
    return process


def epochs_done(folder) -> int:
    path = folder / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_sigkill_twice_and_the_weights_are_the_same_bit_for_bit(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert start(undisturbed).wait() == 0

    for after in (2, 6):  # epochs, and a moment later, in the middle of one or of a write
        process = start(killed)
        while epochs_done(killed) < after:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(0.02 * after)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert epochs_done(killed) < 12, "killed too late to prove anything"
    assert start(killed).wait() == 0

    (progress, expected), (again, actual) = (load_run(f / "last.safetensors") for f in (undisturbed, killed))
    assert expected.keys() == actual.keys() and any(k.startswith("optimizer.") for k in expected)
    assert all(torch.equal(expected[k], actual[k]) for k in expected)
    metrics = [
        [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in p.history] for p in (progress, again)
    ]
    assert len(metrics[0]) == 12 and metrics[0] == metrics[1]
    best = [load_file(f / "best.safetensors") for f in (undisturbed, killed)]
    assert all(torch.equal(best[0][k], best[1][k]) for k in best[0])


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", fraction=0.3)


def run(digits, folder, model=None, **settings):
    model = model or CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1)
    recipe = Recipe(**{**dict(epochs=2, warmup_epochs=1), **settings})
    return model, lambda **kw: fit(model, digits, recipe, folder, progress=False, **kw)


def test_a_finished_run_is_not_trained_again(digits, tmp_path):
    first, train = run(digits, tmp_path)
    history = train().history
    second, train = run(digits, tmp_path)
    assert train().history == history
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_another_recipe_or_other_data_is_refused_with_the_difference(digits, tmp_path):
    run(digits, tmp_path)[1]()
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"lr: 0\.001 there, 0\.01 now.*resume=False"):
        run(digits, tmp_path, lr=0.01)[1]()
    with pytest.raises(ValueError, match=r"data: 'digits, \d+ images, \w+' there"):
        run(datasets.load("digits", fraction=0.3, seed=1), tmp_path)[1]()  # as many images, but others
    for settings in (dict(num_heads=4), dict(pos_embed="sine"), dict(mlp_ratio=2.0), dict(attn_drop_rate=0.5)):
        other = CompactTransformer(**{**dict(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1), **settings})
        with pytest.raises(ValueError, match=r"model: 'CompactTransformer \w+' there"):
            run(digits, tmp_path, other)[1]()
    assert (tmp_path / "last.safetensors").read_bytes() == before


def test_a_kill_between_checkpoint_and_metrics_is_made_good(digits, tmp_path):
    run(digits, tmp_path)[1]()
    path = tmp_path / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole.splitlines(keepends=True)[0])
    run(digits, tmp_path)[1]()
    assert path.read_text() == whole


def test_resume_false_starts_anew(digits, tmp_path):
    run(digits, tmp_path)[1]()
    result = run(digits, tmp_path, lr=0.01)[1](resume=False)
    assert len(result.history) == 2 and load_run(tmp_path / "last.safetensors")[0].recipe["lr"] == 0.01


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x04" + b])
def test_a_damaged_checkpoint_is_named(digits, tmp_path, damage):
    run(digits, tmp_path)[1]()
    path = tmp_path / "last.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"last\.safetensors is damaged.*delete it"):
        run(digits, tmp_path)[1]()


def test_a_full_disk_leaves_the_old_checkpoint(digits, tmp_path, monkeypatch):
    run(digits, tmp_path)[1]()
    before = (tmp_path / "last.safetensors").read_bytes()

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        run(digits, tmp_path / "other")[1]()
    assert not list((tmp_path / "other").iterdir())
    assert (tmp_path / "last.safetensors").read_bytes() == before
