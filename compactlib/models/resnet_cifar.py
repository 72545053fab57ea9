"""ResNet for 32-pixel images: the convolutional baselines ResNet56 and ResNet110 of the paper's Tables 1 and 11.

Source: He et al., "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), Section 4.2. 6n + 2 layers with
weights: a convolution, three stages of n blocks with 16, 32 and 64 channels, and a linear layer on the mean. Where a
stage halves the image, the shortcut takes every second pixel and fills the new channels with zeros (option A), so that
it has no parameters. timm has the ResNets for ImageNet, which begin with a stride of 4.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from compactlib.models.arguments import at_least
from compactlib.models.registry import register


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


class ResNetCifar(nn.Module):
    """Image classifier (b, in_chans, H, W) -> logits (b, num_classes) for images of any size.

    depth: layers with weights, 6n + 2: 20, 32, 44, 56, 110. Raises ValueError for another one.
    """

    def __init__(self, depth: int = 56, in_chans: int = 3, num_classes: int = 10):
        super().__init__()
        at_least(1, in_chans=in_chans, num_classes=num_classes)
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
        self.head = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward_features(self, x: Tensor) -> Tensor:
        """Images (b, c, H, W) -> features (b, 64, H / 4, W / 4)."""
        return self.blocks(F.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.forward_features(x).mean(dim=(2, 3)))  # (b, 64, h, w) -> (b, 64) -> logits

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head


for _depth in (20, 32, 44, 56, 110):
    register(f"resnet{_depth}_cifar", ResNetCifar, dict(depth=_depth), None)
