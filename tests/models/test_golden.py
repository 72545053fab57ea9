"""The models compute what the authors' code computes, step by step, for the authors' weights."""

import pytest
import torch

from compactlib.models import CompactTransformer, attention_maps, load_official, resize_pos_embed, sine_position_table
from tests.conftest import GoldenCase, golden_cases

# What the reference calls its arguments
KEYWORDS = {
    "num_layers": "depth",
    "embedding_dim": "embed_dim",
    "n_conv_layers": "num_convs",
    "n_input_channels": "in_chans",
    "positional_embedding": "pos_embed",
}
SETTINGS = {  # of the cases that are not built through a class with keyword arguments
    "vit_2_4_32": dict(tokenizer="patch", kernel_size=4, pool="cls"),
    "cvt_2_4_32": dict(tokenizer="patch", kernel_size=4, pool="seq"),
    "cct_2_3x2_32": {},
    "cct_2_3x2_32_classtoken": dict(embed_dim=64, pool="cls"),
}


def build(case: GoldenCase) -> CompactTransformer:
    kwargs = case.meta["constructor"].get("kwargs")
    settings = {KEYWORDS.get(k, k): v for k, v in kwargs.items()} if kwargs else SETTINGS[case.meta["name"]]
    return load_official(CompactTransformer(**settings), case.weights).eval()


@pytest.fixture(params=golden_cases("vit_", "cvt_", "cct_"), ids=lambda folder: folder.name)
def case(request) -> GoldenCase:
    return GoldenCase(request.param)


@torch.no_grad()
def test_every_stage_matches_the_reference(case):
    model = build(case)
    images = case.arrays["input"]
    stages = {}
    model.blocks[0].register_forward_hook(lambda _m, _i, output: stages.update(block0=output))
    case.assert_close(model.tokenizer(images), "tokens")
    features = model.forward_features(images)
    case.assert_close(stages["block0"], "block0_output")
    case.assert_close(features, "final_norm_output")
    case.assert_close(model.forward_head(features, pre_logits=True), "pooled")
    case.assert_close(model(images), "logits")
    if "seqpool_weights" in case.arrays:
        case.assert_close(model.pool.weights(features)[..., None], "seqpool_weights")
    if "input_small" in case.arrays:  # tokens of tiny variance: LayerNorm's epsilon shows
        case.assert_close(model(case.arrays["input_small"]), "logits_small")


def test_parameter_counts_match_the_reference(case):
    parameters = list(build(case).parameters())
    assert sum(p.numel() for p in parameters) == case.meta["parameters_total"]
    assert sum(p.numel() for p in parameters if p.requires_grad) == case.meta["parameters_trainable"]


@torch.no_grad()
def test_attention_maps_give_the_first_block_of_the_reference(case):
    """The maps, put into the reference's formula by hand, lead to the reference's output of block 0."""
    model = build(case)
    block = model.blocks[0]
    tokens = case.arrays["tokens"]
    if model.cls_token is not None:
        tokens = torch.cat([model.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
    tokens = tokens if model.pos_embed is None else tokens + model.pos_embed
    value = block.attn.split_heads(block.attn.qkv(block.norm1(tokens)))[2]
    mixed = attention_maps(model, case.arrays["input"])[:, 0] @ value  # (b, h, n, d / h)
    x = block.norm2(tokens + block.attn.proj(mixed.transpose(1, 2).flatten(2)))
    case.assert_close(x + block.mlp(x), "block0_output")


def test_positions_are_resized_as_the_reference_does():
    case = GoldenCase(*golden_cases("pos_embed_resize"))
    for name, old, new, prefix in (("grow_notoken", 8, 14, 0), ("grow_token", 8, 12, 1), ("shrink_notoken", 16, 7, 0)):
        resized = resize_pos_embed(case.arrays[f"{name}_in"], (old, old), (new, new), prefix)
        case.assert_close(resized, f"{name}_out")


def test_sine_table_matches_the_reference():
    case = GoldenCase(*golden_cases("sine_table"))
    case.assert_close(sine_position_table(17, 12), "seq17_dim12")
    case.assert_close(sine_position_table(64, 128), "seq64_dim128")
