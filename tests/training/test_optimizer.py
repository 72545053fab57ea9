"""Muon, against timm's; and which parameters it moves."""

import copy

import pytest
import timm
import timm.optim.muon as timm_muon
import torch

import compactlib.models  # noqa: F401  (its names in timm's registry)
from compactlib.training import Recipe
from compactlib.training.optimizer import Muon, make_optimizer, muon_groups

RECIPE = Recipe.from_params(dict(recipe="fast", weight_decay=0.1))


def test_it_moves_matrices_as_timms_does(monkeypatch):
    """Three steps over the same gradients; timm's Muon is made to orthogonalize in single precision as well."""
    exact = timm_muon.zeropower_via_newtonschulz
    in_fp32 = lambda *a, **k: exact(*a, **{**k, "dtype": torch.float32})  # noqa: E731
    torch.manual_seed(0)
    ours = timm.create_model("cct_2_3x2_32")
    theirs = copy.deepcopy(ours)
    optimizer = make_optimizer(ours, RECIPE)
    hidden = muon_groups(theirs, RECIPE)[0]["params"]
    reference = timm_muon.Muon(
        hidden, lr=RECIPE.lr, weight_decay=RECIPE.weight_decay, momentum=RECIPE.momentum, nesterov=True,
        adjust_lr_fn="original", ns_coefficients="original",
    )  # fmt: skip
    monkeypatch.setattr(timm_muon, "zeropower_via_newtonschulz", in_fp32)
    for _ in range(3):
        for p, q in zip(optimizer.param_groups[0]["params"], hidden, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        optimizer.step()
        reference.step()
    for p, q in zip(optimizer.param_groups[0]["params"], hidden, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


def test_an_update_is_an_orthogonal_matrix():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(16, 48))
    optimizer = Muon([dict(params=[weight], muon=True, lr=0.1)], lr=0.0, weight_decay=0.0)
    weight.grad = torch.randn(16, 48)
    optimizer.step()
    singular = torch.linalg.svdvals(weight.detach()) / 0.1
    assert singular.min() > 0.6 and singular.max() < 1.3  # the iteration's coefficients aim at about 1


@pytest.mark.parametrize("name", ["cct_2_3x2_32", "vit_2_4_32", "resnet18", "swin_tiny_patch4_window7_224"])
def test_every_parameter_is_in_one_group(name):
    model = timm.create_model(name, num_classes=10)
    hidden, *others = muon_groups(model, RECIPE)
    grouped = [p for group in [hidden, *others] for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(model.parameters()))
    names = {id(p): n for n, p in model.named_parameters()}
    assert hidden["muon"] and all(p.ndim >= 2 for p in hidden["params"])
    assert not any("pos_embed" in names[id(p)] or "bias" in names[id(p)] for p in hidden["params"])
    head = {id(p) for p in model.get_classifier().parameters()}
    assert not head & {id(p) for p in hidden["params"]}


def test_frozen_parameters_stay_out():
    model = timm.create_model("cct_2_3x2_32_sine")
    grouped = {id(p) for group in muon_groups(model, RECIPE) for p in group["params"]}
    assert id(model.pos_embed) not in grouped and len(grouped) == len(list(model.parameters())) - 1
