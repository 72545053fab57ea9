"""How a model is trained, as data: one frozen, checked set of numbers."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of `fit`. The defaults suit small images on a laptop; RECIPES has the paper's.

    Raises ValueError for a value out of range and TypeError for one of the wrong type, before any work starts.
    """

    epochs: int = 30  # passes over the training set, warm-up included
    batch_size: int = 64
    lr: float = 1e-3  # peak learning rate of AdamW
    min_lr: float = 1e-5  # where the cosine ends
    warmup_epochs: int = 3  # linear warm-up
    warmup_lr: float = 1e-5  # where the warm-up starts
    cooldown_epochs: int = 0  # epochs at min_lr after the cosine, on top of `epochs`
    weight_decay: float = 0.03  # of matrices and kernels; norms and biases have none
    label_smoothing: float = 0.1
    clip_grad: float = 0.0  # largest norm of the gradient; 0 = not clipped
    ema_decay: float = 0.0  # decay of the averaged weights; 0 = none
    shift: int = 1  # random shifts by up to this many pixels
    flip: bool = False  # random left-right flips
    crop_scale: float = 1.0  # smallest area of a random resized crop; 1 = no crop
    randaugment: str = ""  # timm's notation, for instance "rand-m9-mstd0.5-inc1"
    random_erasing: float = 0.0  # probability
    mixup: float = 0.0  # alpha of Mixup; 0 = off
    cutmix: float = 0.0  # alpha of CutMix; with both, each batch takes one of them at random
    mixup_off_epoch: int = 0  # Mixup and CutMix stop at this epoch; 0 = never
    precision: str = "fp32"  # or "bf16" (autocast), for GPUs
    compile: bool = False  # torch.compile
    num_workers: int = 0  # processes that crop and RandAugment images; 0 = none
    seed: int = 0  # of data order, augmentation and dropout

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        limits = {
            "epochs": (1, 100_000), "batch_size": (1, 1_000_000), "lr": (0, 100), "min_lr": (0, 100),
            "warmup_epochs": (0, self.epochs), "warmup_lr": (0, 100), "cooldown_epochs": (0, 100_000),
            "weight_decay": (0, 10), "label_smoothing": (0, 0.99), "clip_grad": (0, float("inf")),
            "ema_decay": (0, 0.999999), "shift": (0, 1000), "crop_scale": (0.01, 1), "random_erasing": (0, 1),
            "mixup": (0, 100), "cutmix": (0, 100), "mixup_off_epoch": (0, 100_000), "num_workers": (0, 1024),
            "seed": (0, 2**32 - 1),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"recipe: {name}={getattr(self, name)!r} is out of range; expected {low} to {high}")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"recipe: precision={self.precision!r} is unknown; expected 'fp32' or 'bf16'")
        if (self.mixup or self.cutmix) and self.batch_size % 2:
            raise ValueError(
                f"recipe: Mixup and CutMix pair the images of a batch; batch_size={self.batch_size} is odd"
            )

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "Recipe":
        """The recipe that a notebook's parameters describe.

        `params["recipe"]` names one of RECIPES to start from (default "laptop"); every parameter that is named like a
        field here replaces that field; the others are not looked at. With another number of epochs, the lengths that
        the parameters do not name (warm-up, cool-down, end of Mixup) change in proportion. Raises ValueError for an
        unknown name.
        """
        name = params.get("recipe", "laptop")
        if name not in RECIPES:
            raise ValueError(f"recipe={name!r} is unknown; expected one of {', '.join(map(repr, RECIPES))}")
        fields = {field.name for field in dataclasses.fields(cls)}
        base = cls(**RECIPES[name])
        scale = params.get("epochs", base.epochs) / base.epochs
        lengths = {key: round(getattr(base, key) * scale) for key in LENGTHS}
        chosen = {key: value for key, value in params.items() if key in fields}
        return cls(**{**RECIPES[name], **lengths, **chosen})

    def differences(self, other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Fields whose value differs from that in `other` (a recipe as a dict): name -> (here, there)."""
        own = dataclasses.asdict(self)
        return {k: (own.get(k), other.get(k)) for k in own.keys() | other.keys() if own.get(k) != other.get(k)}


LENGTHS = ("warmup_epochs", "cooldown_epochs", "mixup_off_epoch")

# Named starting points. "paper" is the authors' configuration for 300 epochs of CIFAR-10 (CIFAR-100: lr 6e-4).
RECIPES: dict[str, dict[str, Any]] = {
    "laptop": {},
    "paper": dict(
        epochs=300, batch_size=128, lr=5.5e-4, min_lr=1e-5, warmup_epochs=10, warmup_lr=1e-5, cooldown_epochs=10,
        weight_decay=6e-2, label_smoothing=0.1, shift=0, flip=True, crop_scale=0.8,
        randaugment="rand-m9-mstd0.5-inc1", mixup=0.8, cutmix=1.0, mixup_off_epoch=175,
    ),
}  # fmt: skip


def _check_type(name: str, value: Any, expected: type) -> None:
    numbers = (int, float) if expected is float else expected
    if not isinstance(value, numbers) or (isinstance(value, bool) and expected is not bool):
        raise TypeError(f"recipe: {name}={value!r} is a {type(value).__name__}; expected {expected.__name__}")
