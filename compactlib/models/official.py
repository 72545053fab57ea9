"""Loading a state dict of the authors' code into the models here.

What a class of models does with weights for another size stands in a function that it registers, `@adapt.register`; the
names of its weights in `official_names.py`.
"""

import re
import warnings
from collections.abc import Mapping
from functools import singledispatch

from torch import Tensor, nn

from compactlib.models.checkpoints import misfits, weights_in
from compactlib.models.compact_transformer import CompactTransformer
from compactlib.models.official_names import renaming, swin_renaming
from compactlib.models.positions import is_sine_table, resize_pos_embed, sine_position_table
from compactlib.models.swin_unet import SwinUnet
from compactlib.models.wrappers import unwrap


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
    outer, model, state_dict = model, unwrap(model), weights_in(state_dict)
    renamed = {name: state_dict[key] for key, name in renaming(model, state_dict).items()}
    adapt(model, renamed)
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
    return outer


def load_imagenet(model: SwinUnet, state_dict: Mapping[str, Tensor]) -> list[str]:
    """Start a Swin-Unet from a Swin Transformer's weights (the authors' or timm's names), by the authors' rule.

    Each stage's weights go to the encoder and, a copy, to the mirror image of the stage in the decoder. What has no
    place in the model (further blocks, the head), or another shape there, is left out. Returns the names of the model's
    weights that keep their initial values: patch expanding, the linear layers of the skips, the last norm and the head.

    Raises:
        ValueError: no stage of these weights fits the model.
    """
    model, state_dict = unwrap(model), weights_in(state_dict)
    fitting = _mirrored(model, {name: state_dict[key] for key, name in swin_renaming(state_dict).items()})
    model.load_state_dict(fitting, strict=False)
    return [key for key in model.state_dict() if key not in fitting]


def _mirrored(model: SwinUnet, source: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of a Swin Transformer's weights those that fit the model, its decoder included."""
    last = len(model.layers) - 1
    stages = {name: re.match(r"layers\.(\d+)\.(.*)", name) for name in source}
    copies = {f"layers_up.{last - int(found[1])}.{found[2]}": source[name] for name, found in stages.items() if found}
    own, source = model.state_dict(), source | copies
    fitting = {key: source[key] for key, value in own.items() if key in source and source[key].shape == value.shape}
    if not any(key.startswith("layers.") for key in fitting):
        raise ValueError(
            "no stage of these weights fits the model; expected the state dict of a Swin Transformer with "
            f"embed_dim={model.embed_dim}, got {len(source) - len(copies)} entries such as "
            f"{', '.join(list(source)[:3])}"
        )
    return fitting


@singledispatch
def adapt(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Change `weights`, which have the names of `model`, in place where they are for another size of it."""


@adapt.register
def _fit_decoder(model: SwinUnet, weights: dict[str, Tensor]) -> None:
    """Weights without a decoder are a Swin Transformer's: what they leave out keeps its initial values."""
    if not any(key.startswith("layers_up.") for key in weights):
        fitting = _mirrored(model, weights)
        weights.clear()
        weights.update(model.state_dict() | fitting)


@adapt.register
def _fit_positions(model: CompactTransformer, weights: dict[str, Tensor]) -> None:
    table = weights.get("pos_embed")
    if table is None or model.pos_embed is None or table.shape[1:] == model.pos_embed.shape[1:]:
        return
    if is_sine_table(table):
        weights["pos_embed"] = sine_position_table(model.pos_embed.shape[1], model.embed_dim)
        return
    side = int((table.shape[1] - model.num_prefix_tokens) ** 0.5)
    if side * side + model.num_prefix_tokens == table.shape[1] and table.shape[2] == model.embed_dim:
        weights["pos_embed"] = resize_pos_embed(table, (side, side), model.grid_size, model.num_prefix_tokens)


def _fit_head(model: nn.Module, renamed: dict[str, Tensor]) -> None:
    head = model.get_classifier()
    name = next(name for name, module in model.named_modules() if module is head)
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
        renamed |= {f"{name}.{key}": value for key, value in head.state_dict().items()}
