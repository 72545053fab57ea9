"""New golden cases of the form of the recorded ones, from the formulas written out plainly, with random weights.

Nothing of the library is in here: functions of PyTorch, and the names that the references give their weights. Each
function returns what a folder holds: meta, arrays, weights.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Case = tuple[dict, dict[str, Tensor], dict[str, Tensor]]


class Weights(dict):
    """Random weights, drawn with the shape in which they are first asked for."""

    def __call__(self, name: str, *shape: int, around: float = 0.0) -> Tensor:
        if name not in self:
            spread = 0.2 if len(shape) < 2 else math.prod(shape[1:]) ** -0.5
            self[name] = (around + torch.randn(shape) * spread).requires_grad_()
        return self[name]

    def linear(self, x: Tensor, name: str, width: int, bias: bool = True) -> Tensor:
        return F.linear(x, self(f"{name}.weight", width, x.shape[-1]), self(f"{name}.bias", width) if bias else None)

    def norm(self, x: Tensor, name: str) -> Tensor:
        d = x.shape[-1]
        return F.layer_norm(x, (d,), self(f"{name}.weight", d, around=1.0), self(f"{name}.bias", d))

    def conv(self, x: Tensor, name: str, width: int, k: int, bias: bool, **settings: int) -> Tensor:
        weight = self(f"{name}.weight", width, x.shape[1], k, k)
        return F.conv2d(x, weight, self(f"{name}.bias", width) if bias else None, **settings)


def source(repository: str) -> dict:
    return {"repository": f"https://github.com/{repository}", "commit": "none: written out plainly"}


def compact(
    size: tuple[int, int],
    constructor: dict,
    *,
    convs: int,
    kernel: int,
    stride: int,
    padding: int,
    chans: int,
    dim: int,
    layers: int,
    heads: int,
    ratio: float,
    classes: int,
    positions: str,
    pool: str,
) -> Case:
    """ViT-Lite and CVT with convs = 0, CCT with more."""
    w = Weights()
    images = torch.randn(2, chans, *size, requires_grad=True)
    x = images
    for i in range(max(1, convs)):
        width = dim if i >= convs - 1 else 64
        x = w.conv(x, f"tokenizer.conv_layers.{i}.0", width, kernel, convs == 0, stride=stride, padding=padding)
        x = F.max_pool2d(F.relu(x), 3, 2, 1) if convs else x
    tokens = x = x.flatten(2).transpose(1, 2)
    if pool == "cls":
        x = torch.cat([w("classifier.class_emb", 1, 1, dim).expand(2, -1, -1), x], 1)
    if positions == "learnable":
        x = x + w("classifier.positional_emb", 1, x.shape[1], dim)
    elif positions == "sine":
        rows, ds = torch.meshgrid(torch.arange(x.shape[1]), torch.arange(dim), indexing="ij")
        angle = rows.double() / 10000 ** ((ds - ds % 2) / dim)
        w["classifier.positional_emb"] = torch.where(ds % 2 == 0, angle.sin(), angle.cos()).float()[None]
        x = x + w["classifier.positional_emb"]
    arrays = {"input": images, "tokens": tokens}
    for i in range(layers):
        block = f"classifier.blocks.{i}"
        qkv = w.linear(w.norm(x, f"{block}.pre_norm"), f"{block}.self_attn.qkv", 3 * dim, bias=False)
        x = x + w.linear(attention(qkv, heads), f"{block}.self_attn.proj", dim)
        x = w.norm(x, f"{block}.norm1")
        hidden = F.gelu(w.linear(x, f"{block}.linear1", int(dim * ratio)))
        x = arrays[f"block{i}_output"] = x + w.linear(hidden, f"{block}.linear2", dim)
    x = arrays["final_norm_output"] = w.norm(x, "classifier.norm")
    if pool == "cls":
        x = x[:, 0]
    else:
        arrays["seqpool_weights"] = w.linear(x, "classifier.attention_pool", 1).softmax(1)
        x = (arrays["seqpool_weights"] * x).sum(1)
    arrays["pooled"] = x
    arrays["logits"] = w.linear(x, "classifier.fc", classes)
    arrays["labels"] = torch.tensor([0, classes - 1])
    arrays["loss"] = F.cross_entropy(arrays["logits"], arrays["labels"])
    wanted = {
        "": images,
        **{f"/{name}": w[name] for name in ("classifier.fc.bias", "classifier.blocks.0.linear1.weight")},
    }
    gradients = torch.autograd.grad(arrays["loss"], wanted.values())
    arrays |= {f"grad_of_loss{name}": gradient for name, gradient in zip(wanted, gradients, strict=True)}
    count = sum(value.numel() for value in w.values())
    frozen = w["classifier.positional_emb"].numel() if positions == "sine" else 0
    meta = {
        "source": source("SHI-Labs/Compact-Transformers"),
        "constructor": constructor,
        "parameters_total": count,
        "parameters_trainable": count - frozen,
    }
    return meta, arrays, w


def attention(qkv: Tensor, heads: int) -> Tensor:
    """Head by head, from (b, n, 3 d)."""
    d = qkv.shape[-1] // 3
    parts = [qkv[..., i * d : (i + 1) * d].split(d // heads, -1) for i in range(3)]
    return torch.cat([(q @ k.mT / (d // heads) ** 0.5).softmax(-1) @ v for q, k, v in zip(*parts, strict=True)], -1)
