"""A model carries what builds it: from timm.create_model, or from its class, through copies and wrappers, to a file."""

import copy
import io
import json
import pickle

import numpy as np
import pytest
import timm
import torch
from torch import nn

from compactlib import models
from compactlib.models import Spec, attach_spec, load_model, read_facts, save_model, set_data_facts, spec_of
from tests.models.families import FAMILIES, built, images


@pytest.mark.parametrize("title", FAMILIES)
@torch.no_grad()
def test_the_same_logits_come_back_without_a_name(title, tmp_path):
    name, arguments, _ = FAMILIES[title]
    model = built(title)
    assert spec_of(model) == Spec(name, arguments)
    back = load_model(save_model(tmp_path / "m.safetensors", model)).eval()
    assert torch.equal(back(images(title)), model(images(title)))
    assert spec_of(back).name == name and save_model(tmp_path / "again.safetensors", back)
    assert read_facts(tmp_path / "again.safetensors") == read_facts(tmp_path / "m.safetensors")


CLASSES = {
    "compact": lambda: models.CompactTransformer(
        (15, 24), 2, num_classes=3, embed_dim=32, tokenizer="patch", pool="cls"
    ),
    "unet": lambda: models.UNet(1, num_classes=3, width=4, depth=2, norm="group"),
    "swin": lambda: models.SwinTransformer(32, window_size=2, embed_dim=8, num_heads=(1, 1, 2, 2), num_classes=3),
    "swin_unet": lambda: models.SwinUnet(32, window_size=1, embed_dim=8, num_heads=(1, 1, 2, 2), skips=1),
    "resnet": lambda: models.ResNetCifar(8, in_chans=1),
}


@pytest.mark.parametrize("build", CLASSES.values(), ids=CLASSES)
def test_a_model_that_its_class_builds_has_one_too(build, tmp_path):
    model = build().eval()
    back = load_model(save_model(tmp_path / "m.safetensors", model)).eval()
    assert type(back) is type(model)
    x = torch.randn(2, *model.pretrained_cfg["input_size"])
    assert torch.equal(back(x), model(x))


def test_it_survives_what_happens_to_models():
    model = timm.create_model("unet", width=4, depth=1, in_chans=np.int64(2))
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    copies = [
        copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False), model.half(),
        model.float().to("cpu"), torch.compile(model, backend="eager"), nn.DataParallel(model),
    ]  # fmt: skip
    assert all(spec_of(other) == Spec("unet", dict(width=4, depth=1, in_chans=2)) for other in copies)


def test_numbers_of_numpy_are_numbers_in_the_file(tmp_path):
    model = timm.create_model("unet", width=np.int64(4), depth=1, img_size=np.array([32, 64]))
    set_data_facts(model, mean=np.float32([0.5, 0.25, 0]), std=(np.float64(0.5),) * 3, classes=("a", "b"))
    facts = read_facts(save_model(tmp_path / "m.safetensors", model))
    assert facts["arguments"] == dict(width=4, depth=1, img_size=[32, 64])
    assert facts["mean"] == [0.5, 0.25, 0.0] and facts["std"] == [0.5] * 3 and facts["classes"] == ["a", "b"]
    assert json.loads(json.dumps(facts)) == facts


@pytest.mark.parametrize("name", ["cct_2_3x2_32", "swin_scratch_tiny", "unet", "resnet20_cifar", "mobilenetv2_125"])
def test_another_head_is_another_spec(name, tmp_path):
    model = timm.create_model(name)
    set_data_facts(model, classes=[f"class {k}" for k in range(model.num_classes)])
    model.reset_classifier(7)
    back = load_model(save_model(tmp_path / "m.safetensors", model))
    assert back.num_classes == 7 and "classes" not in read_facts(tmp_path / "m.safetensors")


def test_timms_own_models_have_theirs_from_timm(tmp_path):
    model = timm.create_model("resnet18", num_classes=3, in_chans=1).eval()
    back = load_model(save_model(tmp_path / "m.safetensors", model)).eval()
    x = torch.randn(2, 1, 32, 32)
    assert torch.equal(back(x), model(x))


def test_a_strangers_model_has_none_until_it_is_given_one(tmp_path):
    model = nn.Conv2d(3, 2, 1)
    assert spec_of(model) is None
    with pytest.raises(ValueError, match="Conv2d.*timm.create_model"):
        save_model(tmp_path / "m.safetensors", model)
    small = models.UNet(width=4, depth=1)
    small.spec = None
    attach_spec(nn.DataParallel(small), "unet", width=4, depth=1)
    assert load_model(save_model(tmp_path / "m.safetensors", small)).width == 4


def test_a_subclass_is_another_model(tmp_path):
    class Mine(models.UNet):
        def __init__(self):
            super().__init__(width=4, depth=1)

    assert spec_of(Mine()) is None
    with pytest.raises(ValueError, match="Mine"):
        save_model(tmp_path / "m.safetensors", Mine())


def test_a_changed_model_is_not_saved_as_what_it_was(tmp_path):
    model = timm.create_model("unet", width=4, depth=1)
    model.head = nn.Conv2d(4, 9, 1)
    with pytest.raises(ValueError, match=r"head\.weight"):
        save_model(tmp_path / "m.safetensors", model)
    assert not list(tmp_path.iterdir())
