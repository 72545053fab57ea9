"""The training loop: it learns, it can be repeated, it refuses what cannot work."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestCentroid
from torch import nn

from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.training import DivergedError, Recipe, evaluate, fit, load_run


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", fraction=0.5)


def tiny(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1)


QUICK = dict(epochs=3, warmup_epochs=1, batch_size=64)


def test_cct_beats_cvt_on_the_same_budget():
    """The paper's point on real digits, in a third of the notebooks' time; scikit-learn's nearest centroid between."""
    data = datasets.load("digits")
    accuracy = {}
    for name, tokenizer in {"cct": dict(num_convs=1), "cvt": dict(tokenizer="patch", kernel_size=2)}.items():
        torch.manual_seed(0)
        model = CompactTransformer(img_size=8, in_chans=1, embed_dim=64, depth=2, **tokenizer)
        result = fit(model, data, Recipe(epochs=12, lr=2e-3), progress=False)
        assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
        accuracy[name] = evaluate(model, data).accuracy
    flat = {split: getattr(data, split).images.reshape(-1, 64) for split in ("train", "test")}
    centroid = NearestCentroid().fit(flat["train"], data.train.labels).score(flat["test"], data.test.labels)
    assert accuracy["cct"] > centroid > accuracy["cvt"] > 0.3, (accuracy, centroid)


def test_evaluation_agrees_with_scikit_learn(digits):
    from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

    model = tiny().train()
    found = evaluate(model, digits, "val", batch_size=7)
    assert model.training
    assert found.accuracy == accuracy_score(digits.val.labels, found.predictions)
    assert found.loss == pytest.approx(log_loss(digits.val.labels, found.probabilities, labels=range(10)), rel=1e-4)
    assert (found.confusion == confusion_matrix(digits.val.labels, found.predictions, labels=range(10))).all()


def test_same_seed_same_weights_and_another_seed_others(digits):
    weights = []
    for seed in (0, 0, 1):
        model = tiny()
        fit(model, digits, Recipe(**QUICK, seed=seed), progress=False)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_the_callers_random_numbers_go_on_as_if_nothing_had_happened(digits):
    torch.manual_seed(5)
    model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1)
    expected = torch.get_rng_state()
    fit(model, digits, Recipe(**{**QUICK, "epochs": 1}), progress=False)
    assert torch.equal(torch.get_rng_state(), expected)


def test_the_learning_rate_warms_up_and_falls_to_its_minimum(digits):
    result = fit(
        tiny(), digits, Recipe(epochs=8, warmup_epochs=2, lr=1e-2, min_lr=1e-4, cooldown_epochs=2), progress=False
    )
    rates = result.column("lr")
    assert len(rates) == 10 and rates[0] < rates[1] and max(rates) <= 1e-2
    assert rates[2:] == sorted(rates[2:], reverse=True) and rates[-2:] == [1e-4, 1e-4]


def test_norms_and_biases_do_not_decay(digits):
    """A decay so strong that it ends all weights it acts on, with a learning rate too small to learn."""
    model = tiny()
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(1.0)
    fit(model, digits, Recipe(epochs=2, warmup_epochs=0, lr=1e-4, min_lr=1e-4, weight_decay=10.0), progress=False)
    for name, p in model.named_parameters():
        decayed = p.mean().item() < 0.99  # Adam alone moves it by 20 steps of 1e-4
        assert decayed is (p.ndim > 1 and not name.endswith("bias")), name


@pytest.mark.parametrize(
    "settings",
    [
        dict(mixup=0.8, cutmix=1.0, mixup_off_epoch=1),
        dict(ema_decay=0.9, clip_grad=1.0),
        dict(randaugment="rand-m9-mstd0.5-inc1", crop_scale=0.8, random_erasing=0.25, flip=True),
        dict(num_workers=1, randaugment="rand-m9-mstd0.5-inc1"),
        dict(resident=True, randaugment="rand-m9-mstd0.5-inc1", crop_scale=0.8, flip=True, alternate_flip=True),
        dict(resident=True, optimizer="muon", schedule="linear", shift_border="reflect", cutout=3),
        dict(channels_last=True, precision="bf16"),
    ],
    ids=["mixup", "ema+clip", "randaugment", "workers", "resident", "fast", "channels-last"],
)
def test_every_option_trains_and_repeats(digits, settings, tmp_path):
    models = [tiny(), tiny()]
    recipe = Recipe(**{**QUICK, "epochs": 2, **settings})
    for k, model in enumerate(models):
        result = fit(model, digits, recipe, tmp_path / str(k), progress=False)
        assert np.isfinite(result.column("train_loss")).all()
    assert all(torch.equal(a, b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def test_with_ema_the_model_ends_with_the_average(digits, tmp_path):
    model = tiny()
    fit(model, digits, Recipe(**QUICK, ema_decay=0.5), tmp_path, progress=False)
    _, tensors = load_run(tmp_path / "last.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(value, tensors[f"ema.{name}"])
    assert not torch.equal(tensors["ema.head.weight"], tensors["model.head.weight"])


def test_what_a_run_writes(digits, tmp_path):
    from safetensors.torch import load_file

    model, recipe = tiny(), Recipe(**QUICK)
    result = fit(model, digits, recipe, tmp_path, progress=False)
    files = ["best.safetensors", "last.safetensors", "metrics.jsonl", "previous.safetensors"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".fit.lock") == files
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == result.history and [r["epoch"] for r in rows] == [1, 2, 3]
    assert result.best_epoch == 1 + int(np.argmax(result.column("val_accuracy")))
    best = tiny()
    best.load_state_dict(load_file(tmp_path / "best.safetensors"))
    assert evaluate(best, digits, "val").accuracy == max(result.column("val_accuracy"))
    assert load_run(tmp_path / "last.safetensors")[0].recipe == asdict(recipe)


def test_bf16_autocast_stays_close_to_fp32(digits):
    losses = [
        fit(tiny(), digits, Recipe(**QUICK, precision=p), progress=False).column("train_loss") for p in ("fp32", "bf16")
    ]
    assert losses[0] != losses[1] and np.allclose(*losses, atol=0.05)


def test_a_loss_that_is_not_finite_names_epoch_step_and_rate(digits):
    class Explodes(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = tiny(), 0

        def forward(self, x):
            self.calls += self.training
            return self.inner(x) * (float("nan") if self.calls > 12 else 1.0)

    steps = len(digits.train) // 64  # 10 an epoch
    with pytest.raises(DivergedError, match=rf"loss is nan in epoch 2, step {13 - steps}, at learning rate 0.000[67]"):
        fit(Explodes(), digits, Recipe(**QUICK), progress=False)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(epochs=0), ValueError, "epochs=0 is out of range"),
        (dict(epochs=2.5), TypeError, "epochs=2.5 is a float; expected int"),
        (dict(flip="false"), TypeError, "flip='false' is a str; expected bool"),
        (dict(epochs=True), TypeError, "epochs=True is a bool"),
        (dict(lr=-1.0), ValueError, "lr=-1.0 is out of range"),
        (dict(precision="fp8"), ValueError, "'fp8' is unknown"),
        (dict(mixup=0.8, batch_size=33), ValueError, "batch_size=33 is odd"),
        (dict(epochs=2, warmup_epochs=3), ValueError, "warmup_epochs=3 is out of range; expected 0 to 2"),
        (dict(learning_rate=1.0), TypeError, "learning_rate"),
    ],
)
def test_recipes_that_cannot_work(settings, error, message):
    with pytest.raises(error, match=message):
        Recipe(**settings)


def test_a_recipe_takes_its_own_from_a_notebooks_parameters():
    assert Recipe.from_params({"dataset": "digits", "epochs": 7, "lr": 1}) == Recipe(epochs=7, lr=1, warmup_epochs=1)
    short = Recipe.from_params({"recipe": "paper", "epochs": 30})
    assert (short.warmup_epochs, short.cooldown_epochs, short.mixup_off_epoch) == (1, 1, 18)
    paper = Recipe.from_params({"recipe": "paper", "batch_size": 64})
    assert (paper.epochs, paper.batch_size, paper.cutmix) == (300, 64, 1.0)
    with pytest.raises(ValueError, match="recipe='fats' is unknown; expected one of 'laptop', 'paper'"):
        Recipe.from_params({"recipe": "fats"})


def test_a_batch_larger_than_the_training_set(digits):
    with pytest.raises(ValueError, match=r"digits has \d+ training images, fewer than batch_size=5000"):
        fit(tiny(), digits, Recipe(batch_size=5000), progress=False)


def test_a_model_with_another_number_of_classes(digits):
    model = CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1, num_classes=5)
    with pytest.raises(ValueError, match="the model has 5 outputs, digits has 10 classes"):
        fit(model, digits, Recipe(**QUICK), progress=False)


def test_evaluating_what_is_not_there(digits):
    with pytest.raises(ValueError, match="split='dev' is unknown"):
        evaluate(tiny(), digits, "dev")
    with pytest.raises(ValueError, match="no images in its 'val' split"):
        evaluate(tiny(), datasets.load("digits", val_fraction=0.0), "val")
