"""How a classifier is trained, as data: one frozen, checked set of numbers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from compactlib.training.base_recipe import BaseRecipe


@dataclass(frozen=True, kw_only=True)
class Recipe(BaseRecipe):
    """Settings of `fit` for a classifier. The defaults suit small images on a laptop; NAMED has the paper's."""

    label_smoothing: float = 0.1
    shift: int = 1  # random shifts by up to this many pixels
    flip: bool = False  # random left-right flips
    crop_scale: float = 1.0  # smallest area of a random resized crop; 1 = no crop
    randaugment: str = ""  # timm's notation, for instance "rand-m9-mstd0.5-inc1"
    random_erasing: float = 0.0  # probability
    mixup: float = 0.0  # alpha of Mixup; 0 = off
    cutmix: float = 0.0  # alpha of CutMix; with both, each batch takes one of them at random
    mixup_off_epoch: int = 0  # Mixup and CutMix stop at this epoch; 0 = never

    # "paper" is the authors' configuration for 300 epochs of CIFAR-10 (CIFAR-100: lr 6e-4).
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {
        "laptop": {},
        "paper": dict(
            epochs=300, batch_size=128, lr=5.5e-4, min_lr=1e-5, warmup_epochs=10, warmup_lr=1e-5, cooldown_epochs=10,
            weight_decay=6e-2, label_smoothing=0.1, shift=0, flip=True, crop_scale=0.8,
            randaugment="rand-m9-mstd0.5-inc1", mixup=0.8, cutmix=1.0, mixup_off_epoch=175,
        ),
    }  # fmt: skip
    LENGTHS: ClassVar[tuple[str, ...]] = (*BaseRecipe.LENGTHS, "mixup_off_epoch")

    def __post_init__(self):
        super().__post_init__()
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(
                f"recipe: Mixup and CutMix pair the images of a batch; batch_size={self.batch_size} is odd"
            )

    def limits(self) -> dict[str, tuple[float, float]]:
        return super().limits() | {
            "label_smoothing": (0, 0.99), "shift": (0, 1000), "crop_scale": (0.01, 1), "random_erasing": (0, 1),
            "mixup": (0, 100), "cutmix": (0, 100), "mixup_off_epoch": (0, 100_000),
        }  # fmt: skip
