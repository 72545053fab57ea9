"""New golden cases of U-Net in its two forms, written out plainly."""

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.golden.plain import Case, Weights, source


def unet(size: tuple[int, int], *, chans: int, classes: int, width: int, bilinear: bool) -> Case:
    """milesial's, with a decoder map padded to the skip."""
    w = Weights()

    def double(x: Tensor, name: str, out: int, mid: int) -> Tensor:
        for number, c in ((0, mid), (3, out)):
            x, norm = (
                w.conv(x, f"{name}.double_conv.{number}", c, 3, False, padding=1),
                f"{name}.double_conv.{number + 1}",
            )
            mean, var = w(f"{norm}.running_mean", c).detach(), w(f"{norm}.running_var", c, around=1.0).detach()
            x = F.relu(F.batch_norm(x, mean, var, w(f"{norm}.weight", c, around=1.0), w(f"{norm}.bias", c)))
        return x

    arrays = {"input": torch.randn(1, chans, *size)}
    skips = [double(arrays["input"], "inc", width, width)]
    for i in range(1, 5):
        c = width * 2**i // (2 if bilinear and i == 4 else 1)
        skips.append(double(F.max_pool2d(skips[-1], 2), f"down{i}.maxpool_conv.1", c, c))
    x = skips.pop()
    for i in range(1, 5):
        skip, c = skips.pop(), x.shape[1]
        if bilinear:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
        else:
            x = F.conv_transpose2d(x, w(f"up{i}.up.weight", c, c // 2, 2, 2), w(f"up{i}.up.bias", c // 2), stride=2)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = torch.cat([skip, F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])], 1)
        both, out = x.shape[1], skip.shape[1] // (2 if bilinear and i < 4 else 1)
        x = double(x, f"up{i}.conv", out, both // 2 if bilinear else out)
    arrays["output"] = w.conv(x, "outc.conv", classes, 1, True)
    constructor = {"n_channels": chans, "n_classes": classes, "bilinear": bilinear}
    meta = {
        "source": source("milesial/Pytorch-UNet"),
        "class": "UNet",
        "constructor": constructor,
        "channels_divided_by": 64 // width,
        "parameters_total": sum(value.numel() for key, value in w.items() if "running" not in key),
    }
    return meta, arrays, w


def unet_of_the_paper(size: tuple[int, int], *, chans: int, classes: int, width: int) -> Case:
    w = Weights()

    def double(x: Tensor, name: str, out: int) -> Tensor:
        return F.relu(w.conv(F.relu(w.conv(x, f"{name}.0", out, 3, True)), f"{name}.2", out, 3, True))

    arrays, skips = {"input": torch.randn(1, chans, *size)}, []
    x = arrays["input"]
    for i in range(5):
        x = double(F.max_pool2d(x, 2) if i else x, f"down.{i}", width * 2**i)
        skips.append(x)
    for i, skip in enumerate(skips[3::-1]):
        c = x.shape[1]
        x = F.conv_transpose2d(x, w(f"upconv.{i}.weight", c, c // 2, 2, 2), w(f"upconv.{i}.bias", c // 2), stride=2)
        dy, dx = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
        x = double(torch.cat([skip[:, :, dy : dy + x.shape[2], dx : dx + x.shape[3]], x], 1), f"up.{i}", c // 2)
    arrays["output"] = w.conv(x, "out", classes, 1, True)
    constructor = {"in_channels": chans, "classes": classes, "first_channels": width}
    return {"name": "unet_original", "source": "own reference from the paper", "constructor": constructor}, arrays, w
