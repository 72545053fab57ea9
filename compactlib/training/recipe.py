"""How a classifier is trained, as data: one frozen, checked set of numbers."""

from dataclasses import dataclass
from typing import Any, ClassVar

from compactlib.training.base_recipe import BaseRecipe


@dataclass(frozen=True, kw_only=True)
class Recipe(BaseRecipe):
    """Settings of `fit` for a classifier. The defaults suit small images on a laptop; NAMED has the paper's.

    "paper" works on one picture after another in loader processes, as the authors' code does; "paper_gpu" is the same
    recipe with data and augmentation on the model's device, compiled and in bfloat16. "fast" trains a CCT against the
    clock, "fast_gpu" on a GPU; "fast_long" for more than a few passes, in which images would be learned by heart;
    "fast_calm_end" is fast_long with RandAugment for all but the last fifth, "fast_infobatch" fast_long that leaves out
    most images which the model knows, with a larger cut-out, and in the last quarter without flips. These three take
    bfloat16 where they can.
    """

    label_smoothing: float = 0.1
    shift: int = 1  # random shifts by up to this many pixels
    shift_border: str = "zeros"  # what comes in at the border: "zeros" (the mean colour) or "reflect"
    flip: bool = False  # random left-right flips
    alternate_flip: bool = (
        False  # how flip=True does it: every image in turn as it is and mirrored, from a random start
    )
    flip_until: float = 1.0  # with flip: the share of the run that sees mirrored images, in whole epochs
    cutout: int = 0  # side of a square that is blanked, pixels; 0 = none
    crop_size: int = 0  # side of random crops in the first part of the run, pixels; 0 = whole images throughout
    crop_until: float = 0.6  # with crop_size: the share of the run that sees the crops
    crop_scale: float = 1.0  # smallest area of a random resized crop; 1 = no crop
    randaugment: str = ""  # timm's notation, for instance "rand-m9-mstd0.5-inc1"
    randaugment_until: float = 1.0  # the share of the run that sees RandAugment, in whole passes
    random_erasing: float = 0.0  # probability
    mixup: float = 0.0  # alpha of Mixup; 0 = off
    cutmix: float = 0.0  # alpha of CutMix; with both, each batch takes one of them at random
    mixup_off_epoch: int = 0  # Mixup and CutMix stop at this epoch; 0 = never
    prune: float = 0.0  # InfoBatch: share of the images of less than mean loss left out; an epoch keeps its steps
    prune_until: float = 0.875  # the share of the run that does so, in whole epochs
    resident: bool = False  # the whole training set on the model's device, cropped and RandAugmented there in batches

    # "paper" is the authors' configuration for 300 epochs of CIFAR-10 (CIFAR-100: lr 6e-4).
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {
        "laptop": {},
        "paper": dict(
            epochs=300, batch_size=128, lr=5.5e-4, min_lr=1e-5, warmup_epochs=10, warmup_lr=1e-5, cooldown_epochs=10,
            weight_decay=6e-2, label_smoothing=0.1, shift=0, flip=True, crop_scale=0.8,
            randaugment="rand-m9-mstd0.5-inc1", mixup=0.8, cutmix=1.0, mixup_off_epoch=175,
        ),
        "fast": dict(
            epochs=20, batch_size=128, optimizer="muon", lr=0.02, adamw_lr=3e-3, momentum=0.95, weight_decay=0.0,
            schedule="linear", min_lr=0.0, warmup_epochs=2, warmup_lr=0.0, label_smoothing=0.1, shift=2,
            shift_border="reflect", flip=True, alternate_flip=True, resident=True,
        ),
    }  # fmt: skip
    NAMED["paper_gpu"] = NAMED["paper"] | dict(resident=True, precision="bf16", compile=True)
    NAMED["fast_long"] = NAMED["fast"] | dict(cutout=8, weight_decay=0.05, precision="auto")
    NAMED["fast_calm_end"] = NAMED["fast_long"] | dict(randaugment="rand-m5-mstd0.5-inc1", randaugment_until=0.8)
    NAMED["fast_infobatch"] = NAMED["fast_long"] | dict(prune=0.7, flip_until=0.75, cutout=12)
    NAMED["fast_gpu"] = NAMED["fast"] | dict(batch_size=512, precision="bf16", compile=True)
    LENGTHS: ClassVar[tuple[str, ...]] = (*BaseRecipe.LENGTHS, "mixup_off_epoch")

    def __post_init__(self):
        super().__post_init__()
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(
                f"recipe: Mixup and CutMix pair the images of a batch; batch_size={self.batch_size} is odd"
            )
        if self.resident and self.num_workers:
            raise ValueError(
                f"recipe: with resident=True no process prepares batches, but num_workers={self.num_workers}; set it 0"
            )

        if self.prune and (self.mixup or self.cutmix or not self.resident):
            raise ValueError(
                f"recipe: prune={self.prune} goes by the loss of each image of a training set in memory; set "
                "resident=True, mixup=0 and cutmix=0, or prune=0"
            )

    def task(self, model, data, device):
        from compactlib.training.classification import Classification  # here: it knows this recipe

        return Classification(model, data, self, device)

    def limits(self) -> dict[str, tuple[float, float]]:
        return super().limits() | {
            "label_smoothing": (0, 0.99), "shift": (0, 1000), "flip_until": (0, 1), "cutout": (0, 1000),
            "crop_size": (0, 10_000), "crop_until": (0, 1), "crop_scale": (0.01, 1), "randaugment_until": (0, 1),
            "random_erasing": (0, 1), "mixup": (0, 100), "cutmix": (0, 100), "mixup_off_epoch": (0, 100_000),
            "prune": (0, 0.99), "prune_until": (0, 1),
        }  # fmt: skip

    def choices(self) -> dict[str, tuple[str, ...]]:
        return super().choices() | {"shift_border": ("zeros", "reflect")}
