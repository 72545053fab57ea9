"""ResNet for 32-pixel images: the convolutional baselines ResNet56 and ResNet110 of the paper's Tables 1 and 11.

Source: He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), Section 4.2. 6n + 2 layers with
weights: a convolution, three stages of n blocks with 16, 32 and 64 channels, and a linear layer on the mean. Where a
stage halves the image, the shortcut takes every second pixel and fills the new channels with zeros (option A), so that
it has no parameters. timm has the ResNets for ImageNet, which begin with a stride of 4.
"""

from collections.abc import Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from compactlib.models.arguments import at_least
from compactlib.models.contract import Model, run
from compactlib.models.features import Stages
from compactlib.models.registry import register, register_class


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with BatchNorm and a shortcut, (b, c_in, h, w) -> (b, c_out, h / stride, w / stride)."""

    def __init__(self, c_in: int, c_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.stride, self.new_chans = stride, c_out - c_in

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_chans))
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNetCifar(Stages, Model):
    """Image classifier (b, in_chans, H, W) -> logits (b, num_classes) for images of any size.

    depth: layers with weights, 6n + 2: 20, 32, 44, 56, 110. Raises ValueError for another one. num_classes=0 leaves the
    head out, and the model returns the features (b, 64).
    """

    default_size = 32

    def __init__(self, depth: int = 56, in_chans: int = 3, num_classes: int = 10):
        super().__init__()
        at_least(1, in_chans=in_chans)
        at_least(0, num_classes=num_classes)
        if depth < 8 or (depth - 2) % 6:
            below = max(8, (depth - 2) // 6 * 6 + 2)
            raise ValueError(f"depth={depth} is not 6n + 2; choose {below} or {below + 6}")
        self.num_classes, self.num_features = num_classes, 64
        self.conv1 = nn.Conv2d(in_chans, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        blocks, c_in = [], 16
        for c_out, first_stride in ((16, 1), (32, 2), (64, 2)):
            for k in range((depth - 2) // 6):
                blocks.append(ResidualBlock(c_in, c_out, first_stride if k == 0 else 1))
                c_in = c_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def in_chans(self) -> int:
        """Channels of the image."""
        return self.conv1.in_channels

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Channels, reduction and name of each stage's last block."""
        ends = [i for i in range(len(self.blocks)) if i + 1 == len(self.blocks) or self.blocks[i + 1].stride == 2]
        chans = [self.blocks[i].conv2.out_channels for i in ends]
        return [dict(num_chs=c, reduction=2**k, module=f"blocks.{ends[k]}") for k, c in enumerate(chans)]

    def stage_maps(self, x: Tensor) -> Iterator[Tensor]:
        """Images (b, c, H, W) -> maps (b, 16, H, W), (b, 32, H / 2, W / 2), (b, 64, H / 4, W / 4)."""
        x = F.relu(self.bn1(self.conv1(x)))
        ends = {info["module"] for info in self.feature_info}
        for i, block in enumerate(self.blocks):
            x = run(block, x, again=self.grad_checkpointing)
            if f"blocks.{i}" in ends:
                yield x

    def keep_stages(self, count: int) -> None:
        """Drop the stages after the first `count`, and the head."""
        last = int(self.feature_info[count - 1]["module"].split(".")[1])
        self.blocks, self.head = self.blocks[: last + 1], nn.Identity()

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (b, c, H, W) -> features (b, 64, H / 4, W / 4)."""
        *_, x = self.stage_maps(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Features (b, 64, h, w) -> logits (b, num_classes), or their mean (b, 64) with `pre_logits`."""
        x = x.mean(dim=(2, 3))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one with `num_classes` outputs (0: none)."""
        at_least(0, num_classes=num_classes)
        self.num_classes = num_classes
        self.respec(num_classes=num_classes)
        self.head = (nn.Linear(64, num_classes) if num_classes else nn.Identity()).to(self.conv1.weight)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates."""
        stem = {"stem": r"^(?:conv1|bn1)\."}
        if not coarse:
            return stem | {"blocks": r"^blocks\.(\d+)"}
        n = len(self.blocks) // 3
        blocks = ["|".join(map(str, range(k * n, k * n + n))) for k in range(3)]
        return stem | {f"stage {k}": rf"^blocks\.(?:{numbers})\." for k, numbers in enumerate(blocks)}


for _depth in (20, 32, 44, 56, 110):
    register(f"resnet{_depth}_cifar", ResNetCifar, dict(depth=_depth), None)
register_class("resnet_cifar", ResNetCifar)
