"""What must hold for any weights: shapes, pooling, permutations, gradients, sizes, errors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compactlib.models import (
    Attention,
    CompactTransformer,
    ConvTokenizer,
    PatchTokenizer,
    SeqPool,
    attention_maps,
    pool_weights,
)

FAMILIES = {
    "ViT-Lite": dict(tokenizer="patch", kernel_size=4, pool="cls"),
    "CVT": dict(tokenizer="patch", kernel_size=4, pool="seq"),
    "CCT": dict(tokenizer="conv", kernel_size=3, pool="seq"),
    "mean": dict(tokenizer="conv", kernel_size=3, pool="avg"),
}
SMALL = dict(embed_dim=32, depth=2, num_heads=2, img_size=16, num_classes=5)


@pytest.fixture(params=FAMILIES.values(), ids=FAMILIES.keys())
def family(request) -> dict:
    return request.param


@pytest.mark.parametrize("pos_embed", ["learnable", "sine", "none"])
@pytest.mark.parametrize("in_chans", [1, 3, 5])
def test_shapes_and_finite_gradients_everywhere(family, pos_embed, in_chans):
    model = CompactTransformer(**SMALL, **family, pos_embed=pos_embed, in_chans=in_chans, attn_drop_rate=0.0)
    logits = model(torch.randn(3, in_chans, 16, 16))
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
        if name == "pool.score.bias":  # a softmax does not see a shift of all scores: zero but for rounding
            assert parameter.grad.abs().item() < 1e-4
        elif parameter.requires_grad:
            assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


def test_families_differ_by_tokenizer_and_pooling_only():
    parts = {name: dict(CompactTransformer(**SMALL, **f).named_parameters()) for name, f in FAMILIES.items()}
    shared = [{k: v.shape for k, v in p.items() if k.startswith(("blocks", "norm", "head"))} for p in parts.values()]
    assert all(s == shared[0] for s in shared)
    rest = {name: {k.split(".")[0] for k in p} - {"blocks", "norm", "head", "pos_embed"} for name, p in parts.items()}
    assert rest["ViT-Lite"] == {"tokenizer", "cls_token"} and rest["CVT"] == rest["CCT"] == {"tokenizer", "pool"}


def test_seqpool_weights_sum_to_one_and_a_zero_layer_gives_the_mean():
    pool, tokens = SeqPool(16), torch.randn(4, 9, 16)
    torch.testing.assert_close(pool.weights(tokens).sum(dim=1), torch.ones(4))
    nn.init.zeros_(pool.score.weight)
    torch.testing.assert_close(pool(tokens), tokens.mean(dim=1))


def test_seqpool_with_a_decided_score_picks_one_token():
    pool, tokens = SeqPool(2), torch.tensor([[[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]]])
    pool.score.weight.data = torch.tensor([[100.0, 0.0]])
    torch.testing.assert_close(pool(tokens), tokens[:, 2])


@torch.no_grad()
@pytest.mark.parametrize("pool", ["seq", "cls", "avg"])
@pytest.mark.parametrize(("pos_embed", "same"), [("none", True), ("learnable", False), ("sine", False)])
def test_without_positions_the_order_of_patches_does_not_matter(pool, pos_embed, same):
    model = CompactTransformer(**SMALL, tokenizer="patch", kernel_size=4, pool=pool, pos_embed=pos_embed).eval()
    for block in model.blocks:  # attention that is far from uniform, so that an order would show
        nn.init.normal_(block.attn.qkv.weight)
    image = torch.randn(1, 3, 16, 16)
    patches = image.unfold(2, 4, 4).unfold(3, 4, 4).flatten(2, 3)  # (1, 3, 16, 4, 4)
    mixed = patches[:, :, torch.randperm(16)].unflatten(2, (4, 4)).permute(0, 1, 2, 4, 3, 5).reshape(1, 3, 16, 16)
    assert not torch.equal(image, mixed)
    assert torch.allclose(model(image), model(mixed), rtol=1e-4, atol=1e-5) is same


@torch.no_grad()
def test_patch_tokenizer_is_a_linear_map_of_each_patch():
    tokenizer, image = PatchTokenizer(2, 6, patch_size=3), torch.randn(1, 2, 6, 9)
    tokens = tokenizer(image)
    assert tokens.shape == (1, 6, 6)
    patch = image[0, :, 3:6, 6:9].flatten()  # row 1, column 2 -> token 1 * 3 + 2
    torch.testing.assert_close(tokens[0, 5], tokenizer.proj.weight.flatten(1) @ patch + tokenizer.proj.bias)


def test_conv_tokenizer_follows_equation_2():
    """ReLU before or after the pooling: the same values and the same gradients."""
    tokenizer, x = ConvTokenizer(3, 8, num_convs=2, kernel_size=3), torch.randn(2, 3, 17, 12)
    expected = x
    for conv in tokenizer.convs:
        expected = nn.functional.max_pool2d(nn.functional.relu(conv(expected)), 3, 2, 1)
    height, width = tokenizer.grid(17, 12)
    assert expected.shape == (2, 8, height, width) == (2, 8, 5, 3)
    wanted = torch.autograd.grad(expected.square().sum(), list(tokenizer.parameters()))
    actual = tokenizer(x)
    torch.testing.assert_close(actual, expected.flatten(2).transpose(1, 2))
    torch.testing.assert_close(torch.autograd.grad(actual.square().sum(), list(tokenizer.parameters())), wanted)


@pytest.mark.parametrize("in_chans", [1, 3])
def test_channels_stay_last_in_memory_from_the_first_convolution_on(in_chans):
    tokenizer, strides = ConvTokenizer(in_chans, 32, num_convs=2, kernel_size=3), []
    tokenizer.pool.register_forward_hook(lambda module, inputs, output: strides.append(inputs[0].stride(1)))
    for images in (torch.randn(2, in_chans, 8, 8), torch.randn(2, 8, 8, in_chans).movedim(-1, 1)):
        tokenizer(images)
    assert strides == [1, 1, 1, 1]  # else pooling is slow on a CPU


@pytest.mark.parametrize("size", [7, 13, 31, 33, (20, 45)])
def test_odd_and_oblong_images(size):
    height, width = (size, size) if isinstance(size, int) else size
    settings = {**SMALL, "img_size": size}
    assert CompactTransformer(**settings)(torch.zeros(2, 3, height, width)).shape == (2, 5)


@torch.no_grad()
def test_cct_without_positions_takes_any_size_at_run_time():
    model = CompactTransformer(**SMALL, pos_embed="none").eval()
    for height, width in ((16, 16), (8, 8), (9, 50), (64, 64)):
        assert model(torch.randn(2, 3, height, width)).shape == (2, 5)


@torch.no_grad()
@pytest.mark.parametrize("pos_embed", ["learnable", "sine"])
def test_set_input_size(pos_embed):
    model = CompactTransformer(**SMALL, pool="cls", pos_embed=pos_embed).eval()
    with pytest.raises(ValueError, match=r"set_input_size\(\(24, 32\)\)"):
        model(torch.zeros(1, 3, 24, 32))
    first_row = model.pos_embed[:, :1].clone()
    model.set_input_size((24, 32))
    assert model(torch.zeros(1, 3, 24, 32)).shape == (1, 5)
    assert model.pos_embed.requires_grad is (pos_embed == "learnable")
    torch.testing.assert_close(model.pos_embed[:, :1], first_row)  # the class token's row is not interpolated


def test_a_size_that_cannot_work_leaves_the_model_as_it_is():
    model = CompactTransformer(**SMALL, tokenizer="patch", kernel_size=4)
    with pytest.raises(ValueError, match="do not divide"):
        model.set_input_size(33)
    assert model.img_size == (16, 16) and model(torch.zeros(1, 3, 16, 16)).shape == (1, 5)


def test_stochastic_depth_rises_linearly_and_drops_whole_samples():
    model = CompactTransformer(**{**SMALL, "depth": 5}, drop_path_rate=0.4)
    assert [b.drop_path.drop_prob for b in model.blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    kept = model.blocks[-1].drop_path.train()(torch.ones(4000, 3, 2))
    torch.testing.assert_close(kept.unique(), torch.tensor([0.0, 1 / 0.6]))
    assert (kept == kept[:, :1, :1]).all() and kept[:, 0, 0].bool().float().mean() == pytest.approx(0.6, abs=0.04)


def test_dropout_acts_in_training_only():
    model, x = CompactTransformer(**SMALL, attn_drop_rate=0.5, drop_rate=0.2), torch.randn(2, 3, 16, 16)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_training_attention_without_dropout_equals_the_fused_one(family):
    """The plain formula that runs on a CPU while dropout acts, at a rate too small to drop anything."""
    model, x = (
        CompactTransformer(**SMALL, **family, attn_drop_rate=1e-12, drop_path_rate=0.0),
        torch.randn(2, 3, 16, 16),
    )
    torch.testing.assert_close(model.train()(x), model.eval()(x), rtol=1e-4, atol=1e-5)


def test_attention_in_bfloat16_is_that_of_fp32_rounded():
    """Output and gradients, against PyTorch's fused kernel in fp32; bfloat16 has 8 bits, 1/256 of a value."""
    torch.manual_seed(0)
    attention, x = Attention(32, 2), torch.randn(4, 16, 32)
    q, k, v = attention.split_heads(attention.qkv(x))
    fused = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    wanted = attention.proj(fused)
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.03, atol=0.01)
    weight = attention.qkv.weight
    exact, rounded = (torch.autograd.grad(y.float().square().mean(), weight)[0] for y in (wanted, found))
    assert (rounded - exact).norm() < 0.03 * exact.norm()


def test_reading_maps_leaves_the_model_as_it_is(family):
    model, x = CompactTransformer(**SMALL, **family).train(), torch.randn(2, 3, 16, 16)
    maps = attention_maps(model, x)
    tokens = 16 + model.num_prefix_tokens
    assert maps.shape == (2, 2, 2, tokens, tokens)
    torch.testing.assert_close(maps.sum(dim=-1), torch.ones(2, 2, 2, tokens))
    assert model.training and not any(m._forward_hooks for m in model.modules())
    if isinstance(model.pool, SeqPool):
        weights = pool_weights(model, x)
        assert weights.shape == (2, 4, 4)
        torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(2))
    else:
        with pytest.raises(TypeError, match="pool='seq'"):
            pool_weights(model, x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(tokenizer="patches"), "tokenizer='patches' is unknown; choose one of 'conv', 'patch'"),
        (dict(pool="mean"), "pool='mean' is unknown"),
        (dict(pos_embed=None), "pos_embed=None is unknown"),
        (dict(embed_dim=30, num_heads=4), "embed_dim=30 does not divide into num_heads=4"),
        (dict(num_convs=0), "num_convs=0 is too small; expected 1 or more"),
        (dict(num_heads=0), "num_heads=0 is too small"),
        (dict(depth=-1), "depth=-1 is too small"),
        (dict(stride=0), "stride=0 is too small"),
        (dict(tokenizer="patch", kernel_size=5), "16 x 16 pixels do not divide into 5 x 5.*15 x 15 or 20 x 20"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        CompactTransformer(**{**SMALL, **settings})


def test_images_that_do_not_fit():
    model = CompactTransformer(**SMALL)
    for shape in ((1, 1, 16, 16), (3, 16, 16)):
        with pytest.raises(ValueError, match=r"expected images \(batch, 3, height, width\)"):
            model(torch.zeros(shape))


def test_a_new_head():
    model = CompactTransformer(**SMALL)
    model.reset_classifier(7)
    assert model(torch.zeros(1, 3, 16, 16)).shape == (1, 7) and model.get_classifier().out_features == 7
