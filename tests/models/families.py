"""A small model of each family, for tests that go over all of them."""

import timm
import torch
from torch import nn

import compactlib.models  # noqa: F401  (registers the models)

SWIN = dict(img_size=64, embed_dim=12, num_heads=(1, 2, 3, 4), depths=(2, 2, 2, 2))
# title: name in timm's registry, arguments, side of a square image that the model takes
FAMILIES: dict[str, tuple[str, dict, int]] = {
    "vit": ("vit_2_4_32", {}, 32),
    "cvt": ("cvt_2_4_32", {}, 32),
    "cct": ("cct_2_3x2_32_sine", {}, 32),
    "unet": ("unet", dict(width=4, depth=2, in_chans=1), 24),
    "unet bilinear": ("unet", dict(width=4, depth=2, upsample="bilinear"), 24),
    "unet_valid": ("unet_valid", dict(width=4, depth=2), 60),
    "swin": ("swin_scratch_tiny", dict(**SWIN, window_size=4, ape=True, num_classes=5), 64),
    "swin_unet": ("swin_unet_tiny", dict(**SWIN, window_size=2), 64),
    "swin_unet transpose": ("swin_unet_tiny", dict(**SWIN, window_size=2, upsample="transpose"), 64),
    "swin_unet bilinear": ("swin_unet_tiny", dict(**SWIN, window_size=2, upsample="bilinear"), 64),
    "resnet": ("resnet20_cifar", {}, 32),
    "mobilenet": ("mobilenetv2_125", dict(num_classes=5), 64),
}


def built(title: str, **more) -> nn.Module:
    """The model, in eval mode, with every weight and statistic drawn, so that a forgotten one shows."""
    name, arguments, _ = FAMILIES[title]
    torch.manual_seed(0)
    model = timm.create_model(name, **arguments, **more).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2 and parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 1.5)
    return model


def images(title: str, batch: int = 2) -> torch.Tensor:
    """Random images that the model takes, (batch, channels, side, side)."""
    name, arguments, side = FAMILIES[title]
    chans = arguments.get("in_chans", 1 if name == "unet_valid" else 3)
    return torch.randn(batch, chans, side, side, generator=torch.Generator().manual_seed(batch))
