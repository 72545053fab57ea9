"""New golden cases of the Swin models: timm's classifier and blocks, and what Swin-Unet puts around them, plainly."""

import torch
from timm.models.swin_transformer import SwinTransformer, SwinTransformerBlock
from torch import Tensor

from tests.golden.plain import Case, Weights, source


class SwinWeights(Weights):
    def block(self, x: Tensor, name: str, heads: int, window: int, shift: int) -> Tensor:
        block = SwinTransformerBlock(x.shape[-1], tuple(x.shape[1:3]), heads, window_size=window, shift_size=shift)
        weights = {
            key: self(f"{name}.{key}", *p.shape, around=float("norm" in key and "weight" in key))
            for key, p in block.named_parameters()
        }
        return torch.func.functional_call(block.eval(), weights, (x,))

    def blocks(self, x: Tensor, name: str, depth: int, heads: int, window: int) -> list[Tensor]:
        outputs = []
        for i in range(depth):
            x = self.block(x, f"{name}.blocks.{i}".lstrip("."), heads, window, window // 2 if i % 2 else 0)
            outputs.append(x)
        return outputs

    def merge(self, x: Tensor, name: str) -> Tensor:
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.linear(self.norm(x, f"{name}.norm"), f"{name}.reduction", x.shape[-1] // 2, bias=False)

    def expand(self, x: Tensor, name: str, scale: int, dim: int) -> Tensor:
        b, height, width, _ = x.shape
        x = self.linear(x, f"{name}.expand", scale * scale * dim, bias=False)
        x = x.reshape(b, height, width, scale, scale, dim).transpose(2, 3)
        return self.norm(x.reshape(b, height * scale, width * scale, dim), f"{name}.norm")


def classifier(size: tuple[int, int], **settings: object) -> Case:
    """timm's own model, its weights under the names of Swin's authors."""
    peer = SwinTransformer(img_size=size, **settings).eval()
    for name, parameter in peer.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
    images = torch.randn(2, settings.get("in_chans", 3), *size)
    arrays = {"input": images}
    for i, following in enumerate(peer.layers[1:]):  # timm merges at the start of a layer, the authors at the end
        following.downsample.register_forward_hook(
            lambda _m, _i, x, i=i: arrays.update({f"layer{i}_output": x.flatten(1, 2)})
        )
    features = peer.forward_features(images)
    arrays["features"] = peer.forward_head(features, pre_logits=True)
    arrays["logits"] = peer.forward_head(features)
    weights = {}
    for key, value in peer.state_dict().items():
        for i in range(len(peer.layers) - 1):
            key = key.replace(f"layers.{i + 1}.downsample", f"layers.{i}.downsample_")
        weights[key.replace("downsample_", "downsample").replace("head.fc", "head")] = value
    meta = {
        "source": source("microsoft/Swin-Transformer"),
        "class": "SwinTransformer",
        "constructor": {"img_size": list(size), **settings},
        "parameters_total": sum(p.numel() for p in peer.parameters()),
    }
    return meta, arrays, weights


def stage(grid: tuple[int, int], *, dim: int, depth: int, heads: int, window: int, merge: bool) -> Case:
    w = SwinWeights()
    x = torch.randn(2, *grid, dim)
    outputs = w.blocks(x, "", depth, heads, window)
    arrays = {"input": x.flatten(1, 2), **{f"block{i}_output": y.flatten(1, 2) for i, y in enumerate(outputs)}}
    if merge:
        arrays["output_after_patch_merging"] = w.merge(outputs[-1], "downsample").flatten(1, 2)
    constructor = {
        "dim": dim,
        "input_resolution": list(grid),
        "depth": depth,
        "num_heads": heads,
        "window_size": window,
    }
    meta = {
        "source": source("microsoft/Swin-Transformer"),
        "class": f"BasicLayer(downsample={'PatchMerging' if merge else None})",
        "constructor": constructor,
        "shift_sizes": [window // 2 if i % 2 and min(grid) > window else 0 for i in range(depth)],
    }
    return meta, arrays, w


def unet(side: int, *, grey: bool, dim: int, depths: list[int], heads: list[int], window: int, classes: int) -> Case:
    """Every second row and column of the logits."""
    w = SwinWeights()
    images = torch.randn(2, 1 if grey else 3, side, side)
    x = w.conv(images.expand(-1, 3, -1, -1), "patch_embed.proj", dim, 4, True, stride=4)
    x = w.norm(x.movedim(1, -1), "patch_embed.norm")
    arrays, starts = {"input": images}, []
    for i in range(4):
        starts.append(x)
        x = w.blocks(x, f"layers.{i}", depths[i], heads[i], window)[-1]
        x = w.merge(x, f"layers.{i}.downsample") if i < 3 else x
    arrays |= {f"skip{i}": start.flatten(1, 2) for i, start in enumerate(starts)}
    x = w.norm(x, "norm")
    arrays["bottleneck"] = x.flatten(1, 2)
    x = w.expand(x, "layers_up.0", 2, 4 * dim)
    arrays["first_expand"] = x.flatten(1, 2)
    for k in range(1, 4):
        i = 3 - k
        x = w.linear(torch.cat([x, starts[i]], -1), f"concat_back_dim.{k}", dim * 2**i)
        x = w.blocks(x, f"layers_up.{k}", depths[i], heads[i], window)[-1]
        x = w.expand(x, f"layers_up.{k}.upsample", 2, dim * 2 ** (i - 1)) if i else x
    x = w.norm(x, "norm_up")
    arrays["decoder_features"] = x.flatten(1, 2)
    x = w.expand(x, "up", 4, dim).movedim(-1, 1)
    logits = w.conv(x, "output", classes, 1, False)
    arrays |= {"logits": logits[:, :, ::2, ::2], "argmax": logits.argmax(1).byte()}
    names = {"img_size": side, "embed_dim": dim, "depths": depths, "num_heads": heads, "window_size": window}
    meta = {
        "source": source("HuCaoFighting/Swin-Unet"),
        "class": "SwinTransformerSys",
        "constructor": names | {"num_classes": classes},
        "output_shape": list(logits.shape),
        "notes": ["logits holds every second row and column: full[:, :, ::2, ::2]"],
        "tolerance": {"rtol": 1e-3, "atol": 1e-4},
    }
    return meta, arrays, w
