"""What the authors call their weights, and what they are called here: one map for each family of models."""

import re
from collections.abc import Iterable

from torch import nn

from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.swin import SwinTransformer
from compactlib.models.swin_unet import SwinUnet
from compactlib.models.tokenizers import ConvTokenizer
from compactlib.models.unet import UNet

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


def renaming(model: nn.Module, keys: Iterable[str]) -> dict[str, str]:
    """Authors' name -> name in `model`, for all `keys` that are weights. Unknown names stay as they are.

    Raises TypeError for a model that has no official counterpart.
    """
    plain = _plain(keys)
    if isinstance(model, CompactTransformer):
        rules = [*COMPACT, CONV_TOKENIZER if isinstance(model.tokenizer, ConvTokenizer) else PATCH_TOKENIZER]
    elif isinstance(model, UNet):
        rules = MILESIAL_UNET if any(name.startswith("inc.") for name in plain.values()) else LISTED_UNET
    elif isinstance(model, SwinTransformer):
        return swin_renaming(keys)
    elif isinstance(model, SwinUnet):
        rules = SWIN_UNET
    else:
        raise TypeError(
            f"no official weights are known for {type(model).__name__}; expected a CompactTransformer, UNet, "
            "SwinTransformer or SwinUnet"
        )
    return {key: _renamed(name, rules) for key, name in plain.items()}


def swin_renaming(keys: Iterable[str]) -> dict[str, str]:
    """Name of Swin's authors, or of timm -> name in SwinTransformer, for all `keys` that are weights."""
    plain = _plain(keys)
    authors = any(name.startswith("layers.0.downsample.") for name in plain.values())
    return {key: _renamed(name, [TIMM_HEAD] if authors else [TIMM_HEAD, TIMM_MERGING]) for key, name in plain.items()}


def _plain(keys: Iterable[str]) -> dict[str, str]:
    """The keys that are weights -> the same without what DistributedDataParallel puts in front."""
    return {key: key.removeprefix("module.") for key in keys if not NOT_WEIGHTS.search(key)}


def _renamed(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        new_name, hits = re.subn(pattern, replacement, name)
        if hits:
            return re.sub(r"#(\d+)", lambda number: str(int(number[1]) - 1), new_name)  # "#4" counts from one
    return name
