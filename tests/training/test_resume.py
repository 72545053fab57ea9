"""A run that is killed and started again ends with the weights of one that was not."""

import multiprocessing
import os
import random
import signal
import time

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, fit, load_run

EPOCHS, KILLS = 40, 10


def train(folder, ready=None) -> None:
    """A run with all that is drawn at random, for a process of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=2)
    recipe = Recipe(
        epochs=EPOCHS, warmup_epochs=2, mixup=0.8, cutmix=1.0, mixup_off_epoch=30, ema_decay=0.9, random_erasing=0.2,
        optimizer="muon", resident=True, flip=True, alternate_flip=True, randaugment="rand-m9-mstd0.5-inc1",
    )  # fmt: skip
    data = datasets.load("digits", fraction=0.3)
    if ready:
        ready.set()
    fit(model, data, recipe, folder, progress=False)


def epochs_done(folder) -> int:
    path = folder / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_sigkill_ten_times_and_the_weights_are_the_same_bit_for_bit(tmp_path):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # PyTorch is imported once, not eleven times
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    calm = processes.Process(target=train, args=(undisturbed,))
    calm.start()
    calm.join()
    assert calm.exitcode == 0

    draw = random.Random(0)
    done = []
    for _ in range(KILLS):
        ready = processes.Event()
        process = processes.Process(target=train, args=(killed, ready))
        process.start()
        ready.wait()
        # At a random moment of the next few epochs: in the middle of a step, of a validation, or of a write.
        until = min(epochs_done(killed) + draw.randrange(3), EPOCHS - 2)
        while epochs_done(killed) < until:
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
        done.append(epochs_done(killed))
    assert done[0] < done[-1] < EPOCHS, done
    last = processes.Process(target=train, args=(killed,))
    last.start()
    last.join()
    assert last.exitcode == 0

    (progress, expected), (again, actual) = (load_run(f / "last.safetensors") for f in (undisturbed, killed))
    assert expected.keys() == actual.keys() and any(k.startswith("optimizer.") for k in expected)
    assert all(torch.equal(expected[k], actual[k]) for k in expected)
    metrics = [
        [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in p.history] for p in (progress, again)
    ]
    assert len(metrics[0]) == EPOCHS and metrics[0] == metrics[1]
    best = [load_file(f / "best.safetensors") for f in (undisturbed, killed)]
    assert all(torch.equal(best[0][k], best[1][k]) for k in best[0])


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", fraction=0.3)


def run(digits, folder, model=None, **settings):
    torch.manual_seed(0)
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


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_finished_run_goes_on_for_more_epochs_as_if_it_had_been_meant_to(digits, tmp_path, schedule):
    def train(epochs, folder):
        torch.manual_seed(0)
        model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=16, depth=1)
        recipe = Recipe(epochs=epochs, schedule=schedule, warmup_epochs=0, plateau_patience=0, flip=True, ema_decay=0.9)
        result = fit(model, digits, recipe, tmp_path / folder, progress=False)
        return model.state_dict(), result.column("epoch"), result.column("train_loss")

    train(2, "short")
    first = train(3, "short")
    longer, whole = train(6, "short"), train(6, "long")
    assert first[1] == [1, 2, 3] and longer[1:] == whole[1:]
    assert all(torch.equal(longer[0][name], whole[0][name]) for name in whole[0])
    assert load_run(tmp_path / "short/last.safetensors")[0].recipe["epochs"] == 6


@pytest.mark.parametrize(
    ("settings", "longer", "reason"),
    [
        ({}, {}, "another length, and what it did hangs on its length [(]schedule='cosine'[)]"),
        ({"schedule": "linear"}, {}, "schedule='linear'"),
        ({"schedule": "constant", "time_budget": 0.2}, {}, "time_budget"),
        ({"schedule": "constant", "flip": True, "flip_until": 0.5}, {}, "flip_until"),
        ({"schedule": "constant", "randaugment": "rand-m9", "randaugment_until": 0.8}, {}, "randaugment_until"),
        ({"schedule": "constant", "prune": 0.5, "resident": True}, {}, "prune_until"),
        (
            {"schedule": "constant", "warmup_epochs": 1},
            {"warmup_epochs": 2},
            "the others stay [(]warmup_epochs=1[)]",
        ),
        ({"schedule": "constant"}, {"lr": 0.5}, "other settings [(]epochs: 2 there, 4 now; lr: 0.001 there, 0.5 now"),
        ({"schedule": "constant"}, {"epochs": 1}, "other settings [(]epochs: 2 there, 1 now"),
    ],
)
def test_a_run_that_hangs_on_its_length_is_not_made_longer(digits, tmp_path, settings, longer, reason):
    model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=16, depth=1)
    settings = {"epochs": 2, "warmup_epochs": 0, **settings}
    fit(model, digits, Recipe(**settings), tmp_path, progress=False)
    before = (tmp_path / "last.safetensors").read_bytes()
    with pytest.raises(ValueError, match=reason):
        fit(model, digits, Recipe(**{**settings, "epochs": 4, **longer}), tmp_path, progress=False)
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


DAMAGES = [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"\x80\x04" + b]


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_a_damaged_checkpoint_the_run_goes_on_from_the_one_before(digits, tmp_path, damage):
    whole, train = run(digits, tmp_path / "whole", epochs=3)
    train()
    run(digits, tmp_path, epochs=3)[1]()
    path = tmp_path / "last.safetensors"
    bad = damage(path.read_bytes())
    path.write_bytes(bad)
    model, train = run(digits, tmp_path, epochs=3)
    with pytest.warns(UserWarning, match=r"last\.safetensors is damaged.*kept as damaged.*of epoch 2"):
        assert len(train().history) == 3
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))
    assert (tmp_path / "damaged.safetensors").read_bytes() == bad
    assert [load_run(tmp_path / f"{name}.safetensors")[0].epoch for name in ("previous", "last")] == [2, 3]


@pytest.mark.parametrize("damage", DAMAGES)
def test_two_damaged_checkpoints_are_named(digits, tmp_path, damage):
    run(digits, tmp_path)[1]()
    for name in ("previous.safetensors", "last.safetensors"):
        (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"previous\.safetensors is damaged.*delete it"):
        run(digits, tmp_path)[1]()
    assert sorted(tmp_path.iterdir()) == before


def test_a_kill_between_the_two_renames_costs_one_epoch(digits, tmp_path):
    whole, train = run(digits, tmp_path / "whole")
    train()
    model, train = run(digits, tmp_path)
    train()
    (tmp_path / "last.safetensors").unlink()
    assert len(run(digits, tmp_path, model)[1]().history) == 2
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.parameters(), strict=True))


def test_a_folder_in_which_a_run_is_training_is_refused(digits, tmp_path):
    there = "another run is training in .*name another"
    with FileLock(tmp_path / ".fit.lock"), pytest.raises(RuntimeError, match=there):
        run(digits, tmp_path)[1]()
    assert [path.name for path in tmp_path.iterdir() if path.name != ".fit.lock"] == []
    run(digits, tmp_path)[1]()


def test_a_folder_that_cannot_be_written_is_refused_before_training(digits, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file" / "run", "/sys/compactlib_run"):  # even root writes nothing there
        with pytest.raises(PermissionError, match="cannot be written to .*name another folder"):
            run(digits, folder)[1]()


def test_a_full_disk_leaves_the_old_checkpoint(digits, tmp_path, monkeypatch):
    run(digits, tmp_path)[1]()
    os.replace(tmp_path / "previous.safetensors", tmp_path / "last.safetensors")  # an epoch is left to do
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_space)
        for folder in (tmp_path, tmp_path / "other"):
            with pytest.raises(OSError, match="No space left"):
                run(digits, folder)[1]()
    assert [path.name for path in (tmp_path / "other").iterdir() if path.name != ".fit.lock"] == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert len(run(digits, tmp_path)[1]().history) == 2
