"""The named models of the segmentation walk in timm's registry: U-Net, Swin Transformer, Swin-Unet.

Stochastic depth of the Swin models is that of the authors' configuration files.
"""

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn

from compactlib.models.checkpoints import imagenet_state_dict
from compactlib.models.official import load_imagenet, load_official
from compactlib.models.registry import register, register_class
from compactlib.models.swin import SwinTransformer
from compactlib.models.swin_unet import SwinUnet
from compactlib.models.unet import UNet

TINY = dict(embed_dim=96, num_heads=(3, 6, 12, 24))
BASE = dict(embed_dim=128, num_heads=(4, 8, 16, 32))

# name: class, arguments
SEGMENTATION_VARIANTS: dict[str, tuple[type[nn.Module], dict]] = {
    "unet_valid": (UNet, dict(in_chans=1, num_classes=2, padded=False, norm="none", drop_rate=0.5)),
    "unet": (UNet, dict(in_chans=3, num_classes=2, padded=True, norm="batch")),
    "swin_scratch_tiny": (SwinTransformer, dict(depths=(2, 2, 6, 2), drop_path_rate=0.2, **TINY)),
    "swin_scratch_small": (SwinTransformer, dict(depths=(2, 2, 18, 2), drop_path_rate=0.3, **TINY)),
    "swin_scratch_base": (SwinTransformer, dict(depths=(2, 2, 18, 2), drop_path_rate=0.5, **BASE)),
    "swin_unet_tiny": (SwinUnet, dict(depths=(2, 2, 2, 2), drop_path_rate=0.2, **TINY)),
    "swin_unet_base": (SwinUnet, dict(depths=(2, 2, 18, 2), drop_path_rate=0.5, **BASE)),
}


def _swin(model: nn.Module, name: str) -> nn.Module:
    return load_official(model, imagenet_state_dict(name))


def _swin_unet(model: nn.Module, name: str) -> nn.Module:
    load_imagenet(model, imagenet_state_dict(name))
    return model


_IMAGENET = dict(mean=IMAGENET_DEFAULT_MEAN, std=IMAGENET_DEFAULT_STD)
_LOAD = {UNet: (None, None), SwinTransformer: (_swin, _IMAGENET | {"crop_pct": 0.9}), SwinUnet: (_swin_unet, _IMAGENET)}
for _name, (_class, _arguments) in SEGMENTATION_VARIANTS.items():
    register(_name, _class, _arguments, *_LOAD[_class])
UNet.registry_name = "unet"  # whose arguments are the class's own
register_class("swin_scratch", SwinTransformer)
register_class("swin_unet", SwinUnet)
