"""A model in a file: what comes out is what went in, and a file that cannot be is said so."""

import json

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from compactlib.models import load_model, read_facts, save_model

UNET = dict(in_chans=2, num_classes=3, width=4, depth=2)


@pytest.fixture
def saved(tmp_path):
    return save_model(
        tmp_path / "unet.safetensors", timm.create_model("unet", **UNET), "unet", mean=0.5, std=0.2, **UNET
    )


@pytest.mark.parametrize(
    ("name", "arguments", "side"),
    [
        ("unet_valid", dict(in_chans=1, width=2, drop_rate=0.1), 188),
        ("unet", UNET, 32),
        ("swin_unet_tiny", dict(img_size=32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2), num_classes=2), 32),
        ("cct_2_3x2_32", dict(num_classes=5), 32),
    ],
)
def test_the_same_logits_come_back(tmp_path, name, arguments, side):
    model = timm.create_model(name, **arguments).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_()  # buffers count, too
    path = save_model(tmp_path / "m.safetensors", nn.DataParallel(model), name, **arguments)
    x = torch.rand(1, arguments.get("in_chans", 3), side, side)
    assert torch.equal(load_model(path).eval()(x), model(x))


def test_facts_travel_with_it(tmp_path, saved):
    assert read_facts(saved) == {"name": "unet", "arguments": UNET, "mean": 0.5, "std": 0.2}
    names = ["land", "water", "cloud"]
    path = save_model(tmp_path / "n.safetensors", load_model(saved), "unet", classes=names, mean=[0.1, 0.2], **UNET)
    assert read_facts(path)["classes"] == names and read_facts(path)["mean"] == [0.1, 0.2]


def test_random_numbers_go_on_as_if_nothing_had_been(saved, tmp_path):
    model = load_model(saved)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    save_model(tmp_path / "again.safetensors", model, "unet", **UNET)
    load_model(saved)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("unet", {"width": 8}, "save_model: the weights do not fit the model that name and arguments build: shape of"),
        ("unet", {"depth": 3}, "missing: "),
        ("unet", {"depth": 1}, "not in this model: "),
        ("unet", {"colour": 1}, "save_model: unet cannot be built with"),
        ("unit", {}, "timm knows no model 'unit'"),
        ("unet", {"pretrained": True}, "pretrained would load another file"),
        ("unet", {"norm": nn.BatchNorm2d}, "only numbers, texts and lists go into a model's file"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, name, change, said):
    model = timm.create_model("unet", **UNET)
    with pytest.raises(ValueError, match=said):
        save_model(tmp_path / "m.safetensors", model, name, **{**UNET, **change})
    assert list(tmp_path.iterdir()) == []


def rewritten(path, facts):
    save_file(load_file(path), path, metadata={"model": facts if isinstance(facts, str) else json.dumps(facts)})


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": "unit", "arguments": UNET}, "timm knows no model 'unit'"),
        ({"name": "hf-hub:someone/model", "arguments": {}}, "timm knows no model 'hf-hub:someone/model'"),
        (
            {"name": "unet", "arguments": {**UNET, "checkpoint_path": "x.pkl"}},
            "checkpoint_path would load another file",
        ),
        ({"name": "unet", "arguments": {**UNET, "width": 2}}, "the weights do not fit .* shape of"),
        ({"name": "unet", "arguments": {**UNET, "width": 0}}, "width=0 is too small"),
        ({"name": "unet"}, "damaged or no model's file \\(KeyError: 'arguments'\\)"),
        ({"name": 3, "arguments": {}}, "damaged or no model's file"),
        ("{", "damaged or no model's file"),
        ("[]", "damaged or no model's file"),
    ],
)
def test_a_file_that_says_something_else_is_refused(saved, facts, said):
    rewritten(saved, facts)
    with pytest.raises(ValueError, match=said) as caught:
        load_model(saved)
    assert str(saved) in str(caught.value)


def test_damaged_and_missing_files(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match="none.safetensors is not there"):
        load_model(tmp_path / "none.safetensors")
    whole = saved.read_bytes()
    for broken in (whole[:-100], whole[:50], b"", b"PK\x03\x04" + whole):
        saved.write_bytes(broken)
        with pytest.raises(ValueError, match=f"{saved.name} is damaged or no model's file"):
            load_model(saved)
    save_file({"x": torch.zeros(1)}, saved)
    with pytest.raises(ValueError, match="KeyError: 'model'"):
        load_model(saved)


@pytest.mark.parametrize(
    "changed",
    [
        {"depth": 10**6}, {"embed_dim": 10**5}, {"mlp_ratio": 1e9}, {"img_size": 10**9}, {"depth": [1] * 100},
        {"num_classes": 10**12}, {"depth": float("nan")}, {"more": {"a": 1}}, {"depth": -(10**6)}, {"pool": "x" * 999},
    ],
)  # fmt: skip
def test_arguments_of_a_model_much_larger_than_its_file_are_refused_before_it_is_built(tmp_path, changed, monkeypatch):
    path = save_model(tmp_path / "m.safetensors", timm.create_model("cct_2_3x2_32"))
    tensors = load_file(path)
    facts = {"name": "cct_2_3x2_32", "arguments": changed}
    save_file(tensors, path, metadata={"model": json.dumps(facts)})
    monkeypatch.setattr(timm, "create_model", None)
    with pytest.raises(ValueError, match=f"m.safetensors.*{next(iter(changed))}"):
        load_model(path)


def test_a_header_nested_without_end_or_of_gigabytes_is_a_sentence(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"model": "[" * 200_000})
    with pytest.raises(ValueError, match="m.safetensors"):
        load_model(path)
    path.write_bytes((10**12).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="m.safetensors.*1,000,000,000,000 bytes"):
        load_model(path)
