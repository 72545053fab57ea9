"""How far a run is, its learning rate there, and when it stops: functions of the recipe, the steps and the clock."""

import time
from collections.abc import Mapping, Sequence

from timm.scheduler import create_scheduler_v2
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from compactlib.training.base_recipe import BaseRecipe

POWERS = {"poly": 0.9, "linear": 1.0}


class Schedule:
    """timm's cosine, linear, poly or constant schedule by step, with warm-up; or torch's plateau by validation loss.

    It has no state of its own to be stored: steps are absolute, the plateau is found again from the history, and so is
    the time spent. With a time budget the same schedule is read off at the share of the budget that has passed: seconds
    of training, without validation and files. A machine that is busy then does fewer steps, and still all of the decay.
    """

    def __init__(self, optimizer: Optimizer, recipe: BaseRecipe, steps_per_epoch: int):
        self.epochs, self.steps_per_epoch, self.steps, self.plateau = recipe.epochs, steps_per_epoch, None, None
        self.budget, self.spent, self.began = recipe.time_budget, 0.0, None
        if recipe.schedule == "plateau":
            self.plateau = ReduceLROnPlateau(
                optimizer, factor=recipe.plateau_factor, patience=recipe.plateau_patience, min_lr=recipe.min_lr
            )
        else:
            self.steps, self.epochs = create_scheduler_v2(
                optimizer, sched="poly" if recipe.schedule in POWERS else recipe.schedule,
                decay_rate=POWERS.get(recipe.schedule, 1.0), num_epochs=recipe.epochs, min_lr=recipe.min_lr,
                warmup_epochs=recipe.warmup_epochs, warmup_lr=recipe.warmup_lr, cooldown_epochs=recipe.cooldown_epochs,
                step_on_epochs=False, updates_per_epoch=steps_per_epoch,
            )  # fmt: skip

    def begin_epoch(self) -> None:
        """Start the clock of an epoch."""
        self.began = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self.spent + (0.0 if self.began is None else time.perf_counter() - self.began)

    def position(self, update: int) -> float:
        """How far the run is at step `update`, counted from the start of the run, in units of the recipe's epochs."""
        if not self.budget:
            return update / self.steps_per_epoch
        return self.epochs * min(1.0, self.elapsed() / self.budget)

    def before_step(self, position: float) -> None:
        """Set the learning rate at `position`."""
        if self.steps:
            self.steps.step_update(round(position * self.steps_per_epoch))

    def over(self, position: float) -> bool:
        """Whether nothing of the run is left."""
        return position >= self.epochs

    def after_epoch(self, row: Mapping[str, float]) -> None:
        """Take note of an epoch's row. Call it for the stored rows, in order, when a run goes on."""
        self.spent, self.began = self.spent + row["train_seconds"], None
        if self.plateau:
            self.plateau.step(row["val_loss"])


def stands_still(recipe: BaseRecipe, history: Sequence[Mapping[str, float]], best_epoch: int) -> bool:
    """Whether early stopping ends the run: `patience` epochs have passed since the best one."""
    return bool(recipe.patience and history and history[-1]["epoch"] - best_epoch >= recipe.patience)
