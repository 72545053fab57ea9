"""The course's models: torch, timm and einops, nothing else. Importing this registers the named ones with timm."""

from compactlib.models import compact_variants as _compact_variants  # noqa: F401  (registers the names)
from compactlib.models.checkpoints import find_checkpoint, official_state_dict
from compactlib.models.compact_transformer import (
    Attention,
    ClassTokenPool,
    CompactTransformer,
    EncoderBlock,
    MeanPool,
    SeqPool,
)
from compactlib.models.compact_variants import VARIANTS
from compactlib.models.inspection import attention_maps, count_macs, count_parameters, pool_weights
from compactlib.models.official import load_official
from compactlib.models.positions import resize_pos_embed, sine_position_table
from compactlib.models.tokenizers import ConvTokenizer, PatchTokenizer

__all__ = [
    "VARIANTS",
    "Attention",
    "ClassTokenPool",
    "CompactTransformer",
    "ConvTokenizer",
    "EncoderBlock",
    "MeanPool",
    "PatchTokenizer",
    "SeqPool",
    "attention_maps",
    "count_macs",
    "count_parameters",
    "find_checkpoint",
    "load_official",
    "official_state_dict",
    "pool_weights",
    "resize_pos_embed",
    "sine_position_table",
]
