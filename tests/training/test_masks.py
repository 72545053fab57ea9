"""Training on masks through the same `fit`: it learns, it repeats and goes on, it refuses what cannot work."""

import dataclasses

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import accuracy_score, jaccard_score, log_loss
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib import datasets
from compactlib.datasets import MaskSet
from compactlib.training import MaskRecipe, Recipe, evaluate, fit, load_run
from compactlib.training.segmentation import TrainingMasks, weight_maps


@pytest.fixture(scope="module")
def cells():
    return datasets.load("cells", fraction=0.4, img_size=64)


def unet(name: str = "unet", **settings) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, **{**dict(in_chans=1, num_classes=2, width=4, depth=2), **settings})


QUICK = dict(epochs=2, warmup_epochs=0, batch_size=4, lr=5e-3)


def quick(**settings) -> MaskRecipe:
    return MaskRecipe(**{**QUICK, **settings})


def test_a_unet_beats_a_constant_and_the_mean_of_the_positions():
    data = datasets.load("cells", img_size=64)
    model = unet(width=8)
    result = fit(model, data, quick(epochs=6, loss="ce"), progress=False)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    found = evaluate(model, data)
    majority = max((data.test.masks == k).mean() for k in (0, 1))
    by_position = (data.train.masks.mean(axis=0) > 0.5) == data.test.masks
    assert found.accuracy > max(majority, by_position.mean()) + 0.05


def test_evaluation_agrees_with_scikit_learn(cells):
    part = cells.val
    masks = part.masks.copy()
    masks[0, :10] = 255
    data = dataclasses.replace(cells, val=MaskSet(part.images, masks))
    model = unet().train()
    found = evaluate(model, data, "val", batch_size=2)
    assert model.training
    counted = masks != 255
    truth, predicted = masks[counted], found.predictions[counted]
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert found.iou == pytest.approx(jaccard_score(truth, predicted, average=None))
    assert found.mean_iou == pytest.approx(found.iou.mean()) and found.mean_dice == pytest.approx(found.dice.mean())
    assert found.confusion.sum() == counted.sum()
    x = torch.from_numpy(part.images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        p = model.eval()((x - data.mean[0]) / data.std[0]).softmax(1).permute(0, 2, 3, 1).numpy()
    assert found.loss == pytest.approx(log_loss(truth, p[counted], labels=[0, 1]), rel=1e-3)


def test_evaluation_of_models_that_cannot_take_the_image_whole(cells):
    """An unpadded U-Net and a Swin-Unet of another size answer for every pixel of the image."""
    small = dict(in_chans=1, num_classes=2, embed_dim=8, num_heads=(1, 1, 2, 2))
    swin = timm.create_model("swin_unet_tiny", img_size=32, window_size=1, **small)
    for model in (unet("unet_valid"), swin):
        found = evaluate(model, cells)
        assert found.predictions.shape == cells.test.masks.shape and found.confusion.sum() == cells.test.masks.size


def test_pixels_of_the_ignore_label_change_nothing(cells):
    """Two masks that differ only in what is ignored afterwards give the same weights."""
    weights = []
    for value in (0, 1):
        masks = cells.train.masks.copy()
        masks[:, :20] = value
        masks[:, :20] = 255
        data = dataclasses.replace(cells, train=MaskSet(cells.train.images, masks))
        model = unet()
        fit(model, data, quick(rotate=20.0, elastic=3.0), progress=False)
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*weights) and weights[0].isfinite().all()


@pytest.mark.parametrize("loss", ["ce", "weighted_ce", "dice", "dice_ce", "focal"])
@pytest.mark.parametrize("name", ["unet", "unet_valid"])
def test_every_loss_trains_and_repeats(cells, loss, name):
    weights = []
    for _ in range(2):
        model = unet(name)
        recipe = quick(epochs=1, loss=loss, rotate=10.0, elastic=3.0, intensity=0.1, speckle=0.05, crop=32)
        result = fit(model, cells, recipe, progress=False)
        assert np.isfinite(result.column("train_loss")).all()
        weights.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*weights)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant", "plateau"])
def test_going_on_ends_with_the_same_weights(cells, tmp_path, optimizer, schedule):
    settings = dict(epochs=4, optimizer=optimizer, schedule=schedule, plateau_patience=0, lr=1e-2)
    undisturbed = unet()
    expected = fit(undisturbed, cells, quick(**settings), progress=False)

    class Stop(Exception):
        pass

    class Dies(type(undisturbed)):
        def forward(self, x):
            if self.training:
                self.steps = getattr(self, "steps", 0) + 1
                if self.steps > 2 * (len(cells.train) // 4):
                    raise Stop
            return super().forward(x)

    model = unet()
    model.__class__ = Dies
    Dies.__name__ = "UNet"
    with pytest.raises(Stop):
        fit(model, cells, quick(**settings), tmp_path, progress=False)
    again = unet()
    result = fit(again, cells, quick(**settings), tmp_path, progress=False)
    assert result.column("lr") == expected.column("lr") and len(result.history) == 4
    assert all(torch.equal(a, b) for a, b in zip(undisturbed.parameters(), again.parameters(), strict=True))


def test_poly_falls_with_the_power_of_nine_tenths(cells):
    rates = fit(unet(), cells, quick(epochs=4, schedule="poly", lr=1e-2, min_lr=0.0), progress=False).column("lr")
    steps = len(cells.train) // 4
    last = [(epoch + 1) * steps - 1 for epoch in range(4)]  # the step whose rate the row names
    assert rates == pytest.approx([1e-2 * (1 - s / (4 * steps)) ** 0.9 for s in last])


def test_plateau_lowers_the_rate_when_the_loss_stands_still(cells):
    """A rate too small to change anything: after `patience` epochs of standing still, a tenth."""
    recipe = quick(epochs=6, schedule="plateau", plateau_patience=1, plateau_factor=0.1, lr=1e-30, min_lr=0.0)
    model = unet(norm="none")  # whose running statistics would go on changing
    rates = fit(model, cells, recipe, progress=False).column("lr")
    assert rates == pytest.approx([1e-30, 1e-30, 1e-30, 1e-31, 1e-31, 1e-32], rel=1e-6)


def test_early_stopping_ends_the_run_and_gives_back_the_best_weights(cells, tmp_path):
    recipe = quick(epochs=50, patience=2, schedule="constant", lr=0.05, optimizer="sgd")
    models = [unet(), unet(), unet()]
    results = [
        fit(m, cells, recipe, out, progress=False) for m, out in zip(models, (None, tmp_path, tmp_path), strict=True)
    ]
    for model, result in zip(models, results, strict=True):
        assert len(result.history) < 50 and result.history[-1]["epoch"] == result.best_epoch + 2
        assert evaluate(model, cells, "val").mean_iou == max(result.column("val_iou"))
    assert results[0].best_epoch == results[2].best_epoch
    assert load_run(tmp_path / "last.safetensors")[0].epoch == results[1].history[-1]["epoch"]


def test_windows_are_cut_alike_and_mirrored_at_the_border():
    images = np.arange(100, dtype=np.uint8).reshape(1, 10, 10, 1)
    part = MaskSet(images, images[..., 0].copy())
    torch.manual_seed(0)
    pieces = TrainingMasks(part, images[..., 0].astype(np.float32), (4, 6), 3, crops_per_image=5)
    x, mask, weight = pieces.__getitems__(list(range(5)))
    assert len(pieces) == 5 and x.shape == (5, 10, 12, 1) and torch.equal(x[..., 0], mask) and torch.equal(mask, weight)
    padded = np.pad(images[0, ..., 0], 3, mode="reflect")
    found = {
        next((y, k) for y in range(7) for k in range(5) if (padded[y : y + 10, k : k + 12] == m).all())
        for m in mask.numpy()
    }
    assert len(found) > 1  # other places, all of them windows of the mirrored image


def test_weight_maps_are_heavy_between_cells(cells):
    weights = weight_maps(cells.train)
    assert weights.shape == cells.train.masks.shape and weights.dtype == np.float32
    assert weights[cells.train.masks == 0].max() > 5


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (dict(num_classes=3), {}, "the model has 3 outputs, cells has 2 classes"),
        ({}, dict(batch_size=1000), "fewer than batch_size=1000"),
        ({}, dict(schedule="plateau", patience=1), None),
    ],
)
def test_what_does_not_fit_together(cells, model, settings, message):
    data = cells if message else datasets.load("cells", fraction=0.4, img_size=64, val_fraction=0.0)
    with pytest.raises(ValueError, match=message or "early stopping .* needs a validation set"):
        fit(unet(**model), data, quick(**settings), progress=False)


def test_a_fixed_size_names_the_crop_that_fits(cells):
    small = dict(in_chans=1, num_classes=2, embed_dim=8, num_heads=(1, 1, 2, 2))
    model = timm.create_model("swin_unet_tiny", img_size=32, window_size=1, **small)
    with pytest.raises(
        ValueError, match=r"answers for 32x32 pixels, the recipe gives images of 64x64 pixels; set crop=32"
    ):
        fit(model, cells, quick(), progress=False)
    fit(model, cells, quick(epochs=1, crop=32), progress=False)


def test_each_task_has_its_own_recipe(cells):
    with pytest.raises(TypeError, match="cells has images and masks, and a Recipe .* no labels"):
        fit(unet(), cells, Recipe(), progress=False)
    with pytest.raises(TypeError, match="digits has images and labels, and a MaskRecipe .* no masks"):
        fit(nn.Linear(1, 1), datasets.load("digits"), MaskRecipe(), progress=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(loss="hinge"), "loss='hinge' is unknown; expected 'ce'"),
        (dict(optimizer="lion"), "optimizer='lion' is unknown; expected 'adamw', 'sgd' or 'muon'"),
        (dict(schedule="plateau", warmup_epochs=1), "no warm-up; set warmup_epochs=0"),
        (dict(rotate=200.0), "rotate=200.0 is out of range; expected 0 to 180"),
    ],
)
def test_recipes_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        MaskRecipe(**{"warmup_epochs": 0, **settings})


def test_the_papers_recipes():
    unet_paper = MaskRecipe.from_params({"recipe": "unet_paper", "epochs": 3})
    assert (unet_paper.momentum, unet_paper.batch_size, unet_paper.elastic) == (0.99, 1, 10.0)  # Section 3, 3.1
    swin_paper = MaskRecipe.from_params({"recipe": "swin_unet_paper"})
    assert (swin_paper.momentum, swin_paper.batch_size, swin_paper.weight_decay) == (0.9, 24, 1e-4)  # Section 4.2


def test_a_fixed_unpadded_unet_learns_its_output(cells):
    model = unet("unet_valid", img_size=60)  # margin 20
    with pytest.raises(ValueError, match=r"answers for 20x20 pixels, the recipe gives crop=32; set crop=20"):
        fit(model, cells, quick(crop=32), progress=False)
    fit(model, cells, quick(epochs=1, crop=20), progress=False)


@pytest.mark.parametrize("out", [False, True])
def test_early_stopping_without_a_counted_pixel_ends_with_the_first_epoch(cells, out, tmp_path):
    ignored = MaskSet(cells.val.images, np.full_like(cells.val.masks, 255))
    data = dataclasses.replace(cells, val=ignored)
    result = fit(unet(), data, quick(epochs=9, patience=1), tmp_path if out else None, progress=False)
    assert result.best_epoch == 1 and len(result.history) == 2


def test_another_validation_set_is_other_data(cells, tmp_path):
    fit(unet(), cells, quick(epochs=1), tmp_path, progress=False)
    other = dataclasses.replace(cells, val=cells.test)
    with pytest.raises(ValueError, match="data: 'cells, .* there"):
        fit(unet(), other, quick(epochs=1), tmp_path, progress=False)


def test_evaluation_leaves_frozen_layers_frozen(cells):
    model = unet().train()
    model.encoder[0].norm1.eval()
    evaluate(model, cells)
    assert model.training and not model.encoder[0].norm1.training
