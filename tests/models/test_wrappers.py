"""Wrappers around a model change nothing: not what is saved, not what is loaded, not what is looked at."""

import copy

import pytest
import timm
import torch
from safetensors.torch import load_file
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel

from compactlib.models import (
    as_named_in,
    attention_maps,
    count_macs,
    load_model,
    load_official,
    plain_state_dict,
    pool_weights,
    save_model,
    unwrap,
    window_attention_maps,
)


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")


WRAPPERS = {
    "none": lambda model: model,
    "compiled": compiled,
    "parallel": nn.DataParallel,
    "compiled parallel": lambda model: compiled(nn.DataParallel(model)),
    "parallel compiled": lambda model: nn.DataParallel(compiled(model)),
    "parallel twice": lambda model: nn.DataParallel(compiled(nn.DataParallel(model))),
    "average": lambda model: AveragedModel(nn.DataParallel(model)),
    "ema": ModelEmaV3,
}
EVERY = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


@pytest.fixture
def cct() -> nn.Module:
    return timm.create_model("cct_2_3x2_32", num_classes=5).eval()


@EVERY
def test_what_is_inside(cct, wrap):
    inside = unwrap(wrap(cct))
    assert type(inside) is type(cct) and inside.spec == cct.spec
    assert list(plain_state_dict(wrap(cct))) == list(cct.state_dict())


def test_a_layer_that_somebody_calls_module_is_no_wrapper():
    class Normalised(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.module, self.scale = network, nn.Parameter(torch.ones(1))

    model = Normalised(nn.Linear(2, 2))
    assert unwrap(nn.DataParallel(model)) is model
    assert list(plain_state_dict(model)) == ["scale", "module.weight", "module.bias"]
    assert list(as_named_in(model, model.state_dict())) == ["scale", "module.weight", "module.bias"]


@EVERY
def test_saved_and_loaded(cct, wrap, tmp_path):
    save_model(tmp_path / "m.safetensors", wrap(cct))
    assert list(load_file(tmp_path / "m.safetensors")) == sorted(cct.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(load_model(tmp_path / "m.safetensors").eval()(x), cct(x))


@pytest.mark.parametrize("source", [name for name in WRAPPERS if name not in ("average", "ema")])
@EVERY
def test_a_state_dict_finds_its_place_whatever_it_comes_from(cct, source, wrap):
    target = wrap(timm.create_model("cct_2_3x2_32", num_classes=5))
    keys = as_named_in(target, WRAPPERS[source](cct).state_dict())
    if isinstance(target, AveragedModel):
        keys["n_averaged"] = torch.tensor(0)
    target.load_state_dict(keys)
    assert all(
        torch.equal(a, b) for a, b in zip(plain_state_dict(target).values(), cct.state_dict().values(), strict=True)
    )


def test_parts_in_wrappers(cct, tmp_path):
    """Blocks compiled one by one, as for large models, and a part in DataParallel."""
    model = copy.deepcopy(cct)
    for i, block in enumerate(model.blocks):
        model.blocks[i] = compiled(block)
    model.tokenizer = nn.DataParallel(model.tokenizer)
    assert list(plain_state_dict(model)) == list(cct.state_dict())
    save_model(tmp_path / "m.safetensors", model)
    assert torch.equal(load_model(tmp_path / "m.safetensors").head.weight, cct.head.weight)
    fresh = timm.create_model("cct_2_3x2_32", num_classes=5)
    fresh.load_state_dict(as_named_in(fresh, model.state_dict()))
    model.load_state_dict(as_named_in(model, cct.state_dict()))


@EVERY
def test_official_weights(cct, wrap):
    source, target = timm.create_model("swin_tiny_patch4_window7_224", num_classes=3), None
    target = wrap(timm.create_model("swin_scratch_tiny", num_classes=3))
    weights = {f"module._orig_mod.module.{key}": value for key, value in source.state_dict().items()}
    assert load_official(target, weights) is target
    assert torch.equal(unwrap(target).head.weight, source.head.fc.weight)


@EVERY
def test_looking_inside(cct, wrap):
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(attention_maps(wrap(cct), x), attention_maps(cct, x))
    torch.testing.assert_close(pool_weights(wrap(cct), x), pool_weights(cct, x))
    assert count_macs(wrap(cct), (3, 32, 32)) == count_macs(cct, (3, 32, 32))
    swin = timm.create_model("swin_unet_tiny", img_size=32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2)).eval()
    assert window_attention_maps(wrap(swin), x, 0, 0).shape == (2, 64, 1, 1, 1)
