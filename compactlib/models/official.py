"""Loading a state dict of the authors' code into the models here."""

import re
import warnings
from collections.abc import Mapping

from torch import Tensor, nn

from compactlib.models.checkpoints import misfits, unwrap
from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.official_names import renaming, swin_renaming
from compactlib.models.positions import is_sine_table, resize_pos_embed, sine_position_table
from compactlib.models.swin_unet import SwinUnet


def load_official(model: nn.Module, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Load weights saved by the authors' code into `model`, in place, and return it.

    A CompactTransformer takes those of SHI-Labs/Compact-Transformers, a UNet those of milesial/Pytorch-UNet (or of a
    plain list of layers), a SwinTransformer those of microsoft/Swin-Transformer or timm, a SwinUnet those of
    HuCaoFighting/Swin-Unet or, where the weights have no decoder, a Swin Transformer's (see `load_imagenet`). A
    positional embedding of a CompactTransformer for another (square) image size is interpolated as the authors' helper
    does; a table of sinusoids is made anew for the new size instead. A head with another number of classes keeps its
    initial values, and a warning says so. The model then computes what the authors' model computes.

    Raises:
        TypeError: a model that has no official counterpart.
        ValueError: keys or shapes that do not fit, listed.
    """
    state_dict = unwrap(state_dict)
    if isinstance(model, SwinUnet) and not any("layers_up." in key for key in state_dict):
        load_imagenet(model, state_dict)
        return model
    renamed = {name: state_dict[key] for key, name in renaming(model, state_dict).items()}
    if isinstance(model, CompactTransformer):
        _fit_positions(model, renamed)
    _fit_head(model, renamed)
    own = model.state_dict()
    # How many batches a BatchNorm has seen is missing in old checkpoints, and changes nothing here.
    renamed |= {key: own[key] for key in own if key.endswith(".num_batches_tracked") and key not in renamed}
    problems = misfits(model, renamed)
    if problems:
        more = f"\n  and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(
            "the weights do not fit the model; build it with the arguments that the weights were trained "
            "with:\n  " + "\n  ".join(problems[:8]) + more
        )
    model.load_state_dict(renamed)
    return model


def load_imagenet(model: SwinUnet, state_dict: Mapping[str, Tensor]) -> list[str]:
    """Start a Swin-Unet from a Swin Transformer's weights (the authors' or timm's names), by the authors' rule.

    Each stage's weights go to the encoder and, a copy, to the mirror image of the stage in the decoder. What has no
    place in the model (further blocks, the head), or another shape there, is left out. Returns the names of the model's
    weights that keep their initial values: patch expanding, the linear layers of the skips, the last norm and the head.

    Raises:
        ValueError: no stage of these weights fits the model.
    """
    state_dict = unwrap(state_dict)
    source = {name: state_dict[key] for key, name in swin_renaming(state_dict).items()}
    last = len(model.layers) - 1
    for name, value in list(source.items()):
        stage = re.match(r"layers\.(\d+)\.(.*)", name)
        if stage:
            source[f"layers_up.{last - int(stage[1])}.{stage[2]}"] = value
    own = model.state_dict()
    fitting = {key: source[key] for key, value in own.items() if key in source and source[key].shape == value.shape}
    if not any(key.startswith("layers.") for key in fitting):
        raise ValueError(
            "no stage of these weights fits the model; expected the state dict of a Swin Transformer with "
            f"embed_dim={model.embed_dim}, got {len(state_dict)} entries such as {', '.join(list(state_dict)[:3])}"
        )
    model.load_state_dict(fitting, strict=False)
    return [key for key in own if key not in fitting]


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


def _fit_head(model: nn.Module, renamed: dict[str, Tensor]) -> None:
    name = "output" if isinstance(model, SwinUnet) else "head"
    classes = len(renamed[f"{name}.weight"]) if f"{name}.weight" in renamed else model.num_classes
    if model.num_classes == 0:
        renamed.pop(f"{name}.weight", None)
        renamed.pop(f"{name}.bias", None)
    elif classes != model.num_classes:
        warnings.warn(
            f"the weights have a head for {classes} classes, the model for {model.num_classes}: "
            "the model's head keeps its initial values and must be trained",
            stacklevel=3,
        )
        renamed |= {f"{name}.{key}": value for key, value in model.get_classifier().state_dict().items()}
