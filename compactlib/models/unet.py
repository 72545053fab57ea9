"""U-Net: as published (unpadded) and in the padded form that is common today. One model, two settings.

Source: Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation" (arXiv 1505.04597). The
file follows its Section 2 and Figure 1: two convolutions, the contracting path, the up-convolution, the expansive path,
the final 1 x 1 convolution. The initialisation is Section 3's.

    name          3 x 3 convolutions                     output of an n x n image
    unet_valid    unpadded, with bias, no norm           n - 184, for n = 188, 204, 220, ...
    unet          padded, without bias, with BatchNorm   n, for any n from 16 on

Shapes in comments: b images, c channels of a level, H x W its pixels.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import to_2tuple
from torch import Tensor, nn

from compactlib.models.arguments import at_least, one_of
from compactlib.models.contract import Model, run
from compactlib.models.features import Stages
from compactlib.models.unet_blocks import NORMS, DoubleConv, Up


class UNet(Stages, Model):
    """Segmentation: images (b, in_chans, H, W) -> logits (b, num_classes, H - 2 margin, W - 2 margin).

    Args:
        in_chans: channels of the image.
        num_classes: classes of a pixel.
        width: channels of the first level; each level below has twice as many.
        depth: how often the map is halved.
        padded: False for the paper's unpadded convolutions, whose output sees true pixels only and fits an overlap-tile
            without seams; True keeps the image's size.
        norm: "batch", "group", "instance" or "none"; without a norm the 3 x 3 convolutions have a bias.
        upsample: "transpose" (the paper's 2 x 2 up-convolution) or "bilinear", which halves the channels in the
            convolutions instead and has fewer parameters.
        drop_rate: dropout "at the end of the contracting path" (Section 3.1). The paper gives neither rate nor place;
            the network the authors released has 0.5 after the convolutions of the two deepest levels, before pooling
            and skip.
        img_size: side of the image, or (height, width): checked, and then the only size the model takes. None: any
            size that works.

    Attributes: `margin`, pixels the output lacks on each side; `stride`, the shift in pixels under which the pooling
    grid repeats.

    Raises:
        ValueError: an unknown choice, or an image size that cannot work; names the nearest sizes that can.
    """

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 2,
        width: int = 64,
        depth: int = 4,
        padded: bool = True,
        norm: str = "batch",
        upsample: str = "transpose",
        drop_rate: float = 0.0,
        img_size: int | tuple[int, int] | None = None,
    ):
        super().__init__()
        at_least(1, in_chans=in_chans, num_classes=num_classes, width=width, depth=depth)
        one_of("norm", norm, NORMS)
        one_of("upsample", upsample, ("transpose", "bilinear"))
        if upsample == "bilinear" and not padded:
            raise ValueError(
                "upsample='bilinear' needs padded=True: interpolation depends on where the map ends, so that tiles of "
                "an unpadded U-Net would no longer fit together; use upsample='transpose'"
            )
        if norm in ("group", "instance") and not padded:
            raise ValueError(
                f"norm={norm!r} needs padded=True: its statistics depend on what a tile shows, so that tiles of an "
                "unpadded U-Net would no longer fit together; use norm='none' or 'batch'"
            )
        self.in_chans, self.num_classes = in_chans, num_classes
        self.norm = norm
        self.width, self.depth, self.padded = width, depth, padded
        self.stride = 2**depth
        self.margin = 0 if padded else 6 * 2**depth - 4
        self.img_size = None if img_size is None else to_2tuple(img_size)
        if self.img_size:
            self._check_size(*self.img_size)

        # Contracting path. Bilinear up-sampling keeps the channels, so the deepest level has half of them.
        chans = [width * 2**level for level in range(depth + 1)]
        halved = 2 if upsample == "bilinear" else 1
        chans_out = [*chans[:-1], chans[-1] // halved]
        self.encoder = nn.ModuleList(
            DoubleConv(c_in, c_out, padded=padded, norm=norm)
            for c_in, c_out in zip([in_chans, *chans[:-1]], chans_out, strict=True)
        )
        self.dropout = nn.Dropout(drop_rate)

        # Expansive path, from the deepest step up.
        self.decoder = nn.ModuleList()
        c_in = chans_out[-1]
        for level in reversed(range(depth)):
            c_out = chans[level] // (halved if level else 1)
            self.decoder.append(Up(c_in, chans[level], c_out, padded=padded, norm=norm, upsample=upsample))
            c_in = c_out
        self.head = nn.Conv2d(width, num_classes, 1)
        self.apply(_init_weights)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (b, in_chans, H, W) -> the last map of the expansive path, (b, width, H - 2 margin, W - 2 margin)."""
        skips = list(self.stage_maps(x))
        x = skips.pop()  # the deepest map is where the expansive path starts
        for step in self.decoder:
            x = run(step, x, skips.pop(), again=self.grad_checkpointing)
        return x

    def stage_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images -> the map of each level of the contracting path, (b, channels, H', W'), in order."""
        self._check_images(x)
        # Convolutions run fastest on channels last. `contiguous(memory_format=...)` would leave one channel as it is.
        x = x.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)
        for level, convs in enumerate(self.encoder):
            x = run(convs, F.max_pool2d(x, 2) if level else x, again=self.grad_checkpointing)
            if level >= self.depth - 1:
                x = self.dropout(x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one with `num_classes` outputs."""
        at_least(1, num_classes=num_classes)
        self.num_classes = num_classes
        self.respec(num_classes=num_classes)
        self.head = nn.Conv2d(self.width, num_classes, 1).to(self.head.weight)
        _init_weights(self.head)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates: a level, a group."""
        return {"stem": r"^encoder\.0\.", "encoder": r"^encoder\.(\d+)", "decoder": r"^decoder\.(\d+)"}

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Channels, reduction and name of each level of the contracting path."""
        return [
            dict(num_chs=convs.conv2.out_channels, reduction=2**level, module=f"encoder.{level}")
            for level, convs in enumerate(self.encoder)
        ]

    def keep_stages(self, count: int) -> None:
        """Drop the levels after the first `count`, the expansive path and the head."""
        self.encoder, self.decoder, self.head = self.encoder[:count], nn.ModuleList(), nn.Identity()

    @property
    def default_size(self) -> int:
        """Side of images that suits the model, or is near one that does: the paper's 572 pixels unpadded, else 256."""
        return 256 if self.padded else 572

    # Which sizes work

    def nearest_sizes(self, side: int) -> tuple[int | None, int]:
        """The largest side up to `side`, and the smallest from `side` on, that the model takes; None: there is none.

        Unpadded, every pooling must meet an even side and the output must have a pixel: side + 4 is a multiple of
        2^depth (16 k + 12 for depth 4). Padded, any side that can be halved `depth` times; with an instance norm the
        smallest map must have more than one pixel.
        """
        if self.padded:
            smallest = 2 * self.stride if self.norm == "instance" else self.stride
            below = side
        else:
            smallest = (2 * self.margin + 5 + self.stride - 1) // self.stride * self.stride - 4
            below = (side + 4) // self.stride * self.stride - 4
        if side < smallest:
            return None, smallest
        return below, below if below == side else below + self.stride

    def output_size(self, side: int) -> int:
        """Side of the output for an image of `side` pixels. ValueError if the side does not work."""
        self._check_size(side, side)
        return side - 2 * self.margin

    def sizes(self, side: int) -> list[tuple[str, int, int]]:
        """(stage, channels, side of the map) from input to output, as Figure 1 writes them on the boxes."""
        self._check_size(side, side)
        lost = 0 if self.padded else 4
        rows, sides = [("input", self.in_chans, side)], []
        for level, convs in enumerate(self.encoder):
            side = (side // 2 if level else side) - lost
            sides.append(side)
            rows.append((f"down {level}", convs.conv2.out_channels, side))
        for level, step in zip(reversed(range(self.depth)), self.decoder, strict=True):
            side = sides[level] if self.padded else 2 * side - lost
            rows.append((f"up {level}", step.conv.conv2.out_channels, side))
        return [*rows, ("output", self.num_classes, side)]

    def _check_images(self, x: Tensor) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_chans:
            raise ValueError(f"expected images (batch, {self.in_chans}, height, width), got {tuple(x.shape)}")
        if self.img_size and tuple(x.shape[2:]) != self.img_size:
            raise ValueError(
                f"this model was built for images of {self.img_size} pixels, got {tuple(x.shape[2:])}: build it with "
                f"img_size={tuple(x.shape[2:])}, or with img_size=None to take any size that works"
            )
        self._check_size(*x.shape[2:])

    def _check_size(self, height: int, width: int) -> None:
        for name, side in (("height", height), ("width", width)):
            below, above = self.nearest_sizes(side)
            if side == above:
                continue
            rule = f"needs sides of {self.stride} pixels or more"
            if not self.padded:
                rule = f"takes sides of {self.stride} k - 4 pixels, from {self.nearest_sizes(1)[1]} on"
            nearest = f"the nearest is {above}" if below is None else f"the nearest are {below} and {above}"
            raise ValueError(
                f"an image of {name} {side} cannot be halved {self.depth} times: this U-Net {rule}; {nearest}"
            )


def _init_weights(module: nn.Module) -> None:
    """Section 3: Gaussian of standard deviation sqrt(2 / N), N the incoming nodes of a neuron. Biases start at zero."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        # Of a 2 x 2 transposed convolution with stride 2 only one tap reaches each output pixel.
        taps = 1 if isinstance(module, nn.ConvTranspose2d) else math.prod(module.kernel_size)
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
