"""The settings that a user gets without asking, written out: a default that changes has to change here, too."""

import inspect
from dataclasses import asdict

import pytest

from compactlib.models import CompactTransformer, ResNetCifar, SwinTransformer, SwinUnet, UNet
from compactlib.training import MaskRecipe, Recipe

BOTH = dict(
    epochs=30, optimizer="adamw", lr=1e-3, adamw_lr=3e-3, momentum=0.9, weight_decay=0.03, schedule="cosine",
    time_budget=0, min_lr=1e-5, warmup_epochs=3, warmup_lr=1e-5, cooldown_epochs=0, plateau_patience=5,
    plateau_factor=0.1, patience=0, clip_grad=0, ema_decay=0, precision="fp32", channels_last=False, compile=False,
    num_workers=0, seed=0,
)  # fmt: skip
CLASSES = BOTH | dict(
    batch_size=64, label_smoothing=0.1, shift=1, shift_border="zeros", flip=False, alternate_flip=False, flip_until=1,
    cutout=0, crop_size=0, crop_until=0.6, crop_scale=1, randaugment="", randaugment_until=1, random_erasing=0, mixup=0,
    cutmix=0, mixup_off_epoch=0, prune=0, prune_until=0.875, resident=False,
)  # fmt: skip
MASKS = BOTH | dict(
    batch_size=8, loss="dice_ce", class_weights=None, crop=0, crops_per_image=1, flip=True, rot90=False, rotate=0,
    scale=0, shift=0, elastic=0, intensity=0, speckle=0,
)  # fmt: skip
SWIN = dict(
    img_size=224, patch_size=4, in_chans=3, embed_dim=96, num_heads=(3, 6, 12, 24), window_size=7, mlp_ratio=4.0,
    qkv_bias=True, ape=False, patch_norm=True, drop_rate=0, attn_drop_rate=0, drop_path_rate=0.1,
)  # fmt: skip
MODELS = {
    CompactTransformer: dict(
        img_size=32, in_chans=3, num_classes=10, tokenizer="conv", num_convs=2, kernel_size=3, stride=None,
        padding=None, embed_dim=128, depth=2, num_heads=2, mlp_ratio=1, pool="seq", pos_embed="learnable",
        dynamic_img_size=False, drop_rate=0, attn_drop_rate=0.1, drop_path_rate=0.1,
    ),
    UNet: dict(
        in_chans=3, num_classes=2, width=64, depth=4, padded=True, norm="batch", upsample="transpose", drop_rate=0,
        img_size=None,
    ),
    SwinTransformer: SWIN | dict(num_classes=1000, depths=(2, 2, 6, 2)),
    SwinUnet: SWIN | dict(num_classes=9, depths=(2, 2, 2, 2), upsample="expand", skips=3),
    ResNetCifar: dict(depth=56, in_chans=3, num_classes=10),
}  # fmt: skip


@pytest.mark.parametrize(("recipe", "expected"), [(Recipe, CLASSES), (MaskRecipe, MASKS)])
def test_a_recipes_settings(recipe, expected):
    assert asdict(recipe()) == expected


def test_the_papers_recipe():
    """Hassani et al., Appendix A, and the configuration of their code for CIFAR-10."""
    found = asdict(Recipe.from_params({"recipe": "paper"}))
    expected = dict(
        epochs=300, batch_size=128, lr=5.5e-4, weight_decay=0.06, warmup_epochs=10, min_lr=1e-5, cooldown_epochs=10,
        label_smoothing=0.1, mixup=0.8, cutmix=1.0,
    )  # fmt: skip
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_models_arguments(model):
    found = {name: parameter.default for name, parameter in inspect.signature(model).parameters.items()}
    assert found == MODELS[model]


def test_resnet_56_is_what_its_name_says():
    """He et al., Table 6: 0.85 million parameters, with shortcuts that have none."""
    assert round(sum(p.numel() for p in ResNetCifar().parameters()) / 1e6, 2) == 0.85
