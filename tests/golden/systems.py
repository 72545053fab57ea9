"""The table of the systems that golden cases come from, and the one way in which any case is checked."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compactlib.models import count_parameters, load_official
from tests.golden import compact, segmentation, swin
from tests.golden.cases import GoldenCase


@dataclass(frozen=True)
class System:
    """How the library computes what a case records.

    values: (case[, model]) -> what is recorded, by its name: arrays and entries of the meta file. "NAME (way)" is
        another way to the same numbers. A case's inputs are those that it takes.
    build: case -> the model with the case's arguments; None where no model is in play.
    load: (model, the reference's state dict) -> the model with these weights.
    prefixes: what may stand before the names of the weights.
    without: recorded names that the library has no function for.
    """

    values: Callable[..., Mapping[str, object]]
    build: Callable[[GoldenCase], nn.Module] | None = None
    load: Callable[[nn.Module, Mapping[str, Tensor]], nn.Module] = load_official
    prefixes: tuple[str, ...] = ("module.",)
    without: str = ""


COMPACT, SWIN, SWIN_UNET = "SHI-Labs/Compact-Transformers", "microsoft/Swin-Transformer", "HuCaoFighting/Swin-Unet"

# (source, name of what was called there, both as patterns): the system, or None while the library has no model for it.
SYSTEMS: list[tuple[str, str, System | None]] = [
    (COMPACT, r"(vit|cvt|cct)_\w+|ViTLite|CVT|CCT|Tokenizer", System(compact.values, compact.build)),
    (COMPACT, r"(text_|Text)\w+", None),
    (COMPACT, r"resize_pos_embed", System(compact.resized_positions)),
    (COMPACT, r"sinusoidal_embedding", System(compact.sine_tables)),
    (SWIN, r"SwinTransformer", System(swin.classifier_values, swin.build_classifier)),
    (SWIN, r"BasicLayer", System(swin.stage_values, swin.build_stage, swin.load_stage, prefixes=())),
    (
        SWIN_UNET,
        r"SwinTransformerSys",
        System(swin.unet_values, swin.build_unet, prefixes=("module.", "swin_unet.", "module.swin_unet.")),
    ),
    (SWIN_UNET, r"swin_unet_load_rule\w*", System(swin.load_rule)),
    (SWIN_UNET, r"(DiceLoss|CrossEntropyLoss)(, \w+)?", System(segmentation.loss_values)),
    (r"medpy", r".*", System(segmentation.metric_values, without=r".*/(hd|assd|asd)")),
    (r"milesial/Pytorch-UNet", r"UNet", System(segmentation.unet_values, segmentation.build_unet)),
    (r"own reference .*", r"unet_\w+", System(segmentation.unet_values, segmentation.build_unet_valid)),
    (r"formula of the U-Net paper.*", r".*", System(segmentation.weight_map_values)),
    (r"4uiiurz1/pytorch-nested-unet", r".*", None),
    (r"facebookresearch/mae|nttcslab/m2d|rstrudel/segmenter", r".*", None),
]


def system_of(case: GoldenCase) -> System:
    """The case's entry in the table; skips the test where there is no model yet.

    Raises LookupError for a case that no entry fits.
    """
    source = case.meta["source"]
    if isinstance(source, dict):
        source = source.get("package") or source["repository"].removeprefix("https://github.com/")
    name, _ = case.constructor()
    for where, what, system in SYSTEMS:
        if re.fullmatch(where, source) and re.fullmatch(what, name):
            if system is None:
                pytest.skip(f"no model for factory {name} yet")
            return system
    raise LookupError(
        f"{case.name}: no entry of SYSTEMS fits {name!r} of {source!r}; enter in tests/golden/systems.py how the "
        "library computes it, or None while it has no model for it"
    )


def check(case: GoldenCase, system: System) -> list[str]:
    """A line for everything that is recorded and comes out otherwise, or not at all."""
    computed = compute(case, system)
    return _arrays_differ_from_meta(case) + compare(case, computed, system.without)


def compute(case: GoldenCase, system: System) -> dict[str, object]:
    """What the library computes for the case, by its name: also the counts, the loss and the gradients of a model."""
    if not system.build:
        computed, model = dict(system.values(case)), None
    else:
        model = system.load(system.build(case), case.weights).eval()
        computed = dict(system.values(case, model))
        computed["parameters_total"] = count_parameters(model)
        computed["parameters_trainable"] = count_parameters(model, trainable_only=True)
        computed["weights"] = _other_forms(case, system, model)
        if "loss" in case.arrays and "labels" in case.arrays and "logits" in computed:
            computed["loss"] = F.cross_entropy(computed["logits"], case.take("labels"))
    return computed | _gradients(case, system, computed, model)


def compare(case: GoldenCase, computed: Mapping[str, object], without: str = "") -> list[str]:
    """A line for every difference between what is computed and what is recorded; `without`: names to pass over."""
    problems, compared = [], {key.split(" (")[0] for key in computed}
    for key, actual in computed.items():
        name = key.split(" (")[0]
        if name in case.arrays:
            difference = case.difference(name, actual)
        elif name == "weights":
            difference = actual
        else:
            same = name not in case.meta or actual == case.meta[name]
            difference = None if same else f"{actual}, recorded {case.meta[name]}"
        problems += [f"{key}: {difference}"] if difference else []
    for name in case.arrays:
        if name not in compared | set(case.taken) and not re.fullmatch(without, name):
            problems.append(f"{name}: recorded, but nothing here computes it; known are {', '.join(sorted(compared))}")
    if not compared & (set(case.arrays) | set(case.meta)):
        problems.append("nothing was compared")
    return problems


def _arrays_differ_from_meta(case: GoldenCase) -> list[str]:
    """The arrays that the meta file lists must be there, and as they are listed."""
    listed = case.meta.get("arrays", {})
    there = {name: [list(a.shape), str(a.dtype)] for name, a in case.arrays.items() if name not in case.numbers}
    return [
        f"{name}: io.npz has {there.get(name)}, the meta file lists {listed.get(name)}"
        for name in sorted(set(there) | set(listed))
        if listed and there.get(name) != listed.get(name)
    ]


def _other_forms(case: GoldenCase, system: System, model: nn.Module) -> str | None:
    """The same weights must be found in the forms that training scripts save them in."""
    loaded, other = model.state_dict(), system.build(case)
    for prefix in system.prefixes:
        saved = {prefix + key: value for key, value in case.weights.items()}
        for form in (saved, {"model": saved}, {"state_dict": saved, "epoch": 3}):
            for value in other.state_dict().values():
                value.zero_()
            system.load(other, form)
            if not all(torch.equal(value, loaded[key]) for key, value in other.state_dict().items()):
                return f"with {prefix!r} before their names, in {list(form)[:1]}, they load otherwise than without"
    return None


def _gradients(
    case: GoldenCase, system: System, computed: Mapping[str, object], model: nn.Module | None
) -> dict[str, Tensor]:
    """grad_of_NAME: of the sum of NAME (which may go on with _...), with respect to the first input of real numbers.

    grad_of_NAME/WEIGHT: with respect to a weight, under the reference's name for it.
    """
    gradients = {}
    for match in case.matching(r"grad_of_([^/]+)(?:/(.+))?"):
        names = [name for name in computed if name == match[1]] or [
            n for n in computed if re.fullmatch(rf"{match[1]}_[^ ]*", n)
        ]
        if len(names) != 1:
            raise ValueError(f"{match[0]}: the gradient of which of {sorted(computed)}?")
        to = next(tensor for tensor in case.taken.values() if tensor.requires_grad)
        if match[2]:
            to = dict(model.named_parameters())[_name_here(system, case, match[2])]
        gradients[match[0]] = torch.autograd.grad(computed[names[0]].sum(), to, retain_graph=True)[0]
    return gradients


def _name_here(system: System, case: GoldenCase, weight: str) -> str:
    """Where the reference's `weight` goes: the parameter that changes with it."""
    marked = {key: value + 1 if key == weight else value for key, value in case.weights.items()}
    plain, other = (system.load(system.build(case), weights).state_dict() for weights in (case.weights, marked))
    return next(key for key, value in plain.items() if not torch.equal(value, other[key]))
