"""`precision="auto"`: bfloat16 where the device has instructions for it."""

import timm
import torch

import compactlib.models  # noqa: F401  (its names in timm's registry)
from compactlib.training import Recipe
from compactlib.training.optimizer import make_optimizer
from compactlib.training.precision import in_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_auto_asks_the_processor(monkeypatch):
    for known, wanted in (
        (dict(avx512_bf16=True, avx512_f=True), True),
        (dict(amx_bf16=True), True),
        (dict(avx512_bf16=False, avx512_f=True, amx_int8=True), False),
        (dict(architecture="arm64", bf16=True), False),  # not measured
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
        assert in_bf16("auto", CPU) is wanted
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # an older PyTorch
    assert not in_bf16("auto", CPU)


def test_auto_asks_the_gpu(monkeypatch):
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, there=there: there)
        assert in_bf16("auto", GPU) is there
    assert not in_bf16("auto", torch.device("mps"))


def test_what_is_said_outright_is_done(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict(avx512_bf16=True), raising=False)
    assert in_bf16("bf16", CPU) and not in_bf16("fp32", CPU)
    model = timm.create_model("cct_2_3x2_32")
    dtypes = [make_optimizer(model, Recipe(optimizer="muon", precision=p)).dtype for p in ("fp32", "bf16", "auto")]
    assert dtypes == [torch.float32, torch.bfloat16, torch.bfloat16]
