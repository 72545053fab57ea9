"""From an image to a sequence of tokens: ViT's patches and CCT's convolutions.

Source: Hassani et al., arXiv 2104.05704, Section 2.1 (patches) and Section 3.4, Equation 2 (convolutions). Both give
b images the same thing, tokens (b, n, d) in raster order, so that one model takes either.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.layers import to_2tuple
from torch import Tensor, nn


class PatchTokenizer(nn.Module):
    """ViT's tokenizer: cut the image into patches, map each to d numbers. (b, c, H, W) -> (b, n, d).

    A convolution whose stride is its kernel does both. Stride and padding can be set for experiments.
    """

    def __init__(self, in_chans: int, dim: int, patch_size: int, stride: int | None = None, padding: int | None = None):
        super().__init__()
        self.must_divide = stride is None and padding is None
        stride = patch_size if stride is None else stride
        self.proj = nn.Conv2d(in_chans, dim, patch_size, stride, 0 if padding is None else padding)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens for an image of `height` x `width` pixels; ValueError if patches leave a rest."""
        patch = self.proj.kernel_size[0]
        if self.must_divide and (height % patch or width % patch):
            # The convolution alone would drop the rest at the right and at the bottom without a word.
            down, up = (tuple(max(1, side // patch + k) * patch for side in (height, width)) for k in (0, 1))
            raise ValueError(
                f"images of {height} x {width} pixels do not divide into {patch} x {patch} patches; resize them to "
                f"{down[0]} x {down[1]} or {up[0]} x {up[1]}, or use tokenizer='conv', which takes any size"
            )
        return _windows(height, self.proj), _windows(width, self.proj)

    def forward(self, x: Tensor) -> Tensor:
        self.grid(*x.shape[2:])
        return rearrange(self.proj(x), "b d h w -> b (h w) d")


class ConvTokenizer(nn.Module):
    """CCT's tokenizer: `num_convs` times Equation 2, MaxPool(ReLU(Conv2d(x))). (b, c, H, W) -> (b, n, d).

    All but the last convolution have 64 channels. The convolutions have no bias. `None` means the rule of the authors'
    code: stride max(1, k // 2 - 1), padding max(1, k // 2) for kernel k.
    """

    def __init__(
        self,
        in_chans: int,
        dim: int,
        num_convs: int,
        kernel_size: int,
        stride: int | None = None,
        padding: int | None = None,
        *,
        hidden_chans: int = 64,
        pool_kernel: int = 3,
        pool_stride: int = 2,
        pool_padding: int = 1,
    ):
        super().__init__()
        stride = max(1, kernel_size // 2 - 1) if stride is None else stride
        padding = max(1, kernel_size // 2) if padding is None else padding
        chans = [in_chans] + [hidden_chans] * (num_convs - 1) + [dim]
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, kernel_size, stride, padding, bias=False) for c_in, c_out in pairwise(chans)
        )
        self.pool = nn.MaxPool2d(pool_kernel, pool_stride, pool_padding)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens for an image of `height` x `width` pixels."""
        for conv in self.convs:
            height, width = _windows(height, conv), _windows(width, conv)
            height, width = _windows(height, self.pool), _windows(width, self.pool)
        return height, width

    def forward(self, x: Tensor) -> Tensor:
        # Channels-last: convolution and pooling run about 1.4 times as fast on a CPU, and the tokens are a free view.
        x = _channels_last(x)
        for conv in self.convs:
            # max(relu(x)) = relu(max(x)): pooling first leaves the ReLU a quarter of the work and the result as it is.
            x = F.relu(self.pool(conv(x)), inplace=True)
        return rearrange(x, "b d h w -> b (h w) d")


def _channels_last(x: Tensor) -> Tensor:
    """The images with the channels last in memory. With one channel PyTorch calls any strides that, takes the channels
    for the first at the next convolution, and goes on so: four times as slow. This view leaves it no choice."""
    if x.shape[1] == 1:
        return x.contiguous().squeeze(1).unsqueeze(-1).movedim(-1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def _windows(size: int, layer: nn.Conv2d | nn.MaxPool2d) -> int:
    """How many positions a convolution or pooling window takes along a side of `size` pixels."""
    kernel, stride, padding = (to_2tuple(v)[0] for v in (layer.kernel_size, layer.stride, layer.padding))
    return (size + 2 * padding - kernel) // stride + 1
