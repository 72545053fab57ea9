"""Tables of counts beside the folders: parameters, tokens and multiply-adds of named models, and of sizes in words."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import timm
import torch

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import CompactTransformer, count_macs, count_parameters
from tests.golden.segmentation import paper_facts

# Columns that the library has no function for: fvcore's total adds the normalisation layers.
WITHOUT = {"macs_fvcore_total"}


def check_table(path: Path) -> list[str]:
    """A line for every number of the table that the library does not have."""
    if path.suffix == ".csv":
        return [problem for row in csv.DictReader(path.open()) for problem in _check_row(row)]
    families = json.loads(path.read_text())
    unknown = [
        f"{family}: nothing here counts it; known are {', '.join(FAMILIES)}" for family in set(families) - set(FAMILIES)
    ]
    return unknown + [
        f"{family}: {problem}"
        for family, check in FAMILIES.items()
        if check and family in families
        for problem in check(families[family])
    ]


# ---- CSV: a named compact transformer a row


def _check_row(row: dict[str, str]) -> list[str]:
    actual = _compact_counts(row["name"], row["positional_embedding_actual"])
    problems = [f"{name}: no such column is known" for name in row if name not in actual and name not in WITHOUT]
    problems += [
        f"{row['name']}: {name} {value}, recorded {row[name]}"
        for name, value in actual.items()
        if row.get(name) and (row[name] != value if isinstance(value, str) else float(row[name]) != value)
    ]
    return problems


def _compact_counts(name: str, positions: str) -> dict[str, object]:
    model: CompactTransformer = timm.create_model(name, pos_embed=positions.removesuffix("(frozen)"))
    frozen = model.pos_embed is not None and not model.pos_embed.requires_grad
    conv = getattr(model.tokenizer, "proj", None) or model.tokenizer.convs[0]
    tokens = model.grid_size[0] * model.grid_size[1]
    side, num_classes = model.img_size[0], model.num_classes
    total, trainable = count_parameters(model), count_parameters(model, trainable_only=True)
    macs = count_macs(model.to("meta"), (model.in_chans, *model.img_size))
    model.reset_classifier(10)
    return {
        "name": name,
        "family": name.split("_")[0],
        "img_size": side,
        "num_classes": num_classes,
        "layers": len(model.blocks),
        "heads": model.blocks[0].attn.num_heads,
        "dim": model.embed_dim,
        "mlp_ratio": model.blocks[0].mlp.fc1.out_features / model.embed_dim,
        "kernel": conv.kernel_size[0],
        "stride": conv.stride[0],
        "padding": conv.padding[0],
        "conv_layers": len(getattr(model.tokenizer, "convs", [conv])),
        "tokens": tokens,
        "sequence_with_class_token": tokens + model.num_prefix_tokens,
        "positional_embedding_actual": model.pos_embed_type + ("(frozen)" if frozen else ""),
        "params_total": total,
        "params_trainable": trainable,
        "params_10_classes": count_parameters(model),
        "macs_matmul_conv": macs,
    }


# ---- JSON: sizes in words


def _swin(entries: dict[str, dict]) -> list[str]:
    problems = []
    for name, recorded in entries.items():
        match = re.fullmatch(r"swin_(tiny|small|base)_patch(\d+)_window(\d+)_(\d+)", name)
        if not match:
            problems.append(f"{name}: expected a name such as swin_tiny_patch4_window7_224")
            continue
        patch, window, img_size = map(int, match.groups()[1:])
        settings = {
            "patch_size": patch,
            "window_size": window,
            "img_size": img_size,
            "num_classes": recorded["num_classes"],
        }
        problems += _differs(name, recorded["params"], f"swin_scratch_{match[1]}", settings)
    return problems


WORDS: dict[str, Callable[[str], dict]] = {
    r"depths (\d+(?:,\d+)*)": lambda text: {"depths": tuple(map(int, text.split(",")))},
    r"embed_dim (\d+)": lambda text: {"embed_dim": int(text)},
    r"img_size (\d+)": lambda text: {"img_size": int(text)},
    r"window (\d+)": lambda text: {"window_size": int(text)},
    r"(\d+) class(?:es)?": lambda text: {"num_classes": int(text)},
    r"(\d+) channels?": lambda text: {"in_chans": int(text)},
    r"(up-conv|bilinear)": lambda text: {"upsample": "transpose" if text == "up-conv" else text},
    r"(\(official config [^)]*\)|same|,)": lambda text: {},
}


def _in_words(prefixes: dict[str, str | None]) -> Callable[[dict[str, int]], list[str]]:
    """Entries "PREFIX 3 channels 2 classes": the factory of each prefix (None: no model yet), arguments in words."""

    def check(entries: dict[str, int]) -> list[str]:
        problems = []
        for words, recorded in entries.items():
            prefix = next((p for p in prefixes if words.startswith(p)), None)
            if prefix is None:
                problems.append(f"{words}: expected one of {', '.join(prefixes)} at the start")
            elif prefixes[prefix]:
                settings, rest = {}, words.removeprefix("" if prefix in ("same", "depths") else prefix)
                for pattern, rule in WORDS.items():
                    for text in re.findall(pattern, rest):
                        settings |= rule(text)
                    rest = re.sub(pattern, "", rest)
                problems += [f"{words}: cannot read {rest.strip()!r}"] if rest.strip() else []
                problems += _differs(words, recorded, prefixes[prefix], settings)
        return problems

    return check


def _differs(name: str, recorded: int, factory: str, settings: dict) -> list[str]:
    with torch.device("meta"):
        actual = count_parameters(timm.create_model(factory, **settings))
    return [] if actual == recorded else [f"{name}: {actual} parameters, recorded {recorded}"]


def _paper(recorded: dict[str, object]) -> list[str]:
    actual = paper_facts()
    unknown = set(recorded) - set(actual) - {"rule"}
    return [f"{name}: nothing here counts it" for name in sorted(unknown)] + [
        f"{name}: {value}, recorded {recorded[name]}"
        for name, value in actual.items()
        if recorded.get(name, value) != value
    ]


FAMILIES: dict[str, Callable[[dict], list[str]] | None] = {  # None: no model yet
    "swin_transformer": _swin,
    "swin_unet": _in_words({"swin_unet_tiny": "swin_unet_tiny", "same": "swin_unet_tiny", "depths": "swin_unet_tiny"}),
    "unet_family": _in_words({"milesial UNet": "unet", "NestedUNet": None, "UNet (same repository)": None}),
    "original_unet": _paper,
    "mae": None,
    "m2d": None,
}
