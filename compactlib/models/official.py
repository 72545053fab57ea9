"""Loading a state dict of the authors' code into the models here."""

import re
import warnings
from collections.abc import Mapping

from torch import Tensor, nn

from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.positions import is_sine_table, resize_pos_embed, sine_position_table
from compactlib.models.tokenizers import ConvTokenizer

# The whole map, applied in this order: the authors' name -> ours.
COMPACT_KEYS = [
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
CONV_TOKENIZER_KEY = (r"^tokenizer\.conv_layers\.(\d+)\.0\.", r"tokenizer.convs.\1.")
PATCH_TOKENIZER_KEY = (r"^tokenizer\.conv_layers\.0\.0\.", "tokenizer.proj.")


def load_official(model: nn.Module, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Load weights saved by the authors' code into `model`, in place, and return it.

    A positional embedding for another (square) image size is interpolated as the authors' helper does; a table of
    sinusoids is made anew for the new size instead. A head with another number of classes keeps its initial values, and
    a warning says so. The model then computes what the authors' model computes.

    Raises:
        TypeError: a model that has no official counterpart.
        ValueError: keys or shapes that do not fit, listed.
    """
    if not isinstance(model, CompactTransformer):
        raise TypeError(f"no official weights are known for {type(model).__name__}; expected a CompactTransformer")
    renamed = _rename(model, state_dict)
    _fit_positions(model, renamed)
    _fit_head(model, renamed)
    own = model.state_dict()
    problems = [f"missing: {key}" for key in own if key not in renamed]
    problems += [f"not in this model: {key}" for key in renamed if key not in own]
    problems += [
        f"shape of {key}: {tuple(value.shape)} in the file, {tuple(own[key].shape)} in the model"
        for key, value in renamed.items()
        if key in own and value.shape != own[key].shape
    ]
    if problems:
        more = f"\n  and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(
            "the weights do not fit the model; build it with the arguments that the weights were trained "
            "with:\n  " + "\n  ".join(problems[:8]) + more
        )
    model.load_state_dict(renamed)
    return model


def _rename(model: CompactTransformer, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tokenizer = CONV_TOKENIZER_KEY if isinstance(model.tokenizer, ConvTokenizer) else PATCH_TOKENIZER_KEY
    renamed = {}
    for key, value in state_dict.items():
        key = key.removeprefix("module.")  # what DistributedDataParallel puts in front
        for pattern, replacement in [*COMPACT_KEYS, tokenizer]:
            new_key, hits = re.subn(pattern, replacement, key)
            if hits:
                key = new_key
                break
        renamed[key] = value
    return renamed


def _fit_positions(model: CompactTransformer, renamed: dict[str, Tensor]) -> None:
    table = renamed.get("pos_embed")
    if table is None or model.pos_embed is None or table.shape[1:] == model.pos_embed.shape[1:]:
        return
    if is_sine_table(table):
        renamed["pos_embed"] = sine_position_table(model.pos_embed.shape[1], model.embed_dim)
        return
    side = int((table.shape[1] - model.num_prefix_tokens) ** 0.5)
    if side * side + model.num_prefix_tokens == table.shape[1] and table.shape[2] == model.embed_dim:
        renamed["pos_embed"] = resize_pos_embed(table, (side, side), model.grid_size, model.num_prefix_tokens)


def _fit_head(model: CompactTransformer, renamed: dict[str, Tensor]) -> None:
    if model.num_classes == 0:
        renamed.pop("head.weight", None)
        renamed.pop("head.bias", None)
    elif "head.bias" in renamed and len(renamed["head.bias"]) != model.num_classes:
        warnings.warn(
            f"the weights have a head for {len(renamed['head.bias'])} classes, the model for {model.num_classes}: "
            "the model's head keeps its initial values and must be trained",
            stacklevel=3,
        )
        renamed |= {f"head.{key}": value for key, value in model.head.state_dict().items()}
