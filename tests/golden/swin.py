"""Swin Transformer, its stage, and Swin-Unet: the reference's stages, and where an ImageNet checkpoint goes."""

from collections.abc import Iterable
from itertools import pairwise
from math import isqrt

import timm
import torch
from torch import Tensor, nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import (
    PatchMerging,
    SwinTransformer,
    SwinUnet,
    load_imagenet,
    load_official,
    relative_position_index,
    shift_mask,
)
from compactlib.models.swin_stage import SwinStage
from tests.golden.arguments import SWIN, SWIN_STAGE, SWIN_UNET, translate
from tests.golden.cases import GoldenCase
from tests.golden.compact import outputs_of


def build_classifier(case: GoldenCase) -> SwinTransformer:
    name, given = case.constructor()
    return timm.create_model("swin_scratch_tiny", **translate(given, SWIN, name))


def classifier_values(case: GoldenCase, model: SwinTransformer) -> dict[str, Tensor]:
    images = case.take("input")
    features, stages = outputs_of(
        {f"layer{i}_output": m for i, m in enumerate(model.layers)}, model.forward_features, images
    )
    logits = model.forward_head(features)
    renamed = load_official(build_classifier(case), timm_names(case.weights, len(model.layers))).eval()
    return {
        **{name: tokens.flatten(1, 2) for name, tokens in stages.items()},
        "patch_embed": model.patch_embed(images).flatten(1, 2),
        "final_norm_output": features.flatten(1, 2),
        "features": model.forward_head(features, pre_logits=True),
        "logits": logits,
        "logits (the whole model)": model(images),
        "logits_timm": logits,
        "logits_timm (weights with timm's names)": renamed(images),
    }


def timm_names(weights: dict[str, Tensor], stages: int) -> dict[str, Tensor]:
    """As timm calls them: merging at the start of the next stage, the head one name deeper, no derived tables."""
    names = {f"layers.{i}.downsample": f"layers.{j}.downsample" for i, j in pairwise(range(stages))} | {
        "head": "head.fc"
    }
    renamed = {}
    for key, value in weights.items():
        old = next((old for old in names if key.startswith(old + ".")), None)
        if not derived(key):
            renamed[key.replace(old, names[old], 1) if old else key] = value
    return renamed


def derived(key: str) -> bool:
    """Tables that follow from the sizes: the references store them, the library does not."""
    return key.endswith(("attn_mask", "relative_position_index"))


def build_stage(case: GoldenCase) -> SwinStage:
    name, given = case.constructor()
    settings = {"mlp_ratio": 4.0, "qkv_bias": True, "merges": False} | translate(given, SWIN_STAGE, name)
    dim, grid, depth = (settings.pop(key) for key in ("dim", "grid", "depth"))
    downsample = PatchMerging(dim) if settings.pop("merges") else None
    heads, window = settings.pop("num_heads"), min(settings.pop("window"), *grid)
    rates = [0.0] * depth
    return SwinStage(dim, grid, heads, window, rates, downsample=downsample, drop=0.0, attn_drop=0.0, **settings)


def load_stage(stage: SwinStage, weights: dict[str, Tensor]) -> SwinStage:
    stage.load_state_dict({key: value for key, value in weights.items() if not derived(key)})
    return stage


def stage_values(case: GoldenCase, stage: SwinStage) -> dict[str, object]:
    height, width = case.constructor()[1]["input_resolution"]
    blocks = dict(enumerate(stage.blocks))
    x, outputs = outputs_of(
        {f"block{i}_output": b for i, b in blocks.items()}, stage, case.take("input").unflatten(1, (height, width))
    )
    window, shift = stage.blocks[0].window, max(block.shift for block in stage.blocks)
    computed = {
        **{name: tokens.flatten(1, 2) for name, tokens in outputs.items()},
        "output": x.flatten(1, 2),
        "output_after_patch_merging": x.flatten(1, 2),
        "relative_position_index": relative_position_index(window),
        **{f"rel_pos_bias_block{i}": block.attn.bias()[0] for i, block in blocks.items()},
        "shift_sizes": [block.shift for block in stage.blocks],
    }
    return computed | ({"attn_mask": shift_mask(height, width, window, shift)} if shift else {})


def build_unet(case: GoldenCase) -> SwinUnet:
    name, given = case.constructor()
    return timm.create_model("swin_unet_tiny", **{"num_classes": 1000} | translate(given, SWIN_UNET, name))


def unet_values(case: GoldenCase, model: SwinUnet) -> dict[str, object]:
    images = case.take("input")
    colour = images.expand(-1, model.in_chans, -1, -1)  # a grey image is repeated, as the authors' wrapper does
    bottleneck, starts = model.encode(colour)
    logits = model(images)
    return {
        "bottleneck": bottleneck.flatten(1, 2),
        # The reference keeps the stages' inputs; its last is what enters the bottleneck.
        **{f"skip{i}": start.flatten(1, 2) for i, start in enumerate(starts)},
        "first_expand": model.layers_up[0](bottleneck).flatten(1, 2),
        "decoder_features": model.forward_features(images).flatten(1, 2),
        "logits": logits,
        "argmax": logits.argmax(1),
        "output_shape": list(logits.shape),
    }


def load_rule(case: GoldenCase) -> dict[str, object]:
    """Where each tensor of a Swin Transformer's checkpoint goes, found out with tensors full of their own number."""
    left, goes = "target_keys_left_at_initialisation", "source_checkpoint_key_to_target_keys"
    numbers = {key: 1000.0 + i for i, key in enumerate(case.meta["source_shapes"])}
    weights = {key: torch.full(shape, numbers[key]) for key, shape in case.meta["source_shapes"].items()}
    forms = {
        goes: weights,
        f"{goes} (timm's names)": timm_names(weights, _stages(weights)),
        f"{goes} (a training checkpoint)": {"model": {f"module.{key}": value for key, value in weights.items()}},
    }
    with torch.device("meta"):
        model = timm.create_model("swin_unet_tiny", **_settings(case.meta["target_shapes"]))
    model = model.to_empty(device="cpu")
    computed: dict[str, object] = {}
    for form, given in forms.items():
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        computed[form.replace(goes, left)] = _in_order(case.meta[left], load_imagenet(model, given))
        targets: dict[float, list[str]] = {}
        for name, value in model.state_dict().items():
            targets.setdefault(value.mean(dtype=torch.float64).item(), []).append(name)
        computed[form] = {
            key: case.meta[goes][key] if derived(key) else _in_order(case.meta[goes][key], targets.get(number, []))
            for key, number in numbers.items()
        }
    return computed


def _in_order(recorded: list[str], names: list[str]) -> list[str]:
    return recorded if sorted(recorded) == sorted(names) else names


def _stages(keys: Iterable[str]) -> int:
    return 1 + max(int(key.split(".")[1]) for key in keys if key.startswith("layers."))


def _settings(shapes: dict[str, list[int]]) -> dict[str, object]:
    """The arguments of the Swin-Unet whose state dict has these shapes."""
    stages = _stages(shapes)
    tables = [shapes[f"layers.{i}.blocks.0.attn.relative_position_bias_table"] for i in range(stages)]
    embed_dim, in_chans, patch_size, _ = shapes["patch_embed.proj.weight"]
    window = max((isqrt(rows) + 1) // 2 for rows, _ in tables)
    masks = [shapes[key] for key in shapes if key == "layers.0.blocks.1.attn_mask"]
    windows = isqrt(masks[0][0]) if masks else 1  # on a side of the first stage's map
    return {
        "img_size": patch_size * window * windows,
        "patch_size": patch_size,
        "in_chans": in_chans,
        "num_classes": shapes["output.weight"][0],
        "embed_dim": embed_dim,
        "depths": [
            len([k for k in shapes if k.startswith(f"layers.{i}.") and k.endswith("norm1.weight")])
            for i in range(stages)
        ],
        "num_heads": [heads for _, heads in tables],
        "window_size": window,
        "mlp_ratio": shapes["layers.0.blocks.0.mlp.fc1.weight"][0] / embed_dim,
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in shapes,
        "ape": "absolute_pos_embed" in shapes,
        "patch_norm": "patch_embed.norm.weight" in shapes,
    }
