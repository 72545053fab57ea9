"""A new kind of training needs a recipe and a task, and no change in the loop: a momentum target, as BYOL and DINO have
one, whose state travels in the checkpoints."""

import copy
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from compactlib.datasets import Part
from compactlib.training import fit
from compactlib.training.base_recipe import BaseRecipe
from compactlib.training.task import Task


@dataclass(frozen=True)
class Unlabelled:
    """A data set without labels: no classes, no mean, nothing to validate on."""

    name: str
    train: Part
    val: Part


class Momentum(Task):
    """Predict what a slowly moving copy of the network says of another view of the same numbers."""

    name, needs = "momentum", ("signals",)

    def __init__(self, model, data, recipe, device):
        super().__init__(model, data, recipe, device)
        self.target = copy.deepcopy(model).requires_grad_(False)
        self.seen = []

    def modules(self):
        return {"target": self.target}

    def batches(self):
        return DataLoader(self.data.train, self.recipe.batch_size, shuffle=True, drop_last=True)

    def loss(self, model, signals):
        noisy = signals + self.recipe.noise * torch.randn_like(signals)
        return (model(noisy) - self.target(signals)).square().mean()

    def after_step(self, model, step):
        self.seen.append(step)
        for slow, fast in zip(self.target.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - self.recipe.tau)


@dataclass(frozen=True, kw_only=True)
class MomentumRecipe(BaseRecipe):
    tau: float = 0.9
    noise: float = 0.1

    def task(self, model, data, device):
        return Momentum(model, data, self, device)


def data() -> Unlabelled:
    signals = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return Unlabelled("waves", Part(signals=signals), Part(signals=signals[:0]))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.2), nn.Linear(8, 3))


RECIPE = dict(epochs=6, batch_size=8, warmup_epochs=1, lr=1e-2)


def run(out, epochs: int | None = None) -> tuple[dict, dict]:
    """The weights of model and target at the end, of a run that may be killed when so many epochs are done."""
    model, made = network(), []

    class Recipe(MomentumRecipe):
        def task(self, model, data, device):
            made.append(Momentum(model, data, self, device))
            if epochs is not None:
                step = made[0].after_step
                made[0].after_step = lambda model, number: (step(model, number), number == 5 * epochs - 1 and _die())
            return made[0]

    fit(model, data(), Recipe(**RECIPE), out, progress=False)
    return model.state_dict(), made[0].target.state_dict()


def _die() -> None:
    raise KeyboardInterrupt


def test_the_target_follows_after_every_step_of_the_optimizer(tmp_path):
    model, made = network(), []

    class Recipe(MomentumRecipe):
        def task(self, model, data, device):
            made.append(Momentum(model, data, self, device))
            return made[0]

    before = copy.deepcopy(network().state_dict())
    result = fit(model, data(), Recipe(**RECIPE | {"epochs": 2}), tmp_path, progress=False)
    assert made[0].seen == list(range(10)) and [row["epoch"] for row in result.history] == [1, 2]
    moved = [(made[0].target.state_dict()[name] - value).abs().max() for name, value in before.items()]
    assert all(distance > 0 for distance in moved)


def test_interrupted_and_resumed_bit_for_bit(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", epochs=3)
    again = run(tmp_path / "cut")
    for found, expected in zip(again, whole, strict=True):
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_killed_and_resumed_bit_for_bit(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from tests.training import test_task as t\n"
        "t._die = lambda: os.kill(os.getpid(), 9)\n"
        "t.run(Path(sys.argv[1]), epochs=4)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "cut")], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    for found, expected in zip(run(tmp_path / "cut"), run(None), strict=True):
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_what_a_task_needs_and_does_not_find_is_named():
    wrong = Unlabelled("words", Part(tokens=np.zeros((9, 4), np.int64)), Part(tokens=np.zeros((0, 4), np.int64)))
    with pytest.raises(TypeError, match="words has tokens, and a MomentumRecipe .* signals"):
        fit(network(), wrong, MomentumRecipe(**RECIPE), progress=False)
    with pytest.raises(ValueError, match="waves"):
        fit(network(), data(), MomentumRecipe(**RECIPE, patience=2), progress=False)
