"""Swin-Unet: the authors' counts, the arms of the paper's ablations, sizes, and where the weights come from."""

import socket
from itertools import pairwise

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import (
    SEGMENTATION_VARIANTS,
    BilinearUpsample,
    PatchExpand,
    SwinUnet,
    TransposedConv,
    count_macs,
    count_parameters,
    load_imagenet,
    load_official,
)

SMALL = dict(img_size=32, embed_dim=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 2, 4), window_size=2, num_classes=3)


@pytest.mark.parametrize("name", SEGMENTATION_VARIANTS)
def test_every_name_builds(name):
    model_class, arguments = SEGMENTATION_VARIANTS[name]
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=4)
    assert type(model) is model_class and model.num_classes == 4
    assert model.in_chans == arguments.get("in_chans", 3)
    with pytest.raises(TypeError, match="takes no pretrained_cfg"):
        timm.create_model(name, pretrained_cfg={"file": "x.pth"})


# ---- Ablations


@pytest.mark.parametrize("skips", [0, 1, 2, 3])
@pytest.mark.parametrize("upsample", ["expand", "transpose", "bilinear"])
def test_finite_gradients_reach_every_parameter_of_every_arm(upsample, skips):
    # Patches of 2: 2 x 2 tokens in the bottleneck, for attention to one token alone has no gradient.
    model = SwinUnet(**SMALL, patch_size=2, upsample=upsample, skips=skips, ape=True, drop_path_rate=0.0)
    logits = model(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 3, 32, 32)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().sum() > 0, name


def test_skips_are_kept_from_the_finest_on():
    """Each has a linear layer of its own: 16 x 16 at 1/4, 32 x 16 at 1/8, 64 x 32 at 1/16, and their biases."""
    sizes = [count_parameters(SwinUnet(**SMALL, skips=skips)) for skips in range(4)]
    layers = [2 * d * d + d for d in (8, 16, 32)]
    assert [b - a for a, b in pairwise(sizes)] == layers


@torch.no_grad()
def test_a_skip_carries_what_its_stage_saw():
    model = SwinUnet(**SMALL, skips=2).eval()
    assert [type(m).__name__ for m in model.concat_back_dim] == ["Identity", "Identity", "Linear", "Linear"]
    inputs = []
    for linear in model.concat_back_dim[2:]:
        linear.register_forward_hook(lambda _m, x, _o: inputs.append(x[0]))
    images = torch.randn(1, 3, 32, 32)
    model(images)
    _, starts = model.encode(images)
    assert torch.equal(inputs[0][..., 16:], starts[1]) and torch.equal(inputs[1][..., 8:], starts[0])


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 4])
def test_patch_expand_is_a_transposed_convolution_without_bias(scale):
    expand, conv = PatchExpand(12, 6, scale).eval(), TransposedConv(12, 6, scale).eval()
    conv.expand.weight.copy_(expand.expand.weight.view(scale, scale, 6, 12).permute(3, 2, 0, 1))
    conv.expand.bias.zero_()
    x = torch.randn(2, 3, 5, 12)
    assert expand(x).shape == (2, 3 * scale, 5 * scale, 6)
    torch.testing.assert_close(expand(x), conv(x))


@torch.no_grad()
def test_bilinear_keeps_a_constant_map_and_sits_between_neighbours():
    layer = BilinearUpsample(4, 4)
    layer.norm = torch.nn.Identity()
    layer.expand.weight.copy_(torch.eye(4))
    ramp = torch.arange(5.0)[None, None, :, None].expand(1, 5, 5, 4)
    torch.testing.assert_close(layer(ramp)[0, 4, 1:-1, 0], torch.arange(0.25, 4.0, 0.5))


# ---- Sizes and input


@torch.no_grad()
@pytest.mark.parametrize(
    "settings",
    [
        dict(img_size=64, window_size=4),
        dict(img_size=96, window_size=3),
        dict(img_size=(32, 64)),
        dict(img_size=48, patch_size=2, depths=(2, 2), num_heads=(1, 2), window_size=6, skips=1),
    ],
    ids=str,
)
def test_other_image_sizes(settings):
    model = SwinUnet(**{**SMALL, **settings}).eval()
    assert model(torch.zeros(1, 3, *model.img_size)).shape == (1, 3, *model.img_size)


def test_a_size_that_does_not_work():
    with pytest.raises(ValueError, match="250 x 250 does not work.*224 x 224 or 448 x 448"):
        timm.create_model("swin_unet_tiny", img_size=250)
    with pytest.raises(ValueError, match="built for images of"):
        SwinUnet(**SMALL)(torch.zeros(1, 3, 64, 64))


@torch.no_grad()
def test_geometry_for_tiles():
    model = SwinUnet(**SMALL)
    assert model.margin == 0 and model.img_size == (32, 32)
    # Stages of 8, 4, 2 and 1 tokens a side with windows of 2, 2, 2 and 1: 8, 16, 32 and 32 pixels.
    assert model.stride == 32
    with torch.device("meta"):
        assert timm.create_model("swin_unet_tiny").stride == 224


@torch.no_grad()
def test_a_grey_image_is_repeated_or_has_an_embedding_of_its_own():
    model, grey = SwinUnet(**SMALL).eval(), torch.randn(2, 1, 32, 32)
    assert torch.equal(model(grey), model(grey.repeat(1, 3, 1, 1)))
    assert SwinUnet(**SMALL, in_chans=1)(grey).shape == (2, 3, 32, 32)
    with pytest.raises(ValueError, match=r"expected images \(batch, 3, height, width\), got \(2, 2"):
        model(torch.zeros(2, 2, 32, 32))


def test_macs_grow_with_the_area():
    small, large = (count_macs(SwinUnet(**{**SMALL, "img_size": s}), (3, s, s)) for s in (32, 64))
    assert 3.9 < large / small < 4.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(upsample="nearest"), "upsample='nearest' is unknown"),
        (dict(skips=4), "skips=4; a model of 4 stages has 0 to 3"),
        (dict(skips=-1), "skips=-1"),
        (dict(num_classes=0), "num_classes=0 is too small"),
    ],
)
def test_arguments_that_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        SwinUnet(**{**SMALL, **settings})


# ---- Weights


def test_official_weights_with_their_tables_and_another_head():
    source = SwinUnet(**SMALL, ape=True)
    weights = {f"swin_unet.{key}": value for key, value in source.state_dict().items()}
    weights["swin_unet.layers.0.blocks.1.attn_mask"] = torch.zeros(16, 4, 4)
    weights["swin_unet.layers.0.blocks.1.attn.relative_position_index"] = torch.zeros(4, 4, dtype=torch.long)
    model = load_official(SwinUnet(**SMALL, ape=True), weights)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.state_dict().items())
    other = SwinUnet(**{**SMALL, "num_classes": 5}, ape=True)
    head = other.output.weight.clone()
    with pytest.warns(UserWarning, match="head for 3 classes, the model for 5"):
        load_official(other, weights)
    assert torch.equal(other.output.weight, head) and torch.equal(other.norm_up.weight, source.norm_up.weight)
    with pytest.raises(ValueError, match="not in this model: absolute_pos_embed"):
        load_official(SwinUnet(**SMALL), weights)


def test_reset_classifier_replaces_the_last_layer_only():
    model = SwinUnet(**SMALL)
    model.reset_classifier(6)
    assert model.get_classifier() is model.output and model(torch.zeros(1, 3, 32, 32)).shape == (1, 6, 32, 32)


def test_pretrained_reads_the_authors_file_in_the_data_folder(tmp_path, monkeypatch):
    """As the authors publish it: official names under "model", derived tables among them."""
    source = timm.create_model("swin_scratch_tiny")
    weights = source.state_dict() | {"layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49)}
    path = tmp_path / "checkpoints" / "swin_tiny_patch4_window7_224.pth"
    path.parent.mkdir()
    torch.save({"model": weights}, path)
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    loaded = timm.create_model("swin_scratch_tiny", pretrained=True)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in loaded.state_dict().items())
    model = timm.create_model("swin_unet_tiny", pretrained=True, num_classes=2)
    for name in ("layers.2.blocks.1.mlp.fc1.weight", "layers_up.1.blocks.1.mlp.fc1.weight"):
        assert torch.equal(model.state_dict()[name], weights["layers.2.blocks.1.mlp.fc1.weight"])


def test_pretrained_takes_timms_copy_from_its_cache(tmp_path, monkeypatch):
    """The hub's layout: refs/main names the folder under snapshots."""
    source = timm.create_model("swin_tiny_patch4_window7_224")
    repository = tmp_path / "models--timm--swin_tiny_patch4_window7_224.ms_in1k"
    for folder in ("refs", "snapshots/abc"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    save_file(source.state_dict(), repository / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("COMPACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPACT_DATA", raising=False)
    model = timm.create_model("swin_scratch_tiny", pretrained=True)
    assert torch.equal(model.layers[2].downsample.reduction.weight, source.layers[3].downsample.reduction.weight)


@pytest.mark.parametrize("name", ["swin_unet_tiny", "swin_scratch_tiny"])
def test_pretrained_offline_says_what_to_download_and_where_to_put_it(name, tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("COMPACT_CACHE", str(tmp_path))
    monkeypatch.delenv("COMPACT_DATA", raising=False)
    with pytest.raises(FileNotFoundError) as error:
        timm.create_model(name, pretrained=True)
    message = str(error.value)
    assert "/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth" in message and "unreachable" in message
    assert str(tmp_path / "checkpoints" / "swin_tiny_patch4_window7_224.pth") in message


def test_load_imagenet_from_a_swin_of_another_depth():
    swin = timm.create_model("swin_scratch_tiny", **{**SMALL, "depths": (2, 2, 4, 2), "num_classes": 10})
    model = SwinUnet(**SMALL)
    left = load_imagenet(model, swin.state_dict())
    assert torch.equal(model.layers_up[1].blocks[1].attn.qkv.weight, swin.layers[2].blocks[1].attn.qkv.weight)
    assert "output.weight" in left and not any(key.startswith("layers.") for key in left)


def test_load_official_takes_a_swin_transformer_too():
    arguments = dict(img_size=32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2))
    swin = timm.create_model("swin_scratch_tiny", depths=(2, 2, 2, 2), **arguments)
    by_rule, at_once = (timm.create_model("swin_unet_tiny", **arguments) for _ in range(2))
    at_once.load_state_dict(by_rule.state_dict())
    load_imagenet(by_rule, swin.state_dict())
    load_official(at_once, swin.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(by_rule.parameters(), at_once.parameters(), strict=True))
    assert torch.equal(at_once.layers_up[3].blocks[0].mlp.fc1.weight, swin.layers[0].blocks[0].mlp.fc1.weight)


def test_tables_of_positions_do_not_decay():
    model = timm.create_model(
        "swin_unet_tiny", img_size=32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2), ape=True
    )
    names = model.no_weight_decay()
    assert "absolute_pos_embed" in names and len(names) == 1 + 14  # 8 blocks down, 6 up
    assert names <= {name for name, _ in model.named_parameters()}
