"""Swin Transformer: equal to timm's for the same weights; windows, shift and mask against their definitions."""

import pytest
import timm
import torch
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import (
    PatchMerging,
    SwinTransformer,
    count_macs,
    count_parameters,
    load_official,
    relative_position_index,
    shift_mask,
    window_attention_maps,
    window_partition,
    window_reverse,
)
from compactlib.models.swin_sizes import nearest_img_sizes, stage_grids

SMALL = dict(img_size=32, embed_dim=16, depths=(2, 2), num_heads=(2, 4), window_size=4, num_classes=5)


def randomise(model: nn.Module) -> None:
    """Every weight random, so that a forgotten or exchanged one shows."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3 if parameter.ndim > 1 else 1.0)


# ---- Equal to timm's


@torch.no_grad()
@pytest.mark.parametrize(
    "settings",
    [
        dict(img_size=32, window_size=4),
        dict(img_size=64, window_size=4, depths=(2, 3, 2), num_heads=(1, 2, 4)),
        dict(img_size=56, window_size=7, mlp_ratio=2.0),
        dict(img_size=48, window_size=3, qkv_bias=False, in_chans=1),
        dict(img_size=16, window_size=8),  # one window everywhere: no shift
        dict(img_size=(64, 96), window_size=4),
        dict(img_size=24, patch_size=2, window_size=6, num_classes=0),
    ],
    ids=str,
)
def test_same_logits_as_timm(settings):
    settings = {**SMALL, **settings}
    peer = TimmSwin(**settings).eval()
    randomise(peer)
    model = load_official(SwinTransformer(**settings), peer.state_dict()).eval()
    assert count_parameters(model) == count_parameters(peer)
    images = torch.randn(3, settings.get("in_chans", 3), *model.img_size)
    torch.testing.assert_close(model(images), peer(images), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.forward_features(images), peer.forward_features(images), rtol=1e-4, atol=1e-4)


def test_same_gradients_as_timm():
    settings = dict(SMALL, drop_path_rate=0.0)
    peer = TimmSwin(**settings)
    model = load_official(SwinTransformer(**settings), peer.state_dict())
    images = torch.randn(2, 3, 32, 32)
    for m in (model, peer):
        m(images).square().sum().backward()
    theirs = {key: p.grad for key, p in peer.named_parameters()}
    for name, p in model.named_parameters():
        key = {"head": "head.fc", "layers.0.downsample": "layers.1.downsample"}
        old = next((k for k in key if name.startswith(k + ".")), "")
        torch.testing.assert_close(p.grad, theirs[name.replace(old, key.get(old, ""), 1)], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "peer"),
    [
        ("swin_scratch_small", "swin_small_patch4_window7_224"),
        ("swin_scratch_base", "swin_base_patch4_window7_224"),
    ],
)
def test_named_models_have_the_size_of_timms(name, peer):
    with torch.device("meta"):
        assert count_parameters(timm.create_model(name)) == count_parameters(timm.create_model(peer))


def test_macs_equal_timms():
    model, peer = SwinTransformer(**SMALL), TimmSwin(**SMALL)
    assert count_macs(model, (3, 32, 32)) == count_macs(peer, (3, 32, 32))


# ---- Windows, shift, mask, bias


def test_windows_are_cut_and_put_together_again():
    x = torch.arange(2 * 4 * 6 * 3.0).view(2, 4, 6, 3)
    windows = window_partition(x, 2)
    assert windows.shape == (12, 4, 3)
    assert torch.equal(windows[1], x[0, 0:2, 2:4].reshape(4, 3))  # raster order of windows, and of tokens in one
    assert torch.equal(windows[6 + 3], x[1, 2:4, 0:2].reshape(4, 3))
    assert torch.equal(window_reverse(windows, 2, 4, 6), x)


@pytest.mark.parametrize(("height", "width", "window", "shift"), [(8, 8, 4, 2), (6, 9, 3, 1), (14, 21, 7, 3)])
def test_mask_forbids_exactly_the_pairs_that_only_the_roll_made_neighbours(height, width, window, shift):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    place = torch.stack([y, x], dim=-1)[None].roll((-shift, -shift), dims=(1, 2))  # where each token came from
    place = window_partition(place, window)  # (w, n, 2)
    near = ((place[:, :, None] - place[:, None]).abs() < window).all(-1)
    assert torch.equal(shift_mask(height, width, window, shift), torch.where(near, 0.0, -100.0))


def test_same_offset_same_bias_and_every_offset_has_one():
    window = 3
    index = relative_position_index(window)
    rows = {}
    for i in range(window**2):
        for j in range(window**2):
            offset = (i // window - j // window, i % window - j % window)
            assert rows.setdefault(offset, index[i, j].item()) == index[i, j]
    assert sorted(rows.values()) == list(range((2 * window - 1) ** 2))


@torch.no_grad()
def test_attention_stays_inside_windows_and_the_shift_carries_it_across():
    """One block: a changed token changes its own window only; the shifted block after it reaches the next ones."""
    model = SwinTransformer(**SMALL).eval().double()
    x = torch.randn(1, 8, 8, 16, dtype=torch.float64)
    changed = x.clone()
    changed[0, 1, 1, 0] += 1.0
    regular, shifted = model.layers[0].blocks
    touched = (regular(changed) - regular(x)).abs().amax(-1)[0] > 0
    assert touched[:4, :4].all() and not touched[4:].any() and not touched[:, 4:].any()
    touched = (shifted(regular(changed)) - shifted(regular(x))).abs().amax(-1)[0] > 0
    assert touched[:6, :6].all() and not touched[6:].any() and not touched[:, 6:].any()


@torch.no_grad()
def test_the_gpus_form_of_attention_is_the_same():
    model = SwinTransformer(**SMALL).eval()
    randomise(model)
    for block in model.layers[0].blocks:
        windows = torch.randn(2 * 4, 16, 16)
        q, k, v = block.attn.split_heads(windows)
        plain, fused = (f(q, k, v, block.attn_mask) for f in (block.attn.attend, block.attn.attend_fused))
        torch.testing.assert_close(plain, fused, rtol=1e-4, atol=1e-5)


def test_attention_maps_reproduce_the_blocks_output_and_see_the_mask():
    model = SwinTransformer(**SMALL).train()
    images = torch.randn(2, 3, 32, 32)
    maps = window_attention_maps(model, images, stage=0, block=1)
    assert maps.shape == (2, 4, 2, 16, 16) and model.training
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 4, 2, 16))
    forbidden = model.layers[0].blocks[1].attn_mask < 0  # (w, n, n)
    assert forbidden.any() and maps.amax(dim=(0, 2))[forbidden].max() < 1e-30
    attention = model.eval().layers[0].blocks[1].attn
    seen = []
    attention.qkv.register_forward_hook(lambda _m, _i, output: seen.append(output))
    attention.proj.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    model(images)
    values = seen[0].unflatten(-1, (3, 2, 8))[:, :, 2]  # (b w, n, heads, d / heads)
    expected = torch.einsum("whij,wjhd->wihd", maps.flatten(0, 1), values).flatten(2)
    torch.testing.assert_close(seen[1], expected)


@torch.no_grad()
def test_merging_is_the_strided_gather_of_the_authors():
    merging, x = PatchMerging(3), torch.randn(2, 4, 6, 3)
    parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
    torch.testing.assert_close(merging(x), merging.reduction(merging.norm(torch.cat(parts, dim=-1))))


# ---- The model


@pytest.mark.parametrize("settings", [dict(), dict(ape=True, patch_norm=False, qkv_bias=False)], ids=str)
def test_finite_gradients_reach_every_parameter(settings):
    model = SwinTransformer(**SMALL, **settings, drop_path_rate=0.0)
    model(torch.randn(3, 3, 32, 32)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_an_absolute_embedding_is_added_to_the_patches():
    model = SwinTransformer(**SMALL, ape=True).eval()
    assert model.absolute_pos_embed.shape == (1, 64, 16)
    plain = load_official(
        SwinTransformer(**SMALL), {k: v for k, v in model.state_dict().items() if k != "absolute_pos_embed"}
    ).eval()
    images = torch.randn(1, 3, 32, 32)
    plain.patch_embed.register_forward_hook(lambda _m, _i, x: x + model.absolute_pos_embed.view(1, 8, 8, 16))
    torch.testing.assert_close(plain(images), model(images))


def test_timms_contract():
    model = timm.create_model("swin_scratch_tiny", **SMALL)
    images = torch.randn(2, 3, 32, 32)
    assert model(images).shape == (2, 5)
    assert model.forward_features(images).shape == (2, 4, 4, 32)
    model.reset_classifier(7)
    assert model(images).shape == (2, 7) and model.get_classifier() is model.head
    model.reset_classifier(0)
    assert model(images).shape == (2, 32)
    with pytest.raises(TypeError, match="embedding_dim"):
        timm.create_model("swin_scratch_tiny", embedding_dim=8)


@pytest.mark.parametrize("window", [2, 3, 4, 7])
@pytest.mark.parametrize("stages", [1, 2, 4])
def test_sizes_named_by_the_error_work_and_nothing_between_does(window, stages):
    settings = dict(embed_dim=2, depths=(1,) * stages, num_heads=(1,) * stages, window_size=window, num_classes=1)

    def runs(side: int) -> bool:
        try:
            SwinTransformer(img_size=side, **settings)
        except ValueError:
            return False
        return True

    for side in (4, 13, 50, 100, 160, 224, 230):
        named = [height for height, _ in nearest_img_sizes((side, side), 4, stages, window)]
        assert named and all(runs(s) for s in named)
        step = 4  # sides that patches do not divide fail before windows are looked at
        first = named[0] if named[0] <= side else 0
        between = [s for s in range(first + 1, named[-1]) if s % step == 0]
        assert runs(side) is (side in named) and not any(runs(s) for s in between if s not in named)


@torch.no_grad()
def test_a_size_that_does_not_work_is_an_error_that_names_sizes_and_a_window():
    with pytest.raises(ValueError, match=r"256 x 256.*windows of 7 x 7.*: 224 x 224 or 448 x 448, or.*window_size=8"):
        timm.create_model("swin_scratch_tiny", img_size=256)
    with pytest.raises(ValueError, match="does not divide into 4 x 4 patches"):
        SwinTransformer(**{**SMALL, "img_size": 30})
    with pytest.raises(ValueError, match="merged"):
        SwinTransformer(**{**SMALL, "img_size": 12})
    with pytest.raises(ValueError, match="32 x 40.*: 32 x 32 or 32 x 64"):
        SwinTransformer(**{**SMALL, "img_size": (32, 40)})
    assert stage_grids((32, 64), 4, 2, 4) == [((8, 16), 4), ((4, 8), 4)]
    with pytest.raises(ValueError, match=r"built for images of \(32, 32\)"):
        SwinTransformer(**SMALL)(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"expected images \(batch, 3"):
        SwinTransformer(**SMALL)(torch.zeros(1, 1, 32, 32))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(num_heads=(3, 4)), "16 channels do not divide into num_heads=3"),
        (dict(num_heads=(2, 4, 8)), "must name the same stages"),
        (dict(depths=(2, 0)), r"depths\[1\]=0 is too small"),
        (dict(window_size=0), "window_size=0 is too small"),
    ],
)
def test_arguments_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        SwinTransformer(**{**SMALL, **settings})
