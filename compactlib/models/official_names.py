"""What the authors call their weights, and what they are called here: one map for each family of models.

A class of models registers its own: `@renaming.register` on a function of the model and the authors' names.
"""

import re
from collections.abc import Iterable
from functools import singledispatch

from torch import nn

from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.swin import SwinTransformer
from compactlib.models.swin_unet import SwinUnet
from compactlib.models.tokenizers import ConvTokenizer
from compactlib.models.unet import UNet
from compactlib.models.wrappers import without_wrappers

Rules = list[tuple[str, str]]

# SHI-Labs/Compact-Transformers
COMPACT: Rules = [
    (r"^classifier\.class_emb$", "cls_token"),
    (r"^classifier\.positional_emb$", "pos_embed"),
    (r"^classifier\.blocks\.(\d+)\.pre_norm\.", r"blocks.\1.norm1."),
    (r"^classifier\.blocks\.(\d+)\.norm1\.", r"blocks.\1.norm2."),
    (r"^classifier\.blocks\.(\d+)\.self_attn\.", r"blocks.\1.attn."),
    (r"^classifier\.blocks\.(\d+)\.linear1\.", r"blocks.\1.mlp.fc1."),
    (r"^classifier\.blocks\.(\d+)\.linear2\.", r"blocks.\1.mlp.fc2."),
    (r"^classifier\.norm\.", "norm."),
    (r"^classifier\.attention_pool\.", "pool.score."),
    (r"^classifier\.fc\.", "head."),
]
CONV_TOKENIZER = (r"^tokenizer\.conv_layers\.(\d+)\.0\.", r"tokenizer.convs.\1.")
PATCH_TOKENIZER = (r"^tokenizer\.conv_layers\.0\.0\.", "tokenizer.proj.")

# The U-Net of milesial/Pytorch-UNet: convolutions and norms of a block are numbers 0, 1, 3, 4 of a sequence.
_PLACE = {"0": "conv1", "1": "norm1", "3": "conv2", "4": "norm2"}
MILESIAL_UNET: Rules = [
    rule
    for number, name in _PLACE.items()
    for rule in (
        (rf"^inc\.double_conv\.{number}\.", rf"encoder.0.{name}."),
        (rf"^down(\d+)\.maxpool_conv\.1\.double_conv\.{number}\.", rf"encoder.\1.{name}."),
        (rf"^up(\d+)\.conv\.double_conv\.{number}\.", rf"decoder.#\1.conv.{name}."),
    )
] + [(r"^up(\d+)\.up\.", r"decoder.#\1.up."), (r"^outc\.conv\.", "head.")]

# A U-Net written as lists of sequences (convolution, ReLU, convolution, ReLU), the plain way for the paper's network.
LISTED_UNET: Rules = [
    (r"^down\.(\d+)\.0\.", r"encoder.\1.conv1."),
    (r"^down\.(\d+)\.2\.", r"encoder.\1.conv2."),
    (r"^upconv\.(\d+)\.", r"decoder.\1.up."),
    (r"^up\.(\d+)\.0\.", r"decoder.\1.conv.conv1."),
    (r"^up\.(\d+)\.2\.", r"decoder.\1.conv.conv2."),
    (r"^out\.", "head."),
]

# microsoft/Swin-Transformer has the names of this project; timm's differ in two places. There, patch merging stands at
# the start of a stage, and not at the end of the one before.
TIMM_HEAD = (r"^head\.fc\.", "head.")
TIMM_MERGING = (r"^layers\.(\d+)\.downsample\.", r"layers.#\1.downsample.")

# HuCaoFighting/Swin-Unet: the wrapper around the network puts its own name in front.
SWIN_UNET: Rules = [(r"^swin_unet\.", "")]

# Stored beside the weights, but no weights: tables that follow from the sizes, milesial's list of mask values.
NOT_WEIGHTS = re.compile(r"(^|\.)(attn_mask|relative_position_index|mask_values)$")


@singledispatch
def renaming(model: nn.Module, keys: Iterable[str]) -> dict[str, str]:
    """Authors' name -> name in `model`, for all `keys` that are weights. Unknown names stay as they are.

    Raises TypeError for a model whose class has registered no rules.
    """
    known = [kind.__name__ for kind in renaming.registry if kind is not object]
    raise TypeError(f"no official weights are known for {type(model).__name__}; expected one of {', '.join(known)}")


@renaming.register
def _compact(model: CompactTransformer, keys: Iterable[str]) -> dict[str, str]:
    conv = isinstance(model.tokenizer, ConvTokenizer)
    return by_rules(keys, [*COMPACT, CONV_TOKENIZER if conv else PATCH_TOKENIZER])


@renaming.register
def _unet(model: UNet, keys: Iterable[str]) -> dict[str, str]:
    keys = list(keys)
    milesial = any(without_wrappers(key).startswith("inc.") for key in keys)
    return by_rules(keys, MILESIAL_UNET if milesial else LISTED_UNET)


@renaming.register
def _swin(model: SwinTransformer, keys: Iterable[str]) -> dict[str, str]:
    return swin_renaming(keys)


@renaming.register
def _swin_unet(model: SwinUnet, keys: Iterable[str]) -> dict[str, str]:
    """Those of the whole network; or a Swin Transformer's, which has no decoder."""
    keys = list(keys)
    return by_rules(keys, SWIN_UNET) if any("layers_up." in key for key in keys) else swin_renaming(keys)


def swin_renaming(keys: Iterable[str]) -> dict[str, str]:
    """Name of Swin's authors, or of timm -> name in SwinTransformer, for all `keys` that are weights."""
    keys = list(keys)
    authors = any(without_wrappers(key).startswith("layers.0.downsample.") for key in keys)
    return by_rules(keys, [TIMM_HEAD] if authors else [TIMM_HEAD, TIMM_MERGING])


def by_rules(keys: Iterable[str], rules: Rules) -> dict[str, str]:
    """Authors' name -> name here, for all `keys` that are weights: the first rule that matches, else as it is. What
    DistributedDataParallel or torch.compile put in front is left out."""
    return {key: _renamed(without_wrappers(key), rules) for key in keys if not NOT_WEIGHTS.search(key)}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        new_name, hits = re.subn(pattern, replacement, name)
        if hits:
            return re.sub(r"#(\d+)", lambda number: str(int(number[1]) - 1), new_name)  # "#4" counts from one
    return name
