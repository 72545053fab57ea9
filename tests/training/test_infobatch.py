"""InfoBatch: which images a pass leaves out, no bias, the same passes after a restart."""

import dataclasses

import pytest
import torch

from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.training import Recipe, fit, load_run
from compactlib.training.infobatch import InfoBatch
from compactlib.training.resident import ResidentBatches

CPU = torch.device("cpu")
RECIPE = Recipe.from_params(dict(recipe="fast", epochs=4, batch_size=64, prune=0.6, prune_until=0.75))


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture
def learned():
    """A thousand images, of which six hundred have less than the mean loss."""
    infobatch = InfoBatch(1000, 0.6, CPU)
    torch.manual_seed(0)
    losses = torch.cat([torch.rand(600) * 0.1, 1 + torch.rand(400)])
    infobatch.weigh(losses, torch.arange(1000))
    return infobatch, losses


def tiny() -> CompactTransformer:
    torch.manual_seed(0)
    return CompactTransformer(img_size=8, in_chans=1, num_convs=1, embed_dim=32, depth=1)


def test_a_pass_has_all_hard_images_and_the_share_of_the_easy_ones(learned):
    infobatch, _ = learned
    passes = [infobatch.draw() for _ in range(50)]
    for chosen in passes:
        assert len(chosen.unique()) == len(chosen) and set(range(600, 1000)) <= set(chosen.tolist())
    easy = torch.cat(passes)
    easy = easy[easy < 600]
    assert len(easy) / (50 * 600) == pytest.approx(0.4, abs=0.02)  # six standard errors
    assert len(easy.unique()) == 600  # none is left out for good
    assert passes[0].tolist() != sorted(passes[0].tolist())


def test_the_expected_loss_of_a_pass_is_the_mean_over_all_images(learned):
    infobatch, losses = learned
    means = []
    for _ in range(400):
        chosen = infobatch.draw()
        means.append(infobatch.weigh(losses[chosen], chosen).item())
    means = torch.tensor(means)
    plain = torch.tensor([losses[infobatch.draw()].mean().item() for _ in range(20)])
    assert abs(means.mean() - losses.mean()) < 4 * means.std() / 20
    assert plain.mean() > 1.3 * losses.mean()  # without the weights it would be far off


def test_an_image_without_a_loss_is_never_left_out():
    infobatch = InfoBatch(100, 0.9, CPU)
    assert sorted(infobatch.draw().tolist()) == list(range(100)) and (infobatch.weights == 1).all()
    infobatch.weigh(torch.cat([torch.zeros(49), torch.ones(1)]), torch.arange(50))
    assert set(range(49, 100)) <= set(infobatch.draw().tolist())


def test_an_epoch_has_as_many_batches_as_a_whole_pass_and_the_last_ones_are_whole(digits):
    torch.manual_seed(0)
    infobatch = InfoBatch(len(digits.train), 0.9, CPU)
    batches = ResidentBatches(digits.train, digits.mean, RECIPE, CPU, infobatch)
    half = len(digits.train) // 2
    losses = (torch.arange(len(digits.train)) < half).float()
    seen = []
    for active in (True, False):
        infobatch.weigh(losses, torch.arange(len(losses)))
        infobatch.active = active
        epoch = list(batches)
        assert len(epoch) == len(batches) and all(len(labels) == 64 for _, labels, _ in epoch)
        seen.append(torch.cat([indices for _, _, indices in epoch]))
        for images, labels, indices in epoch:
            assert torch.equal(images, torch.from_numpy(digits.train.images)[indices])
            assert torch.equal(labels, torch.from_numpy(digits.train.labels)[indices])
    pruned, whole = seen
    assert len(pruned.unique()) < 0.65 * len(digits.train)  # about half of them, more than once
    assert len(whole.unique()) == len(whole)


def test_few_hard_images_still_make_a_batch(digits):
    infobatch = InfoBatch(len(digits.train), 0.99, CPU)
    infobatch.weigh(torch.arange(len(digits.train)) == 0, torch.arange(len(digits.train)))
    batches = ResidentBatches(digits.train, digits.mean, RECIPE, CPU, infobatch)
    assert [len(labels) for _, labels, _ in batches] == [64] * len(batches)


def test_a_run_that_goes_on_prunes_as_the_undisturbed_one(digits, tmp_path):
    whole, parts = tiny(), tiny()
    fit(whole, digits, RECIPE, tmp_path / "whole", progress=False)
    state, tensors = load_run(tmp_path / "whole" / "last.safetensors")
    assert tensors["infobatch.passes"] > state.epoch and tensors["infobatch.losses"].isfinite().all()

    class Stop(Exception):
        pass

    def stop(module, inputs):
        if module.training and (tmp_path / "parts" / "metrics.jsonl").exists():
            raise Stop  # in the second epoch, in which images are left out

    handle = parts.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(parts, digits, RECIPE, tmp_path / "parts", progress=False)
    handle.remove()
    again = tiny()
    fit(again, digits, RECIPE, tmp_path / "parts", progress=False)
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_compiling_leaves_the_losses_as_they_are(digits, monkeypatch):
    compile_model = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **options: compile_model(model, backend="eager", **options))
    models = [tiny(), tiny()]
    for switch, model in zip((False, True), models, strict=True):
        fit(model, digits, dataclasses.replace(RECIPE, compile=switch), progress=False)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("changed", [dict(resident=False), dict(mixup=0.8), dict(cutmix=1.0)], ids=str)
def test_pruning_needs_the_loss_of_each_image(changed):
    with pytest.raises(ValueError, match=r"prune=0\.6 goes by the loss of each image .*set resident=True, mixup=0"):
        dataclasses.replace(RECIPE, **changed)
