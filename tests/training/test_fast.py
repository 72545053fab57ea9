"""The fast path through `fit`: data on the device, the clock, small crops, flip averaging, a full GPU."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn

from compactlib import datasets
from compactlib.datasets import ImageSet
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, evaluate, fit, load_run
from compactlib.training.augment import to_input
from compactlib.training.classification import Classification
from compactlib.training.schedule import Schedule


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", fraction=0.5)


def tiny(**arguments) -> nn.Module:
    torch.manual_seed(0)
    return CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1, **arguments)


def test_a_resident_set_trains_on_the_same_batches_in_another_order(digits):
    """Each image once in an epoch, both ways; the rest of the division is left out."""
    n = len(digits.train)
    for resident in (False, True):
        task = Classification(tiny(), digits, Recipe(batch_size=64, resident=resident), torch.device("cpu"))
        batches = list(task.batches())
        images, labels, indices = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert len(task.batches()) == len(batches) == n // 64 and all(len(b[0]) == 64 for b in batches)
        assert len(indices.unique()) == len(indices)
        assert torch.equal(images, torch.from_numpy(digits.train.images)[indices])
        assert torch.equal(labels, torch.from_numpy(digits.train.labels)[indices])


def test_the_clock_ends_a_run_and_its_decay(digits, tmp_path):
    """A budget of two seconds: many passes or a few, the learning rate goes all the way down, and a resumed run that is
    over is over."""
    recipe = Recipe.from_params(dict(recipe="fast", epochs=10, warmup_epochs=2, time_budget=2.0, shift=1))
    rates = []
    before = Schedule.before_step

    def watched(self, position):
        before(self, position)
        rates.append((position, self.steps.optimizer.param_groups[0]["lr"]))

    with mock.patch.object(Schedule, "before_step", watched):
        result = fit(tiny(), digits, recipe, tmp_path, progress=False)
    spent = sum(result.column("train_seconds"))
    assert 2.0 <= spent < 2.5
    positions, lr = np.array(rates).T
    assert (np.diff(positions) > 0).all() and positions[-1] < 10
    wanted = np.where(positions < 2, positions / 2, 1 - (positions - 2) / 8) * recipe.lr
    steps = len(digits.train) // recipe.batch_size  # of an epoch, to which timm rounds
    assert np.abs(lr - wanted).max() < recipe.lr * 1.5 / steps
    assert lr[-1] < 0.05 * recipe.lr
    again = fit(tiny(), digits, recipe, tmp_path, progress=False)
    assert again.history == result.history


def test_a_budget_that_was_partly_spent_goes_on(digits, tmp_path):
    recipe = Recipe(time_budget=1.5, epochs=10, warmup_epochs=1)
    fit(tiny(), digits, recipe, tmp_path, progress=False)
    state, _ = load_run(tmp_path / "previous.safetensors")
    (tmp_path / "last.safetensors").unlink()
    rest = fit(tiny(), digits, recipe, tmp_path, progress=False)
    assert rest.history[: len(state.history)] == state.history
    assert 1.5 <= sum(rest.column("train_seconds")) < 2.0


def test_small_crops_come_first(digits):
    sizes = []
    model = tiny(pos_embed="none")
    model.register_forward_pre_hook(lambda module, x: sizes.append(x[0].shape[-1]) if module.training else None)
    fit(model, digits, Recipe(epochs=4, warmup_epochs=0, crop_size=6, crop_until=0.5), progress=False)
    half = len(sizes) // 2
    assert set(sizes[:half]) == {6} and set(sizes[half:]) == {8}
    with pytest.raises(ValueError, match="positions for .* dynamic_img_size=True"):
        fit(tiny(), digits, Recipe(crop_size=6), progress=False)
    with pytest.raises(ValueError, match="crop_size=9 is more than the images of digits have, 8 pixels"):
        fit(model, digits, Recipe(crop_size=9), progress=False)


def test_flip_averaging_is_the_mean_over_both_ways(digits):
    model = tiny()
    mirrored = dataclasses.replace(
        digits, test=ImageSet(np.ascontiguousarray(digits.test.images[:, :, ::-1]), digits.test.labels)
    )
    both, other = (evaluate(model, d, flip_average=True) for d in (digits, mirrored))
    np.testing.assert_allclose(both.probabilities, other.probabilities, rtol=1e-5, atol=1e-7)
    logs = [np.log(evaluate(model, d).probabilities) for d in (digits, mirrored)]
    mean = np.exp(sum(logs) / 2)
    np.testing.assert_allclose(both.probabilities, mean / mean.sum(1, keepdims=True), rtol=1e-4)


def test_images_that_cannot_be_written_to_are_evaluated_without_a_warning(digits, recwarn):
    images = digits.test.images.copy()
    images.flags.writeable = False  # as those are that are mapped from the cache
    torch.set_warn_always(True)  # PyTorch warns of it once in a process, perhaps in another test
    try:
        evaluate(tiny(), dataclasses.replace(digits, test=ImageSet(images, digits.test.labels)))
    finally:
        torch.set_warn_always(False)
    assert not recwarn.list


def test_a_batch_too_large_for_the_gpu_names_one_to_try(digits):
    class Full(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")

    with pytest.raises(MemoryError, match=r"batch_size=64 does not fit .*: try batch_size=32 or precision='bf16'"):
        fit(Full(), digits, Recipe(), progress=False)


def test_compiling_changes_nothing_but_the_model_that_steps(digits, monkeypatch):
    """With dynamo, but without the C++ compiler, which takes a minute. BatchNorm would show traces of the warm-up."""
    compiled, compile_model = [], torch.compile

    def eager(model, **options):
        compiled.append(options)
        return compile_model(model, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", eager)
    models = []
    for switch in (False, True):
        torch.manual_seed(0)
        models.append(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.1), nn.Linear(64, 10)))
        recipe = Recipe(epochs=2, warmup_epochs=0, compile=switch, shift=0, mixup=0.8, mixup_off_epoch=1)
        fit(models[-1], digits, recipe, progress=False)
    assert compiled == [dict(dynamic=False)]
    for (name, a), b in zip(models[0].state_dict().items(), models[1].state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "loader"])
def test_randaugment_stops_where_the_recipe_says(digits, resident):
    """The first two passes of four change the images' pixels, the others only their order."""
    passes = []

    class Watched(Classification):
        def begin_epoch(self, position):
            super().begin_epoch(position)
            passes.append([])

        def loss(self, model, images, labels, indices):
            passes[-1].append(torch.equal(images, torch.from_numpy(digits.train.images)[indices]))
            return super().loss(model, images, labels, indices)

    recipe = Recipe(
        epochs=4, warmup_epochs=0, resident=resident, randaugment="rand-m9-mstd0.5-inc1", randaugment_until=0.5
    )
    with mock.patch("compactlib.training.classification.Classification", Watched):
        fit(tiny(), digits, recipe, progress=False)
    assert [all(unchanged) for unchanged in passes] == [False, False, True, True]
    assert not any(passes[0] + passes[1])


def test_flips_stop_where_the_recipe_says(digits):
    """Three passes of four mirror images; the last shows the model each as it is stored."""
    passes, model = [], tiny()
    model.register_forward_pre_hook(lambda _, inputs: passes[-1][-1].append(inputs[0]) if model.training else None)

    class Watched(Classification):
        def begin_epoch(self, position):
            super().begin_epoch(position)
            passes.append([])

        def loss(self, model, images, labels, indices):
            passes[-1].append([to_input(images, digits.mean, digits.std)])
            return super().loss(model, images, labels, indices)

    recipe = Recipe(epochs=4, warmup_epochs=0, resident=True, shift=0, flip=True, flip_until=0.75)
    with mock.patch("compactlib.training.classification.Classification", Watched):
        fit(model, digits, recipe, progress=False)
    unchanged = [[torch.equal(stored, seen) for stored, seen in batches] for batches in passes]
    assert not any(unchanged[0] + unchanged[1] + unchanged[2])
    assert len(unchanged) == 4 and all(unchanged[3])
