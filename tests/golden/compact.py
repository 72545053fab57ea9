"""Compact transformers: every stage of the reference's classifier, its positional tables, and how they are resized."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from unittest import mock

import timm
import torch
from torch import Tensor, nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import (
    ClassTokenPool,
    CompactTransformer,
    ConvTokenizer,
    attention_maps,
    compact_transformer,
    pool_weights,
    resize_pos_embed,
    sine_position_table,
)
from tests.golden.arguments import COMPACT, read_composition, translate
from tests.golden.cases import GoldenCase

# What the authors' classes do where they are told nothing else, in their words, and what they are here
CLASS = {"embedding_dim": 768, "num_layers": 14, "num_heads": 6, "mlp_ratio": 4.0, "num_classes": 1000}
CONV, PATCHES = {"kernel_size": 7, "stride": 2, "padding": 3, "n_conv_layers": 1}, {"kernel_size": 16}
CLASSES = {
    "CCT": (CLASS | CONV, {"tokenizer": "conv", "pool": "seq"}),
    "CVT": (CLASS | PATCHES, {"tokenizer": "patch", "pool": "seq"}),
    "ViTLite": (CLASS | PATCHES, {"tokenizer": "patch", "pool": "cls"}),
}
CLASSIFIER = {"num_layers": 12, "num_heads": 12, "mlp_ratio": 4.0, "num_classes": 1000, "positional_embedding": "sine"}
TOKENIZERS = {(True, True, False): "conv", (False, False, True): "patch"}  # max-pool, ReLU, bias


def build(case: GoldenCase) -> CompactTransformer:
    """By the factory's or class's name, or from the words for a composition of the tokenizer and the classifier."""
    name, given = case.constructor()
    if "composition" in given:
        create, given, settings = CompactTransformer, *_composed(given["composition"])
    elif name in CLASSES:
        create, (defaults, settings) = CompactTransformer, CLASSES[name]
        given = defaults | given
    else:
        create, settings = partial(timm.create_model, name), {}
        if name.startswith(("cct_", "cvt_")):  # the authors' argument gets lost on its way
            given = given | {"positional_embedding": "learnable"}
    settings = settings | translate(given, COMPACT, name)
    if settings.get("tokenizer") == "patch":  # as in the authors' code, which drops what patches leave over
        settings = {"stride": settings["kernel_size"], "padding": 0} | settings
    if "positional_embedding_actually_used" in case.meta:
        settings["pos_embed"] = case.meta["positional_embedding_actually_used"].removesuffix("(frozen)")
    tokenizer = {key.split(".")[1]: settings.pop(key) for key in list(settings) if key.startswith("tokenizer.")}
    settings["img_size"] = tuple(case.arrays["input"].shape[2:])
    with mock.patch.object(compact_transformer, "ConvTokenizer", partial(ConvTokenizer, **tokenizer)):
        return create(**settings)


def _composed(words: str) -> tuple[dict, dict]:
    given = read_composition(words)
    traits = given.pop("max_pool", True), given.pop("relu", True), given.pop("bias", False)
    if traits not in TOKENIZERS or (traits != (True, True, False) and given.pop("n_conv_layers", 1) != 1):
        raise ValueError(
            f"the library has no such tokenizer: {words}; it has max-pool, ReLU and no bias, or one layer of patches"
        )
    return CLASSIFIER | given, {"tokenizer": TOKENIZERS[traits]}


def values(case: GoldenCase, model: CompactTransformer) -> dict[str, Tensor]:
    """Stages for `input`, and for each further input_X the same with _X at the end of their names."""
    computed: dict[str, Tensor] = {}
    for match in case.matching(r"input(_\w+)?"):
        stages = _stages(model, case.take(match[0]))
        computed |= {f"{name}{match[1] or ''}{way}": value for (name, way), value in stages.items()}
    return computed


def _stages(model: CompactTransformer, images: Tensor) -> dict[tuple[str, str], Tensor]:
    features, stages = outputs_of(
        {f"block{i}_output": b for i, b in enumerate(model.blocks)}, model.forward_features, images
    )
    computed = {(name, ""): value for name, value in stages.items()}
    computed["tokens", ""] = tokens = model.tokenizer(images)
    computed["final_norm_output", ""] = features
    computed["pooled", ""] = model.forward_head(features, pre_logits=True)
    computed["logits", ""] = model.forward_head(features)
    computed["logits", " (the whole model)"] = model(images)
    if hasattr(model.pool, "weights"):
        computed["seqpool_weights", ""] = model.pool.weights(features)[..., None]
        computed["seqpool_weights", " (pool_weights)"] = pool_weights(model, images).flatten(1)[..., None]
    # The attention maps, put into the reference's formula by hand, lead to each block's output.
    if isinstance(model.pool, ClassTokenPool):
        tokens = torch.cat([model.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
    x = tokens if model.pos_embed is None else tokens + model.pos_embed
    maps = attention_maps(model, images)  # (b, layers, h, n, n)
    for i, block in enumerate(model.blocks):
        value = block.attn.split_heads(block.attn.qkv(block.norm1(x)))[2]
        x = block.norm2(x + block.attn.proj((maps[:, i] @ value).transpose(1, 2).flatten(2)))
        x = computed[f"block{i}_output", " (attention_maps)"] = x + block.mlp(x)
    return computed


def outputs_of(
    modules: Mapping[str, nn.Module], function: Callable, *inputs: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `function` returns, and what the named modules put out meanwhile."""
    outputs: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: outputs.__setitem__(name, output))
        for name, module in modules.items()
    ]
    try:
        return function(*inputs), outputs
    finally:
        for hook in hooks:
            hook.remove()


def resized_positions(case: GoldenCase) -> dict[str, Tensor]:
    """Each NAME_in on the grid that the words for NAME say: "8x8 -> 14x14, ..."; rows beyond the grid come first."""
    computed = {}
    for match in case.matching(r"(\w+)_in"):
        words = case.meta["cases"][match[1]]
        sizes = re.search(r"(\d+)x(\d+) -> (\d+)x(\d+)", words)
        if not sizes:
            raise ValueError(f'cannot read the grids of {match[1]}: expected "8x8 -> 14x14", got {words}')
        height, width, *new = map(int, sizes.groups())
        table = case.take(match[0])
        prefix = table.shape[1] - height * width
        computed[f"{match[1]}_out"] = resize_pos_embed(table, (height, width), tuple(new), prefix)
    return computed


def sine_tables(case: GoldenCase) -> dict[str, Tensor]:
    """seq17_dim12: 17 positions of 12 channels."""
    return {m[0]: sine_position_table(int(m[1]), int(m[2])) for m in case.matching(r"seq(\d+)_dim(\d+)")}
