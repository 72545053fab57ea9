"""The convolutional networks of the paper's Tables 1 and 11, by their names there, in timm's registry.

Nothing is changed in them for small images: timm's ResNets and MobileNetV2 begin with a stride of 2 or 4 and halve on
from there, so that of 32 pixels one is left. That is what the paper measured; ResNet56 and ResNet110 are for CIFAR.
"""

from typing import Any

from torch import Tensor, nn
from torchvision.models import MobileNetV2

from compactlib.models.contract import Model, run
from compactlib.models.registry import register, register_class

BASELINES = {
    "ResNet18": "resnet18",
    "ResNet34": "resnet34",
    "ResNet50": "resnet50",
    "MobileNetV2/0.5": "mobilenetv2_050",
    "MobileNetV2/1.0": "mobilenetv2_100",
    "MobileNetV2/1.25": "mobilenetv2_125",
    "MobileNetV2/2.0": "mobilenetv2_200",
    "ResNet56": "resnet56_cifar",
    "ResNet110": "resnet110_cifar",
}


class WideMobileNetV2(Model, MobileNetV2):
    """torchvision's MobileNetV2 of any width, for images with any number of channels; timm has widths up to 1.4."""

    def __init__(self, width: float = 1.0, in_chans: int = 3, num_classes: int = 1000):
        super().__init__(num_classes=num_classes, width_mult=width)
        self.num_classes = num_classes
        first = self.features[0][0]
        if in_chans != first.in_channels:
            self.features[0][0] = nn.Conv2d(in_chans, first.out_channels, 3, stride=2, padding=1, bias=False)
            nn.init.kaiming_normal_(self.features[0][0].weight, mode="fan_out")

    @property
    def in_chans(self) -> int:
        """Channels of the image."""
        return self.features[0][0].in_channels

    def forward(self, x: Tensor) -> Tensor:
        """Images (b, in_chans, H, W) -> logits (b, num_classes)."""
        for block in self.features:
            x = run(block, x, again=self.grad_checkpointing)
        return self.classifier(x.mean(dim=(2, 3)))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.classifier[1]

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the last layer by a fresh one with `num_classes` outputs."""
        self.num_classes = num_classes
        self.respec(num_classes=num_classes)
        old = self.classifier[1]
        self.classifier[1] = nn.Linear(old.in_features, num_classes).to(old.weight)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups of weights from the image to the logits, for timm's layer-wise learning rates."""
        return {"stem": r"^features\.0\.", "blocks": r"^features\.(\d+)"}


for _width in (1.25, 2.0):
    register(f"mobilenetv2_{round(100 * _width)}", WideMobileNetV2, dict(width=_width), None)
register_class("mobilenetv2_wide", WideMobileNetV2)
