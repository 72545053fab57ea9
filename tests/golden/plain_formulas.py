"""New golden cases of losses, metrics, the weight map and tables of positions, from their formulas, plainly."""

import math

import numpy as np
import torch
from scipy.spatial.distance import cdist

from tests.golden.plain import Case, source


def losses(classes: int, *, absent: int, weights: list[float], ce: float, dice: float) -> Case:
    """In float64; the gradient by hand: both terms through the softmax."""
    logits = torch.randn(2, classes, 9, 7)
    target = torch.randint(classes, (2, 9, 7))
    target[target == absent] = (absent + 1) % classes
    x, t = logits.double().requires_grad_(), torch.eye(classes, dtype=torch.float64)[target].movedim(-1, 1)
    p = x.exp() / x.exp().sum(1, keepdim=True)
    cross_entropy = -(t * p.log()).sum() / target.numel()
    over = (0, 2, 3)
    each = 1 - (2 * (p * t).sum(over) + 1e-5) / ((p * p).sum(over) + (t * t).sum(over) + 1e-5)
    total = ce * cross_entropy + dice * each.mean()
    total.backward()
    arrays = {
        "logits": logits,
        "target": target,
        "ce": cross_entropy,
        "dice_softmax": each.mean(),
        "dice_softmax_weighted": (each * torch.tensor(weights)).mean(),
        f"total_{ce}ce_{dice}dice": total,
        "grad_of_total": x.grad,
    }
    meta = {"class": "DiceLoss, CrossEntropyLoss", "class_weights_for_weighted": weights, "absent_class": absent}
    return {"source": source("HuCaoFighting/Swin-Unet"), **meta}, arrays, {}


def metrics(shape: tuple[int, ...], spacing: tuple[float, ...]) -> Case:
    """Distances between all pairs of surface pixels."""
    rng = np.random.default_rng(0)
    masks = {"pred": rng.random(shape) < 0.02, "gt": rng.random(shape) < 0.03}
    for mask in masks.values():  # blobs, some at the border
        for _ in range(2):
            grown = [np.roll(mask, step, axis) for axis in range(mask.ndim) for step in (1, -1)]
            mask |= np.logical_or.reduce(grown)
    (pred, gt), size = masks.values(), "x".join(map(str, spacing))
    both = (pred & gt).sum()
    numbers = {
        "dc": 2 * both / (pred.sum() + gt.sum()),
        "jc": both / (pred | gt).sum(),
        "precision": both / pred.sum(),
        "recall": both / gt.sum(),
        "hd95": _percentile(pred, gt, np.ones(len(shape))),
        f"hd95_spacing_{size}": _percentile(pred, gt, np.array(spacing)),
    }
    meta = {"source": {"package": "medpy"}, "expected": {"blobs": {name: float(n) for name, n in numbers.items()}}}
    return meta, {f"blobs_{name}": torch.from_numpy(mask.astype(np.uint8)) for name, mask in masks.items()}, {}


def _percentile(pred: np.ndarray, gt: np.ndarray, spacing: np.ndarray) -> float:
    distances = cdist(*(spacing * np.argwhere(_surface(mask)) for mask in (pred, gt)))
    return float(np.percentile(np.concatenate([distances.min(1), distances.min(0)]), 95))


def _surface(mask: np.ndarray) -> np.ndarray:
    """Pixels of the mask with an edge neighbour that is none, or with the border for one."""
    padded = np.pad(mask, 1)
    inside = [np.roll(padded, step, axis) for axis in range(mask.ndim) for step in (1, -1)]
    return mask & ~np.logical_and.reduce(inside)[(slice(1, -1),) * mask.ndim]


def weight_map(w0: float, sigma: float) -> Case:
    labels = np.zeros((30, 37), np.int32)
    labels[3:9, 4:11], labels[3:12, 14:20], labels[18:28, 2:30], labels[12:15, 30:36] = 2, 5, 9, 11
    pixels = np.argwhere(np.ones_like(labels))
    each = [cdist(pixels, np.argwhere(labels == cell)).min(1).reshape(labels.shape) for cell in (2, 5, 9, 11)]
    d1, d2 = np.sort(each, axis=0)[:2]
    border = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    share = (labels > 0).mean()
    balance = np.where(labels > 0, 1 / share, 1 / (1 - share)) / 2
    background = border * (labels == 0)
    arrays = {
        "labels": labels,
        "d1": d1,
        "d2": d2,
        "border_term_everywhere": border,
        "border_term_background_only": background,
        "wc_inverse_frequency_mean1": balance,
        "total_everywhere": balance + border,
        "total_background_only": balance + background,
    }
    meta = {"source": "formula of the U-Net paper", "w0": w0, "sigma": sigma}
    return meta, {name: torch.from_numpy(array) for name, array in arrays.items()}, {}


def positions(old: tuple[int, int], new: tuple[int, int], tokens: int) -> Case:
    """Linear between the centres of the cells, axis by axis; beyond the outermost centres their value."""
    table = torch.randn(1, tokens + old[0] * old[1], 5)
    grid = table[0, tokens:].reshape(*old, 5).numpy()
    for axis in (0, 1):
        at = (np.arange(new[axis]) + 0.5) * old[axis] / new[axis] - 0.5
        grid = np.apply_along_axis(lambda line, at=at: np.interp(at, np.arange(len(line)), line), axis, grid)
    resized = torch.cat([table[:, :tokens], torch.from_numpy(grid.reshape(1, -1, 5)).float()], 1)
    meta = {
        "source": source("SHI-Labs/Compact-Transformers"),
        "function": "src/utils/helpers.py: resize_pos_embed(posemb, posemb_new, num_tokens)",
        "cases": {"drawn": f"{old[0]}x{old[1]} -> {new[0]}x{new[1]} with {tokens} rows kept first"},
    }
    return meta, {"drawn_in": table, "drawn_out": resized}, {}


def sine_table(rows: int, dim: int) -> Case:
    table = [[(math.sin, math.cos)[i % 2](p / 10000 ** (2 * (i // 2) / dim)) for i in range(dim)] for p in range(rows)]
    function = "TransformerClassifier.sinusoidal_embedding(n, dim)"
    meta = {"source": source("SHI-Labs/Compact-Transformers"), "function": function}
    return meta, {f"seq{rows}_dim{dim}": torch.tensor([table])}, {}


def load_rule(*, dim: int, window: int, source_depths: list[int], depths: list[int], classes: int) -> Case:
    """The authors' rule in their words: stage i also goes to layers_up.(3 - i); what has no place is left out."""

    def stage(i: int, depth: int) -> dict[str, list[int]]:
        d, shapes = dim * 2**i, {}
        for j in range(depth):
            block = f"layers.{i}.blocks.{j}"
            shapes |= {f"{block}.norm1.weight": [d], f"{block}.norm1.bias": [d]}
            shapes |= {f"{block}.attn.relative_position_bias_table": [(2 * window - 1) ** 2, 2**i]}
            shapes |= {f"{block}.attn.qkv.weight": [3 * d, d], f"{block}.attn.qkv.bias": [3 * d]}
            shapes |= {f"{block}.attn.proj.weight": [d, d], f"{block}.attn.proj.bias": [d]}
            shapes |= {f"{block}.norm2.weight": [d], f"{block}.norm2.bias": [d]}
            shapes |= {f"{block}.mlp.fc1.weight": [4 * d, d], f"{block}.mlp.fc1.bias": [4 * d]}
            shapes |= {f"{block}.mlp.fc2.weight": [d, 4 * d], f"{block}.mlp.fc2.bias": [d]}
        return shapes

    def merging(i: int) -> dict[str, list[int]]:
        d, name = dim * 2**i, f"layers.{i}.downsample"
        return {
            f"{name}.reduction.weight": [2 * d, 4 * d],
            f"{name}.norm.weight": [4 * d],
            f"{name}.norm.bias": [4 * d],
        }

    start = {"patch_embed.proj.weight": [dim, 3, 4, 4], "patch_embed.proj.bias": [dim]}
    start |= {"patch_embed.norm.weight": [dim], "patch_embed.norm.bias": [dim]}
    norm = {"norm.weight": [8 * dim], "norm.bias": [8 * dim]}
    mergings = {key: shape for i in range(3) for key, shape in merging(i).items()}
    given = start | norm | mergings | {"head.weight": [10, 8 * dim], "head.bias": [10]}
    encoder = start | norm | mergings
    for i in range(4):
        given, encoder = given | stage(i, source_depths[i]), encoder | stage(i, depths[i])

    def mirrored(key: str) -> str | None:
        parts = key.split(".")
        return (
            ".".join(["layers_up", str(3 - int(parts[1])), *parts[2:]])
            if ".blocks." in key and parts[1] != "3"
            else None
        )

    decoder = {mirrored(key): shape for key, shape in encoder.items() if mirrored(key)}
    left = {"layers_up.0.expand.weight": [16 * dim, 8 * dim], "layers_up.0.norm.weight": [4 * dim]}
    left |= {"layers_up.0.norm.bias": [4 * dim]}
    for k in (1, 2, 3):
        d = dim * 2 ** (3 - k)
        left |= {f"concat_back_dim.{k}.weight": [d, 2 * d], f"concat_back_dim.{k}.bias": [d]}
        if k < 3:
            up = f"layers_up.{k}.upsample"
            left |= {f"{up}.expand.weight": [2 * d, d], f"{up}.norm.weight": [d // 2], f"{up}.norm.bias": [d // 2]}
    left |= {"norm_up.weight": [dim], "norm_up.bias": [dim], "up.expand.weight": [16 * dim, dim]}
    left |= {"up.norm.weight": [dim], "up.norm.bias": [dim], "output.weight": [classes, dim, 1, 1]}
    goes = {key: [name for name in (key, mirrored(key)) if name in encoder or name in decoder] for key in given}
    masks = {f"layers.0.blocks.{j}.attn_mask": [64, window**2, window**2] for j in range(1, depths[0], 2)}
    targets, reached = encoder | decoder | left, {name for names in goes.values() for name in names}
    meta = {
        "source": source("HuCaoFighting/Swin-Unet"),
        "source_shapes": given,
        "target_shapes": targets | masks,
        "source_checkpoint_key_to_target_keys": goes,
        "target_keys_left_at_initialisation": [key for key in targets if key not in reached],
    }
    return meta, {}, {}
