"""Folders that nobody has listed pass, or fail, by their meta files alone: other arguments, and numbers of our own."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.golden import plain, plain_formulas, plain_swin, plain_unet
from tests.golden.cases import CLONE, GoldenCase, found
from tests.golden.systems import check, compare, compute, system_of


def write(folder: Path, meta: dict, arrays: dict, weights: dict) -> GoldenCase:
    folder.mkdir(parents=True)
    arrays = {name: torch.as_tensor(array).detach().numpy() for name, array in arrays.items()}
    if arrays:
        np.savez(folder / "io.npz", **{n: a.astype(np.float32) if a.dtype == float else a for n, a in arrays.items()})
    if weights:
        save_file(
            {name: value.detach().contiguous() for name, value in weights.items()}, folder / "weights.safetensors"
        )
    name = "map.json" if "target_shapes" in meta else "meta.json"
    (folder / name).write_text(json.dumps(meta))
    return GoldenCase(folder)


def kwargs(name: str, **given: object) -> dict:
    return {"class": name, "kwargs": given}


CCT = dict(convs=2, kernel=3, stride=1, padding=1, chans=3, dim=128, layers=2, heads=2, ratio=1, classes=10, pool="seq")
CCT |= dict(positions="learnable")
WORDS = (
    "Tokenizer(3x3, stride 2, padding 1, 1 conv layer, ReLU, max-pool 3/2/1, no bias) -> TransformerClassifier("
    "seq_pool=False, embedding_dim=48, num_layers=3, num_heads=4, mlp_ratio=1.5, num_classes=7, "
    "positional_embedding=none)"
)
NEW = {
    # SHI-Labs/Compact-Transformers: by factory, by class, in words
    "cct_factory": lambda: plain.compact((32, 32), {"call": "cct_2_3x2_32()"}, **CCT),
    "cct_5_classes_48": lambda: plain.compact(
        (48, 48), {"call": "cct_2_3x2_32(img_size=48, num_classes=5)"}, **CCT | dict(classes=5)
    ),
    "cct_sine_factory_learns": lambda: plain.compact((32, 32), {"call": "cct_2_3x2_32_sine"}, **CCT),
    "cct_grey": lambda: plain.compact(
        (28, 28),
        {"call": "cct_4_3x2_32", "kwargs": {"n_input_channels": 1, "img_size": 28}},
        **CCT | dict(chans=1, layers=4),
    ),
    "cct_class_rectangular": lambda: plain.compact(
        (30, 44),
        kwargs("CCT", img_size=36, num_layers=3, num_heads=3, mlp_ratio=2.5, embedding_dim=48, kernel_size=5, stride=1,
               padding=2, n_conv_layers=1, num_classes=4, n_input_channels=2, positional_embedding="none", dropout=0.2),
        **CCT | dict(convs=1, kernel=5, padding=2, chans=2, dim=48, layers=3, heads=3, ratio=2.5, classes=4,
                     positions="none"),
    ),
    "vit_class_sine": lambda: plain.compact(
        (24, 24),
        kwargs("ViTLite", img_size=24, num_layers=3, num_heads=3, mlp_ratio=2, embedding_dim=36, kernel_size=6,
               num_classes=5, positional_embedding="sine"),
        **CCT | dict(convs=0, kernel=6, stride=6, padding=0, dim=36, layers=3, heads=3, ratio=2, classes=5, pool="cls",
                     positions="sine"),
    ),
    "vit_factory": lambda: plain.compact(
        (32, 32), {"call": "vit_2_4_32_sine()"},
        **CCT | dict(convs=0, kernel=4, stride=4, padding=0, pool="cls", positions="sine"),
    ),
    "cvt_class_leftover": lambda: plain.compact(
        (26, 33),
        kwargs("CVT", img_size=24, num_layers=2, num_heads=2, mlp_ratio=1, embedding_dim=32, kernel_size=8,
               num_classes=3, positional_embedding="none"),
        **CCT | dict(convs=0, kernel=8, stride=8, padding=0, dim=32, classes=3, positions="none"),
    ),
    "cct_in_words": lambda: plain.compact(
        (40, 24), {"composition": WORDS},
        **CCT | dict(convs=1, stride=2, dim=48, layers=3, heads=4, ratio=1.5, classes=7, pool="cls", positions="none"),
    ),
    "positions": lambda: plain_formulas.positions((6, 9), (11, 4), 2),
    "sine_odd": lambda: plain_formulas.sine_table(23, 9),
    # Swin
    "swin_rectangular": lambda: plain_swin.classifier(
        (64, 96), num_classes=3, embed_dim=16, depths=[1, 3], num_heads=[1, 4], window_size=4, mlp_ratio=2.0, in_chans=2
    ),
    "swin_one_window": lambda: plain_swin.classifier(
        (16, 16), num_classes=3, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=7, qkv_bias=False
    ),
    "stage_odd": lambda: plain_swin.stage((8, 12), dim=12, depth=3, heads=3, window=4, merge=True),
    "stage_last": lambda: plain_swin.stage((5, 5), dim=12, depth=2, heads=2, window=8, merge=False),
    "swin_unet_grey": lambda: plain_swin.unet(
        64, grey=True, dim=8, depths=[1, 2, 3, 1], heads=[1, 2, 2, 4], window=4, classes=5
    ),
    "swin_unet_load_rule": lambda: plain_formulas.load_rule(
        dim=8, window=4, source_depths=[2, 4, 2, 3], depths=[2, 2, 6, 1], classes=3
    ),
    # U-Net
    "unet_bilinear_odd": lambda: plain_unet.unet((45, 61), chans=1, classes=3, width=8, bilinear=True),
    "unet_upconv_odd": lambda: plain_unet.unet((35, 50), chans=4, classes=1, width=4, bilinear=False),
    "unet_original": lambda: plain_unet.unet_of_the_paper((188, 220), chans=3, classes=5, width=2),
    "weight_map": lambda: plain_formulas.weight_map(4, 2.5),
    "losses_absent_class": lambda: plain_formulas.losses(3, absent=1, weights=[0.2, 3.0, 1.0], ce=0.5, dice=1.5),
    "metrics": lambda: plain_formulas.metrics((31, 26), (0.5, 2.25)),
    "metrics_3d": lambda: plain_formulas.metrics((9, 14, 12), (3.0, 1.0, 1.5)),
}  # fmt: skip


@pytest.mark.parametrize("name", NEW)
def test_a_new_folder_passes_by_its_meta_file(name, tmp_path):
    case = write(tmp_path / name, *NEW[name]())
    assert check(case, system_of(case)) == []


@pytest.mark.parametrize("name", found(CLONE))
def test_every_recorded_number_can_fail(name):
    """Each array in turn with one wrong entry in a hundred, each count and shape off by one: all are reported."""
    case = GoldenCase(CLONE / name)
    system = system_of(case)
    computed = compute(case, system)
    assert compare(case, computed, system.without) == []
    for key in {key.split(" (")[0] for key in computed} & set(case.arrays):
        right = case.arrays[key]
        wrong = np.array(0.25 if isinstance(right, str) else np.nan_to_num(right, nan=0.25))
        if not isinstance(right, str) and not np.isnan(right).any():
            wrong.reshape(-1)[::100] += np.array(max(1, 0.01 * np.abs(right).max())).astype(right.dtype)
        case.arrays[key] = wrong
        assert any(problem.startswith(key) for problem in compare(case, computed, system.without)), key
        case.arrays[key] = right
    for key in ("parameters_total", "parameters_trainable", "output_shape", "shift_sizes", "facts_full_size"):
        if key in case.meta:
            right, case.meta[key] = case.meta[key], "another"
            assert any(problem.startswith(key) for problem in compare(case, computed, system.without)), key
            case.meta[key] = right


def test_a_wrong_array_in_a_new_folder_fails(tmp_path):
    meta, arrays, weights = NEW["cct_class_rectangular"]()
    arrays["block1_output"] = arrays["block1_output"] + 1e-3
    case = write(tmp_path / "wrong", meta, arrays, weights)
    problems = check(case, system_of(case))
    assert len(problems) == 2 and all(problem.startswith("block1_output") for problem in problems)  # found in two ways


def test_an_array_that_nothing_computes_fails(tmp_path):
    meta, arrays, weights = NEW["sine_odd"]()
    case = write(tmp_path / "more", meta, arrays | {"entropy": torch.zeros(3)}, weights)
    assert [problem.split(":")[0] for problem in check(case, system_of(case))] == ["entropy"]


def test_an_array_that_is_missing_or_cut_fails(tmp_path):
    meta, arrays, weights = NEW["positions"]()
    meta["arrays"] = {
        "drawn_in": [[1, 56, 5], "float32"],
        "drawn_out": [[1, 46, 5], "float32"],
        "third": [[2], "int64"],
    }
    case = write(tmp_path / "cut", meta, arrays | {"drawn_out": arrays["drawn_out"][:, 1:]}, weights)
    assert {problem.split(":")[0] for problem in check(case, system_of(case))} == {"drawn_out", "third"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(drop_block=0.1), "drop_block"),
        (dict(qk_scale=0.3), "qk_scale=0.3"),
        (dict(patch_size=[4, 2]), "patch_size"),
        (dict(norm_layer="BatchNorm"), "LayerNorm"),
    ],
)
def test_an_argument_that_the_table_does_not_know_is_named(change, said, tmp_path):
    meta, arrays, weights = NEW["swin_one_window"]()
    case = write(tmp_path / "argument", meta | {"constructor": meta["constructor"] | change}, arrays, weights)
    with pytest.raises(ValueError, match=said):
        check(case, system_of(case))


@pytest.mark.parametrize(
    ("constructor", "said"),
    [
        ({"call": "cct_2_3x2_32(True)"}, "names"),
        ({"call": "cct_2_3x2_32", "width": 3}, "width"),
        ({"composition": WORDS.replace("max-pool 3/2/1", "mean-pool 3/2/1")}, "mean-pool 3/2/1"),
        ({"composition": WORDS.replace("ReLU, ", "no activation, ")}, "no such tokenizer"),
    ],
)
def test_a_constructor_that_cannot_be_read_is_named(constructor, said, tmp_path):
    meta, arrays, weights = NEW["cct_factory"]()
    case = write(tmp_path / "constructor", meta | {"constructor": constructor}, arrays, weights)
    with pytest.raises(ValueError, match=said):
        check(case, system_of(case))


def test_a_system_that_the_table_does_not_know_fails(tmp_path):
    case = write(tmp_path / "strange", {"source": plain.source("somebody/Else"), "class": "Network"}, {}, {})
    with pytest.raises(LookupError, match=r"'Network' of 'somebody/Else'"):
        system_of(case)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty"):
        GoldenCase(tmp_path / "empty")


def test_a_system_without_a_model_is_skipped_with_its_name(tmp_path):
    meta = {"source": plain.source("facebookresearch/mae"), "class": "MaskedAutoencoderViT", "constructor": {}}
    with pytest.raises(pytest.skip.Exception, match="no model for factory MaskedAutoencoderViT yet"):
        system_of(write(tmp_path / "mae", meta, {}, {}))


def test_a_part_that_is_stored_is_what_the_notes_say(tmp_path):
    arrays = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    notes = "a holds every second column: full[..., 1::2]; b holds the first half: full[0, :4]"
    case = write(tmp_path / "parts", {"notes": notes}, arrays, {})
    assert case.slices == {"a": (..., slice(1, None, 2)), "b": (0, slice(None, 4))}
    case.meta["notes"] = "some of it is full[::2]"
    with pytest.raises(ValueError, match=r"full\[::2\]"):
        _ = case.slices


def test_one_name_with_two_contents_is_two_cases(tmp_path):
    for root, number in (("first", 1), ("second", 1), ("third", 2)):
        write(tmp_path / root / "case", {"number": number}, {}, {})
        (tmp_path / root / "counts.json").write_text(str(number))
    roots = [tmp_path / root for root in ("first", "second", "third", "nowhere")]
    assert list(found(*roots).values()) == [roots[0] / "case", roots[2] / "case"]
    assert list(found(*roots, tables=True).values()) == [roots[0] / "counts.json", roots[2] / "counts.json"]
