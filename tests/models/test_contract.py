"""What timm's tools ask a model, against timm's own models of the same shape."""

import pytest
import timm
import timm.data
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from torch import nn

from compactlib.models import load_official, set_data_facts
from tests.models.families import FAMILIES, built, images

TITLES = pytest.mark.parametrize("title", FAMILIES)


@TITLES
@torch.no_grad()
def test_the_size_that_it_names_is_one_that_it_takes(title):
    model = built(title)
    config = timm.data.resolve_model_data_config(model)
    assert config["input_size"][0] == len(config["mean"]) == len(config["std"]) == images(title).shape[1]
    assert config["interpolation"] == "bicubic"
    assert len(model(torch.zeros(1, *config["input_size"]))) == 1
    cfg = model.pretrained_cfg
    assert cfg["num_classes"] == model.num_classes and model.get_submodule(cfg["classifier"]) is model.get_classifier()
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    assert model.get_submodule(cfg["first_conv"]) is first and cfg["architecture"] == FAMILIES[title][0]


def test_size_follows_the_model():
    for size in (48, (32, 64)):
        model = timm.create_model("cct_2_3x2_32", img_size=size)
        assert timm.data.resolve_model_data_config(model)["input_size"] == (3, *((size, size) if size == 48 else size))
    model.set_input_size(40)
    assert timm.data.resolve_model_data_config(model)["input_size"] == (3, 40, 40) and model.spec.arguments == {
        "img_size": (40, 40)
    }


def test_mean_and_std_of_the_published_weights_and_then_of_the_data():
    swin, small = timm.create_model("swin_scratch_tiny"), timm.create_model("cct_7_3x1_32_c100")
    theirs = timm.data.resolve_model_data_config(timm.create_model("swin_tiny_patch4_window7_224.ms_in1k"))
    assert timm.data.resolve_model_data_config(swin) == theirs
    large = timm.data.resolve_model_data_config(timm.create_model("cct_7_7x2_224_sine"))
    assert (large["mean"], large["std"]) == (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    assert timm.data.resolve_model_data_config(small)["mean"] == pytest.approx((0.507, 0.487, 0.441), abs=1e-3)
    set_data_facts(small, mean=(0.1, 0.2, 0.0), std=(0.3, 0.4, 0.0), classes=("a",) * 100)
    config = timm.data.resolve_model_data_config(small)
    assert config["mean"] == pytest.approx((0.1, 0.2, 0.0)) and config["std"] == pytest.approx((0.3, 0.4, 1.0))
    assert small.pretrained_cfg["label_names"] == ("a",) * 100
    grey = timm.create_model("unet", in_chans=1, width=4)
    set_data_facts(grey, mean=0.25, std=0.5, img_size=(50, 70))
    config = timm.data.resolve_model_data_config(grey)
    assert config["mean"] == (0.25,) and config["std"] == (0.5,) and config["input_size"] == (1, 50, 70)


# Layer-wise learning rates


def scales(model: nn.Module) -> dict[str, tuple[float, float]]:
    """(share of the learning rate, weight decay) of each weight with a layer decay of 0.5."""
    optimizer = create_optimizer_v2(model, "adamw", lr=1.0, weight_decay=0.1, layer_decay=0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr_scale"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_the_vits_rates_are_those_of_timms_vit():
    ours = scales(timm.create_model("vit_4_4_32"))
    theirs = scales(timm.create_model("vit_tiny_patch16_224", depth=4))
    same = {"tokenizer.proj": "patch_embed.proj"}
    for name, value in ours.items():
        known = next((name.replace(a, b) for a, b in same.items() if a in name), name)
        assert theirs[known] == value, name
    assert {name for name, (_, decay) in ours.items() if decay == 0 and "bias" not in name and "norm" not in name} == {
        "cls_token", "pos_embed",
    }  # fmt: skip


@pytest.mark.parametrize("ape", [False, True])
def test_swins_rates_are_those_of_timms_swin(ape):
    ours = scales(timm.create_model("swin_scratch_tiny", num_classes=3, ape=ape))
    theirs = scales(timm.create_model("swin_tiny_patch4_window7_224", num_classes=3))
    if ape:
        assert ours.pop("absolute_pos_embed") == (ours["patch_embed.proj.weight"][0], 0)
    for i in range(3):  # timm merges at the start of a stage
        for key in ("norm.weight", "norm.bias", "reduction.weight"):
            ours[f"layers.{i + 1}.downsample.{key}@"] = ours.pop(f"layers.{i}.downsample.{key}")
    ours = {name.rstrip("@").replace("head.", "head.fc."): value for name, value in ours.items()}
    assert ours == theirs


@TITLES
@pytest.mark.parametrize("coarse", [False, True])
def test_groups_run_from_the_image_to_the_logits(title, coarse):
    """Every weight is in a group; the first layer's are in the first, the last layer's in the last; and a group holds
    nothing that is computed before the whole group in front of it."""
    model = built(title)
    groups = group_parameters(model, model.group_matcher(coarse), reverse=True)
    names = [name for name, _ in model.named_parameters()]
    assert set(groups) == set(names) and 2 < len(set(groups.values())) == max(groups.values()) + 1
    cfg = model.pretrained_cfg
    assert groups[f"{cfg['first_conv']}.weight"] == 0
    assert groups[f"{cfg['classifier']}.weight"] == max(groups.values())
    order = called_in_order(model, images(title))
    ranks = [
        groups[name] for path in order for name, _ in model.get_submodule(path).named_parameters(path, recurse=False)
    ]
    assert ranks == sorted(ranks)


def called_in_order(model: nn.Module, x: torch.Tensor) -> list[str]:
    """Paths of the modules with weights of their own, as their forward is called first."""
    order, hooks = [], []
    for path, module in model.named_modules():
        if path and list(module.parameters(recurse=False)):
            hooks.append(module.register_forward_pre_hook(lambda _m, _i, path=path: order.append(path)))
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(order))


# Gradient checkpointing


@TITLES
def test_checkpointing_changes_neither_gradients_nor_statistics(title):
    found = []
    for enable in (False, True):
        model = built(title).train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(1)
        model(images(title, 3)).square().mean().backward()
        found.append(({n: p.grad for n, p in model.named_parameters() if p.requires_grad}, model.state_dict()))
    for (name, a), b in zip(found[0][0].items(), found[1][0].values(), strict=True):
        torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}")
    for (name, a), b in zip(found[0][1].items(), found[1][1].values(), strict=True):
        assert torch.equal(a, b), name


@TITLES
def test_checkpointing_keeps_less_for_the_backward_pass(title):
    sizes = []
    for enable in (False, True):
        model = built(title).train()
        model.set_grad_checkpointing(enable)
        kept = 0

        def pack(tensor):
            nonlocal kept
            kept += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(images(title, 3))
        sizes.append(kept)
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.parametrize(("size", "window"), [(256, 8), ((256, 512), 4), (256, None)])
@torch.no_grad()
def test_swin_for_another_size_is_timms_swin_for_it(size, window):
    """Official weights for 224 pixels and windows of 7, then another size: tables are interpolated as timm does it."""
    theirs = timm.create_model("swin_tiny_patch4_window7_224").eval()
    ours = timm.create_model("swin_scratch_tiny").eval()
    load_official(ours, theirs.state_dict())
    theirs.set_input_size(size, window_size=window)
    ours.set_input_size(size, window_size=window)
    x = torch.randn(2, 3, *ours.img_size)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)


# The stages' maps


@torch.no_grad()
def test_swins_maps_are_those_of_timms_swin():
    theirs = timm.create_model("swin_tiny_patch4_window7_224", features_only=True).eval()
    whole = timm.create_model("swin_tiny_patch4_window7_224").eval()
    ours = timm.create_model("swin_scratch_tiny", features_only=True).eval()
    model = timm.create_model("swin_scratch_tiny").eval()
    load_official(model, whole.state_dict())
    own = {key.replace(".", "_", 1) if key.startswith("layers.") else key: v for key, v in whole.state_dict().items()}
    theirs.load_state_dict({key: value for key, value in own.items() if key in theirs.state_dict()})
    ours.model.load_state_dict({k: v for k, v in model.state_dict().items() if k in ours.model.state_dict()})
    x = torch.randn(1, 3, 224, 224)
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    for a, b in zip(ours(x), theirs(x), strict=True):
        torch.testing.assert_close(a, b.permute(0, 3, 1, 2), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("title", ["unet", "swin", "swin_unet", "resnet"])
@pytest.mark.parametrize("out_indices", [None, (0, 2), (-1,), 2])
@torch.no_grad()
def test_maps_have_the_shapes_that_feature_info_says(title, out_indices):
    chosen = {} if out_indices is None else {"out_indices": out_indices}
    features = built(title, features_only=True, **chosen)
    x = images(title)
    maps, info = features(x), features.feature_info
    shapes = [
        (len(x), c, x.shape[2] // r, x.shape[3] // r) for c, r in zip(info.channels(), info.reduction(), strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == shapes
    assert timm.data.resolve_model_data_config(features)["input_size"][0] == x.shape[1]


@pytest.mark.parametrize("title", ["vit", "cct", "mobilenet"])
def test_models_without_stages_say_so(title):
    with pytest.raises(ValueError, match="features_only.*" + FAMILIES[title][0]):
        built(title, features_only=True)
    with pytest.raises(TypeError, match="out_indices"):
        built(title, out_indices=(0,))
