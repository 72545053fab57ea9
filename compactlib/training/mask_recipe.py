"""How a segmentation model is trained, as data."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from compactlib.segmentation import LOSSES, Augmentation
from compactlib.training.base_recipe import BaseRecipe


@dataclass(frozen=True, kw_only=True)
class MaskRecipe(BaseRecipe):
    """Settings of `fit` for masks. The defaults suit small images on a laptop; NAMED has the papers'.

    Image, mask and weight map always go through the same geometry; see compactlib.segmentation.Augmentation.
    """

    batch_size: int = 8
    loss: str = "dice_ce"  # a name in compactlib.segmentation.LOSSES; "weighted_ce" has U-Net's weight map
    # Weight of each class in the loss: numbers, or "balanced" (see segmentation.balanced_class_weights). In the
    # cross-entropy the mean is a weighted one, the Dice losses are multiplied, "focal" takes them for its alpha.
    class_weights: str | tuple | None = None
    crop: int = 0  # side of random crops, pixels; 0 = whole images
    crops_per_image: int = 1  # crops, or whole images in new disguise, of each image in an epoch
    flip: bool = True  # random flips, left-right and up-down
    rot90: bool = False  # random quarter turns
    rotate: float = 0.0  # random rotations by up to this many degrees
    scale: float = 0.0  # random zoom by up to this share
    shift: float = 0.0  # random shifts by up to this many pixels
    elastic: float = 0.0  # elastic deformation: standard deviation in pixels on a 3 x 3 grid
    intensity: float = 0.0  # random brightness and contrast by up to this share
    speckle: float = 0.0  # standard deviation of multiplicative noise

    # "unet_paper" (Section 3): one large tile a step, momentum 0.99, weight map, elastic deformation; learning rate and
    # length are not printed there. "swin_unet_paper" (Section 4.2); lr, poly schedule, epochs and loss from its code.
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {
        "laptop": {},
        "unet_paper": dict(
            epochs=200, batch_size=1, optimizer="sgd", momentum=0.99, lr=1e-3, schedule="constant", warmup_epochs=0,
            weight_decay=0.0, loss="weighted_ce", crop=388, crops_per_image=4, rotate=180.0, shift=20.0, elastic=10.0,
            intensity=0.2,
        ),
        "swin_unet_paper": dict(
            epochs=150, batch_size=24, optimizer="sgd", momentum=0.9, lr=0.05, min_lr=0.0, schedule="poly",
            warmup_epochs=0, weight_decay=1e-4, loss="dice_ce", rot90=True, rotate=20.0,
        ),
    }  # fmt: skip

    def __post_init__(self):
        if isinstance(self.class_weights, list):  # from YAML or JSON
            object.__setattr__(self, "class_weights", tuple(self.class_weights))
        super().__post_init__()
        weights = self.class_weights
        if weights is None:
            return
        if weights != "balanced" and not _are_weights(weights):
            raise ValueError(
                f"recipe: class_weights={weights!r}; expected 'balanced', or a number of 0 or more for each class and "
                "one above 0"
            )
        if self.loss == "weighted_ce":
            raise ValueError(
                "recipe: loss='weighted_ce' balances the classes in its map of pixel weights; leave out class_weights, "
                "or choose loss='ce'"
            )

    def task(self, model, data, device):
        from compactlib.training.segmentation import Segmentation  # here: it knows this recipe

        return Segmentation(model, data, self, device)

    def limits(self) -> dict[str, tuple[float, float]]:
        return super().limits() | {
            "crop": (0, 65_536), "crops_per_image": (1, 100_000), "rotate": (0, 180), "scale": (0, 0.9),
            "shift": (0, 10_000), "elastic": (0, 1000), "intensity": (0, 0.9), "speckle": (0, 1),
        }  # fmt: skip

    def choices(self) -> dict[str, tuple[str, ...]]:
        return super().choices() | {"loss": tuple(LOSSES)}

    @property
    def augmentation(self) -> Augmentation:
        """The part of the recipe that changes images, masks and weight maps."""
        return Augmentation(
            flip=self.flip, rot90=self.rot90, rotate=self.rotate, scale=self.scale, shift=self.shift,
            elastic=self.elastic, intensity=self.intensity, speckle=self.speckle,
        )  # fmt: skip


def _are_weights(values: Any) -> bool:
    """Whether these are numbers of 0 or more, and not all 0."""
    if not isinstance(values, tuple) or not all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in values
    ):
        return False
    return all(math.isfinite(value) and value >= 0 for value in values) and any(values)
