"""What all recipes share: optimizer, schedule, length, precision; and how a recipe is checked and made."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import torch
    from torch import nn

    from compactlib.training.task import Task

INFINITE = float("inf")


@dataclass(frozen=True, kw_only=True)
class BaseRecipe:
    """How weights are optimized. A task's own recipe adds its augmentation and its loss.

    Raises ValueError for a value out of range and TypeError for one of the wrong type, before any work starts.
    """

    epochs: int = 30  # passes over the training set, warm-up included
    batch_size: int = 64
    optimizer: str = "adamw"  # or "sgd", or "muon" (matrices and kernels; AdamW for the rest)
    lr: float = 1e-3  # peak learning rate
    adamw_lr: float = 3e-3  # "muon": peak learning rate of what AdamW moves (norms, biases, positions, head)
    momentum: float = 0.9  # of "sgd" (not Nesterov's) and of "muon" (Nesterov's)
    weight_decay: float = 0.03  # of matrices and kernels; norms and biases have none
    schedule: str = "cosine"  # or "linear", "poly" (power 0.9), "constant", "plateau" (when val_loss stands still)
    time_budget: float = 0.0  # seconds of training; the schedule follows the clock, `epochs` is its length. 0 = epochs
    min_lr: float = 1e-5  # where the schedule ends
    warmup_epochs: int = 3  # linear warm-up
    warmup_lr: float = 1e-5  # where the warm-up starts
    cooldown_epochs: int = 0  # epochs at min_lr after the cosine, on top of `epochs`
    plateau_patience: int = 5  # "plateau": epochs without a lower val_loss before lr is lowered
    plateau_factor: float = 0.1  # "plateau": by this factor
    patience: int = 0  # early stopping: epochs without a better validation score; 0 = train to the end
    clip_grad: float = 0.0  # largest norm of the gradient; 0 = not clipped
    ema_decay: float = 0.0  # decay of the averaged weights; 0 = none
    precision: str = "fp32"  # or "bf16" (autocast); "auto": bf16 where the device has instructions for it
    channels_last: bool = False  # memory format of model and images
    compile: bool = False  # torch.compile
    num_workers: int = 0  # processes that prepare batches; 0 = none
    seed: int = 0  # of data order, augmentation and dropout

    # Named starting points of `from_params`, the default first; and the fields that change in proportion to `epochs`.
    NAMED: ClassVar[dict[str, dict[str, Any]]] = {"laptop": {}}
    LENGTHS: ClassVar[tuple[str, ...]] = ("warmup_epochs", "cooldown_epochs")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        for name, (low, high) in self.limits().items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"recipe: {name}={getattr(self, name)!r} is out of range; expected {low} to {high}")
        for name, known in self.choices().items():
            if getattr(self, name) not in known:
                expected = " or ".join([", ".join(map(repr, known[:-1])), repr(known[-1])])
                raise ValueError(f"recipe: {name}={getattr(self, name)!r} is unknown; expected {expected}")
        if self.schedule == "plateau" and self.warmup_epochs:
            raise ValueError("recipe: the plateau schedule has no warm-up; set warmup_epochs=0")
        if self.schedule == "plateau" and self.time_budget:
            raise ValueError("recipe: the plateau schedule goes by val_loss, not by the clock; set time_budget=0")

    def task(self, model: "nn.Module", data: Any, device: "torch.device") -> "Task":
        """What `fit` learns with this recipe. TypeError or ValueError if model, data and recipe do not fit."""
        raise NotImplementedError(f"{type(self).__name__} makes no task")

    def limits(self) -> dict[str, tuple[float, float]]:
        """Smallest and largest value of each number."""
        return {
            "epochs": (1, 100_000), "batch_size": (1, 1_000_000), "lr": (0, 100), "adamw_lr": (0, 100),
            "min_lr": (0, 100), "momentum": (0, 0.9999), "weight_decay": (0, 10), "time_budget": (0, INFINITE),
            "warmup_epochs": (0, self.epochs), "warmup_lr": (0, 100),
            "cooldown_epochs": (0, 100_000), "plateau_patience": (0, 100_000), "plateau_factor": (0.001, 0.999),
            "patience": (0, 100_000), "clip_grad": (0, INFINITE), "ema_decay": (0, 0.999999), "num_workers": (0, 1024),
            "seed": (0, 2**32 - 1),
        }  # fmt: skip

    def choices(self) -> dict[str, tuple[str, ...]]:
        """The known values of each field that is one of a few words."""
        return {
            "optimizer": ("adamw", "sgd", "muon"),
            "schedule": ("cosine", "linear", "poly", "constant", "plateau"),
            "precision": ("fp32", "bf16", "auto"),
        }

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """The recipe that a notebook's parameters describe.

        `params["recipe"]` names one of NAMED to start from (default: the first one); every parameter that is named like
        a field here replaces that field; the others are not looked at. With another number of epochs, the lengths that
        the parameters do not name (warm-up, cool-down, ...) change in proportion. ValueError for an unknown name.
        """
        name = params.get("recipe", next(iter(cls.NAMED)))
        if name not in cls.NAMED:
            raise ValueError(f"recipe={name!r} is unknown; expected one of {', '.join(map(repr, cls.NAMED))}")
        fields = {field.name for field in dataclasses.fields(cls)}
        base = cls(**cls.NAMED[name])
        scale = params.get("epochs", base.epochs) / base.epochs
        lengths = {key: round(getattr(base, key) * scale) for key in cls.LENGTHS}
        chosen = {key: value for key, value in params.items() if key in fields}
        return cls(**{**cls.NAMED[name], **lengths, **chosen})

    def differences(self, other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Fields whose value differs from that in `other` (a recipe as a dict): name -> (here, there)."""
        own = json.loads(json.dumps(dataclasses.asdict(self)))  # a tuple comes back from a file as a list
        return {k: (own.get(k), other.get(k)) for k in own.keys() | other.keys() if own.get(k) != other.get(k)}


def _check_type(name: str, value: Any, expected: type) -> None:
    numbers = (int, float) if expected is float else expected
    if not isinstance(value, numbers) or (isinstance(value, bool) and expected is not bool):
        wanted = getattr(expected, "__name__", str(expected))  # a union has no name
        raise TypeError(f"recipe: {name}={value!r} is a {type(value).__name__}; expected {wanted}")
