"""The segmentation models compute what the reference code computes, for the reference's weights."""

import json
from itertools import pairwise

import pytest
import timm
import torch

import compactlib  # noqa: F401  (registers the models)
from compactlib.models import load_imagenet, load_official, relative_position_index, shift_mask
from compactlib.models.swin import PatchMerging, SwinStage
from tests.conftest import GoldenCase, golden_cases

UNETS = {"unet_original": "unet_valid", "unet_milesial": "unet"}


def cases(*prefixes: str):
    return pytest.mark.parametrize("folder", golden_cases(*prefixes), ids=lambda folder: folder.name)


@torch.no_grad()
@cases(*UNETS)
def test_unet(folder):
    case = GoldenCase(folder)
    name = next(name for prefix, name in UNETS.items() if folder.name.startswith(prefix))
    bilinear = case.meta["constructor"].get("bilinear", False)
    width = case.meta["constructor"].get("first_channels") or 64 // case.meta["channels_divided_by"]
    model = timm.create_model(name, width=width, upsample="bilinear" if bilinear else "transpose").eval()
    load_official(model, case.weights)
    assert sum(p.numel() for p in model.parameters()) == case.meta["parameters_total"]
    # Random weights take the outputs up to 92, and rounding with them: the stored tolerance is for values around 1.
    expected = case.arrays["output"]
    scale = max(1.0, expected.std().item())
    torch.testing.assert_close(model(case.arrays["input"]), expected, rtol=1e-4, atol=2e-5 * scale)


@torch.no_grad()
def test_swin_stage_with_shift_mask_bias_and_merging():
    case = GoldenCase(golden_cases("swin_stage_d32_r14_w7")[0])
    settings = dict(mlp_ratio=4.0, qkv_bias=True, drop=0.0, attn_drop=0.0)
    stage = SwinStage(32, (14, 14), 4, 7, [0.0, 0.0], downsample=PatchMerging(32), **settings).eval()
    stage.load_state_dict(case.weights)
    assert [block.shift for block in stage.blocks] == case.meta["shift_sizes"]
    assert torch.equal(shift_mask(14, 14, 7, 3), case.arrays["attn_mask"])
    assert torch.equal(relative_position_index(7), case.arrays["relative_position_index"])
    case.assert_close(stage.blocks[0].attn.bias()[0], "rel_pos_bias_block0")
    x = case.arrays["input"].unflatten(1, (14, 14))
    for i, block in enumerate(stage.blocks):
        x = block(x)
        case.assert_close(x.flatten(1, 2), f"block{i}_output")
    case.assert_close(stage.downsample(x).flatten(1, 2), "output_after_patch_merging")


@torch.no_grad()
@cases("swin_cls")
def test_swin_classifier(folder):
    case = GoldenCase(folder)
    model = timm.create_model("swin_scratch_tiny", **case.meta["constructor"]).eval()
    load_official(model, case.weights)
    assert sum(p.numel() for p in model.parameters()) == case.meta["parameters_total"]
    outputs = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _m, _i, output: outputs.append(output.flatten(1, 2)))
    features = model.forward_features(case.arrays["input"])
    for i, output in enumerate(outputs):
        case.assert_close(output, f"layer{i}_output")
    case.assert_close(model.forward_head(features, pre_logits=True), "features")
    case.assert_close(model.forward_head(features), "logits")


@torch.no_grad()
@cases("swin_unet_e")
def test_swin_unet(folder):
    case = GoldenCase(folder)
    model = timm.create_model("swin_unet_tiny", **case.meta["constructor"]).eval()
    load_official(model, {f"module.swin_unet.{key}": value for key, value in case.weights.items()})
    assert sum(p.numel() for p in model.parameters()) == case.meta["parameters_total"]
    images = case.arrays["input"]
    bottleneck, starts = model.encode(images.expand(-1, 3, -1, -1))
    case.assert_close(bottleneck.flatten(1, 2), "bottleneck")
    # The reference keeps the stages' inputs; its fourth is what enters the bottleneck.
    for i, start in enumerate(starts):
        if f"skip{i}" in case.arrays:
            case.assert_close(start.flatten(1, 2), f"skip{i}")
    case.assert_close(model.layers_up[0](bottleneck).flatten(1, 2), "first_expand")
    every = {name: 2 if "full[:, :, ::2" in note else 4 for note in case.meta["notes"] for name in [note.split()[0]]}
    tokens = model.forward_features(images).flatten(1, 2)
    case.assert_close(tokens[:, :: every.get("decoder_features", 1)], "decoder_features")
    logits, step = model(images), every.get("logits", 1)
    case.assert_close(logits[:, :, ::step, ::step], "logits")
    assert (logits.argmax(1) == case.arrays["argmax"]).float().mean() > 0.9999


# ---- The authors' rule for starting a Swin-Unet from ImageNet weights


def numbered(shapes: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """A state dict whose every tensor is full of its own number."""
    return {key: torch.full(shape, float(i + 1)) for i, (key, shape) in enumerate(shapes.items())}


@pytest.fixture(scope="module")
def rule() -> dict:
    return json.loads((golden_cases("swin_unet_load_rule")[0] / "map.json").read_text())


def timm_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As timm calls them: merging at the start of the next stage, the head one name deeper, no derived tables."""
    names = {f"layers.{i}.downsample": f"layers.{j}.downsample" for i, j in pairwise(range(4))} | {"head": "head.fc"}
    renamed = {}
    for key, value in weights.items():
        old = next((old for old in names if key.startswith(old + ".")), None)
        if not key.endswith(("attn_mask", "relative_position_index")):
            renamed[key.replace(old, names[old]) if old else key] = value
    return renamed


@pytest.mark.parametrize("form", ["official", "timm", "checkpoint"])
def test_imagenet_weights_go_where_the_authors_put_them(rule, form):
    weights = numbered(rule["source_shapes"])
    given = {"official": weights, "timm": timm_names(weights), "checkpoint": {"model": weights}}[form]
    model = timm.create_model("swin_unet_tiny", num_classes=9)
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    left = load_imagenet(model, given)
    assert sorted(left) == sorted(rule["target_keys_left_at_initialisation"])
    came_from = {to: key for key, targets in rule["source_checkpoint_key_to_target_keys"].items() for to in targets}
    tables = ("attn_mask", "relative_position_index")  # derived from the sizes, not stored here
    assert {key for key in came_from if not key.endswith(tables)} == set(fresh) - set(left)
    for key, value in model.state_dict().items():
        assert torch.equal(value, fresh[key] if key in left else weights[came_from[key]]), key


def test_imagenet_weights_of_another_kind_are_refused():
    model = timm.create_model("swin_unet_tiny", img_size=32, window_size=2, embed_dim=8, num_heads=(1, 1, 2, 2))
    with pytest.raises(ValueError, match=r"embed_dim=8, got 1 entries such as conv1\.weight"):
        load_imagenet(model, {"conv1.weight": torch.zeros(3)})
