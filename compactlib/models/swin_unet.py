"""Swin-Unet: a U-Net of Swin Transformer blocks.

Source: Cao et al., "Swin-Unet: Unet-like Pure Transformer for Medical Image Segmentation" (arXiv 2105.05537). The file
follows its Section 3. Blocks (3.2), encoder (3.3) and bottleneck (3.4) are the Swin Transformer's in `swin.py`; here
are the decoder with its patch expanding layers (3.5), the skip connections (3.6) and the model.

Shapes in comments: b images, H x W tokens of width d.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from compactlib.models.arguments import at_least, one_of
from compactlib.models.swin import SwinEncoder
from compactlib.models.swin_stage import SwinStage, init_weights

# ---- 3.5 Decoder: three ways to a finer grid (Table 3) --------------------------------------------------------------


def unchanged(x: Tensor) -> Tensor:
    return x


class PatchExpand(nn.Module):
    """Make `scale` x `scale` tokens of each: (b, H, W, d) -> (b, scale H, scale W, dim_out).

    A linear layer widens each token to scale^2 * dim_out numbers, and these are laid out as the new tokens. This is the
    mirror image of patch merging, and a transposed convolution whose stride is its kernel, without bias.
    """

    def __init__(self, dim: int, dim_out: int, scale: int = 2):
        super().__init__()
        self.scale = scale
        self.expand = nn.Linear(dim, scale**2 * dim_out, bias=False)
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor, each: Callable[[Tensor], Tensor] = unchanged) -> Tensor:
        """`each` is applied to every new token: before they are laid out, for it may leave less to move."""
        x = rearrange(self.expand(x), "b h w (n d) -> b h w n d", n=self.scale**2)  # n = scale^2 new tokens of each
        return rearrange(each(self.norm(x)), "b h w (p q) d -> b (h p) (w q) d", p=self.scale)


class TransposedConv(nn.Module):
    """U-Net's up-convolution for tokens: (b, H, W, d) -> (b, scale H, scale W, dim_out).

    With kernel = stride, as in U-Net, tokens do not mix, and a bias is all that it has beyond `PatchExpand`.
    """

    def __init__(self, dim: int, dim_out: int, scale: int = 2):
        super().__init__()
        self.expand = nn.ConvTranspose2d(dim, dim_out, scale, stride=scale)
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor, each: Callable[[Tensor], Tensor] = unchanged) -> Tensor:
        x = self.expand(rearrange(x, "b h w d -> b d h w"))
        return each(self.norm(rearrange(x, "b d h w -> b h w d")))


class BilinearUpsample(nn.Module):
    """Interpolate between tokens: (b, H, W, d) -> (b, scale H, scale W, dim_out).

    The linear layer that sets the width comes first, where there are fewer tokens; the order does not change the sum.
    """

    def __init__(self, dim: int, dim_out: int, scale: int = 2):
        super().__init__()
        self.scale = scale
        self.expand = nn.Linear(dim, dim_out, bias=False)
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor, each: Callable[[Tensor], Tensor] = unchanged) -> Tensor:
        x = rearrange(self.expand(x), "b h w d -> b d h w")
        x = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return each(self.norm(rearrange(x, "b d h w -> b h w d")))


UPSAMPLING = {"expand": PatchExpand, "transpose": TransposedConv, "bilinear": BilinearUpsample}


# ---- 3.1, 3.6 The model, with its skip connections ------------------------------------------------------------------


class SwinUnet(SwinEncoder):
    """Segmentation: images (b, in_chans, *img_size) -> logits (b, num_classes, *img_size).

    Args:
        img_size: side of the square image in pixels, or (height, width); Table 5 compares 224 and 384 (window 12).
        patch_size: side of a patch in pixels, and the factor of the final expansion.
        in_chans: channels of the image. With 3, a grey image (1 channel) is repeated, as in the authors' code, so that
            weights trained on colour fit; with 1 it has a patch embedding of its own.
        num_classes: classes of a pixel.
        embed_dim: width of the first stage; each stage has twice the width of the one before.
        depths, num_heads: blocks and heads of each stage of the encoder; the last is the bottleneck. The decoder
            mirrors the others.
        window_size: side of a window in tokens. A stage whose map is no larger has one window, and no shift.
        mlp_ratio: hidden width of the MLP over the stage's width.
        qkv_bias: a bias in the projection to query, key and value.
        ape: an absolute positional embedding beside the relative one.
        patch_norm: LayerNorm after the patch embedding.
        upsample: "expand" (the paper's), "transpose" or "bilinear" (Table 3).
        skips: number of skip connections (Table 4), up to one less than there are stages. The paper does not say which
            go first; here they are kept in the order in which it names them: 1/4, then 1/8, then 1/16 of the image.
        drop_rate, attn_drop_rate, drop_path_rate: dropout after the embedding, projections and MLP layers; dropout of
            the attention; stochastic depth of the bottleneck's last block, rising linearly from 0.

    Attributes: `margin` is 0: the output is as large as the image. `stride`, the shift in pixels under which the grid
    of patches and windows of all stages repeats.

    Raises:
        ValueError: sizes that patches or windows do not divide (names sizes that work), or images of another size.
    """

    margin = 0

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_chans: int = 3,
        num_classes: int = 9,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 2, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        ape: bool = False,
        patch_norm: bool = True,
        upsample: str = "expand",
        skips: int = 3,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
    ):
        super().__init__(
            img_size, patch_size, in_chans, embed_dim, depths, num_heads, window_size, mlp_ratio, qkv_bias, ape,
            patch_norm, drop_rate, attn_drop_rate, drop_path_rate
        )  # fmt: skip
        at_least(1, num_classes=num_classes)
        one_of("upsample", upsample, tuple(UPSAMPLING))
        last = len(depths) - 1
        if not 0 <= skips <= last:
            raise ValueError(f"skips={skips}; a model of {last + 1} stages has 0 to {last} skip connections")
        self.num_classes = num_classes
        self.repeats_grey = in_chans == 3
        self.skips = skips
        self.stride = self._stride()

        # Decoder: from the bottleneck up, stage `last - k` of the encoder seen in the mirror.
        up = UPSAMPLING[upsample]
        self.layers_up = nn.ModuleList([up(self.num_features, self.num_features // 2)] if last else [nn.Identity()])
        self.concat_back_dim = nn.ModuleList([nn.Identity()])  # index k: the skip that enters layers_up[k]
        for k in range(1, last + 1):
            i = last - k
            dim = embed_dim * 2**i
            self.layers_up.append(self.new_stage(i, upsample=up(dim, dim // 2) if i else None))
            self.concat_back_dim.append(nn.Linear(2 * dim, dim) if i < skips else nn.Identity())
        self.norm_up = nn.LayerNorm(embed_dim)
        self.up = up(embed_dim, embed_dim, patch_size)  # the final x4
        self.output = nn.Conv2d(embed_dim, num_classes, 1, bias=False)
        self.apply(init_weights)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images -> tokens of the decoder after its last norm, (b, H, W, embed_dim) at 1 / patch_size of the image."""
        if self.repeats_grey and x.ndim == 4 and x.shape[1] == 1:
            x = x.expand(-1, 3, -1, -1)
        x, starts = self.encode(x)
        for k, (layer, linear) in enumerate(zip(self.layers_up, self.concat_back_dim, strict=True)):
            i = len(starts) - 1 - k
            if k and i < self.skips:
                x = linear(torch.cat([x, starts[i]], dim=-1))  # (b, H, W, 2 d) -> (b, H, W, d)
            x = layer(x)  # (b, H, W, d) -> (b, 2 H, 2 W, d / 2), but the last
        return self.norm_up(x)

    def set_input_size(self, img_size: int | tuple[int, int] | None = None, window_size: int | None = None) -> None:
        super().set_input_size(img_size, window_size)
        self.stride = self._stride()

    set_input_size.__doc__ = SwinEncoder.set_input_size.__doc__

    def numbered_stages(self) -> Iterator[tuple[int, SwinStage]]:
        """Each stage of encoder and decoder with the number of its resolution."""
        yield from super().numbered_stages()
        yield from ((len(self.layers) - 1 - k, stage) for k, stage in enumerate(self.layers_up) if k)

    def keep_stages(self, count: int) -> None:
        """Drop the stages of the encoder after the first `count`, and the decoder."""
        super().keep_stages(count)
        self.layers_up, self.concat_back_dim = nn.ModuleList(), nn.ModuleList()
        self.norm_up = self.up = self.output = nn.Identity()

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates."""
        stage = r"^layers_up\.(\d+)\."
        decoder = [(r"^(?:layers_up|concat_back_dim)\.(\d+)", None)]
        if not coarse:
            decoder = [
                (r"^concat_back_dim\.(\d+)\.", (0,)),
                (rf"{stage}blocks\.(\d+)", None),
                (rf"{stage}upsample", (99999,)),  # timm's word for "with those before"
                (stage, (0,)),
            ]
        return super().group_matcher(coarse) | {"decoder": [*decoder, (r"^norm_up", (99999,))]}

    def _stride(self) -> int:
        return math.lcm(*(self.patch_size * 2**i * window for i, (_, window) in enumerate(self.grids)))

    def classify(self, x: Tensor) -> Tensor:
        """The 1 x 1 convolution `output` for tokens (..., d) -> (..., num_classes)."""
        return F.linear(x, self.output.weight.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(self.forward_features(x), each=self.classify)  # (b, H, W, d) -> (b, 4 H, 4 W, num_classes)
        return rearrange(x, "b h w k -> b k h w")

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.output

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one with `num_classes` outputs."""
        at_least(1, num_classes=num_classes)
        self.num_classes = num_classes
        self.respec(num_classes=num_classes)
        self.output = nn.Conv2d(self.embed_dim, num_classes, 1, bias=False).to(self.output.weight)
