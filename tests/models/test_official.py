"""Loading the authors' weights: what fits, what is adapted, what is refused, and what happens offline."""

import socket

import pytest
import timm
import torch

from compactlib import models
from compactlib.models import CompactTransformer, load_imagenet, load_official, sine_position_table
from tests.golden.cases import CLONE, GoldenCase


@pytest.fixture
def case() -> GoldenCase:
    return GoldenCase(CLONE / "vit_2_4_32")


def vit(**settings) -> CompactTransformer:
    return CompactTransformer(**{**dict(tokenizer="patch", kernel_size=4, pool="cls"), **settings})


def test_in_place_and_with_a_wrapped_models_prefix(case):
    model = vit()
    assert load_official(model, {f"module.{k}": v for k, v in case.weights.items()}) is model
    assert torch.equal(model.cls_token, case.weights["classifier.class_emb"])


def test_another_image_size_interpolates_the_positions(case):
    model = load_official(vit(img_size=48), case.weights)
    table = case.weights["classifier.positional_emb"]
    assert torch.equal(model.pos_embed[:, :1], table[:, :1])
    torch.testing.assert_close(model.pos_embed[:, 1:].mean(1), table[:, 1:].mean(1), atol=0.05, rtol=0)
    assert model(torch.zeros(1, 3, 48, 48)).shape == (1, 10)


def test_a_sinusoid_stays_one_at_another_size(case):
    """Whether the table is one decides, not the name: the authors' `*_sine` weights of CVT and CCT are learned."""
    sinusoids = {**case.weights, "classifier.positional_emb": sine_position_table(65, 128)}
    model = vit(img_size=48, pos_embed="sine")
    assert torch.equal(load_official(model, sinusoids).pos_embed, sine_position_table(145, 128))
    learned = load_official(vit(img_size=48), case.weights).pos_embed
    assert torch.equal(load_official(model, case.weights).pos_embed, learned)


def test_another_number_of_classes_keeps_the_head_and_warns(case):
    model = vit(num_classes=7)
    head = model.head.weight.clone()
    with pytest.warns(UserWarning, match="head for 10 classes, the model for 7"):
        load_official(model, case.weights)
    assert torch.equal(model.head.weight, head)
    assert torch.equal(model.norm.weight, case.weights["classifier.norm.weight"])


def test_no_head_takes_the_rest(case):
    assert load_official(vit(num_classes=0), case.weights)(torch.zeros(1, 3, 32, 32)).shape == (1, 128)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(pool="seq"), "missing: pool.score.weight"),
        (dict(pos_embed="none"), "not in this model: pos_embed"),
        (dict(depth=3), "missing: blocks.2"),
        (dict(embed_dim=64), "shape of blocks.0.mlp.fc1.bias"),
        (dict(in_chans=1), "shape of tokenizer.proj.weight"),
    ],
)
def test_weights_of_another_model_are_refused_and_change_nothing(case, settings, message):
    model = vit(**settings)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_official(model, case.weights)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_model_of_another_kind():
    with pytest.raises(TypeError, match="Linear"):
        load_official(torch.nn.Linear(2, 2), {})


def test_imagenet_weights_of_another_kind_are_refused():
    model = timm.create_model("swin_unet_tiny", img_size=32, window_size=2, embed_dim=8, num_heads=(1, 1, 2, 2))
    with pytest.raises(ValueError, match=r"embed_dim=8, got 1 entries such as conv1\.weight"):
        load_imagenet(model, {"conv1.weight": torch.zeros(3)})


def test_pretrained_reads_the_file_in_the_data_folder(tmp_path, monkeypatch):
    """A file as the authors' site has it: official names, saved by torch.save."""
    names = {ours: official for official, ours in _official_names("cct_7_3x1_32").items()}
    source = timm.create_model("cct_7_3x1_32")
    path = tmp_path / "checkpoints" / "cct_7_3x1_32_cifar10_300epochs.pth"
    path.parent.mkdir()
    torch.save({names[k]: v for k, v in source.state_dict().items()}, path)
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    loaded = timm.create_model("cct_7_3x1_32", pretrained=True)
    assert all(torch.equal(v, source.state_dict()[k]) for k, v in loaded.state_dict().items())


def _official_names(name: str) -> dict[str, str]:
    """Official name -> ours, for a CCT, written out by hand."""
    layer = {"pre_norm": "norm1", "norm1": "norm2", "self_attn.qkv": "attn.qkv", "self_attn.proj": "attn.proj",
             "linear1": "mlp.fc1", "linear2": "mlp.fc2"}  # fmt: skip
    names = {"tokenizer.conv_layers.0.0.weight": "tokenizer.convs.0.weight", "classifier.positional_emb": "pos_embed"}
    for official, ours in (("attention_pool", "pool.score"), ("norm", "norm"), ("fc", "head")):
        names |= {f"classifier.{official}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
    for i in range(models.VARIANTS[name]["depth"]):
        for official, ours in layer.items():
            for kind in ("weight", "bias") if official != "self_attn.qkv" else ("weight",):
                names[f"classifier.blocks.{i}.{official}.{kind}"] = f"blocks.{i}.{ours}.{kind}"
    return names


def test_pretrained_offline_says_what_to_download_and_where_to_put_it(tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setenv("COMPACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPACT_DATA", raising=False)
    with pytest.raises(FileNotFoundError) as error:
        timm.create_model("cct_7_3x1_32_c100", pretrained=True)
    message = str(error.value)
    assert "/pretrained/cct_7_3x1_32_cifar100_300epochs.pth" in message and "unreachable" in message
    assert str(tmp_path / "cache" / "checkpoints" / "cct_7_3x1_32_cifar100_300epochs.pth") in message
    assert not list(tmp_path.rglob("*.pth*"))


def test_half_a_checkpoint_in_the_cache_is_named_and_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPACT_CACHE", str(tmp_path))
    monkeypatch.delenv("COMPACT_DATA", raising=False)
    path = tmp_path / "checkpoints" / "cct_7_3x1_32_cifar10_300epochs.pth"
    path.parent.mkdir()
    torch.save(dict(timm.create_model("cct_7_3x1_32").state_dict()), path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match=r"cct_7_3x1_32_cifar10_300epochs\.pth is damaged"):
        timm.create_model("cct_7_3x1_32", pretrained=True)
    assert path.stat().st_size == 100_000  # somebody may have put it there by hand


def test_pretrained_without_official_weights():
    with pytest.raises(ValueError, match=r"no official weights for 'cct_2_3x2_32'.*cct_14_7x2_224"):
        timm.create_model("cct_2_3x2_32", pretrained=True)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "checkpoints" / "cct_7_3x1_32_cifar10_300epochs.pth"
    path.parent.mkdir()
    torch.save({"weights": Evil()}, path)
    monkeypatch.setenv("COMPACT_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"300epochs\.pth .* more than weights \(Weights only"):
        timm.create_model("cct_7_3x1_32", pretrained=True)
    assert not (tmp_path / "ran").exists()
