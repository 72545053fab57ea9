"""Ablations: one training a setting, kept, resumed, and checked before the first one; their pictures."""

import statistics

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from compactlib import lab, training
from compactlib.figures import ablations as ablation_figures
from compactlib.models import CompactTransformer
from compactlib.training.ablation import MODEL, RECIPE, Ablation, Spread, Trial

GROUND = dict(embed_dim=16, depth=1, num_heads=2, dynamic_img_size=True)
RECIPE_HERE = training.Recipe.from_params(
    dict(recipe="fast", epochs=2, batch_size=64, flip=False, alternate_flip=False)
)


@pytest.fixture
def make(tmp_path):
    namespace = {"seed": 3, "device": "cpu", "run_dir": str(tmp_path / "run")}
    namespace["__annotations__"] = {"seed": int, "device": str, "run_dir": str}
    run = lab.start("test", namespace)
    yield lambda **given: Ablation(run, RECIPE_HERE, GROUND, **(dict(dataset="digits", fraction=0.2) | given))
    run.lock.release()


def test_variants_of_the_same_settings_are_one_training(make, tmp_path):
    ablation = make()
    found = ablation("pooling", {"seq": dict(pool="seq"), "default": {}, "cls": dict(pool="cls")})
    again = ablation("another", {"said": dict(pool="seq", epochs=2, fraction=1.0, img_size=8)})
    folders = {label: trials[0].folder for label, trials in (found | again).items()}
    assert folders["seq"] == folders["default"] == folders["said"] != folders["cls"]
    assert len(list((tmp_path / "run/trials").iterdir())) == 2
    assert found["default"] == again["said"]


def test_a_trial_is_read_again_and_its_weights_are_those_that_were_measured(make):
    ablation = make(val_fraction=0.1)
    (trial,) = ablation("one", {"cct": {}})["cct"]
    (stored,) = make(val_fraction=0.1)("one", {"cct": {}})["cct"]
    assert stored == trial and stored.history[-1]["epoch"] == 2
    model = ablation.trained(stored)
    assert training.evaluate(model, ablation.data()).accuracy == trial.accuracy
    assert sorted(path.name for path in trial.folder.iterdir() if path.name[0] != ".") == [
        "metrics.jsonl",
        "model.safetensors",
        "trial.json",
    ]


def test_a_trial_is_the_same_as_fit_by_hand(make):
    ablation = make(seeds=2)
    trials = ablation("one", {"cvt": dict(tokenizer="patch", kernel_size=2, epochs=4)})["cvt"]
    data = ablation.data()
    for seed, trial in zip((3, 4), trials, strict=True):
        torch.manual_seed(seed)
        model = CompactTransformer(8, 1, 10, tokenizer="patch", kernel_size=2, **GROUND)
        recipe = training.Recipe.from_params(
            dict(recipe="fast", epochs=4, batch_size=64, flip=False, alternate_flip=False, seed=seed)
        )
        result = training.fit(model, data, recipe, progress=False)
        assert trial.accuracy == training.evaluate(model, data).accuracy
        assert [row["train_loss"] for row in trial.history] == result.column("train_loss")


def test_data_settings_thin_and_resize(make):
    data = make().data(dict(fraction=0.5, img_size=10))
    whole = make().data()
    assert data.img_size == (10, 10) and abs(len(data.train) / len(whole.train) - 0.5) < 0.03
    assert len(data.test) == len(whole.test)


def test_a_thinned_test_is_the_same_for_every_trial_and_balanced(make):
    ablation, whole = make(test_fraction=0.5), make().data().test
    test = ablation.data().test
    counts, before = np.bincount(test.labels), np.bincount(whole.labels)
    np.testing.assert_array_equal(counts, (before + 1) // 2)
    assert {image.tobytes() for image in test.images} <= {image.tobytes() for image in whole.images}
    other = ablation.data(dict(fraction=0.5, img_size=10)).test
    np.testing.assert_array_equal(other.labels, test.labels)
    (half,), (all_of_it,) = ablation("one", {"cct": {}})["cct"], make()("one", {"cct": {}})["cct"]
    assert half.folder != all_of_it.folder and half.history[-1]["train_loss"] == all_of_it.history[-1]["train_loss"]
    assert half.accuracy * len(test) == pytest.approx(round(half.accuracy * len(test)))
    with pytest.raises(ValueError, match="test_fraction must be above 0 and at most 1, not 0"):
        make(test_fraction=0)


def test_a_network_of_timm(make):
    (trial,) = make()("networks", {"ResNet20": dict(network="resnet20_cifar", optimizer="adamw", lr=3e-3)})["ResNet20"]
    assert trial.params_count == 269_722 - 2 * 9 * 16  # ResNet20 with option A, for one channel in place of three
    assert np.isfinite(trial.history[-1]["train_loss"])


def test_studies_that_are_not_asked_for_give_nothing(make, tmp_path):
    assert make(only=["data"])("pooling", {"seq": {}}) == {}
    assert not (tmp_path / "run/trials").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(pool_kind="seq"), "one, bad: unknown setting pool_kind; expected one of tokenizer, "),
        (dict(num_classes=3), "unknown setting num_classes"),
        (dict(seed=1), "unknown setting seed"),
        (dict(optimizer="lion"), "one, bad: recipe: optimizer='lion' is unknown"),
        (dict(epochs=2.5), "one, bad: recipe: epochs=2.5 is a float"),
    ],
)
def test_mistakes_are_found_before_the_first_training(make, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        make()("one", {"good": {}, "bad": settings})
    assert not (tmp_path / "run/trials").exists()


def test_every_setting_has_one_meaning():
    assert not set(MODEL) & set(RECIPE)


def test_spread_is_mean_and_sample_deviation():
    values = [0.81, 0.83, 0.86]
    spread = Spread.of(values)
    assert (spread.mean, spread.sd, spread.n) == pytest.approx((np.mean(values), statistics.stdev(values), 3))
    assert str(spread) == "83.3 ± 2.5" and str(Spread.of([0.5])) == "50.0" and np.isnan(Spread.of([0.5]).sd)


@pytest.fixture
def shown():
    yield {name: Spread(mean, sd, 3) for name, mean, sd in (("a", 0.8, 0.01), ("b", 0.9, 0.02), ("c", 0.7, 0.03))}
    plt.close("all")


def test_a_ranking_has_the_best_above_and_a_line_through_the_base(shown):
    axis = ablation_figures.ranking(shown, "a").axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["c", "a", "b"]
    assert axis.collections[-1].get_offsets()[:, 0].tolist() == pytest.approx([70, 80, 90])
    assert axis.lines[-1].get_xdata() == pytest.approx([80, 80])


def test_groups_have_ours_and_the_papers_in_the_same_colours(shown):
    figure = ablation_figures.groups({"CCT": shown}, "ours", {"CCT": {"b": 55.5, "a": 66.0}}, "paper")
    ours, paper = figure.axes
    heights = {axis.get_title(): [round(bar.get_height(), 1) for bar in axis.patches] for axis in (ours, paper)}
    assert heights == {"ours": [80, 90, 70], "paper": [55.5, 66]}
    assert paper.patches[0].get_facecolor() == ours.patches[1].get_facecolor()


def test_curves_carry_values_and_spread(shown):
    axis = ablation_figures.curves({"CCT": dict(zip((1, 10, 100), shown.values(), strict=True))}, "n", log=True).axes[0]
    line = axis.containers[0]
    assert line[0].get_xdata().tolist() == [1, 10, 100] and line[0].get_ydata() == pytest.approx([80, 90, 70])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1", "10", "100"]


def test_accuracy_against_parameters_and_time():
    ours = {"CCT": {"CCT-2/3x2": (283_723, 0.897)}, "ResNet": {"ResNet18": (11_181_642, 0.9)}}
    left, right = ablation_figures.against_parameters(ours, {"CCT": {"CCT-7": (3_760_000, 0.96)}}, "o", "p").axes
    np.testing.assert_allclose(left.collections[0].get_offsets(), [[283_723, 89.7]])
    assert {text.get_text() for text in left.texts} == {"CCT-2/3x2", "ResNet18"} and right.get_title() == "p"
    rows = [dict(train_seconds=2.0, val_accuracy=0.4), dict(train_seconds=3.0, val_accuracy=0.8)]
    axis = ablation_figures.against_time({"seed 0": rows}, 0.8, 0.79).axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[2, 40], [5, 80]])
    np.testing.assert_allclose(axis.lines[-1].get_xydata(), [[5, 79]])


def test_a_trial_at_the_end_of_a_cell_is_a_line_without_its_history(tmp_path):
    rows = [dict(epoch=e, train_loss=1 / e) for e in range(1, 301)]
    shown = repr(Trial({"depth": 2}, 0, 0.9, 1000, 1.0, 2.0, rows, tmp_path))
    assert "settings={'depth': 2}" in shown and "accuracy=0.9" in shown and "train_loss" not in shown
