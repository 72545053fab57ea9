"""U-Net in its two forms, its weight map, and the losses and metrics of a segmentation."""

import timm
import torch
from numpy import ndarray
from torch import Tensor

import compactlib.models  # noqa: F401  (registers the models)
from compactlib.models import UNet, count_parameters
from compactlib.segmentation import (
    LOSSES,
    border_term,
    cell_distances,
    class_balance,
    confusion,
    cross_entropy,
    dice,
    dice_ce_loss,
    dice_loss,
    hd95,
    iou,
    swin_unet_scores,
    weight_map,
)
from tests.golden.arguments import UNET, UNET_VALID, translate
from tests.golden.cases import GoldenCase
from tests.golden.compact import outputs_of


def build_unet(case: GoldenCase) -> UNet:
    name, given = case.constructor()
    width = 64 // case.meta.get("channels_divided_by", 1)
    return timm.create_model("unet", width=width, **translate(given, UNET, name))


def build_unet_valid(case: GoldenCase) -> UNet:
    name, given = case.constructor()
    return timm.create_model("unet_valid", **translate(given, UNET_VALID, name))


def unet_values(case: GoldenCase, model: UNet) -> dict[str, object]:
    """The output, and the levels under the names that milesial's modules (inc, down1, up1) and lists of layers have."""
    levels = {"inc": model.encoder[0]}
    for i, (down, up) in enumerate(zip(model.encoder[1:], model.decoder, strict=True), start=1):
        levels |= {f"down{i}": down, f"up{i}": up}
    levels |= {f"down.{i}": down for i, down in enumerate(model.encoder)}
    levels |= {f"up.{i}": up for i, up in enumerate(model.decoder)}
    output, maps = outputs_of(levels, model, case.take("input"))
    computed = {
        **maps,
        "output": output,
        "logits": output,
        "argmax": output.argmax(1),
        "output_shape": list(output.shape),
    }
    if "facts_full_size" in case.meta:
        in_words = {key: value for key, value in case.meta["facts_full_size"].items() if key == "rule"}
        computed["facts_full_size"] = paper_facts() | in_words
    return computed


def paper_facts() -> dict[str, object]:
    """The network of Figure 1, counted."""
    with torch.device("meta"):
        model = timm.create_model("unet_valid")
    kernels = [(*m.kernel_size, type(m).__name__) for m in model.modules() if type(m).__name__.startswith("Conv")]
    biases = sum(p.numel() for name, p in model.named_parameters() if name.endswith("bias"))
    return {
        "input": [1, 1, 572, 572],
        "output": [1, 2, model.output_size(572), model.output_size(572)],
        "convolution_layers": len(kernels),
        "of_which": {
            "3x3": kernels.count((3, 3, "Conv2d")),
            "2x2 up-convolutions": kernels.count((2, 2, "ConvTranspose2d")),
            "1x1": kernels.count((1, 1, "Conv2d")),
        },
        "parameters_1_input_channel_2_classes": count_parameters(model),
        "parameters_without_biases": count_parameters(model) - biases,
        "input_to_output_sizes_with_even_maps_everywhere": [
            [side, model.output_size(side)] for side in range(188, 253, 16)
        ],
    }


def weight_map_values(case: GoldenCase) -> dict[str, ndarray]:
    labels, formula = case.take("labels").numpy(), {key: case.meta[key] for key in ("w0", "sigma") if key in case.meta}
    d1, d2 = cell_distances(labels)
    computed = {"d1": d1, "d2": d2, "wc_inverse_frequency_mean1": class_balance(labels)}
    for border, name in {"everywhere": "everywhere", "background": "background_only"}.items():
        computed[f"border_term_{name}"] = border_term(labels, **formula, border=border)
        computed[f"total_{name}"] = weight_map(labels, **formula, border=border)
    if formula == {"w0": 10, "sigma": 5}:
        computed["total_everywhere (defaults)"] = weight_map(labels)
    return computed


def loss_values(case: GoldenCase) -> dict[str, Tensor]:
    """total_0.4ce_0.6dice: 0.4 times cross-entropy and 0.6 times Dice."""
    logits, target = case.take("logits"), case.take("target")
    computed = {
        "ce": cross_entropy(logits, target),
        "ce (LOSSES)": LOSSES["ce"](logits, target, None),
        "dice_softmax": dice_loss(logits, target),
        "dice_softmax (LOSSES)": LOSSES["dice"](logits, target, None),
        "dice_no_softmax_on_probabilities": dice_loss(logits.softmax(1).log(), target),
    }
    for match in case.matching(r"total_([\d.]+)ce_([\d.]+)dice"):
        computed[match[0]] = dice_ce_loss(logits, target, float(match[1]), float(match[2]))
        if match.groups() == ("0.4", "0.6"):  # what Swin-Unet's training code has, and the library without being told
            computed[f"{match[0]} (LOSSES)"] = LOSSES["dice_ce"](logits, target, None)
    weights = case.meta.get("class_weights_for_weighted")
    if weights:
        computed["ce_weighted"] = cross_entropy(logits, target, weights)
        computed["dice_softmax_weighted"] = dice_loss(logits, target, weights)
    return computed


def metric_values(case: GoldenCase) -> dict[str, object]:
    """dc, jc, precision and recall of medpy, its hd95 with or without a pixel's size, Swin-Unet's way to count both."""
    computed: dict[str, object] = {}
    for pair in case.meta["expected"]:
        pred, target = (case.take(f"{pair}_{which}").numpy() for which in ("pred", "gt"))
        counts = confusion(pred, target, 2).double()  # row = truth
        computed |= {
            f"{pair}/dc": dice(pred, target),
            f"{pair}/jc": iou(pred, target, absent=1.0),  # medpy's word for two empty masks
            f"{pair}/precision": counts[1, 1] / counts[:, 1].sum(),
            f"{pair}/recall": counts[1, 1] / counts[1].sum(),
            f"{pair}/hd95": hd95(pred, target),
            f"{pair}/swin_unet_official_dice_hd95": swin_unet_scores(pred, target),
        }
        for match in case.matching(rf"{pair}/hd95_spacing_([\d.x]+)"):
            computed[match[0]] = hd95(pred, target, spacing=tuple(map(float, match[1].split("x"))))
    return computed
