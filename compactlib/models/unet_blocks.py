"""The pieces of a U-Net: two convolutions, and the way up."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ("batch", "group", "instance", "none")


class DoubleConv(nn.Module):
    """Twice: 3 x 3 convolution, norm, ReLU. (b, c_in, H, W) -> (b, c_out, H, W), or 4 pixels less a side unpadded."""

    def __init__(self, c_in: int, c_out: int, *, c_mid: int | None = None, padded: bool = True, norm: str = "batch"):
        super().__init__()
        c_mid = c_mid or c_out
        bias = norm == "none"  # a norm takes the mean out again, or has a bias of its own
        self.conv1 = nn.Conv2d(c_in, c_mid, 3, padding=int(padded), bias=bias)
        self.norm1 = _norm(norm, c_mid)
        self.conv2 = nn.Conv2d(c_mid, c_out, 3, padding=int(padded), bias=bias)
        self.norm2 = _norm(norm, c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(x)), inplace=True)


class Up(nn.Module):
    """One step of the expansive path: double the map, put the skip's channels in front of it, convolve twice.

    (b, c_in, H, W) and a skip (b, c, H', W') -> (b, c_out, ...), with H' x W' the larger of the two maps. Unpadded, the
    skip is cropped to the centre; padded, an odd skip has one row or column more, and the map gets a zero one.
    """

    def __init__(self, c_in: int, c_skip: int, c_out: int, *, padded: bool, norm: str, upsample: str):
        super().__init__()
        self.padded = padded
        if upsample == "transpose":
            self.up = nn.ConvTranspose2d(c_in, c_skip, 2, stride=2)  # the up-convolution, halves the channels
            c_mid, c_in = c_out, c_skip
        else:
            self.up = nn.UpsamplingBilinear2d(scale_factor=2)  # corners aligned, channels kept
            c_mid = (c_skip + c_in) // 2
        self.conv = DoubleConv(c_skip + c_in, c_out, c_mid=c_mid, padded=padded, norm=norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)  # (b, c, 2 H, 2 W)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        if not self.padded:
            skip = skip[:, :, dy // 2 : dy // 2 + x.shape[2], dx // 2 : dx // 2 + x.shape[3]]
        elif dy or dx:
            x = F.pad(x, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))
        return self.conv(torch.cat([skip, x], dim=1))  # (b, c_skip + c, ...) -> (b, c_out, ...)


def _norm(name: str, chans: int) -> nn.Module:
    if name == "batch":
        return nn.BatchNorm2d(chans)
    if name == "group":
        return nn.GroupNorm(math.gcd(16, chans), chans)  # 16 groups, or as many of them as divide the channels
    if name == "instance":
        return nn.InstanceNorm2d(chans, affine=True)
    return nn.Identity()
