"""The GPU profiles of notebook 04, made small and run on the CPU: same recipe, bfloat16, data on the device."""

import math

import pytest
import torch

from compactlib import datasets
from compactlib.models import CompactTransformer
from compactlib.runs.catalogue import find
from compactlib.training import Recipe, fit

(NOTEBOOK,) = find("04")
PROFILES = [name for name in NOTEBOOK.profiles() if name.startswith("gpu")]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_gpu_profile_trains_on_a_cpu(profile, tmp_path):
    params = NOTEBOOK.defaults | NOTEBOOK.profile(profile)
    assert params["device"] == "cuda"
    data = datasets.load("digits", 0.05, img_size=32, val_fraction=params["val_fraction"] and 0.1)
    small = dict(batch_size=16, epochs=2, warmup_epochs=1, mixup_off_epoch=1, time_budget=0.0, cooldown_epochs=0)
    recipe = Recipe.from_params(params | small)
    kernel_size, num_convs = map(int, params["convs"].split("x"))
    torch.manual_seed(0)
    model = CompactTransformer(
        data.img_size, data.in_chans, data.num_classes, depth=1, embed_dim=params["embed_dim"],
        num_heads=max(1, params["embed_dim"] // 64), kernel_size=kernel_size, num_convs=num_convs,
        dynamic_img_size=True,
    )  # fmt: skip
    before = [parameter.clone() for parameter in model.parameters()]
    with torch.compiler.set_stance("force_eager"):  # a compiler for C++ is not everywhere
        result = fit(model, data, recipe, tmp_path, progress=False)
    assert len(result.history) == 2 and all(math.isfinite(loss) for loss in result.column("train_loss"))
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_gpu_profile_is_compiled_in_bfloat16_with_its_data_on_the_device(profile):
    recipe = Recipe.from_params(NOTEBOOK.defaults | NOTEBOOK.profile(profile))
    assert (recipe.resident, recipe.precision, recipe.compile) == (True, "bf16", True)
