"""What the references call their arguments, and what they are called here. An argument that no table knows is an
error."""

import re
from collections.abc import Callable, Mapping

Rule = str | Callable[[object], dict]
Table = Mapping[str, Rule]


def no_effect(_value: object) -> dict:
    """Acts in training only, or not at all."""
    return {}


def only(*values: object) -> Rule:
    """An argument of the reference that the library does not have: one of these values means the same without it."""

    def rule(value: object) -> dict:
        if value not in values:
            raise ValueError(f"{value!r} has no counterpart in the library, which does what {values[0]!r} says")
        return {}

    return rule


def side(name: str) -> Rule:
    """One number, given as it is or for both axes."""

    def rule(value: object) -> dict:
        sides = {value} if isinstance(value, int) else set(value)
        if len(sides) != 1:
            raise ValueError(f"{value!r} differs between the axes; the library has one number for both")
        return {name: sides.pop()}

    return rule


# SHI-Labs/Compact-Transformers, classes and factories. The model lacks "tokenizer.*", which its ConvTokenizer has.
COMPACT: Table = {
    "img_size": no_effect,  # the input has it; weights with positions for another number of tokens would not fit
    "sequence_length": no_effect,
    "num_classes": "num_classes",
    "n_input_channels": "in_chans",
    "n_conv_layers": "num_convs",
    "kernel_size": "kernel_size",
    "stride": "stride",
    "padding": "padding",
    "pooling_kernel_size": "tokenizer.pool_kernel",
    "pooling_stride": "tokenizer.pool_stride",
    "pooling_padding": "tokenizer.pool_padding",
    "in_planes": "tokenizer.hidden_chans",
    "embedding_dim": "embed_dim",
    "num_layers": "depth",
    "num_heads": "num_heads",
    "mlp_ratio": "mlp_ratio",
    "seq_pool": lambda value: {"pool": "seq" if value else "cls"},
    "positional_embedding": "pos_embed",
    "dropout": no_effect,
    "attention_dropout": no_effect,
    "stochastic_depth": no_effect,
    "pretrained": only(False),
    "progress": no_effect,
}

_SWIN = ("img_size", "in_chans", "num_classes", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio")
SWIN: Table = {
    **{name: name for name in (*_SWIN, "qkv_bias", "ape", "patch_norm")},
    "patch_size": side("patch_size"),
    "qk_scale": only(None),
    "norm_layer": only("LayerNorm", "nn.LayerNorm", "torch.nn.LayerNorm"),
    **dict.fromkeys(
        ("drop_rate", "attn_drop_rate", "drop_path_rate", "use_checkpoint", "fused_window_process"), no_effect
    ),
}
SWIN_UNET: Table = {
    **SWIN,
    "depths_decoder": no_effect,  # the authors' code never reads it
    "final_upsample": only("expand_first"),
}
SWIN_STAGE: Table = {
    **{name: name for name in ("dim", "depth", "num_heads", "mlp_ratio", "qkv_bias")},
    "input_resolution": lambda value: {"grid": tuple(value)},
    "window_size": "window",
    "downsample": lambda value: {"merges": {"PatchMerging": True, "None": False, None: False}[value]},
    "qk_scale": only(None),
    "norm_layer": only("LayerNorm", "nn.LayerNorm", "torch.nn.LayerNorm"),
    **dict.fromkeys(("drop", "attn_drop", "drop_path", "use_checkpoint", "fused_window_process"), no_effect),
}

UNET: Table = {
    "n_channels": "in_chans",
    "n_classes": "num_classes",
    "bilinear": lambda value: {"upsample": "bilinear" if value else "transpose"},
}
UNET_VALID: Table = {"in_channels": "in_chans", "classes": "num_classes", "first_channels": "width"}


def translate(given: Mapping[str, object], table: Table, of: str) -> dict[str, object]:
    """The library's arguments for those of the reference's `of`."""
    arguments: dict[str, object] = {}
    for name, value in given.items():
        if name not in table:
            raise ValueError(
                f"{of}({name}={value!r}): the table of arguments does not know {name!r}; it knows {', '.join(table)}. "
                "Enter it in tests/golden/arguments.py"
            )
        rule = table[name]
        try:
            arguments |= {rule: value} if isinstance(rule, str) else rule(value)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{of}({name}={value!r}): {error}") from error
    return arguments


# How a composition of the compact transformers' parts is put into words:
# "Tokenizer(3x3, stride 1, 2 conv layers (in_planes 64, out 64), ReLU) -> TransformerClassifier(seq_pool=False, ...)"
_WORDS: dict[str, Callable[..., dict]] = {
    r"(\d+)x\1": lambda k: {"kernel_size": int(k)},
    r"stride (\d+)": lambda n: {"stride": int(n)},
    r"padding (\d+)": lambda n: {"padding": int(n)},
    r"(\d+) (?:conv )?(?:layers?|convs?)": lambda n: {"n_conv_layers": int(n)},
    r"(?:in_channels|in_chans|in) (\d+)": lambda n: {"n_input_channels": int(n)},
    r"in_planes (\d+)": lambda n: {"in_planes": int(n)},
    r"out (\d+)": lambda n: {"embedding_dim": int(n)},
    r"max-pool (\d+)/(\d+)/(\d+)": lambda k, s, p: {
        "pooling_kernel_size": int(k), "pooling_stride": int(s), "pooling_padding": int(p)
    },
    r"no max-pool": lambda: {"max_pool": False},
    r"ReLU": lambda: {"relu": True},
    r"no (?:activation|ReLU)": lambda: {"relu": False},
    r"no bias": lambda: {"bias": False},
    r"bias": lambda: {"bias": True},
}  # fmt: skip


def read_composition(text: str) -> dict[str, object]:
    """The arguments that a composition names, in the reference's words; `max_pool`, `relu`, `bias` of the tokenizer."""
    parts = re.fullmatch(r"Tokenizer\((.*)\) -> TransformerClassifier\((.*)\)", text)
    if not parts:
        raise ValueError(f"expected Tokenizer(...) -> TransformerClassifier(...), got {text}")
    arguments: dict[str, object] = {}
    for word in re.split(r"[,()]\s*", parts[1]):
        hits = [(rule, re.fullmatch(pattern, word.strip())) for pattern, rule in _WORDS.items() if word.strip()]
        hit = next(((rule, match) for rule, match in hits if match), None)
        if hit:
            arguments |= hit[0](*hit[1].groups())
        elif word.strip():
            raise ValueError(f"cannot read {word.strip()!r} of {text}; known words: {', '.join(_WORDS)}")
    for word in filter(None, re.split(r",\s*", parts[2])):
        name, _, value = word.partition("=")
        arguments[name] = {"True": True, "False": False}.get(value) if value in ("True", "False") else _number(value)
    return arguments


def _number(text: str) -> object:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text.strip("'\"")
