"""A run of the app gives what `predict_tiled` gives, says which model fits, and can be stopped."""

import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from compactlib import app
from compactlib.app import checkpoints, downloads, segmenting, train_shipped
from compactlib.app.segmenting import Plan, plan, segment
from compactlib.app.train_shipped import SHIPPED
from compactlib.app.uploads import Picture
from compactlib.datasets.drawn.aerial import aerial
from compactlib.models import save_model
from compactlib.segmentation import confusion, mean_iou, predict_image, predict_tiled
from tests.app.samples import found, made

# Models


def test_the_shipped_models_are_small_and_do_what_their_card_says(offers, scene):
    assert list(offers)[:3] == ["aerial-unet", "aerial-swin-unet", "cells-unet"] and set(offers) >= set(SHIPPED)
    assert all(offers[name].path.stat().st_size < 1_000_000 for name in SHIPPED)
    picture, mask = scene
    for name, least in (("aerial-unet", 0.75), ("aerial-swin-unet", 0.5)):
        counts = confusion(found(picture, offers[name], patch=256).best, mask, 5)
        assert mean_iou(counts) > least, name


def test_the_script_that_trained_them_writes_a_model_that_is_offered(tmp_path, monkeypatch):
    made = SHIPPED["cells-unet"]
    recipe = replace(made.recipe, epochs=1, warmup_epochs=0, crops_per_image=1)
    monkeypatch.setitem(SHIPPED, "cells-unet", replace(made, scenes=4, recipe=recipe))
    monkeypatch.setattr(train_shipped, "TESTS", 1)
    card = train_shipped.train("cells-unet", tmp_path)
    offer = app.offers(tmp_path)[-1]
    assert offer.label == "cells-unet (runs)" and offer.facts["classes"] == ["background", "cell"]
    assert (
        card["bytes"] == offer.path.stat().st_size
        and 0 <= card["mean_iou"] <= 1
        and set(card["iou"]) == set(made.classes)
    )


def test_models_of_runs_are_offered_after_the_shipped_ones_and_nothing_else_is(tmp_path):
    mine = made(tmp_path / "09" / "a", in_chans=3, num_classes=2, width=4, depth=2)
    classifier = dict(img_size=32, num_classes=10)
    save_model(
        tmp_path / "c.safetensors", timm.create_model("cct_2_3x2_32", **classifier), "cct_2_3x2_32", **classifier
    )
    (tmp_path / "damaged.safetensors").write_bytes(mine.path.read_bytes()[:500])
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04.")
    torch.save({"a": 1}, tmp_path / "disguised.safetensors")
    labels = [offer.label for offer in app.offers(tmp_path)]
    assert labels[-1] == "09/a/model (runs)" and all(label.endswith("(shipped)") for label in labels[:-1])
    assert labels[:-1] == [offer.label for offer in app.offers(tmp_path / "nothing here")]
    assert mine.classes(mine.load()) == ("class 0", "class 1")


def test_a_checkpoint_that_a_training_renames_while_the_models_are_listed_is_passed_over(tmp_path, monkeypatch):
    made(tmp_path / "09" / "a", in_chans=3, num_classes=2, width=4, depth=2)
    walk = os.walk

    def renamed_after_it_was_listed(top):
        for folder, folders, names in walk(top):
            yield folder, folders, [*names, "last.safetensors"]

    monkeypatch.setattr(checkpoints.os, "walk", renamed_after_it_was_listed)
    assert app.offers(tmp_path)[-1].label == "09/a/model (runs)"
    shutil.rmtree(tmp_path / "09")
    assert app.offers(tmp_path)[-1].label.endswith("(shipped)")


def test_a_model_that_does_not_fit_the_channels_names_those_that_do(offers, scene):
    cells = app.EXAMPLES["cells, 512 x 512, grey"]()
    offer = offers["aerial-unet"]
    with pytest.raises(app.ModelError, match="3 channels; cells-512 has 1. These take it: .*cells-unet"):
        checkpoints.check_fit(offer, offer.load(), cells, list(offers.values()))
    grey = offers["cells-unet"]
    with pytest.raises(app.ModelError, match="1 channel; scene has 3. No model here takes it"):
        checkpoints.check_fit(grey, grey.load(), scene[0], [grey])
    checkpoints.check_fit(offer, offer.load(), scene[0])
    with pytest.raises(app.ModelError, match="do not go together"):
        segment(cells, offer, offer.load(), Plan(128, 0, "blend"))


def test_a_model_that_repeats_grey_takes_a_grey_picture(offers):
    offer, grey = offers["aerial-swin-unet"], aerial(160, 160, seed=1)[0][..., :1]
    colour = Picture("colour", np.repeat(grey, 3, axis=-1), "example")
    assert checkpoints.channels_fit(offer, grey)
    np.testing.assert_array_equal(found(Picture("grey", grey, "example"), offer).best, found(colour, offer).best)


def test_a_file_that_goes_bad_after_it_was_listed_is_a_sentence(tmp_path):
    offer = made(tmp_path, in_chans=3, num_classes=2, width=4, depth=2)
    offer.path.write_bytes(offer.path.read_bytes()[:-400])
    with pytest.raises(app.ModelError, match="cannot be loaded") as error:
        offer.load()
    assert str(tmp_path) not in str(error.value)
    offer.path.unlink()
    with pytest.raises(app.ModelError, match="cannot be loaded"):
        offer.load()


# Tiles


@pytest.mark.parametrize(("patch", "overlap"), [(128, 25), (96, 0), (200, 50)])
def test_the_mask_is_that_of_predict_tiled(offers, scene, patch, overlap):
    offer, (picture, _) = offers["aerial-unet"], scene
    model = offer.load()
    side = patch // 8 * 8
    halo = round(side * overlap / 200)
    options = dict(mode="blend", mean=offer.facts["mean"], std=offer.facts["std"])
    scores = predict_tiled(model, picture.pixels, side - 2 * halo, halo, **options)
    run = found(picture, offer, patch, overlap)
    np.testing.assert_array_equal(run.best, scores.argmax(axis=-1))
    shares = torch.from_numpy(scores).softmax(-1).numpy()
    np.testing.assert_allclose(run.sure, shares.max(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(run.shares, shares, rtol=1e-6)


def test_a_picture_that_fits_into_a_patch_is_one_tile(offers, scene):
    cut = plan(offers["aerial-unet"].load(), scene[0].pixels.shape, 512, 25)
    assert (cut.tile, cut.halo) == (400, 0) and "fits" in cut.remarks[0]


def test_models_that_fix_a_size_have_the_last_word(offers, tmp_path, scene):
    cut = plan(offers["aerial-swin-unet"].load(), (2000, 2000, 3), 512, 25)
    assert cut.patch == 128 and cut.halo == 16 and "128 pixels, not 512" in cut.remarks[0]
    valid = made(tmp_path, "unet_valid", in_chans=3, num_classes=2, width=4, depth=2, norm="none")
    cut = plan(valid.load(), (2000, 2000, 3), 300, 25)
    assert cut.halo == 20 and cut.mode == "crop" and "no padding" in cut.remarks[0]
    assert found(scene[0], valid, 200).best.shape == (320, 400)


@pytest.mark.parametrize("name", ["aerial-unet", "aerial-swin-unet"])
@pytest.mark.parametrize("patch", [32, 100, 512, 4096])
@pytest.mark.parametrize("overlap", [0, 50])
def test_every_setting_of_the_page_gives_tiles_that_work(offers, name, patch, overlap):
    offer, picture = offers[name], Picture("small", aerial(40, 150, seed=1)[0], "example")
    assert found(picture, offer, patch, overlap).best.shape == (40, 150)


def test_a_model_of_rectangles_segments_in_rectangles(tmp_path, scene):
    arguments = dict(
        img_size=(32, 64), window_size=2, embed_dim=8, depths=(1, 1), num_heads=(1, 2), skips=1, num_classes=3
    )
    model = timm.create_model("swin_unet_tiny", **arguments).eval()
    path = tmp_path / "model.safetensors"
    save_model(path, model, "swin_unet_tiny", **arguments)
    [offer] = [offer for offer in app.offers(tmp_path) if "(runs)" in offer.label]
    cut = plan(offer.load(), scene[0].pixels.shape)
    assert cut.patch == (32, 64) and "32 x 64 pixels" in cut.words and "32 x 64" in cut.remarks[0]
    mine = segment(scene[0], offer, offer.load(), cut)
    scores = predict_image(model, scene[0].pixels, mean=offer.mean, std=offer.std)
    np.testing.assert_array_equal(mine.best, scores.argmax(-1))
    assert "32 x 64 pixels" in dict(downloads.facts(mine))["patches"]


@pytest.mark.parametrize(("patch", "overlap"), [(0, 25), (16, 25), (5000, 25), (128, -1), (128, 80)])
def test_settings_that_cannot_be_meant_are_refused(offers, patch, overlap):
    with pytest.raises(app.ModelError, match="expected 32 to 4096 pixels and 0 to 50 %"):
        plan(offers["aerial-unet"].load(), (500, 500, 3), patch, overlap)


def test_scores_that_no_memory_holds_are_refused(offers, scene, monkeypatch):
    monkeypatch.setattr(segmenting, "SCORES_LIMIT", 1_000_000)
    with pytest.raises(app.ModelError, match="python -m compactlib segment"):
        found(scene[0], offers["aerial-unet"])


def test_a_run_is_followed_and_stopped(offers, scene):
    seen, stop = [], threading.Event()
    found(scene[0], offers["aerial-unet"], on_tile=lambda *counts: seen.append(counts))
    assert seen[-1][0] == seen[-1][1] and seen == sorted(seen)

    seen.clear()

    def tick(done, total):
        seen.append(done)
        stop.set()

    with pytest.raises(app.Stopped):
        found(scene[0], offers["aerial-swin-unet"], stop=stop, on_tile=tick)
    assert seen == [0]
