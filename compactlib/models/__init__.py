"""The course's models: torch, timm and einops, nothing else. Importing this registers the named ones with timm."""

from compactlib.models.baselines import BASELINES
from compactlib.models.checkpoints import find_checkpoint, imagenet_state_dict, official_state_dict
from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.compact_variants import VARIANTS
from compactlib.models.encoder import Attention, ClassTokenPool, EncoderBlock, MeanPool, SeqPool
from compactlib.models.inspection import (
    attention_maps,
    count_macs,
    count_parameters,
    eval_mode,
    pool_weights,
    window_attention_maps,
)
from compactlib.models.official import load_imagenet, load_official
from compactlib.models.pixels import device_and_type, scaling
from compactlib.models.positions import resize_pos_embed, sine_position_table
from compactlib.models.registry import register, register_class
from compactlib.models.resnet_cifar import ResNetCifar
from compactlib.models.saved import load_model, metadata, read_facts, save_model
from compactlib.models.segmentation_variants import SEGMENTATION_VARIANTS
from compactlib.models.spec import Spec, attach_spec, set_data_facts, spec_of
from compactlib.models.swin import SwinTransformer
from compactlib.models.swin_block import (
    SwinBlock,
    WindowAttention,
    relative_position_index,
    shift_mask,
    window_partition,
    window_reverse,
)
from compactlib.models.swin_stage import PatchEmbed, PatchMerging
from compactlib.models.swin_unet import BilinearUpsample, PatchExpand, SwinUnet, TransposedConv
from compactlib.models.tokenizers import ConvTokenizer, PatchTokenizer
from compactlib.models.unet import UNet
from compactlib.models.unet_blocks import DoubleConv
from compactlib.models.wrappers import as_named_in, plain_state_dict, runnable, unwrap

__all__ = [
    "BASELINES",
    "SEGMENTATION_VARIANTS",
    "VARIANTS",
    "Attention",
    "BilinearUpsample",
    "ClassTokenPool",
    "CompactTransformer",
    "ConvTokenizer",
    "DoubleConv",
    "EncoderBlock",
    "MeanPool",
    "PatchEmbed",
    "PatchExpand",
    "PatchMerging",
    "PatchTokenizer",
    "ResNetCifar",
    "SeqPool",
    "Spec",
    "SwinBlock",
    "SwinTransformer",
    "SwinUnet",
    "TransposedConv",
    "UNet",
    "WindowAttention",
    "as_named_in",
    "attach_spec",
    "attention_maps",
    "count_macs",
    "count_parameters",
    "device_and_type",
    "eval_mode",
    "find_checkpoint",
    "imagenet_state_dict",
    "load_imagenet",
    "load_model",
    "load_official",
    "metadata",
    "official_state_dict",
    "plain_state_dict",
    "pool_weights",
    "read_facts",
    "register",
    "register_class",
    "relative_position_index",
    "resize_pos_embed",
    "runnable",
    "save_model",
    "scaling",
    "set_data_facts",
    "shift_mask",
    "sine_position_table",
    "spec_of",
    "unwrap",
    "window_attention_maps",
    "window_partition",
    "window_reverse",
]
